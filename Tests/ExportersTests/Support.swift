import Config
import Glibc
import Logging
import OTLP
import Pipeline
import Synchronization
import Testing

@testable import Exporters

/// A directory of its own for one test, removed in the end.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-exporters-XXXXXX".utf8CString)
        let made = mkdtemp(&template) != nil
        try #require(made)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    static func names(in path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        for name in names(in: path) where unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
        rmdir(path)
    }
}

func contents(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
    let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    return Array(bytes.prefix(max(0, count)))
}

func text(_ path: String) -> String { String(decoding: contents(path), as: UTF8.self) }

func write(_ bytes: [UInt8], to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
}

/// The settings of `yaml` under `exporters::file` or the like, and the errors and warnings, one a line.
func decode<Settings>(
    _ yaml: String, _ path: String, _ read: (ConfigSection) -> Settings
) throws -> (settings: Settings?, errors: String, warnings: String) {
    let inputs = ConfigInputs(
        environment: { _ in nil }, readFile: { _, _ throws(ConfigReadError) in Array(yaml.utf8) })
    let root = try ConfigLoader(inputs: inputs).load(configs: ["a.yaml"]).root
    var diagnostics = ConfigDiagnostics()
    let settings = ConfigSection.decode(root, path: path, into: &diagnostics) { read($0) }
    return (
        settings, diagnostics.errors.map(\.description).joined(separator: "\n"),
        diagnostics.warnings.map(\.description).joined(separator: "\n")
    )
}

/// Collects what is logged.
final class LogRecorder: Sendable {
    private let lines = Mutex<[String]>([])

    var messages: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }

    var logger: Logger { Logger(label: "test") { _ in Handler(recorder: self) } }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            recorder.add(([event.message.description] + fields).joined(separator: "|"))
        }
    }
}

/// Builds wire messages.
func message(_ body: (inout WireWriter) -> Void) -> [UInt8] {
    var writer = WireWriter()
    body(&writer)
    return Array(writer.bytes)
}

extension WireWriter {
    mutating func put(_ field: UInt32, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(field: field, bytes: $0) }
    }
    mutating func put(_ field: UInt32, _ text: String) { put(field, Array(text.utf8)) }
    mutating func put(_ field: UInt32, fixed64 value: UInt64) {
        append(tag: field, .fixed64)
        append(fixed64: value)
    }
    mutating func put(_ field: UInt32, double value: Double) { put(field, fixed64: value.bitPattern) }
    mutating func put(_ field: UInt32, varint value: UInt64) {
        append(tag: field, .varint)
        append(varint: value)
    }
}

func stringValue(_ text: String) -> [UInt8] { message { $0.put(1, text) } }
func keyValue(_ key: String, _ value: [UInt8]) -> [UInt8] {
    message {
        $0.put(1, key)
        $0.put(2, value)
    }
}
func keyValue(_ key: String, _ value: String) -> [UInt8] { keyValue(key, stringValue(value)) }

/// A ResourceX message with one scope.
func resource(_ attributes: [String: String], items: [[UInt8]], scope: String = "lib") -> [UInt8] {
    message { group in
        group.put(
            1,
            message {
                for (key, value) in attributes.sorted(by: { $0.key < $1.key }) { $0.put(1, keyValue(key, value)) }
            }
        )
        group.put(
            2,
            message { scopeGroup in
                scopeGroup.put(
                    1,
                    message {
                        $0.put(1, scope)
                        $0.put(2, "1.2")
                    })
                for item in items { scopeGroup.put(2, item) }
            })
    }
}

func span(_ name: String, number: UInt8 = 1) -> [UInt8] {
    message {
        $0.put(1, (1...16).map { $0 })
        $0.put(2, (1...8).map { $0 &+ number &- 1 })
        $0.put(5, name)
    }
}

func batch(_ resources: [[UInt8]], _ signal: Signal = .traces) throws -> TelemetryBatch {
    let bytes = message { for resource in resources { $0.put(1, resource) } }
    return try TelemetryBatch(bytes.withUnsafeBytes { WireBytes(copying: $0) }, signal: signal)
}

func request(_ batches: TelemetryBatch...) -> ExportRequest {
    ExportRequest(
        signal: batches.first?.signal ?? .traces, slices: batches.map { BatchSlice($0) }, timeout: .seconds(1))
}

/// The JSON line of `batch([resource([:], items: [span(name)])])`.
func line(_ names: String...) -> String {
    let spans = names.map {
        #"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"\#($0)"}"#
    }
    return #"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{"name":"lib","version":"1.2"},"spans":["#
        + spans.joined(separator: ",") + "]}]}]}\n"
}

func simple(_ name: String) throws -> ExportRequest { request(try batch([resource([:], items: [span(name)])])) }

extension Exporter {
    /// The outcome; both exporters answer before they return.
    func export(_ request: ExportRequest) -> ExportOutcome? {
        let box = OutcomeBox()
        export(request) { outcome in box.value.withLock { $0 = outcome } }
        return box.value.withLock { $0 }
    }
}

final class OutcomeBox: Sendable {
    let value = Mutex<ExportOutcome?>(nil)
}
