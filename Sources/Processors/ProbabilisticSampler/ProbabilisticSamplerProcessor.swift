package import Config
internal import Logging
package import OTLP
package import Pipeline
internal import Sampling

/// `probabilistic_sampler`: keeps a share of the traces, or of the log records, that the trace id decides.
package struct ProbabilisticSamplerProcessorFactory: ProcessorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "probabilistic_sampler", signals: [.traces: .beta, .logs: .alpha])
    }

    package func settings(from section: ConfigSection) -> ProbabilisticSamplerSettings {
        ProbabilisticSamplerSettings(from: section)
    }

    package func make(
        _ settings: ProbabilisticSamplerSettings, id: ComponentID, signal: Signal, next: any Consumer,
        environment: ComponentEnvironment
    ) throws -> any Processor {
        ProbabilisticSamplerProcessor(settings, id: id, signal: signal, next: next, environment: environment)
    }
}

/// What a `probabilistic_sampler` section sets: otelcol's keys, ranges and defaults.
package struct ProbabilisticSamplerSettings: Sendable {
    enum Mode: String, CaseIterable {
        case hashSeed = "hash_seed"
        case proportional
        case equalizing
    }

    /// Where log records have their randomness from.
    enum AttributeSource: String, CaseIterable {
        case traceID
        case record
    }

    /// Single precision, as in otelcol: the thresholds follow from it. 100 at most.
    var percentage: Float
    var mode: Mode
    var seed: UInt32
    var failsClosed: Bool
    /// Hexadecimal digits of thresholds.
    var precision: Int
    var source: AttributeSource
    /// Empty for none.
    var fromAttribute: [UInt8]
    /// Empty for none.
    var priorityAttribute: [UInt8]

    init(from section: ConfigSection) {
        let percentage = section.double("sampling_percentage", in: 0...Double(Float.greatestFiniteMagnitude)) ?? 0
        if percentage > 0, percentage / 100 < Threshold.minimumProbability {
            section.error("sampling_percentage", "must be 0 or at least 2^-56 of 100")
        }
        if !section.contains("sampling_percentage") {
            section.warn("sampling_percentage", "is missing: the default is 0, and nothing is kept")
        }
        self.percentage = Float(min(percentage, 100))
        mode = Self.choice(section, "mode", .hashSeed)
        seed = section.integer("hash_seed") ?? 0
        failsClosed = section.bool("fail_closed") ?? true
        precision = section.integer("sampling_precision", in: 1...Threshold.maximumDigits) ?? 4
        source = Self.choice(section, "attribute_source", .traceID)
        fromAttribute = Array((section.string("from_attribute") ?? "").utf8)
        priorityAttribute = Array((section.string("sampling_priority") ?? "").utf8)
    }

    /// An empty string is the default, as in otelcol.
    private static func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ section: ConfigSection, _ key: String, _ fallback: Value
    ) -> Value {
        if section.node(key)?.scalar?.text == "" { return fallback }
        return section.choice(key) ?? fallback
    }
}

/// One pipeline's stage. It keeps nothing between batches; any thread may use it.
final class ProbabilisticSamplerProcessor: Processor {
    private let sampler: ItemSampler
    private let counts: SamplingCounts
    private let budget: MemoryBudget
    private let next: any Consumer

    init(
        _ settings: ProbabilisticSamplerSettings, id: ComponentID, signal: Signal, next: any Consumer,
        environment: ComponentEnvironment
    ) {
        sampler = ItemSampler(settings)
        counts = SamplingCounts(settings, id: id, signal: signal, environment: environment)
        budget = environment.budget
        self.next = next
    }

    var mutatesBatches: Bool { true }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        counts.add(sampler.sample(batch))
        // What is not kept is done with: its sender gets the same answer.
        guard !batch.isEmpty else { return receipt.accept() }
        let compact = batch.compacted { bytes in
            // Asked above the soft limit, the budget would count a refused request.
            budget.heldBytes <= budget.softLimit ? budget.lease(bytes) : nil
        }
        next.consume(compact ?? batch, context: context, receipt: receipt)
    }

    func start() throws {}

    func stop(deadline: ContinuousClock.Instant) async {}
}
