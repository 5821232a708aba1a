internal import Aggregation
package import Config
internal import Logging
package import OTLP
package import Pipeline
internal import Telemetry

/// otelcol's `spanmetrics`: counts spans and their durations.
package struct SpanMetricsConnectorFactory: ConnectorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "span_metrics", aliases: ["spanmetrics"], signals: [.traces: .alpha])
    }

    package func outputs(for signal: Signal) -> Set<Signal> { signal == .traces ? [.metrics] : [] }

    package func settings(from section: ConfigSection) -> SpanMetricsSettings { SpanMetricsSettings(from: section) }

    package func make(
        _ settings: SpanMetricsSettings, id: ComponentID, consumers: [Signal: any Consumer],
        environment: ComponentEnvironment
    ) throws -> any Connector {
        SpanMetricsConnector(settings, id: id, next: consumers[.metrics], environment: environment)
    }
}

/// Measures the spans that it is given and answers for nothing else: the batch itself is let go of.
final class SpanMetricsConnector: Connector, Consumer {
    private let meter: SpanMeter
    private let aggregator: MetricAggregator
    private let now: @Sendable () -> UInt64
    /// For tests: collects without a timer.
    let flush: MetricsFlush

    init(
        _ settings: SpanMetricsSettings, id: ComponentID, next: (any Consumer)?, environment: ComponentEnvironment,
        now: @escaping @Sendable () -> UInt64 = SteadyTime.now
    ) {
        self.now = now
        meter = SpanMeter(settings)
        let account = MemoryAccount(environment.budget)
        let aggregator = MetricAggregator(
            meter.aggregation, start: now(), processors: eventLoopCount(environment.eventLoops),
            account: { account.resize(to: $0) })
        self.aggregator = aggregator
        flush = MetricsFlush(
            aggregator, keepsRefused: settings.temporality == .delta, interval: settings.flushInterval, next: next,
            logger: environment.logger("connector", id), budget: environment.budget, now: now)
        environment.metrics.gauge(
            "martlet_span_metrics_series", help: "Sets of attributes that are counted, as of the last collection",
            labels: [("connector", "\(id)")], read: { Double(aggregator.seriesCount) })
    }

    func input(_ signal: Signal) -> (any Consumer)? { signal == .traces ? self : nil }

    var mutatesBatches: Bool { false }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        if batch.signal == .traces {
            aggregator.withRecorder(now: now()) { meter.measure(batch, $0) }
        }
        receipt.accept()
    }

    func start() throws { flush.start() }

    func stop(deadline: ContinuousClock.Instant) async {
        if await flush.stopTimer() { flush.flush(isFinal: true) }
    }
}
