import Synchronization

/// Bytes that each client holds, and whether there are several clients at present. Thread-safe without locks: a decision
/// beside others may be off by what those take.
final class ClientBytes: Sendable {
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let begun: ContinuousClock.Instant
    // Unsafe: allocated in `init` and freed in `deinit`; what it points to is atomic.
    private nonisolated(unsafe) let held: UnsafeMutablePointer<Atomic<Int>>
    private let last = Atomic<Int>(ClientKey.none.index)
    /// Seconds after `begun`.
    private let sharedUntil = Atomic<Int64>(0)

    init(_ clock: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.clock = clock
        begun = clock()
        held = .allocate(capacity: ClientKey.count)
        for index in 0..<ClientKey.count { (held + index).initialize(to: Atomic(0)) }
    }

    deinit {
        held.deinitialize(count: ClientKey.count)
        held.deallocate()
    }

    func add(_ bytes: Int, _ client: ClientKey) { held[client.index].add(bytes, ordering: .relaxed) }

    /// Notes that a client is there, and says whether it may take `bytes` more.
    ///
    /// - Parameters:
    ///   - free: bytes that nobody holds.
    ///   - whole: bytes that there are.
    func mayHold(_ bytes: Int, _ client: ClientKey, free: Int, of whole: Int) -> Bool {
        guard client != .none else { return true }
        let before = last.load(ordering: .relaxed)
        if before != client.index {
            last.store(client.index, ordering: .relaxed)
            if before != ClientKey.none.index {
                let seconds = (begun.duration(to: clock()) + FairShare.contention).components.seconds
                sharedUntil.store(seconds, ordering: .relaxed)
            }
        }
        // While this much is free, nobody can hold more than a share.
        guard free < whole / (FairShare.weight + 1) + bytes else { return true }
        let own = held[client.index].load(ordering: .relaxed)
        if FairShare.allows(bytes, beside: own, free: free) { return true }
        return begun.duration(to: clock()).components.seconds >= sharedUntil.load(ordering: .relaxed)
    }
}
