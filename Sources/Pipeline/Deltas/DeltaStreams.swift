package import Config
package import OTLP
internal import Synchronization
package import Telemetry
package import Temporality

extension DeltaLimits {
    /// 366 days.
    private static let longestStale = Duration.seconds(366 * 86_400)
    private static let shortestStale = Duration.milliseconds(100)
    /// 64 KiB.
    private static let fewestBytes = 65_536

    /// Reads `max_stale`, `max_streams` and `max_bytes`; faults are recorded in the section.
    package init(from section: ConfigSection, overflow: Overflow) {
        self.init(
            maximumStreams: section.integer("max_streams", in: 1...Int.max) ?? Self.defaultStreams,
            maximumBytes: section.integer("max_bytes", in: Self.fewestBytes...Int.max / 2) ?? Self.defaultBytes,
            maximumStale: section.duration("max_stale", in: Self.shortestStale...Self.longestStale)
                ?? Self.defaultStale,
            overflow: overflow)
    }
}

/// The states of delta streams, shared by the stages that add to them, and what is counted about them under otelcol's
/// names. Any thread may use it.
package final class DeltaStreams: Sendable {
    private struct Expiring {
        var starts = 0
        var task: Task<Void, Never>?
    }

    private let accumulator: Mutex<DeltaAccumulator>
    private let limits: DeltaLimits
    private let accumulated: Counter
    private let dropped: [Counter]
    /// Counts the states as memory that is taken.
    private let lease: MemoryLease?
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let tracked = Atomic<Int>(0)
    private let held = Atomic<Int>(0)
    private let expiring = Mutex(Expiring())

    /// Longest time between two looks for streams that are silent.
    private static let longestInterval = Duration.seconds(60)
    private static let shortestInterval = Duration.seconds(1)
    /// Streams that are looked at in one go, under the lock.
    private static let expiryBudget = 4096

    /// - Parameters:
    ///   - labels: of the counters.
    ///   - clock: must not run backwards.
    package init(
        _ limits: DeltaLimits, metrics: MetricRegistry, labels: MetricRegistry.Labels, budget: MemoryBudget,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        var random = SystemRandomNumberGenerator()
        accumulator = Mutex(DeltaAccumulator(limits, epoch: clock(), using: &random))
        self.limits = limits
        lease = budget.lease(0)
        self.clock = clock
        func counter(_ errors: MetricRegistry.Labels) -> Counter {
            metrics.counter(
                "otelcol_deltatocumulative_datapoints",
                help: "Number of delta points processed; those with an error were dropped.", labels: labels + errors)
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

    /// Registers the gauges over some states of one component.
    ///
    /// - Parameter all: read at each scrape.
    package static func registerGauges(
        _ limits: DeltaLimits, metrics: MetricRegistry, labels: MetricRegistry.Labels,
        all: @escaping @Sendable () -> [DeltaStreams]
    ) {
        metrics.gauge("otelcol_deltatocumulative_streams_tracked", help: "Number of streams tracked.", labels: labels) {
            Double(all().reduce(0) { $0 + $1.count })
        }
        metrics.gauge(
            "martlet_deltatocumulative_state_bytes", help: "Bytes that the tracked streams take.", labels: labels
        ) { Double(all().reduce(0) { $0 + $1.heldBytes }) }
        metrics.gauge(
            "otelcol_deltatocumulative_streams_limit", help: "Upper limit of tracked streams.", labels: labels
        ) { Double(limits.maximumStreams) }
        metrics.gauge(
            "otelcol_deltatocumulative_streams_max_stale_seconds",
            help: "Duration after which streams without a new point are dropped.", labels: labels
        ) { Double(limits.maximumStale.components.seconds) }
    }

    /// Streams with a state.
    package var count: Int { tracked.load(ordering: .relaxed) }
    /// Bytes of the states.
    package var heldBytes: Int { held.load(ordering: .relaxed) }

    /// Makes the delta metrics of a batch cumulative; see `DeltaAccumulator`. The batch is the caller's to change.
    package func accumulate(_ batch: TelemetryBatch) {
        let counts = accumulator.withLock { accumulator in
            let counts = accumulator.accumulate(batch, now: clock())
            publish(accumulator)
            return counts
        }
        accumulated.add(counts.accumulated)
        for reason in DeltaDropReason.allCases { dropped[reason.rawValue].add(counts.dropped(reason)) }
    }

    /// Under the lock.
    private func publish(_ accumulator: borrowing DeltaAccumulator) {
        let bytes = accumulator.heldBytes
        tracked.store(accumulator.streams, ordering: .relaxed)
        if held.exchange(bytes, ordering: .relaxed) != bytes { _ = lease?.resize(to: bytes) }
    }

    /// Forgets silent streams, some at a time, so that nobody waits long for the lock.
    package func expire() {
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

    /// Begins to look for silent streams from time to time. As many calls of `stop` end it.
    func start() {
        let interval = max(Self.shortestInterval, min(Self.longestInterval, limits.maximumStale))
        expiring.withLock { expiring in
            expiring.starts += 1
            guard expiring.starts == 1 else { return }
            expiring.task = Task.detached { [weak self] in
                while (try? await Task.sleep(for: interval)) != nil {
                    guard let self else { return }
                    self.expire()
                }
            }
        }
    }

    func stop() {
        expiring.withLock { expiring in
            expiring.starts -= 1
            guard expiring.starts == 0 else { return }
            expiring.task?.cancel()
            expiring.task = nil
        }
    }
}
