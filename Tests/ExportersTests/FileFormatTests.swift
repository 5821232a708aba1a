import Compression
import Glibc
import OTLP
import Pipeline
import Testing

@testable import Exporters

@Suite struct FileFormatTests {
    private let directory: TemporaryDirectory
    private let log = LogRecorder()
    private var path: String { directory.path + "/out.json" }

    init() throws { directory = try TemporaryDirectory() }

    private func exporter(_ change: (inout FileExporterSettings) -> Void = { _ in }) throws -> FileExporter {
        var settings = FileExporterSettings(path: path)
        change(&settings)
        let exporter = try FileExporter(settings, logger: log.logger)
        try exporter.start()
        return exporter
    }

    /// The messages of a file of length-prefixed messages; nil when it does not end with a whole one.
    private func frames() -> [[UInt8]]? {
        var rest = contents(path)[...]
        var frames: [[UInt8]] = []
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard rest.count >= length else { return nil }
            frames.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return frames
    }

    private func inflate(_ frame: [UInt8]) throws -> [UInt8] {
        var decompressor = BodyDecompressor()
        return try frame.withUnsafeBytes {
            copy(try decompressor.decompress($0, encoding: .zstd, limit: 1 << 20))
        }
    }

    /// Borrows, so that the bytes live long enough.
    private func copy(_ bytes: borrowing OwnedBytes) -> [UInt8] { Array(bytes.bytes) }

    @Test func jsonIsOneObjectALine() throws {
        let exporter = try exporter()
        #expect(exporter.export(try simple("a")) == .delivered)
        #expect(exporter.export(try simple("b")) == .delivered)
        exporter.shutdown()
        #expect(text(path) == line("a") + line("b"))
    }

    @Test func slicesOfOneRequestBecomeOneObject() throws {
        let exporter = try exporter()
        let first = try batch([resource([:], items: [span("a")])])
        let second = try batch([resource([:], items: [span("b"), span("c"), span("d")])])
        let both = ExportRequest(
            signal: .traces, slices: [BatchSlice(first), BatchSlice(second, items: 1..<3)], timeout: .seconds(1))
        #expect(exporter.export(both) == .delivered)
        let inner = { (text: String) in text.dropFirst(#"{"resourceSpans":["#.count).dropLast("]}\n".count) }
        #expect(text(path) == #"{"resourceSpans":["# + inner(line("a")) + "," + inner(line("c", "d")) + "]}\n")
    }

    @Test func editedBatchesAreWrittenAsEdited() throws {
        let exporter = try exporter()
        let edited = try batch([resource([:], items: [span("a"), span("b")])])
        edited.filterItems { $0 == 1 }
        message { $0.put(3, "state") }.withUnsafeBytes { _ = edited.append($0, toItem: 0) }
        #expect(exporter.export(request(edited)) == .delivered)
        #expect(text(path) == line("b").replacing(#""name":"b""#, with: #""name":"b","traceState":"state""#))
    }

    @Test func metricsAndLogsHaveTheirOwnKeys() throws {
        let exporter = try exporter()
        let metric = message { $0.put(1, "m") }
        let record = message { $0.put(3, "INFO") }
        #expect(exporter.export(request(try batch([resource([:], items: [metric])], .metrics))) == .delivered)
        #expect(exporter.export(request(try batch([resource([:], items: [record])], .logs))) == .delivered)
        #expect(
            text(path) == """
                {"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{"name":"lib","version":"1.2"},\
                "metrics":[{"name":"m"}]}]}]}
                {"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{"name":"lib","version":"1.2"},\
                "logRecords":[{"severityText":"INFO"}]}]}]}

                """)
    }

    @Test func anEmptyRequestWritesNothing() throws {
        let exporter = try exporter()
        #expect(exporter.export(request(try batch([]))) == .delivered)
        #expect(text(path) == "")
    }

    @Test func protoMessagesHaveTheirLengthBefore() throws {
        let exporter = try exporter { $0.format = .proto }
        let first = try batch([resource([:], items: [span("a")])])
        let second = try batch([resource([:], items: [span("b")])])
        #expect(exporter.export(request(first)) == .delivered)
        #expect(exporter.export(request(first, second)) == .delivered)
        let frames = try #require(self.frames())
        #expect(frames == [Array(first.bytes.buffer), Array(first.bytes.buffer) + Array(second.bytes.buffer)])
        let read = try TelemetryBatch(frames[1].withUnsafeBytes { WireBytes(copying: $0) }, signal: .traces)
        #expect(read.itemCount == 2)
    }

    @Test(arguments: FileExporterSettings.Format.allCases)
    func compressedMessagesHaveTheirLengthBefore(format: FileExporterSettings.Format) throws {
        let exporter = try exporter {
            $0.format = format
            $0.compressionLevel = 3
        }
        let one = try batch([resource([:], items: [span("a")])])
        for _ in 0..<3 { #expect(exporter.export(request(one)) == .delivered) }
        let frames = try #require(self.frames())
        #expect(frames.count == 3)
        let expected = format == .proto ? Array(one.bytes.buffer) : Array(line("a").utf8.dropLast())
        for frame in frames { #expect(try inflate(frame) == expected) }
    }

    @Test func startEmptiesTheFileUnlessAppending() throws {
        let first = try exporter()
        #expect(first.export(try simple("a")) == .delivered)
        first.shutdown()
        let second = try exporter { $0.append = true }
        #expect(second.export(try simple("b")) == .delivered)
        second.shutdown()
        #expect(text(path) == line("a") + line("b"))
        try exporter().shutdown()
        #expect(text(path) == "")
    }

    @Test func rotationContinuesTheFile() throws {
        write(Array(line("a").utf8), to: path)
        let exporter = try exporter { $0.rotation = FileRotation() }
        #expect(exporter.export(try simple("b")) == .delivered)
        #expect(text(path) == line("a") + line("b"))
    }

    @Test func deepValuesAreWritten() throws {
        var value = stringValue("x")
        for _ in 0..<60 { value = message { $0.put(5, message { $0.put(1, value) }) } }
        let item = span("deep") + message { $0.put(9, keyValue("k", value)) }
        let bytes = message { $0.put(1, resource([:], items: [item])) }
        let deep = try TelemetryBatch(
            bytes.withUnsafeBytes { WireBytes(copying: $0) }, signal: .traces,
            limits: DecodeLimits(maximumDepth: 200, maximumItems: 10))
        let exporter = try exporter()
        #expect(exporter.export(request(deep)) == .delivered)
        #expect(text(path).contains(#"{"stringValue":"x"}"#))
    }

    @Test func concurrentRequestsStayWhole() async throws {
        let exporter = try exporter()
        let requests = try (0..<8).map { try simple(String(repeating: "\($0)", count: 3000)) }
        await withTaskGroup(of: Void.self) { group in
            for request in requests {
                group.addTask {
                    for _ in 0..<50 where exporter.export(request) != .delivered { Issue.record("not delivered") }
                }
            }
        }
        exporter.shutdown()
        var counts: [Substring: Int] = [:]
        for found in text(path).split(separator: "\n") { counts[found, default: 0] += 1 }
        #expect(counts.count == 8)
        for number in 0..<8 {
            #expect(counts[line(String(repeating: "\(number)", count: 3000)).dropLast()] == 50)
        }
    }
}
