package import Logging
package import Storage
internal import Synchronization
package import Telemetry

/// Counts and logs what happens in one log of a storage extension. Thread-safe.
package final class StorageTelemetry: StorageObserver {
    private let logger: Logger
    private let synced: Histogram
    private let damaged: Counter
    private let dropped: Counter
    private let releasesFailed: Counter
    private let failed: [StorageError.Kind: Counter]
    private let drop = Mutex<@Sendable (LogDrop) -> Void>({ _ in })
    private let limiter = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Lines of one kind are this far apart.
    private static let logInterval = Duration.seconds(10)
    private static let syncBounds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
    ]

    /// - Parameter labels: whose log it is, such as `exporter` and `data_type`.
    package init(_ registry: MetricRegistry, labels: MetricRegistry.Labels, logger: Logger) {
        self.logger = logger
        synced = registry.histogram(
            "martlet_storage_fsync_seconds", help: "Time that synchronising the disk took; many records share one.",
            bounds: Self.syncBounds, labels: labels)
        damaged = registry.counter(
            "martlet_storage_corrupt_records", help: "Records on the disk that were damaged, and kept aside.",
            labels: labels)
        dropped = registry.counter(
            "martlet_storage_dropped_records", help: "Records removed from the disk to make room for newer ones.",
            labels: labels)
        releasesFailed = registry.counter(
            "martlet_storage_release_failures", help: "Times that the disk did not take what is done with.",
            labels: labels)
        var failed: [StorageError.Kind: Counter] = [:]
        for kind in StorageError.Kind.allCases where kind != .locked && kind != .version && kind != .closed {
            failed[kind] = registry.counter(
                "martlet_storage_failed_records", help: "Records that the disk did not take, by cause.",
                labels: labels + [(name: "error_type", value: kind.rawValue)])
        }
        self.failed = failed
    }

    /// Registers the gauges that read `status` at each scrape.
    package static func registerGauges(
        _ registry: MetricRegistry, labels: MetricRegistry.Labels, maximumBytes: Int,
        status: @escaping @Sendable () -> LogStatus
    ) {
        registry.gauge("martlet_storage_bytes", help: "Bytes of the log's files.", labels: labels) {
            Double(status().bytes)
        }
        registry.gauge("martlet_storage_records", help: "Records that are not done with.", labels: labels) {
            Double(status().records)
        }
        registry.gauge("martlet_storage_capacity_bytes", help: "Most bytes of the log's files.", labels: labels) {
            Double(maximumBytes)
        }
    }

    /// Who else is told of records that made room for newer ones; one at a time.
    package func onDrop(_ body: @escaping @Sendable (LogDrop) -> Void) { drop.withLock { $0 = body } }

    /// Logs what a log held when it was opened.
    package func opened(_ recovery: LogRecovery) {
        if recovery.damaged > 0 { damaged.add(recovery.damaged) }
        guard recovery.live.records > 0 || recovery.damaged > 0 || recovery.tornBytes > 0 else { return }
        logger.info(
            "the storage holds data of an earlier run",
            metadata: [
                "records": "\(recovery.live.records)", "items": "\(recovery.live.items)",
                "bytes": "\(recovery.live.bytes)", "cut_off_bytes": "\(recovery.tornBytes)",
                "corrupt": "\(recovery.damaged)",
            ])
    }

    package func dropped(_ records: LogDrop) {
        let body = drop.withLock { $0 }
        body(records)
    }

    /// The disk could not be read.
    package func readFailed(_ error: StorageError) {
        if error.kind != .closed { log("the storage cannot be read", ["error": "\(error)"]) }
    }

    package func observe(_ event: StorageEvent) {
        switch event {
        case .synced(_, let seconds):
            synced.observe(seconds)
        case .failed(let records, let error):
            failed[error.kind]?.add(records)
            log("the storage did not take data", ["records": "\(records)", "error": "\(error)"])
        case .damaged(let records):
            damaged.add(records)
            log("the storage holds damaged records, they are kept aside", ["records": "\(records)"])
        case .dropped(let records, let items):
            dropped.add(records)
            log("the storage is full, the oldest data went", ["records": "\(records)", "items": "\(items)"])
        case .releasesFailed(let error):
            releasesFailed.add()
            log("the storage cannot note what is done with; it may come twice", ["error": "\(error)"])
        }
    }

    private func log(_ message: String, _ fields: Logger.Metadata) {
        let now = ContinuousClock.now
        let isDue = limiter.withLock { limiter in
            if let next = limiter[message], next > now { return false }
            limiter[message] = now + Self.logInterval
            return true
        }
        if isDue { logger.error("\(message)", metadata: fields) }
    }
}
