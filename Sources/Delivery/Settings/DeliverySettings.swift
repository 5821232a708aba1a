package import Config
internal import OTLP
internal import Pipeline

/// How one exporter's data is queued, batched, sent and retried. Keys and defaults are otelcol's (`sending_queue`,
/// `retry_on_failure`, `timeout`), plus `dead_letter`.
package struct DeliverySettings: Sendable, Equatable {
    /// `sending_queue`.
    package var queue = QueueSettings()
    /// `retry_on_failure`.
    package var retry = RetrySettings()
    /// `timeout`: longest time of one attempt; zero sets no limit.
    package var timeout: Duration = .seconds(5)
    /// `dead_letter`: where requests go that will never be delivered; nil drops them.
    package var deadLetter: DeadLetterSettings?
    /// Retry is off only because a sender without a queue gets the failure itself. Once a queue acknowledges, it is on.
    package var retriesOnceQueued = false

    package init() {}

    /// Longest attempt when `timeout` is zero: one day.
    package static let unlimitedAttempt = Duration.seconds(86_400)
}

/// What the bound of a queue is counted in.
package enum QueueSizer: String, Sendable, CaseIterable {
    /// Batches as they were handed to the queue.
    case requests
    /// Spans, log records, data points.
    case items
    /// Bytes on the wire.
    case bytes
}

/// `sending_queue`. Everything that is taken and not yet settled counts against the bounds: what is being batched,
/// what waits, what is in flight and what waits for a retry.
package struct QueueSettings: Sendable, Equatable {
    /// `enabled`: false acknowledges a batch only when it is delivered. The bounds hold all the same.
    package var isEnabled = true
    /// `queue_size`: most that the queue holds, in units of `sizer`.
    package var size = 1000
    /// `sizer`.
    package var sizer = QueueSizer.requests
    /// `queue_bytes`: most bytes that the queue's batches hold in memory, whatever the sizer. With `storage` only this
    /// much of the queue is in memory.
    package var maximumBytes = Self.defaultMaximumBytes
    /// `storage`: the storage extension whose disk holds the queue; nil keeps it in memory.
    package var storage: ComponentID?
    /// `on_overflow: drop_oldest`, with `storage`: what came first makes room for what comes.
    package var dropsOldest = false
    /// `num_consumers`: most requests in flight. 1 keeps the order: nothing overtakes a request that waits for its
    /// retry. With more, a waiting retry does not hold a consumer, but new requests start only while fewer than this
    /// many wait for their retry, so that a dead destination is not asked more often than that.
    package var consumers = 10
    /// `block_on_overflow`: a batch that finds no room waits outside the queue instead of being refused.
    package var blocksOnOverflow = false
    /// `overflow_timeout`: longest wait for room.
    package var overflowTimeout = Duration.seconds(10)
    /// `wait_for_result`: acknowledge a batch when it is delivered, not when it is queued.
    package var waitsForResult = false
    /// `batch`; nil sends each batch as it came.
    package var batch: BatchPolicy?

    package init() {}

    /// 256 MiB: a thousand requests of 256 KiB.
    package static let defaultMaximumBytes = 268_435_456
    /// With `storage`, 32 MiB: enough to keep a destination busy while more is read.
    package static let defaultStoredBytes = 33_554_432
    /// Bytes that are read back from the disk in one go: 4 MiB.
    package static let loadBytes = 4_194_304
    /// Wait before a disk that was full, or could not be read, is asked again.
    package static let storageRetry = Duration.milliseconds(100)
    /// Of a queue that is there only to gather a `batch` processor's batches: 64 MiB.
    package static let foldedMaximumBytes = 67_108_864
    /// Most batches that may wait for room; further ones are refused.
    package static let maximumWaiters = 1000
    /// Highest `num_consumers`: each takes a thread.
    package static let maximumConsumers = 256

    /// What a client is told to wait when the disk does not take its data.
    package static let storageRetryAfter = Duration.seconds(1)

    /// Whether receipts stay open until delivery.
    package var acknowledgesOnDelivery: Bool { waitsForResult || !isEnabled }

    /// What goes along with a batch to the exporter: what all batches of its requests have in common, so with `batch`
    /// the keys of its partition. On the disk lies nothing else of it either: headers may hold secrets.
    func metadata(of partition: PartitionKey, from metadata: [String: [String]]) -> [String: [String]] {
        batch == nil && storage == nil ? metadata : partition
    }

    /// What records on the disk count against `size`, together.
    func units(records: Int, items: Int, bytes: Int) -> Int {
        switch sizer {
        case .requests: records
        case .items: items
        case .bytes: bytes
        }
    }

    /// What one record on the disk counts against `size`. At least 1.
    func units(items: Int, bytes: Int) -> Int { max(1, units(records: 1, items: items, bytes: bytes)) }

    /// What a batch counts against `size`. At least 1.
    func units(of batch: TelemetryBatch) -> Int {
        switch sizer {
        case .requests: 1
        case .items: max(1, batch.itemCount)
        case .bytes: max(1, BatchPolicy.size(of: .init(batch), in: .bytes))
        }
    }
}

/// `retry_on_failure`: exponential backoff with jitter.
package struct RetrySettings: Sendable, Equatable {
    /// `enabled`: false gives up at the first failure.
    package var isEnabled = true
    /// `initial_interval`.
    package var initialInterval = Duration.seconds(5)
    /// `randomization_factor`, 0 to 1: each wait is drawn from interval × (1 ± factor).
    package var randomizationFactor = 0.5
    /// `multiplier`, at least 1: growth of the interval from one wait to the next.
    package var multiplier = 1.5
    /// `max_interval`: where the interval stops growing.
    package var maxInterval = Duration.seconds(30)
    /// `max_elapsed_time`: give up when the next try would start later than this after the first; zero never does.
    package var maxElapsedTime = Duration.seconds(300)
    /// `circuit_breaker_failures`: failures in a row, over all requests of the queue, after which only one request at a
    /// time tries the destination; 0 lets all of them try.
    package var breakerFailures = Self.defaultBreakerFailures

    package init() {}

    /// Half of the default consumers.
    package static let defaultBreakerFailures = 5
    /// Highest `circuit_breaker_failures`.
    package static let maximumBreakerFailures = 1_000_000

    /// Longest delay that a destination can ask for: one day.
    package static let maximumServerDelay = Duration.seconds(86_400)
}

/// `dead_letter`.
package struct DeadLetterSettings: Sendable, Equatable {
    /// `directory`: must exist and be writable.
    package var directory: String
    /// `max_bytes`: size at which a file takes no more; what comes then is dropped and counted.
    package var maximumBytes: Int

    /// 100 MiB.
    package static let defaultMaximumBytes = 104_857_600

    package init(directory: String, maximumBytes: Int = Self.defaultMaximumBytes) {
        self.directory = directory
        self.maximumBytes = maximumBytes
    }
}
