package import NIOCore

/// Time, as a delivery queue needs it.
package protocol DeliveryScheduler: Sendable {
    /// The present. Any thread.
    func now() -> ContinuousClock.Instant

    /// Calls `body` once, not before `instant`, on a thread of the scheduler's; `body` does not block. Any thread.
    func schedule(at instant: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void) -> any DeliveryTimer
}

/// One scheduled call.
package protocol DeliveryTimer: Sendable {
    /// Prevents the call if it has not begun. Any thread, any number of times.
    func cancel()
}

/// Timers on an event loop.
package struct EventLoopScheduler: DeliveryScheduler {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// The system's clock.
    package func now() -> ContinuousClock.Instant { .now }

    /// See `DeliveryScheduler`; `body` runs on the event loop.
    package func schedule(
        at instant: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void
    ) -> any DeliveryTimer {
        EventLoopTimer(scheduled: eventLoop.scheduleTask(in: TimeAmount(max(.zero, instant - .now)), body))
    }

    private struct EventLoopTimer: DeliveryTimer {
        let scheduled: Scheduled<Void>

        func cancel() { scheduled.cancel() }
    }
}
