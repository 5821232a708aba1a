internal import Config
internal import GenAI
internal import OTLP
internal import Pipeline
internal import Sampling
internal import Synchronization
internal import Telemetry

/// An exact sum. Any thread.
private final class RepeatedCost: Sendable {
    private let sum = Mutex(Money.zero)

    func add(_ cost: Money) { sum.withLock { $0 += cost } }
    var text: String { "\(sum.withLock { $0 })" }
}

/// The self-metrics of a tail sampler: otelcol's under otelcol's names, and what otelcol does not count. Any thread.
final class TailSamplingMetrics: Sendable {
    fileprivate static let prefix = "otelcol_processor_tail_sampling_"
    /// The default bounds of the SDK that otelcol uses.
    private static let secondBounds: [Double] = [
        0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000,
    ]
    private static let millisecondBounds: [Double] = [
        1, 2, 5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2000, 3000, 4000, 5000, 10000, 20000, 30000,
        50000,
    ]

    private let sampled: Counter
    private let notSampled: Counter
    private let dropped: Counter
    private let newTraces: Counter
    private let lateSampled: Counter
    private let lateDiscarded: Counter
    private let tooLarge: Counter
    private let triggers: [Counter]
    private let lateAge: Histogram
    private let removalAge: Histogram
    private let timer: Histogram
    private let logs: [Counter]
    private let repeatedCalls: Counter
    private let repeatedCost: RepeatedCost
    private let lost: @Sendable (Signal, String) -> Counter
    let retries: Counter

    /// The one that the pipelines of a section share.
    static func of(_ id: ComponentID, _ environment: ComponentEnvironment) -> TailSamplingMetrics {
        environment.shared.part("tail_sampling metrics " + id.description) {
            TailSamplingMetrics(environment.metrics, id: id.description)
        }
    }

    private init(_ registry: MetricRegistry, id: String) {
        func counter(_ name: String, _ help: String, _ labels: MetricRegistry.Labels = []) -> Counter {
            registry.counter(Self.prefix + name, help: help, labels: labels)
        }
        func global(_ decision: String) -> Counter {
            counter(
                "global_count_traces_sampled", "Traces by decision",
                [("sampled", decision == "sampled" ? "true" : "false"), ("decision", decision)])
        }
        sampled = global("sampled")
        notSampled = global("not_sampled")
        dropped = global("dropped")
        newTraces = counter("new_trace_id_received", "New traces")
        let early = "early_releases_from_cache_decision"
        lateSampled = counter(early, "Spans that followed a decision", [("sampled", "true")])
        lateDiscarded = counter(early, "Spans that followed a decision", [("sampled", "false")])
        tooLarge = counter("traces_dropped_too_large", "Traces larger than maximum_trace_size_bytes")
        _ = counter("sampling_trace_dropped_too_early", "Always 0: no trace goes undecided")
        _ = counter("sampling_policy_evaluation_error", "Always 0: no policy of this build fails")
        let labels = [(name: "processor", value: id)]
        triggers = DecisionTrigger.allCases.dropLast().map { trigger in
            registry.counter(
                "martlet_tail_sampling_decisions", help: "Traces by what made their decision due",
                labels: labels + [("trigger", "\(trigger.name)")])
        }
        lateAge = registry.histogram(
            Self.prefix + "sampling_late_span_age", help: "Seconds from a decision to late spans",
            bounds: Self.secondBounds)
        removalAge = registry.histogram(
            Self.prefix + "sampling_trace_removal_age", help: "Seconds from a trace's first span to its decision",
            bounds: Self.secondBounds)
        timer = registry.histogram(
            Self.prefix + "sampling_decision_timer_latency", help: "Milliseconds that a round of decisions took",
            bounds: Self.millisecondBounds)
        logs = ["kept", "not_kept", "unmatched", "no_trace"].map { decision in
            registry.counter(
                "martlet_tail_sampling_log_records", help: "Log records by the decision that they followed",
                labels: labels + [("decision", decision)])
        }
        repeatedCalls = registry.counter(
            "martlet_tail_sampling_repeated_calls", help: "Priced spans that repeat another one of their trace",
            labels: labels)
        let cost = RepeatedCost()
        repeatedCost = cost
        registry.counter(
            "martlet_tail_sampling_repeated_cost_usd", help: "What those spans' costs add up to in US dollars",
            labels: labels, decimal: { cost.text })
        lost = { signal, cause in
            let name = signal == .logs ? "log_records" : "spans"
            return registry.counter(
                "martlet_tail_sampling_lost_" + name, help: "What was kept and could not be handed on",
                labels: labels + [("cause", cause)])
        }
        retries = registry.counter(
            "martlet_tail_sampling_retries", help: "Kept requests that were handed on again after a refusal",
            labels: labels)
        _ = lost(.traces, "refused")
    }

