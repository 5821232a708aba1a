internal import NIOCore
internal import Pipeline
internal import Synchronization

/// The bytes that a connector's series hold, counted in the process-wide budget. Any thread.
final class MemoryAccount: Sendable {
    private let budget: MemoryBudget
    private let lease = Mutex<MemoryLease?>(nil)

    init(_ budget: MemoryBudget) { self.budget = budget }

    /// Counts `bytes` instead of what was counted before; false, with nothing changed, when the budget has no room.
    func resize(to bytes: Int) -> Bool {
        lease.withLock { lease in
            if let lease { return lease.resize(to: max(0, bytes)) }
            lease = budget.lease(max(0, bytes))
            return lease != nil
        }
    }
}

/// Threads that hand batches to components.
func eventLoopCount(_ group: any EventLoopGroup) -> Int {
    var count = 0
    for _ in group.makeIterator() { count += 1 }
    return max(1, count)
}
