internal import Synchronization

/// A queue that was full, asked about requests that nobody has read yet: work on what will be refused in the end takes
/// time from what was taken. Any thread.
package protocol AdmissionGate: AnyObject, Sendable {
    /// Whether a request of a client would find room at present. One that is admitted counts as on its way until
    /// `leave`.
    func enter(_ client: ClientKey) -> AdmissionAnswer

    /// An admitted request has come to the queue, or never will.
    func leave(_ client: ClientKey)
}

/// What an `AdmissionGate` says about a request.
package enum AdmissionAnswer: Sendable, Equatable {
    /// The queue has so much room that it need not be asked again before it refuses something.
    case open
    case admitted
    case refused(ConsumeError)
}

/// A request that a gate admitted. It leaves when it is told to, and at the end of its life.
package final class AdmissionTicket: Sendable {
    private let gate: any AdmissionGate
    private let client: ClientKey
    private let hasLeft = Atomic<Bool>(false)

    fileprivate init(_ gate: any AdmissionGate, _ client: ClientKey) {
        self.gate = gate
        self.client = client
    }

    deinit { leave() }

    /// The request has come to the queue. Later calls do nothing.
    package func leave() {
        if !hasLeft.exchange(true, ordering: .relaxed) { gate.leave(client) }
    }
}

/// A way into the pipelines: knows the queue behind it that keeps refusing, if there is one. Any thread.
///
/// What is refused unread is counted in requests only, so now and then a refusal is no reason to ask: many are.
package final class AdmissionDoor: Sendable {
    private struct Refusals {
        var since: ContinuousClock.Instant?
        var count = 0
    }

    /// Refusals within a second after which the queue is asked.
    package static let refusalsPerSecond = 20

    private let isWatched = Atomic<Bool>(false)
    private let gate = Mutex<(any AdmissionGate)?>(nil)
    private let refusals = Mutex(Refusals())
    private let clock: @Sendable () -> ContinuousClock.Instant

    /// - Parameter clock: for tests.
    package init(clock: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }) {
        self.clock = clock
    }

    /// Whether a request may come in.
    ///
    /// - Returns: a ticket to hold until the request has been handed on; nil when nobody counts.
    /// - Throws: why not.
    package func admit(_ client: ClientKey) throws(ConsumeError) -> AdmissionTicket? {
        guard isWatched.load(ordering: .relaxed), let gate = gate.withLock({ $0 }) else { return nil }
        switch gate.enter(client) {
        case .admitted: return AdmissionTicket(gate, client)
        case .refused(let error): throw error
        case .open:
            self.gate.withLock { if $0 === gate { $0 = nil } }
            isWatched.store(false, ordering: .relaxed)
            return nil
        }
    }

    /// A request was refused behind this door.
    package func note(_ error: ConsumeError) {
        guard let full = error.gate else { return }
        let now = clock()
        let areMany = refusals.withLock { refusals in
            if refusals.since.map({ $0 + .seconds(1) <= now }) ?? true { refusals = Refusals(since: now) }
            refusals.count += 1
            return refusals.count > Self.refusalsPerSecond
        }
        guard areMany else { return }
        gate.withLock { $0 = full }
        isWatched.store(true, ordering: .relaxed)
    }
}
