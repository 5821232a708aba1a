internal import Delivery
internal import Synchronization

/// Queues of exporters that a reload has removed: they deliver what they hold, and can be taken back meanwhile.
/// Thread-safe.
final class RetiredQueues: Sendable {
    private struct State {
        var queues: [(key: GraphIndex.EndpointKey, delivery: Delivery)] = []
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var lastTask: UInt64 = 0
    }

    private let state = Mutex(State())

    var deliveries: [Delivery] { state.withLock { $0.queues.map(\.delivery) } }

    func add(_ key: GraphIndex.EndpointKey, _ delivery: Delivery) {
        state.withLock { $0.queues.append((key, delivery)) }
    }

    func remove(_ delivery: Delivery) {
        state.withLock { $0.queues.removeAll { $0.delivery === delivery } }
    }

    /// The queue of that name, if it still holds something and suits. It does not end before `Delivery.continueRetiring`.
    func revive(_ key: GraphIndex.EndpointKey, _ suits: (Delivery) -> Bool) -> Delivery? {
        let found = state.withLock { state in state.queues.filter { $0.key == key }.map(\.delivery) }
        return found.first { suits($0) && $0.pauseRetiring() }
    }

    /// Runs `work` beside everything else; `finish` waits for it.
    func run(_ work: @escaping @Sendable () async -> Void) {
        let number = state.withLock { state in
            state.lastTask += 1
            return state.lastTask
        }
        let task = Task { [weak self] in
            await work()
            self?.state.withLock { _ = $0.tasks.removeValue(forKey: number) }
        }
        // One that is through by now stays in the list, which costs nothing to wait for.
        state.withLock { $0.tasks[number] = task }
    }

    /// Returns when everything that runs beside has ended.
    func finish() async {
        for task in state.withLock({ Array($0.tasks.values) }) { await task.value }
    }
}
