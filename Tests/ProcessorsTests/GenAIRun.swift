import Config
import NIOPosix
import OTLP
import Pipeline
import Telemetry
import TestSupport

@testable import Processors

/// A value of an attribute.
enum JSONValue: Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, CustomStringConvertible {
    case text(String)
    case int(Int)
    case double(Double)

    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .int(value) }

    /// OTLP JSON.
    var description: String {
        switch self {
        case .text(let text): "{\"stringValue\":\"\(text)\"}"
        case .int(let number): "{\"intValue\":\"\(number)\"}"
        case .double(let number): number.isNaN ? "{\"doubleValue\":\"NaN\"}" : "{\"doubleValue\":\(number)}"
        }
    }
}

/// The attributes of a span, in order.
struct SpanAttributes {
    var values: [(key: String, value: JSONValue)] = []

    subscript(key: String) -> JSONValue? { values.first { $0.key == key }?.value }
    var hasUniqueKeys: Bool { Set(values.map(\.key)).count == values.count }
    var sorted: [String] { values.map { "\($0.key)=\($0.value)" }.sorted() }
}

/// A span as OTLP JSON. Its id is `number`; it began on 2026-11-01.
func span(_ number: Int, parent: Int = 0, _ attributes: [(String, JSONValue)]) -> String {
    func id(_ number: Int) -> String { String(String(number + (1 << 60), radix: 16)) }
    let parent = parent == 0 ? "" : "\"parentSpanId\":\"\(id(parent))\","
    let list = attributes.map { "{\"key\":\"\($0.0)\",\"value\":\($0.1)}" }.joined(separator: ",")
    return """
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"\(id(number))",\(parent)"name":"call",
        "startTimeUnixNano":"1793491200000000000","endTimeUnixNano":"1793491201000000000","attributes":[\(list)]}
        """
}

/// The attributes of a chat call at OpenAI.
func chat(_ model: String, input: Int, output: Int) -> [(String, JSONValue)] {
    [
        ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", .text(model)),
        ("gen_ai.usage.input_tokens", .int(input)), ("gen_ai.usage.output_tokens", .int(output)),
    ]
}

/// A request of these spans.
func wire(_ spans: [String]) throws -> [UInt8] {
    let json =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"scope\":{\"name\":\"s\"},\"spans\":[\(spans.joined(separator: ","))]}]}]}"
    var writer = WireWriter()
    try Array(json.utf8).withUnsafeBytes { try OTLPJSONDecoder.decode($0, as: .traceRequest, into: &writer) }
    return Array(writer.bytes)
}

func batch(_ body: [UInt8]) throws -> TelemetryBatch {
    try TelemetryBatch(body.withUnsafeBytes { WireBytes(copying: $0) }, signal: .traces)
}

func encoded(_ batch: TelemetryBatch) -> [UInt8] {
    var writer = WireWriter()
    batch.encode(into: &writer)
    return Array(writer.bytes)
}

/// The attributes of each span of a request.
func attributes(of body: [UInt8]) throws -> [SpanAttributes] {
    let batch = try batch(body)
    let arena = WireArena(limit: 1 << 24)
    return batch.items.map { item in
        var span = SpanAttributes()
        guard let view = SpanView(batch.payload(of: item), arena: arena) else { return span }
        for raw in view.attributes {
            guard let attribute = KeyValueView(raw, arena: arena) else { continue }
            let key = String(decoding: attribute.key, as: UTF8.self)
            switch AnyValueView(attribute.value, arena: arena)?.value {
            case .string(let text): span.values.append((key, .text(String(decoding: text, as: UTF8.self))))
            case .int(let number): span.values.append((key, .int(Int(number))))
            case .double(let number): span.values.append((key, .double(number)))
            default: span.values.append((key, "?"))
            }
        }
        return span
    }
}

/// A processor of its own, with its metrics.
struct GenAIRun {
    let engine: GenAIEngine
    private let metrics = MetricRegistry()

    init(_ yaml: String = "{}") throws {
        let root = try ConfigLoader().load(configs: ["yaml:section: " + yaml]).root
        let section = ConfigSection(root["section"] ?? root, path: "processors::genai")
        let settings = GenAIProcessorSettings(from: section)
        _ = try section.finish()
        let log = CapturedLog()
        let environment = ComponentEnvironment(
            metrics: metrics, budget: MemoryBudget(limit: 1 << 20, spike: 1 << 18),
            eventLoops: MultiThreadedEventLoopGroup.singleton, readiness: Readiness(), makeLogger: { log.logger($0) })
        engine = try settings.shared.engine(settings, id: ComponentID(type: "genai"), environment: environment)
    }

    /// The spans' attributes after the processor.
    func process(_ spans: [String]) throws -> [SpanAttributes] { try attributes(of: processed(wire(spans))) }

    /// A request after the processor, encoded again.
    func processed(_ body: [UInt8]) throws -> [UInt8] {
        let batch = try batch(body)
        engine.process(batch)
        return encoded(batch)
    }

    /// The lines of a metric.
    func lines(_ name: String) -> [Substring] {
        metrics.prometheusText().split(separator: "\n").filter { $0.hasPrefix(name) }
    }

    /// The text of a series' value.
    func metric(_ series: String) -> String? {
        lines(series + " ").first.map { String($0.dropFirst(series.count + 1)) }
    }
}
