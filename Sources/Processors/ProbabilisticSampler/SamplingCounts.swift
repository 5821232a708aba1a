internal import Config
internal import Logging
internal import OTLP
internal import Pipeline
internal import Sampling
internal import Synchronization
internal import Telemetry

/// The decisions about one batch. A value of one thread.
struct SamplingTally {
    /// By policy, not kept and kept.
    var decisions = InlineArray<12, Int>(repeating: 0)
    var faults = InlineArray<5, Int>(repeating: 0)

    @inline(__always)
    mutating func add(_ policy: SamplingPolicy, isKept: Bool) {
        decisions[policy.rawValue * 2 + (isKept ? 1 : 0)] += 1
    }

    mutating func add(_ fault: SamplingFault) { faults[fault.rawValue] += 1 }
}

/// The metrics of a sampler, and its log. Thread-safe.
final class SamplingCounts: Sendable {
    private let decisions: [Counter]
    private let faults: [Counter]
    /// A bit for each fault that was logged.
    private let reported = Atomic<Int>(0)
    private let logger: Logger

    init(
        _ settings: ProbabilisticSamplerSettings, id: ComponentID, signal: Signal, environment: ComponentEnvironment
    ) {
        let items = signal == .logs ? "logs" : "traces"
        decisions = SamplingPolicy.allCases.flatMap { policy in
            ["false", "true"].map { sampled in
                // A policy that the configuration does not have counts nowhere.
                guard policy != .attribute || !settings.fromAttribute.isEmpty && signal == .logs else {
                    return Counter()
                }
                return environment.metrics.counter(
                    "otelcol_processor_probabilistic_sampler_count_\(items)_sampled",
                    help: "Items that were sampled or not",
                    labels: [("policy", policy.name(attribute: settings.fromAttribute)), ("sampled", sampled)])
            }
        }
        faults = SamplingFault.allCases.map { fault in
            environment.metrics.counter(
                "martlet_processor_probabilistic_sampler_faults",
                help: "Items whose sampling information could not be used, or not be written",
                labels: [("processor", "\(id)"), ("reason", fault.name)])
        }
        logger = environment.logger("processor", id)
    }

    func add(_ tally: SamplingTally) {
        for index in 0..<tally.decisions.count where tally.decisions[index] > 0 {
            decisions[index].add(tally.decisions[index])
        }
        for fault in SamplingFault.allCases where tally.faults[fault.rawValue] > 0 {
            faults[fault.rawValue].add(tally.faults[fault.rawValue])
            let bit = 1 << fault.rawValue
            if reported.bitwiseOr(bit, ordering: .relaxed).oldValue & bit == 0 {
                logger.warning("\(fault.explanation); more of these are only counted")
            }
        }
    }
}
