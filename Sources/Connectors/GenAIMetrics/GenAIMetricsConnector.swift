internal import Aggregation
package import Config
internal import GenAI
internal import Logging
package import OTLP
package import Pipeline
internal import Synchronization
internal import Telemetry

/// `genai_metrics`: metrics of model calls, in the names of the conventions, with what they cost.
package struct GenAIMetricsConnectorFactory: ConnectorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "genai_metrics", signals: [.traces: .alpha])
    }

    package func outputs(for signal: Signal) -> Set<Signal> { signal == .traces ? [.metrics] : [] }

    package func settings(from section: ConfigSection) -> GenAIMetricsSettings { GenAIMetricsSettings(from: section) }

    package func make(
        _ settings: GenAIMetricsSettings, id: ComponentID, consumers: [Signal: any Consumer],
        environment: ComponentEnvironment
    ) throws -> any Connector {
        try GenAIMetricsConnector(settings, id: id, next: consumers[.metrics], environment: environment)
    }
}

/// Measures the AI spans that it is given and answers for nothing else: the batch itself is let go of.
final class GenAIMetricsConnector: Connector, Consumer {
    // Unchecked: a walk is in this list or with one caller of `consume`, never both.
    private struct Idle: @unchecked Sendable {
        var walks: [WalkBox] = []
    }

    private final class WalkBox {
        var walk: GenAIMeter.Walk

        init(_ settings: GenAIMetricsSettings) { walk = GenAIMeter.Walk(settings) }
    }

    /// Walks that are kept; more threads than that at once make and drop theirs.
    private static let maximumIdle = 64

    private let settings: GenAIMetricsSettings
    private let meter: GenAIMeter
    private let aggregator: MetricAggregator
    private let now: @Sendable () -> UInt64
    private let idle = Mutex(Idle())
    /// For tests: collects without a timer.
    let flush: MetricsFlush

    init(
        _ settings: GenAIMetricsSettings, id: ComponentID, next: (any Consumer)?, environment: ComponentEnvironment,
        now: @escaping @Sendable () -> UInt64 = SteadyTime.now
    ) throws {
        self.settings = settings
        self.now = now
        meter = GenAIMeter(settings, try GenAIMapping.builtIn())
        let account = MemoryAccount(environment.budget)
        let aggregator = MetricAggregator(
            meter.aggregation, start: now(), processors: eventLoopCount(environment.eventLoops),
            account: { account.resize(to: $0) })
        self.aggregator = aggregator
        flush = MetricsFlush(
            aggregator, keepsRefused: settings.temporality == .delta, interval: settings.flushInterval, next: next,
            logger: environment.logger("connector", id), budget: environment.budget, now: now)
        environment.metrics.gauge(
            "martlet_genai_metrics_series", help: "Sets of attributes that are counted, as of the last collection",
            labels: [("connector", "\(id)")], read: { Double(aggregator.seriesCount) })
    }

    func input(_ signal: Signal) -> (any Consumer)? { signal == .traces ? self : nil }

    var mutatesBatches: Bool { false }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        if batch.signal == .traces {
            let box = idle.withLock { $0.walks.popLast() } ?? WalkBox(settings)
            aggregator.withRecorder(now: now()) { meter.measure(batch, $0, &box.walk) }
            // Given away: nobody uses it here any more.
            nonisolated(unsafe) let done = box
            idle.withLock { if $0.walks.count < Self.maximumIdle { $0.walks.append(done) } }
        }
        receipt.accept()
    }

    func start() throws { flush.start() }

    func stop(deadline: ContinuousClock.Instant) async {
        if await flush.stopTimer() { flush.flush(isFinal: true) }
    }
}