    /// Adds what a shard has done.
    func add(_ counts: TailCounts) {
        newTraces.add(counts.newTraces)
        sampled.add(counts.sampledTraces)
        notSampled.add(counts.notSampledTraces)
        dropped.add(counts.droppedTraces)
        lateSampled.add(counts.lateSampledSpans)
        lateDiscarded.add(counts.lateDiscardedSpans)
        tooLarge.add(counts.tooLarge)
        for (counter, count) in zip(triggers, counts.triggers) { counter.add(count) }
        for age in counts.removalAges { removalAge.observe(age) }
        for age in counts.lateAges { lateAge.observe(age) }
        if counts.repeatedCalls > 0 {
            repeatedCalls.add(counts.repeatedCalls)
            repeatedCost.add(counts.repeatedCost)
        }
        let records = [counts.keptLogs, counts.discardedLogs, counts.unmatchedLogs, counts.tracelessLogs]
        for (counter, count) in zip(logs, records) where count > 0 { counter.add(count) }
        if counts.lostSpans > 0 { loss(counts.lostSpans, .traces, "memory") }
    }

    /// Traces by what made their decision due.
    var decisions: [(trigger: DecisionTrigger, count: Int)] {
        zip(DecisionTrigger.allCases, triggers).map { ($0, $1.value) }
    }

    /// Counts a round of decisions.
    func observe(round nanoseconds: Int64) { timer.observe(Double(nanoseconds) * 1e-6) }

    /// Counts kept spans or log records that are gone.
    func loss(_ items: Int, _ signal: Signal, _ cause: String) { lost(signal, cause).add(items) }
}

/// What the policies of one program have said. Programs that follow each other share counters by name. Any thread.
final class PolicyCounters: Sendable {
    private struct Policy: Sendable {
        let sampled: (traces: Counter, spans: Counter)
        let notSampled: (traces: Counter, spans: Counter)
        let dropped: (traces: Counter, spans: Counter)
        let executions: Counter
        let microseconds: Counter
    }

    private let policies: [Policy]
    private let names: [String]

    init(_ registry: MetricRegistry, _ names: [String]) {
        self.names = names
        let prefix = TailSamplingMetrics.prefix
        func counter(_ name: String, _ help: String, _ labels: MetricRegistry.Labels) -> Counter {
            registry.counter(prefix + name, help: help, labels: labels)
        }
        func decided(_ policy: String, _ decision: String) -> (Counter, Counter) {
            let labels = [
                (name: "policy", value: policy), (name: "sampled", value: decision == "sampled" ? "true" : "false"),
                (name: "decision", value: decision),
            ]
            return (
                counter("count_traces_sampled", "Traces by what each policy said of them", labels),
                counter("count_spans_sampled", "Spans by what each policy said of their traces", labels)
            )
        }
        policies = names.map { name in
            let labels = [(name: "policy", value: name)]
            return Policy(
                sampled: decided(name, "sampled"), notSampled: decided(name, "not_sampled"),
                dropped: decided(name, "dropped"),
                executions: counter("sampling_policy_execution_count", "How often a policy was asked", labels),
                microseconds: counter(
                    "sampling_policy_execution_time_sum", "Microseconds that a policy took, estimated", labels))
        }
    }

    /// Traces by what each policy said of them since the start.
    var said: [(policy: String, sampled: Int, notSampled: Int, dropped: Int)] {
        zip(names, policies).map { ($0, $1.sampled.traces.value, $1.notSampled.traces.value, $1.dropped.traces.value) }
    }

    /// Adds what the policies have said, in their order.
    func add(_ tallies: [PolicyTally]) {
        for (policy, tally) in zip(policies, tallies) {
            let counts = [
                (policy.sampled, tally.sampled), (policy.notSampled, tally.notSampled), (policy.dropped, tally.dropped),
            ]
            var asked = 0
            for (counters, count) in counts {
                counters.traces.add(count.traces)
                counters.spans.add(count.spans)
                asked += count.traces
            }
            policy.executions.add(asked)
            policy.microseconds.add(Int(tally.nanoseconds / 1000))
        }
    }
}
