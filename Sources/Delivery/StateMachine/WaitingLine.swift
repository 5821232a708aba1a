internal import NIOCore
internal import Pipeline

/// Batches that wait for room in the queue, in their order.
struct WaitingLine<Token: Sendable>: Sendable {
    struct Waiter {
        let arrival: DeliveryStateMachine<Token>.Arrival
        let deadline: ContinuousClock.Instant
    }

    private var waiters = CircularBuffer<Waiter>()
    private var counts = [Int](repeating: 0, count: ClientKey.count)

    var isEmpty: Bool { waiters.isEmpty }
    var count: Int { waiters.count }
    var first: Waiter? { waiters.first }

    /// Batches of a client that wait.
    func count(of client: ClientKey) -> Int { counts[client.index] }

    mutating func append(_ waiter: Waiter) {
        counts[waiter.arrival.client.index] += 1
        waiters.append(waiter)
    }

    mutating func prepend(_ waiter: Waiter) {
        counts[waiter.arrival.client.index] += 1
        waiters.prepend(waiter)
    }

    mutating func popFirst() -> Waiter? {
        guard let waiter = waiters.popFirst() else { return nil }
        counts[waiter.arrival.client.index] -= 1
        return waiter
    }
}
