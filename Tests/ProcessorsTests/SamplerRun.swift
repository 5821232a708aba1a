import Config
import NIOPosix
import OTLP
import Pipeline
import Sampling
import Telemetry
import TestSupport

@testable import Processors

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined()
}

/// A sampler of its own, with its metrics.
struct SamplerRun {
    struct Span {
        var traceID: String
        var state: String
        var priority: JSONValue?

        /// - Parameter traceID: padded to 32 digits, at the end.
        init(_ traceID: String, _ state: String, _ priority: JSONValue? = nil) {
            self.traceID = traceID + String(repeating: "0", count: max(0, 32 - traceID.count))
            self.state = state
            self.priority = priority
        }

        var json: String {
            let list = priority.map { "{\"key\":\"sampling.priority\",\"value\":\($0)}" } ?? ""
            return """
                {"traceId":"\(traceID)","spanId":"0102030405060708","traceState":"\(state)","attributes":[\(list)]}
                """
        }
    }

    let metrics = MetricRegistry()
    let log = CapturedLog()
    let settings: ProbabilisticSamplerSettings

    init(_ yaml: String) throws {
        let root = try ConfigLoader().load(configs: ["yaml:section: " + yaml]).root
        let section = ConfigSection(root["section"] ?? root, path: "processors::probabilistic_sampler")
        settings = ProbabilisticSamplerSettings(from: section)
        try section.finish()
    }

    /// Sends a batch through a processor; what comes next takes everything.
    @discardableResult
    func send(_ body: [UInt8], signal: Signal = .traces, _ receipt: Receipt) throws -> RecordingConsumer {
        let log = log
        let environment = ComponentEnvironment(
            metrics: metrics, budget: MemoryBudget(limit: 1 << 20, spike: 1 << 18),
            eventLoops: MultiThreadedEventLoopGroup.singleton, readiness: Readiness(), makeLogger: { log.logger($0) })
        let next = RecordingConsumer()
        let processor = ProbabilisticSamplerProcessor(
            settings, id: ComponentID(type: "probabilistic_sampler"), signal: signal, next: next,
            environment: environment)
        let batch = try TelemetryBatch(body.withUnsafeBytes { WireBytes(copying: $0) }, signal: signal)
        processor.consume(batch, context: RequestContext(), receipt: receipt)
        return next
    }

    /// What is left of a request, encoded again.
    func process(_ body: [UInt8], signal: Signal = .traces) throws -> [UInt8] {
        try send(body, signal: signal, Outcomes().receipt()).batches.flatMap { encoded($0) }
    }

    /// The trace states of the spans that are kept.
    func states(_ spans: [Span]) throws -> [String] {
        let left = try batch(process(wire(spans.map(\.json))))
        return left.items.map { item in
            let span = SampledSpan(left.payload(of: item), tail: left.tail(of: item))
            return String(decoding: span.traceState, as: UTF8.self)
        }
    }

    /// The value of the metric of decisions.
    func count(_ items: String, _ policy: String, _ isSampled: Bool) -> Int {
        value(
            "otelcol_processor_probabilistic_sampler_count_\(items)_sampled_total{policy=\"\(policy)\",sampled=\"\(isSampled)\"}"
        )
    }

    func faults(_ reason: String) -> Int {
        value(
            "martlet_processor_probabilistic_sampler_faults_total{processor=\"probabilistic_sampler\",reason=\"\(reason)\"}"
        )
    }

    private func value(_ series: String) -> Int {
        let line = metrics.prometheusText().split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { Int($0.dropFirst(series.count + 1)) } ?? 0
    }
}
