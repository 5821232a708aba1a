package import Config
package import OTLP
package import Pipeline
internal import Synchronization
internal import Telemetry
internal import Temporality

/// otelcol's `deltatocumulative`: makes delta metrics cumulative, so that destinations such as Prometheus take them.
package struct DeltaToCumulativeProcessorFactory: ProcessorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(
            type: "deltatocumulative", aliases: ["delta_to_cumulative"], signals: [.metrics: .alpha])
    }

    package func settings(from section: ConfigSection) -> DeltaToCumulativeSettings {
        DeltaToCumulativeSettings(from: section)
    }

    package func make(
        _ settings: DeltaToCumulativeSettings, id: ComponentID, signal: Signal, next: any Consumer,
        environment: ComponentEnvironment
    ) throws -> any Processor {
        let stage = DeltaToCumulativeProcessor(
            settings.limits, counters: DeltaToCumulativeCounters(environment, id: id), budget: environment.budget,
            next: next)
        settings.shared.add(stage, settings.limits, id: id, environment: environment)
        return stage
    }
}

/// What a `deltatocumulative` section sets.
package struct DeltaToCumulativeSettings: Sendable {
    let limits: DeltaLimits
    /// What the pipelines that name this component have in common.
    let shared = DeltaToCumulativeShared()

    private static let longestStale = Duration.seconds(366 * 86_400)

    init(from section: ConfigSection) {
        limits = DeltaLimits(
            maximumStreams: section.integer("max_streams", in: 1...Int.max) ?? DeltaLimits.defaultStreams,
            maximumBytes: section.integer("max_bytes", in: 1 << 16...Int.max / 2) ?? DeltaLimits.defaultBytes,
            maximumStale: section.duration("max_stale", in: .milliseconds(100)...Self.longestStale)
                ?? DeltaLimits.defaultStale)
        section.refuse("storage", because: "the streams are kept in memory; after a restart they begin anew")
    }
}

/// The stages of one component: each pipeline counts for itself, the metrics are of all.
final class DeltaToCumulativeShared: Sendable {
    private let stages = Mutex<[DeltaToCumulativeProcessor]>([])

    /// Takes a stage in; registers the gauges with the first one.
    func add(
        _ stage: DeltaToCumulativeProcessor, _ limits: DeltaLimits, id: ComponentID, environment: ComponentEnvironment
    ) {
        let isFirst = stages.withLock { stages in
            stages.append(stage)
            return stages.count == 1
        }
        guard isFirst else { return }
        let registry = environment.metrics
        let labels: MetricRegistry.Labels = [("processor", "\(id)")]
        registry.gauge(
            "otelcol_deltatocumulative_streams_tracked", help: "Number of streams tracked.", labels: labels
        ) { [self] in Double(stages.withLock { $0.reduce(0) { $0 + $1.streams } }) }
        registry.gauge(
            "martlet_deltatocumulative_state_bytes", help: "Bytes that the tracked streams take.", labels: labels
        ) { [self] in Double(stages.withLock { $0.reduce(0) { $0 + $1.heldBytes } }) }
        registry.gauge(
            "otelcol_deltatocumulative_streams_limit", help: "Upper limit of tracked streams.", labels: labels
        ) { Double(limits.maximumStreams) }
        registry.gauge(
            "otelcol_deltatocumulative_streams_max_stale_seconds",
            help: "Duration after which streams without a new point are dropped.", labels: labels
        ) { Double(limits.maximumStale.components.seconds) }
    }
}

/// `otelcol_deltatocumulative_datapoints`, with otelcol's values of `error`.
struct DeltaToCumulativeCounters: Sendable {
    private let accumulated: Counter
    private let dropped: [Counter]

    init(_ environment: ComponentEnvironment, id: ComponentID) {
        func counter(_ labels: MetricRegistry.Labels) -> Counter {
            environment.metrics.counter(
                "otelcol_deltatocumulative_datapoints",
                help: "Number of delta points processed; those with an error were dropped.",
                labels: [("processor", "\(id)")] + labels)
        }
        accumulated = counter([])
        dropped = DeltaDropReason.allCases.map { reason in
            switch reason {
            case .olderStart: counter([("error", "delta.ErrOlderStart")])
            case .outOfOrder: counter([("error", "delta.ErrOutOfOrder")])
            case .limit: counter([("error", "limit")])
            case .invalid: counter([("error", "invalid")])
            }
        }
    }

    func add(_ counts: DeltaCounts) {
        accumulated.add(counts.accumulated)
        for reason in DeltaDropReason.allCases { dropped[reason.rawValue].add(counts.dropped(reason)) }
    }
}

/// One pipeline's stage.
final class DeltaToCumulativeProcessor: Processor {
    private let accumulator: Mutex<DeltaAccumulator>
    private let limits: DeltaLimits
    private let counters: DeltaToCumulativeCounters
    /// Counts the states as memory that is taken.
    private let lease: MemoryLease?
    private let next: any Consumer
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let tracked = Atomic<Int>(0)
    private let held = Atomic<Int>(0)
    private let expiring = Mutex<Task<Void, Never>?>(nil)

    /// Longest time between two looks for streams that are silent.
    private static let longestInterval = Duration.seconds(60)
    private static let shortestInterval = Duration.seconds(1)
    /// Streams that are looked at in one go: some 50 microseconds.
    private static let expiryBudget = 4096

    /// - Parameter clock: must not run backwards.
    init(
        _ limits: DeltaLimits, counters: DeltaToCumulativeCounters, budget: MemoryBudget, next: any Consumer,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        var random = SystemRandomNumberGenerator()
        accumulator = Mutex(DeltaAccumulator(limits, epoch: clock(), using: &random))
        self.limits = limits
        self.counters = counters
        lease = budget.lease(0)
        self.next = next
        self.clock = clock
    }

    /// Streams with a state.
    var streams: Int { tracked.load(ordering: .relaxed) }
    /// Bytes of the states.
    var heldBytes: Int { held.load(ordering: .relaxed) }

    var mutatesBatches: Bool { true }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        let counts = accumulator.withLock { accumulator in
            let counts = accumulator.accumulate(batch, now: clock())
            publish(accumulator)
            return counts
        }
        counters.add(counts)
        // Points that were dropped are counted; to send them again would not help.
        if batch.isEmpty { return receipt.accept() }
        next.consume(batch, context: context, receipt: receipt)
    }

    /// Under the lock.
    private func publish(_ accumulator: borrowing DeltaAccumulator) {
        let bytes = accumulator.heldBytes
        tracked.store(accumulator.streams, ordering: .relaxed)
        if held.exchange(bytes, ordering: .relaxed) != bytes { _ = lease?.resize(to: bytes) }
    }

    /// Forgets silent streams, some at a time, so that nobody waits long for the lock.
    func expire() {
        var cursor = Int.max
        var hasMore = true
        while hasMore {
            hasMore = accumulator.withLock { accumulator in
                let hasMore = accumulator.expire(now: clock(), from: &cursor, budget: Self.expiryBudget)
                publish(accumulator)
                return hasMore
            }
        }
    }

    func start() throws {
        let interval = max(Self.shortestInterval, min(Self.longestInterval, limits.maximumStale))
        expiring.withLock { expiring in
            guard expiring == nil else { return }
            expiring = Task.detached { [weak self] in
                while (try? await Task.sleep(for: interval)) != nil {
                    guard let self else { return }
                    self.expire()
                }
            }
        }
    }

    func stop(deadline: ContinuousClock.Instant) async {
        expiring.withLock { expiring in
            expiring?.cancel()
            expiring = nil
        }
    }
}
