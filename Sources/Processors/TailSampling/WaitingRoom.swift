internal import NIOCore
internal import OTLP
internal import Pipeline
internal import Synchronization

/// Where batches wait for room in the buffer (`block_on_overflow`), in the order in which they came. Any thread.
final class WaitingRoom: Sendable {
    private struct Waiter {
        let batch: TelemetryBatch
        let receipt: Receipt
        let deadline: ContinuousClock.Instant
    }

    private struct State {
        weak var buffer: TailBuffer?
        var waiters = CircularBuffer<Waiter>()
        var isClosed = false
    }

    /// Batches that may wait; further ones are refused.
    private static let maximumWaiters = 1000

    private let state = Mutex(State())

    /// Says what there is to wait for. Once, before anything else.
    func open(_ buffer: TailBuffer) { state.withLock { $0.buffer = buffer } }

    private enum Admission {
        case now(TailBuffer)
        case later
        case never(ConsumeError)
    }

    /// Puts the batch into the buffer, now or when there is room, and settles its receipt.
    func take(_ batch: TelemetryBatch, _ receipt: Receipt, mayWait: Bool) {
        let admission = state.withLock { state -> Admission in
            guard !state.isClosed, let buffer = state.buffer else {
                return .never(ConsumeError(.shuttingDown, "tail_sampling is shutting down"))
            }
            guard mayWait, !state.waiters.isEmpty || buffer.isFull else { return .now(buffer) }
            guard state.waiters.count < Self.maximumWaiters else {
                return .never(ConsumeError(.queueFull, "tail_sampling: the buffer is full", retryAfter: .seconds(1)))
            }
            let deadline = ContinuousClock.now + TailSamplingSettings.overflowTimeout
            state.waiters.append(Waiter(batch: batch, receipt: receipt, deadline: deadline))
            return .later
        }
        switch admission {
        case .now(let buffer): buffer.take(batch, receipt)
        case .later: break
        case .never(let error): receipt.refuse(error)
        }
    }

    /// Lets batches in while there is room; refuses those that waited too long.
    func admit() {
        while true {
            let now = ContinuousClock.now
            let next = state.withLock { state -> (Waiter, TailBuffer?)? in
                guard let first = state.waiters.first, let buffer = state.buffer else { return nil }
                let isLate = first.deadline <= now
                guard isLate || !buffer.isFull else { return nil }
                state.waiters.removeFirst()
                return (first, isLate ? nil : buffer)
            }
            guard let (waiter, buffer) = next else { return }
            if let buffer {
                buffer.take(waiter.batch, waiter.receipt)
            } else {
                let message = "tail_sampling: no room within \(TailSamplingSettings.overflowTimeout)"
                waiter.receipt.refuse(ConsumeError(.deadlineExceeded, message, retryAfter: .seconds(1)))
            }
        }
    }

    /// Refuses what waits and what comes. False when that was done before.
    func close() -> Bool {
        let (isFirst, waiters) = state.withLock { state in
            defer {
                state.isClosed = true
                state.waiters = []
            }
            return (!state.isClosed, Array(state.waiters))
        }
        for waiter in waiters {
            waiter.receipt.refuse(ConsumeError(.shuttingDown, "tail_sampling is shutting down"))
        }
        return isFirst
    }
}
