internal import NIOCore
package import OTLP
package import Pipeline

/// The rules of a delivery queue, without sockets, clocks, threads or locks: events go in with the time at which they
/// happen, actions come out and are carried out by the driver in their order.
///
/// ```
/// enqueue → [waiting for room] → [disk] → accumulating → fresh ─┐
///                                                               ├→ active → delivered | set aside | dropped
///                              halves, due retries →    urgent ─┘     └→ retries (wait)
/// ```
///
/// With a disk log, a batch is taken once it is durable there. It then goes on in memory if everything before it has
/// and there is room; otherwise it is let go and read back later, in order. What is settled is released on the disk.
///
/// Invariants: what the queue holds, from acceptance to settlement, is within `queue_size` and `queue_bytes`; at most
/// `num_consumers` attempts are active; every token is settled exactly once; every accepted item ends delivered, set
/// aside, or counted as lost with its cause.
///
/// Requests that were split or failed go before fresh ones. With one consumer nothing overtakes: while a request
/// waits for its retry, nothing else is dispatched. With more, due work goes on, and fresh work starts while fewer
/// than `num_consumers` requests wait for a retry.
package struct DeliveryStateMachine<Token: Sendable>: Sendable {
    /// What an event answers with.
    package typealias Action = DeliveryAction<Token>
    /// Time, as the driver tells it.
    package typealias Instant = ContinuousClock.Instant

    /// A batch on its way in, with its sizes. Made outside the driver's lock.
    package struct Arrival: Sendable {
        let batch: TelemetryBatch
        let token: Token
        let partition: PartitionKey
        /// What goes along to the exporter: see `ExportRequest.metadata`.
        let metadata: [String: [String]]
        let client: ClientKey
        let units: Int
        let bytes: Int
        let batchSize: Int

        package init(
            _ batch: TelemetryBatch, metadata: [String: [String]] = [:], client: ClientKey = .none, token: Token,
            settings: QueueSettings
        ) {
            self.batch = batch
            self.token = token
            self.client = client
            units = settings.units(of: batch)
            partition = settings.batch?.partition(of: metadata) ?? [:]
            self.metadata = settings.metadata(of: partition, from: metadata)
            bytes = batch.heldBytes + (settings.batch == nil ? Self.heldBytes(of: self.metadata) : 0)
            batchSize = settings.batch.map { BatchPolicy.size(of: BatchSlice(batch), in: $0.sizer) } ?? 0
        }

        /// Bytes of the texts, and of the values that point to them.
        private static func heldBytes(of metadata: [String: [String]]) -> Int {
            metadata.reduce(0) { sum, entry in
                entry.value.reduce(sum + entry.key.utf8.count + 32) { $0 + $1.utf8.count + 16 }
            }
        }
    }

    enum Phase: Equatable {
        case running
        case draining(deadline: Instant)
        case finished
    }

    struct Attempt {
        let request: PendingRequest
        /// When an answer is overdue; nil without a time-out.
        let overdue: Instant?
    }

    struct FailedRequest {
        let request: PendingRequest
        let cause: DropCause
    }

    /// How long after its time-out an attempt without an answer is given up. Exporters keep the time-out themselves;
    /// this is for one that does not.
    package static var attemptGrace: Duration { .seconds(1) }

    let signal: Signal
    /// Changed by `reconfigure` only.
    var settings: DeliverySettings
    var backoff: Backoff
    var phase = Phase.running
    /// Nothing more will come: the queue ends when it holds nothing.
    var isRetiring = false
    var breaker: CircuitBreaker
    var store = PendingStore<Token>()
    var shares = ClientShares()
    var drainSpeed = DrainSpeed()
    /// Units and bytes of the last batch that was refused for want of room: what the next one is taken to have.
    var lastRefused = (units: 1, bytes: 0)
    /// What is on the disk; nil for a queue in memory.
    var disk: DiskQueue<Token>?
    var accumulator: BatchAccumulator?
    var waiters = WaitingLine<Token>()
    var fresh = CircularBuffer<PendingRequest>()
    var urgent = CircularBuffer<PendingRequest>()
    var retries: [(due: Instant, request: PendingRequest)] = []
    var active: [UInt64: Attempt] = [:]
    var settingAside: [UInt64: FailedRequest] = [:]
    var lastID: UInt64 = 0
    /// The time that the driver's timer is set to.
    var timer: Instant?
    var timerGeneration: UInt64 = 0
    /// The earliest deadline that came up in the present event.
    var wanted: Instant?
    var tally = DeliveryReport()

    /// - Parameters:
    ///   - settings: as validated; the bounds are positive.
    ///   - seed: of the jitter.
    package init(signal: Signal, settings: DeliverySettings, seed: UInt64) {
        self.signal = signal
        self.settings = settings
        backoff = Backoff(settings.retry, seed: seed)
        breaker = CircuitBreaker(threshold: settings.retry.isEnabled ? settings.retry.breakerFailures : 0)
        accumulator = settings.queue.batch.map { BatchAccumulator($0) }
        if settings.queue.storage != nil { disk = DiskQueue() }
    }

    package var status: DeliveryStatus {
        DeliveryStatus(
            queueSize: heldUnits, queueCapacity: settings.queue.size, queueBytes: store.bytes,
            inFlight: active.count, waitingRetries: retries.count, waitingBatches: waiters.count,
            breaker: breaker.state)
    }

    static var fullMessage: String { "the sending queue is full" }
    static var shareMessage: String { "the sending queue is nearly full, and this client has its share of it" }

    /// Whether the attempt still counts: it was neither answered nor given up.
    package func isActive(_ id: UInt64) -> Bool { active[id] != nil }

    // MARK: Events

    /// A batch arrives. Its token is settled now or by a later event.
    package mutating func enqueue(_ arrival: Arrival, now: Instant) -> [Action] {
        var actions: [Action] = []
        let queue = settings.queue
        shares.arrived(arrival.client, now: now)
        if arrival.batch.isEmpty {
            actions.append(.accept(arrival.token))
        } else if phase != .running {
            refuse(arrival, ConsumeError(.shuttingDown, "the exporter is shutting down"), &actions)
        } else if arrival.units > queue.size || (disk == nil && arrival.bytes > queue.maximumBytes) {
            refuse(arrival, tooLargeForQueue(arrival), &actions)
        } else if !isWithinShare(arrival, now) {
            lastRefused = (arrival.units, arrival.bytes)
            refuse(arrival, overflow(.queueFull, Self.shareMessage, now), &actions)
        } else if waiters.isEmpty, hasRoom(for: arrival) {
            admit(arrival, now, &actions)
            finishEvent(now, &actions)
        } else if queue.blocksOnOverflow, waiters.count < QueueSettings.maximumWaiters {
            let deadline = now + queue.overflowTimeout
            waiters.append(.init(arrival: arrival, deadline: deadline))
            note(deadline)
            finishEvent(now, &actions)
        } else {
            lastRefused = (arrival.units, arrival.bytes)
            refuse(arrival, overflow(.queueFull, Self.fullMessage, now), &actions)
        }
        return actions
    }

    /// An attempt ended. Ids that are not active (given up, answered before) are ignored.
    package mutating func completed(_ id: UInt64, _ outcome: ExportOutcome, now: Instant) -> [Action] {
        guard let attempt = active.removeValue(forKey: id) else { return [] }
        var actions: [Action] = []
        settle(id, attempt.request, outcome, now, &actions)
        finishEvent(now, &actions)
        return actions
    }

    /// The dead letters took the request, or not (`failure` says why). Unknown ids are ignored.
    package mutating func setAsideCompleted(_ id: UInt64, failure: String?, now: Instant) -> [Action] {
        guard let failed = settingAside.removeValue(forKey: id) else { return [] }
        let request = failed.request
        var actions: [Action] = []
        if let failure {
            tally.lost[failed.cause, default: 0] += request.itemCount
            actions.append(.report(.setAsideFailed(items: request.itemCount, reason: failure)))
        } else {
            tally.setAside += request.itemCount
            actions.append(.report(.setAside(items: request.itemCount)))
        }
        release(request, request.setAsideError, &actions)
        finishEvent(now, &actions)
        return actions
    }

    // MARK: Admission

    func hasRoom(for arrival: Arrival) -> Bool {
        if let disk { return hasRoom(for: arrival, disk) }
        return store.units + arrival.units <= settings.queue.size
            && store.bytes + arrival.bytes <= settings.queue.maximumBytes
    }

    /// Whether the client may have this much while there are others; alone, it may have the whole queue. Where batches
    /// wait for room, the places to wait are what is shared.
    private func isWithinShare(_ arrival: Arrival, _ now: Instant) -> Bool {
        guard arrival.client != .none, shares.areShared(at: now) else { return true }
        let queue = settings.queue
        if queue.blocksOnOverflow {
            let free = QueueSettings.maximumWaiters - waiters.count
            return FairShare.allows(1, beside: waiters.count(of: arrival.client), free: free)
        }
        guard shares.mayHold(units: arrival.units, arrival.client, free: max(0, queue.size - heldUnits)) else {
            return false
        }
        let free = max(0, queue.maximumBytes - store.bytes)
        return disk != nil || shares.mayHold(bytes: arrival.bytes, arrival.client, free: free)
    }

    /// Takes the batch. There is room.
    mutating func admit(
        _ arrival: Arrival, _ now: Instant, waitingUntil deadline: Instant? = nil, _ actions: inout [Action]
    ) {
        guard disk == nil else {
            append(arrival, deadline: deadline, &actions)
            return
        }
        if let accumulator, !accumulator.hasRoom(for: arrival.partition) {
            let limit = accumulator.policy.cardinalityLimit
            let message = "more than \(limit) combinations of the batch's metadata_keys gather at the same time"
            refuse(arrival, overflow(.queueFull, message, now), &actions)
            return
        }
        let waits = settings.queue.acknowledgesOnDelivery
        let entry = store.insert(
            units: arrival.units, bytes: arrival.bytes, token: waits ? arrival.token : nil, client: arrival.client)
        shares.add(units: arrival.units, bytes: arrival.bytes, arrival.client)
        if !waits { actions.append(.accept(arrival.token)) }
        let piece = Piece(slice: BatchSlice(arrival.batch), entry: entry, size: arrival.batchSize, arrived: now)
        take(piece, of: arrival.partition, with: arrival.metadata)
    }

    /// Sends a piece on its way, alone or with others.
    mutating func take(_ piece: Piece, of partition: PartitionKey, with metadata: [String: [String]]) {
        guard accumulator != nil else {
            fresh.append(PendingRequest(piece, metadata: metadata))
            return
        }
        if let flush = accumulator?.add(piece, to: partition, store: &store, send: { fresh.append($0) }) {
            note(flush)
        }
    }

    mutating func refuse(_ arrival: Arrival, _ error: ConsumeError, _ actions: inout [Action]) {
        actions.append(.report(.enqueueFailed(items: arrival.batch.itemCount, error)))
        actions.append(.refuse(arrival.token, error))
    }

    /// A refusal that says when there will be room.
    mutating func overflow(_ code: ConsumeError.Code, _ message: String, _ now: Instant) -> ConsumeError {
        let wait = drainSpeed.wait(held: heldUnits, settled: store.settledUnits, now: now)
        return ConsumeError(code, message, retryAfter: wait)
    }

    private func tooLargeForQueue(_ arrival: Arrival) -> ConsumeError {
        let queue = settings.queue
        if arrival.units > queue.size {
            let message = "a batch of \(arrival.units) \(queue.sizer.rawValue) never fits a queue_size of \(queue.size)"
            return ConsumeError(.refused, message)
        }
        return ConsumeError(
            .refused, "a batch of \(arrival.bytes) bytes never fits queue_bytes of \(queue.maximumBytes)")
    }

    // MARK: After every event

    /// Moves on whatever the event made possible, and sets the timer.
    mutating func finishEvent(_ now: Instant, _ actions: inout [Action]) {
        admitWaiters(now, &actions)
        dispatch(now, &actions)
        load(&actions)
        if case .draining = phase, store.isEmpty, disk?.appending.isEmpty ?? true { finish(&actions) }
        if phase == .running, isRetiring, holdsNothing { finish(&actions) }
        if let wanted, phase != .finished, timer.map({ wanted < $0 }) ?? true {
            timer = wanted
            timerGeneration += 1
            actions.append(.setTimer(wanted, generation: timerGeneration))
        }
        wanted = nil
    }

    private mutating func admitWaiters(_ now: Instant, _ actions: inout [Action]) {
        while phase == .running, let waiter = waiters.first, hasRoom(for: waiter.arrival) {
            _ = waiters.popFirst()
            admit(waiter.arrival, now, waitingUntil: waiter.deadline, &actions)
        }
    }

    private mutating func dispatch(_ now: Instant, _ actions: inout [Action]) {
        if case .draining(let deadline) = phase, deadline <= now { return }
        let consumers = settings.queue.consumers
        while active.count < consumers {
            if phase == .running, !breaker.allows(at: now) {
                if let until = breaker.until { note(until) }
                return
            }
            if !urgent.isEmpty, consumers > 1 || retries.isEmpty {
                start(urgent.removeFirst(), now, &actions)
            } else if !fresh.isEmpty, retries.count < consumers {
                start(fresh.removeFirst(), now, &actions)
            } else {
                return
            }
        }
    }

    private mutating func start(_ request: PendingRequest, _ now: Instant, _ actions: inout [Action]) {
        var request = request
        request.attempts += 1
        if request.firstAttempt == nil { request.firstAttempt = now }
        var timeout = settings.timeout > .zero ? settings.timeout : DeliverySettings.unlimitedAttempt
        if case .draining(let deadline) = phase { timeout = min(timeout, deadline - now) }
        let overdue = settings.timeout > .zero ? now + timeout + Self.attemptGrace : nil
        lastID += 1
        active[lastID] = Attempt(request: request, overdue: overdue)
        breaker.started(lastID)
        if let overdue { note(overdue) }
        actions.append(.report(.dispatched(items: request.itemCount)))
        actions.append(
            .dispatch(
                id: lastID,
                ExportRequest(signal: signal, slices: request.slices, timeout: timeout, metadata: request.metadata)))
    }

    /// Remembers that something is due at `instant`.
    mutating func note(_ instant: Instant) {
        if let wanted, wanted <= instant { return }
        wanted = instant
    }
}
