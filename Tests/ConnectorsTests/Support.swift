import OTLP
import Pipeline
import Synchronization
import TestSupport
import Testing

@testable import Config
@testable import Connectors

/// A clock that the test sets: nanoseconds.
final class TestClock: Sendable {
    private let time: Mutex<UInt64>

    init(_ start: UInt64 = 1000) { time = Mutex(start) }

    var now: UInt64 {
        get { time.withLock { $0 } }
        set { time.withLock { $0 = newValue } }
    }
}

/// The settings that `read` makes of a section; every error fails.
func decode<Settings>(_ yaml: String, _ read: (ConfigSection) -> Settings) throws -> Settings {
    let root = try ConfigLoader().load(configs: ["yaml:section: \(yaml)"]).root
    let section = ConfigSection(root["section"] ?? .null(at: root.position), path: "section")
    let settings = read(section)
    try section.finish()
    return settings
}

/// The messages of a section that is wrong.
func errors<Settings>(_ yaml: String, _ read: (ConfigSection) -> Settings) throws -> [String] {
    do {
        _ = try decode(yaml, read)
        return []
    } catch let error as ConfigError {
        return error.diagnostics.errors.map(\.message)
    }
}

/// A batch of traces from OTLP JSON.
func traces(_ json: String) throws -> TelemetryBatch {
    var writer = WireWriter()
    try Array(json.utf8).withUnsafeBytes { try OTLPJSONDecoder.decode($0, as: .traceRequest, into: &writer) }
    return try TelemetryBatch(WireBytes(taking: &writer), signal: .traces)
}

/// One resource with spans, as JSON; attributes are texts.
func resource(_ attributes: [(String, String)], scope: String = "s", _ spans: [String]) -> String {
    "{\"resource\":{\"attributes\":[\(json(attributes))]},\"scopeSpans\":[{\"scope\":{\"name\":\"\(scope)\",\"version\":\"1\"},"
        + "\"spans\":[\(spans.joined(separator: ","))]}]}"
}

func request(_ resources: String...) -> String { "{\"resourceSpans\":[\(resources.joined(separator: ","))]}" }

func json(_ attributes: [(String, String)]) -> String {
    attributes.map { "{\"key\":\"\($0.0)\",\"value\":{\"stringValue\":\"\($0.1)\"}}" }.joined(separator: ",")
}

func hex(_ number: Int, _ digits: Int) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}

/// A span as JSON. Times are milliseconds after one second of 1970.
func span(
    _ name: String = "op", trace: Int = 1, id: Int = 1, parent: Int = 0, kind: Int = 2, from start: Int = 0,
    to end: Int = 5,
    status: Int = 0, attributes: [(String, String)] = [], more: String = ""
) -> String {
    let parentID = parent == 0 ? "" : "\"parentSpanId\":\"\(hex(parent, 16))\","
    return
        "{\"traceId\":\"\(hex(trace, 32))\",\"spanId\":\"\(hex(id, 16))\",\(parentID)\"name\":\"\(name)\",\"kind\":\(kind),"
        + "\"startTimeUnixNano\":\"\(1_000_000_000 + start * 1_000_000)\","
        + "\"endTimeUnixNano\":\"\(1_000_000_000 + end * 1_000_000)\",\"attributes\":[\(json(attributes))],"
        + "\"status\":{\"code\":\(status)}\(more)}"
}

/// Gives a batch to a connector, and expects it to be taken.
func give(_ json: String, to consumer: any Consumer) throws {
    let outcomes = Outcomes()
    consumer.consume(try traces(json), context: RequestContext(), receipt: outcomes.receipt())
    #expect(outcomes.all == [nil])
}

extension [MetricPoint] {
    func named(_ name: String) -> [MetricPoint] { filter { $0.metric == name } }

    /// The one point of that name that has all of these attributes.
    func one(_ name: String, _ attributes: String...) -> MetricPoint? {
        let found = named(name).filter { point in attributes.allSatisfy { point.attributes.contains($0) } }
        return found.count == 1 ? found.first : nil
    }
}
