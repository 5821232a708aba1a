package import Pipeline

/// What the state machine asks its driver to do, in this order.
package enum DeliveryAction<Token: Sendable>: Sendable {
    /// Settle a receipt: taken.
    case accept(Token)
    /// Settle a receipt: not taken.
    case refuse(Token, ConsumeError)
    /// Hand the request to the exporter and report its outcome under this id. An id stands for one attempt.
    case dispatch(id: UInt64, ExportRequest)
    /// Write the request to the dead letters and report the result under this id.
    case setAside(id: UInt64, ExportRequest, DropCause, reason: String)
    /// Append the batch to the disk log and report the result under this id.
    case append(id: UInt64, BatchOnDisk)
    /// Read batches from this sequence on from the disk log, and report them with `loaded`.
    case load(from: UInt64, maximumBytes: Int)
    /// The record is done with.
    case release(UInt64)
    /// Report `timerFired` at this time, instead of at any time asked for before. Generations only grow: an action
    /// with a lower one than the latest is out of date.
    case setTimer(ContinuousClock.Instant, generation: UInt64)
    /// No timer is needed any more.
    case cancelTimer(generation: UInt64)
    /// Count or log.
    case report(DeliveryEvent)
    /// The drain is over; nothing is held.
    case drained(DeliveryReport)
}

/// Why items were not delivered. The raw value serves as a metric's `error.type`.
package enum DropCause: String, Sendable, CaseIterable, Hashable {
    /// The destination will never take the request.
    case permanent
    /// Retries are off, or the next one would come too late.
    case exhausted = "retries_exhausted"
    /// A single item is larger than the destination takes.
    case tooLarge = "too_large"
    /// Rejected by a partial success.
    case rejected
    /// Not sent before the drain's deadline.
    case shutdown
    /// In flight at the drain's deadline: may have arrived.
    case interrupted
    /// Removed from the disk to make room for what came later.
    case overflow
    /// On the disk, and cannot be read as telemetry.
    case unreadable
}

/// What happened, for metrics and logs. Texts come from the exporter; they hold no telemetry.
package enum DeliveryEvent: Sendable, Equatable {
    /// A batch was not taken (`exporter_enqueue_failed_*`).
    case enqueueFailed(items: Int, ConsumeError)
    /// An attempt begins (`exporter_queue_batch_send_size`).
    case dispatched(items: Int)
    /// Delivered, without what the destination rejected (`exporter_sent_*`).
    case sent(items: Int)
    /// Not delivered and not tried again (`exporter_send_failed_*`).
    case sendFailed(items: Int, DropCause, reason: String)
    /// Of the failed items, these are in the dead letters.
    case setAside(items: Int)
    /// The dead letters did not take the items: they are lost.
    case setAsideFailed(items: Int, reason: String)
    /// An attempt failed; the next begins after `delay`.
    case retrying(items: Int, attempt: Int, delay: Duration, reason: String)
    /// The request was too large and goes on as two.
    case split(items: Int, reason: String)
    /// The destination took everything and had something to say.
    case warning(String)
    /// The destination failed so often that only one request at a time tries it; or answers again.
    case breaker(isOpen: Bool, reason: String)
}

/// What became of the items that were held when a drain began.
package struct DeliveryReport: Sendable, Equatable {
    /// Items delivered during the drain.
    package var sent = 0
    /// Items written to the dead letters during the drain.
    package var setAside = 0
    /// Items lost during the drain, by cause.
    package var lost: [DropCause: Int] = [:]
    /// Requests that stay on the disk for the next start.
    package var keptRequests = 0

    package init() {}

    package var lostItems: Int { lost.values.reduce(0, +) }
}

/// Figures for gauges.
package struct DeliveryStatus: Sendable, Equatable {
    /// What the queue holds, in units of its sizer (`exporter_queue_size`).
    package var queueSize: Int
    /// Most it may hold (`exporter_queue_capacity`).
    package var queueCapacity: Int
    /// Bytes in memory that the queue's batches hold.
    package var queueBytes: Int
    /// Attempts under way (`exporter_in_flight_requests`).
    package var inFlight: Int
    /// Requests that wait for their next attempt.
    package var waitingRetries: Int
    /// Batches that wait for room.
    package var waitingBatches: Int
    /// Whether the destination is tried at all.
    package var breaker = CircuitBreaker.State.closed

    /// Of a queue that is gone.
    package static let empty = DeliveryStatus(
        queueSize: 0, queueCapacity: 0, queueBytes: 0, inFlight: 0, waitingRetries: 0, waitingBatches: 0)
}
