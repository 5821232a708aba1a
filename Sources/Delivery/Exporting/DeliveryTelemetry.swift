package import Logging
package import OTLP
internal import Synchronization
package import Telemetry

/// Counts and logs what happens in one queue, under otelcol's metric names.
///
/// Repeated lines of one kind are limited to one in `logInterval`; the next one says how many were left out.
package final class DeliveryTelemetry: DeliveryObserver {
    private let signal: Signal
    private let logger: Logger
    private let sent: Counter
    private let enqueueFailed: Counter
    private let setAside: Counter
    private let batchSize: Histogram
    private let failed: [DropCause: Counter]
    private let limiter = Mutex<[String: (next: ContinuousClock.Instant, left: Int)]>([:])

    private static let logInterval = Duration.seconds(10)
    private static let batchSizeBounds: [Double] = [
        10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 20_000,
        30_000,
        50_000, 100_000,
    ]

    /// - Parameter labels: `exporter` and whatever else tells this queue from others.
    package init(_ registry: MetricRegistry, labels: MetricRegistry.Labels, signal: Signal, logger: Logger) {
        self.signal = signal
        self.logger = logger
        let noun = signal.itemNoun
        sent = registry.counter(
            "otelcol_exporter_sent_\(noun)", help: "Number of \(noun) successfully sent to the destination.",
            labels: labels)
        enqueueFailed = registry.counter(
            "otelcol_exporter_enqueue_failed_\(noun)", help: "Number of \(noun) that the queue did not take.",
            labels: labels)
        setAside = registry.counter(
            "martlet_exporter_dead_letter_\(noun)", help: "Number of \(noun) written to the dead letters.",
            labels: labels)
        batchSize = registry.histogram(
            "otelcol_exporter_queue_batch_send_size", help: "Number of items in a request.",
            bounds: Self.batchSizeBounds, labels: labels + [(name: "data_type", value: signal.rawValue)])
        var failed: [DropCause: Counter] = [:]
        for cause in DropCause.allCases {
            failed[cause] = registry.counter(
                "otelcol_exporter_send_failed_\(noun)", help: "Number of \(noun) that were given up, by cause.",
                labels: labels + [(name: "error_type", value: cause.rawValue)])
        }
        self.failed = failed
    }

    /// Registers the gauges that read `status` at each scrape.
    package static func registerGauges(
        _ registry: MetricRegistry, labels: MetricRegistry.Labels, signal: Signal,
        status: @escaping @Sendable () -> DeliveryStatus
    ) {
        let labels = labels + [(name: "data_type", value: signal.rawValue)]
        registry.gauge("otelcol_exporter_queue_size", help: "Present size of the queue, in its unit.", labels: labels) {
            Double(status().queueSize)
        }
        registry.gauge("otelcol_exporter_queue_capacity", help: "Fixed capacity of the queue.", labels: labels) {
            Double(status().queueCapacity)
        }
        registry.gauge("martlet_exporter_queue_bytes", help: "Bytes that the queue's batches hold.", labels: labels) {
            Double(status().queueBytes)
        }
        registry.gauge(
            "martlet_exporter_circuit_breaker_state",
            help: "0: requests are sent. 1: one is tried. 2: none is sent until its wait is over.", labels: labels
        ) { Double(status().breaker.rawValue) }
        registry.gauge("otelcol_exporter_in_flight_requests", help: "Requests being sent.", labels: labels) {
            Double(status().inFlight)
        }
    }

    /// Counts the event, and logs it unless its kind was logged a moment ago. Any thread.
    package func observe(_ event: DeliveryEvent) {
        switch event {
        case .enqueueFailed(let items, let error):
            enqueueFailed.add(items)
            log(.warning, "data refused", ["items": "\(items)", "error": "\(error)"])
        case .dispatched(let items):
            batchSize.observe(Double(items))
        case .sent(let items):
            sent.add(items)
        case .sendFailed(let items, let cause, let reason):
            failed[cause]?.add(items)
            log(
                .error, "exporting failed, dropping data",
                ["items": "\(items)", "cause": "\(cause.rawValue)", "error": "\(reason)"])
        case .setAside(let items):
            setAside.add(items)
            log(.warning, "data written to the dead letters", ["items": "\(items)"])
        case .setAsideFailed(let items, let reason):
            log(.error, "the dead letters did not take the data", ["items": "\(items)", "error": "\(reason)"])
        case .retrying(let items, let attempt, let delay, let reason):
            log(
                .info, "exporting failed, will retry",
                [
                    "items": "\(items)", "attempt": "\(attempt)", "interval": "\(delay)", "error": "\(reason)",
                ])
        case .split(let items, let reason):
            log(.info, "request too large, sending it in halves", ["items": "\(items)", "error": "\(reason)"])
        case .breaker(let isOpen, let reason):
            log(
                isOpen ? .warning : .info,
                isOpen
                    ? "the destination keeps failing, only one request at a time tries it" : "the destination is back",
                ["error": "\(reason)"])
        case .warning(let text):
            log(.warning, "the destination had something to say", ["message": "\(text)"])
        }
    }

    private func log(_ level: Logger.Level, _ message: String, _ fields: Logger.Metadata) {
        let now = ContinuousClock.now
        let leftOut: Int? = limiter.withLock { limiter in
            guard let entry = limiter[message], entry.next > now else {
                let left = limiter[message]?.left ?? 0
                limiter[message] = (now + Self.logInterval, 0)
                return left
            }
            limiter[message] = (entry.next, entry.left + 1)
            return nil
        }
        guard let leftOut else { return }
        var fields = fields
        fields["signal"] = "\(signal.rawValue)"
        if leftOut > 0 { fields["similar_lines_left_out"] = "\(leftOut)" }
        logger.log(level: level, "\(message)", metadata: fields)
    }
}
