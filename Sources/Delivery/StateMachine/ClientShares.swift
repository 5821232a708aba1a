internal import Pipeline

/// What each client holds of a queue, and whether there are several clients at present.
struct ClientShares: Sendable {
    struct Holding: Equatable {
        var units = 0
        var bytes = 0
        /// Requests on their way to the queue.
        var expected = 0
    }

    private(set) var holdings = [Holding](repeating: Holding(), count: ClientKey.count)
    /// Requests on their way to the queue, of all clients.
    private(set) var expected = 0
    private var last = ClientKey.none
    private var isSharedUntil: ContinuousClock.Instant?

    /// A batch of a client came, taken or not.
    mutating func arrived(_ client: ClientKey, now: ContinuousClock.Instant) {
        guard client != .none, client != last else { return }
        if last != .none { isSharedUntil = now + FairShare.contention }
        last = client
    }

    /// Whether there are several clients, and shares count.
    func areShared(at now: ContinuousClock.Instant) -> Bool { isSharedUntil.map { now < $0 } ?? false }

    func mayHold(units: Int, _ client: ClientKey, free: Int) -> Bool {
        FairShare.allows(units, beside: holdings[client.index].units, free: free)
    }

    func mayHold(bytes: Int, _ client: ClientKey, free: Int) -> Bool {
        FairShare.allows(bytes, beside: holdings[client.index].bytes, free: free)
    }

    /// Requests of a client on their way to the queue.
    func expected(from client: ClientKey) -> Int { holdings[client.index].expected }

    mutating func expect(_ count: Int, from client: ClientKey) {
        expected += count
        holdings[client.index].expected += count
    }

    mutating func add(units: Int, bytes: Int, _ client: ClientKey) {
        holdings[client.index].units += units
        holdings[client.index].bytes += bytes
    }

    /// Never goes below nothing: what is read back from a disk may count differently.
    mutating func remove(units: Int, bytes: Int, _ client: ClientKey) {
        holdings[client.index].units = max(0, holdings[client.index].units - units)
        holdings[client.index].bytes = max(0, holdings[client.index].bytes - bytes)
    }
}
