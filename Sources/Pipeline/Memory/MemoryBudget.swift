import Synchronization

/// Counts the bytes that requests hold, from the moment a body is announced until the last stage lets go of it, and
/// refuses new ones at the bound. Near it, no client gets more than its share while there are others: see `FairShare`.
///
/// Thread-safe. Bytes are counted by lease; a lease lives as long as the bytes do, so nothing has to be given back by
/// hand.
package final class MemoryBudget: Sendable {
    private struct Bounds {
        var hard: Int
        var soft: Int
    }

    private let held = Atomic<Int>(0)
    private let refusals = Atomic<Int>(0)
    private let bounds: Mutex<Bounds>
    private let clients: ClientBytes

    /// - Parameters:
    ///   - limit: bytes that may never be passed.
    ///   - spike: room above the soft limit (`limit - spike`), from which on new requests are refused.
    ///   - clock: for tests.
    package init(
        limit: Int, spike: Int, clock: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        clients = ClientBytes(clock)
        bounds = Mutex(Bounds(hard: max(0, limit), soft: max(0, limit - max(0, spike))))
    }

    /// Sets other limits; see `init`. What is held stays held.
    package func limit(to limit: Int, spike: Int) {
        bounds.withLock { $0 = Bounds(hard: max(0, limit), soft: max(0, limit - max(0, spike))) }
    }

    /// Bytes held at present.
    package var heldBytes: Int { held.load(ordering: .relaxed) }
    /// Requests refused so far.
    package var refusedRequests: Int { refusals.load(ordering: .relaxed) }
    /// Bytes from which on new requests are refused.
    package var softLimit: Int { bounds.withLock { $0.soft } }
    /// Bytes that may never be passed.
    package var hardLimit: Int { bounds.withLock { $0.hard } }

    /// Bytes that can still be taken.
    package var room: Int { max(0, hardLimit - heldBytes) }

    /// Takes `bytes` (from 0) for a new request; nil when the budget is above the soft limit already, when the request
    /// alone passes it, when the hard limit would be passed, or when the client has its share.
    ///
    /// - Parameters:
    ///   - announced: bytes that the request says it will take in all, when that is more. They must fit now, but are
    ///     only counted as they come: an announcement alone keeps nobody else out.
    ///   - client: who sent the request.
    ///   - ticket: kept with the lease.
    package func lease(
        _ bytes: Int, announced: Int = 0, for client: ClientKey = .none, ticket: AdmissionTicket? = nil
    ) -> MemoryLease? {
        let bounds = self.bounds.withLock { $0 }
        // Before the sum, which must not overflow.
        let whole = max(bytes, announced)
        guard bytes >= 0, whole <= bounds.soft else {
            refusals.add(1, ordering: .relaxed)
            return nil
        }
        let total = held.add(bytes, ordering: .relaxed).newValue
        guard total - bytes <= bounds.soft, total - bytes <= bounds.hard - whole,
            clients.mayHold(whole, client, free: bounds.soft - (total - bytes), of: bounds.soft)
        else {
            held.subtract(bytes, ordering: .relaxed)
            refusals.add(1, ordering: .relaxed)
            return nil
        }
        clients.add(bytes, client)
        return MemoryLease(budget: self, client: client, bytes: bytes, ticket: ticket)
    }

    /// Counts `bytes` (from 0) that are held already, whatever the limits say; new requests are then refused. For stages
    /// that make their own copies of what a request brought.
    package func count(_ bytes: Int) -> MemoryLease {
        held.add(max(0, bytes), ordering: .relaxed)
        return MemoryLease(budget: self, client: .none, bytes: max(0, bytes))
    }

    /// Counts more, or fewer, bytes without asking.
    fileprivate func adjust(by bytes: Int, _ client: ClientKey) {
        held.add(bytes, ordering: .relaxed)
        clients.add(bytes, client)
    }

    /// Changes an existing lease; growth is refused only at the hard limit.
    fileprivate func change(by bytes: Int, _ client: ClientKey) -> Bool {
        let limit = hardLimit
        // Before the sum, which must not overflow.
        guard bytes <= limit else {
            refusals.add(1, ordering: .relaxed)
            return false
        }
        let total = held.add(bytes, ordering: .relaxed).newValue
        if bytes > 0, total > limit {
            held.subtract(bytes, ordering: .relaxed)
            refusals.add(1, ordering: .relaxed)
            return false
        }
        clients.add(bytes, client)
        return true
    }

    /// How long a refused client should wait: from one second, growing with the pressure, to 30 seconds.
    package var retryAfter: Duration {
        let limit = max(1, hardLimit)
        let pressure = Double(heldBytes) / Double(limit)
        return .seconds(pressure < 0.9 ? 1 : pressure < 0.97 ? 5 : 30)
    }
}

/// Bytes counted in a budget for as long as this object lives.
package final class MemoryLease: Sendable {
    private let budget: MemoryBudget
    private let client: ClientKey
    private let size: Atomic<Int>
    /// Of the request whose bytes these are.
    package let ticket: AdmissionTicket?

    fileprivate init(budget: MemoryBudget, client: ClientKey, bytes: Int, ticket: AdmissionTicket? = nil) {
        self.ticket = ticket
        self.budget = budget
        self.client = client
        size = Atomic(bytes)
    }

    deinit { budget.adjust(by: -size.load(ordering: .relaxed), client) }

    /// Bytes counted.
    package var bytes: Int { size.load(ordering: .relaxed) }

    /// Counts `bytes` (from 0) that are held already instead of what was counted before, whatever the limits say. One
    /// thread at a time.
    package func count(_ bytes: Int) {
        budget.adjust(by: bytes - size.load(ordering: .relaxed), client)
        size.store(bytes, ordering: .relaxed)
    }

    /// Counts `bytes` (from 0) instead of what was counted before; false, with nothing changed, when the hard limit is passed.
    /// One thread at a time.
    package func resize(to bytes: Int) -> Bool {
        let difference = bytes - size.load(ordering: .relaxed)
        guard budget.change(by: difference, client) else { return false }
        size.store(bytes, ordering: .relaxed)
        return true
    }
}
