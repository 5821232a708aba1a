internal import Aggregation
package import Config
internal import Glibc
internal import Logging
package import OTLP
package import Pipeline
internal import Synchronization
internal import Telemetry

/// otelcol's `servicegraph`: counts the requests between services.
package struct ServiceGraphConnectorFactory: ConnectorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "service_graph", aliases: ["servicegraph"], signals: [.traces: .alpha])
    }

    package func outputs(for signal: Signal) -> Set<Signal> { signal == .traces ? [.metrics] : [] }

    package func settings(from section: ConfigSection) -> ServiceGraphSettings { ServiceGraphSettings(from: section) }

    package func make(
        _ settings: ServiceGraphSettings, id: ComponentID, consumers: [Signal: any Consumer],
        environment: ComponentEnvironment
    ) throws -> any Connector {
        ServiceGraphConnector(settings, id: id, next: consumers[.metrics], environment: environment)
    }
}

/// Clocks of a graph, in nanoseconds.
struct GraphClock: Sendable {
    /// Since 1970, without jumps; see `SteadyTime`.
    var wall: @Sendable () -> UInt64
    /// Since some moment; never goes back.
    var monotonic: @Sendable () -> UInt64

    static let system = GraphClock(wall: SteadyTime.now) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
    }
}

/// Measures the edges between the spans that it is given; the batch itself is let go of. One lock for a batch: both
/// halves of an edge may come on different threads.
final class ServiceGraphConnector: Connector, Consumer {
    // Unchecked: the meter is used under the lock only.
    private struct Box: @unchecked Sendable {
        let meter: ServiceGraphMeter
    }

    private let box: Mutex<Box>
    private let aggregator: MetricAggregator
    private let settings: ServiceGraphSettings
    private let clock: GraphClock
    private let expiry = Mutex<Task<Void, Never>?>(nil)
    /// For tests: collects without a timer.
    let flush: MetricsFlush

    init(
        _ settings: ServiceGraphSettings, id: ComponentID, next: (any Consumer)?, environment: ComponentEnvironment,
        clock: GraphClock = .system
    ) {
        self.settings = settings
        self.clock = clock
        box = Mutex(Box(meter: ServiceGraphMeter(settings)))
        let account = MemoryAccount(environment.budget)
        // Measured under one lock, so that one recorder is enough.
        let aggregator = MetricAggregator(
            ServiceGraphMeter.aggregation(settings), start: clock.wall(), processors: 1,
            account: { account.resize(to: $0) })
        self.aggregator = aggregator
        flush = MetricsFlush(
            aggregator, keepsRefused: false, interval: settings.flushInterval, next: next,
            logger: environment.logger("connector", id), budget: environment.budget,
            now: { [offset = settings.timestampOffset] in
                let now = clock.wall()
                return now > offset ? now - offset : now
            })
    }

    func input(_ signal: Signal) -> (any Consumer)? { signal == .traces ? self : nil }

    var mutatesBatches: Bool { false }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        if batch.signal == .traces {
            let now = clock.monotonic()
            aggregator.withRecorder(now: clock.wall()) { recorder in
                box.withLock { $0.meter.measure(batch, at: now, recorder) }
            }
            if settings.flushInterval == .zero { flush.flush() }
        }
        receipt.accept()
    }

    /// Lets go of edges that have waited too long. For tests and the timer.
    func expire(at now: UInt64) {
        aggregator.withRecorder(now: clock.wall()) { recorder in
            let graph = recorder.resource(UnsafeRawBufferPointer(start: nil, count: 0))
            box.withLock { $0.meter.expire(at: now, graph, recorder) }
        }
    }

    func start() throws {
        flush.start()
        expiry.withLock { task in
            guard task == nil else { return }
            task = Task.detached { [weak self, interval = settings.expirationInterval] in
                while (try? await Task.sleep(for: interval)) != nil {
                    guard let self else { return }
                    self.expire(at: self.clock.monotonic())
                }
            }
        }
    }

    func stop(deadline: ContinuousClock.Instant) async {
        let task = expiry.withLock { task in
            defer { task = nil }
            return task
        }
        task?.cancel()
        await task?.value
        guard await flush.stopTimer() else { return }
        // What waits will not be completed any more.
        expire(at: .max)
        flush.flush(isFinal: true)
    }
}
