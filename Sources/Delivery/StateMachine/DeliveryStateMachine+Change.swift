internal import Pipeline

// Other settings, and the end of a queue that nothing is sent to any more, while it runs.
extension DeliveryStateMachine {
    /// Whether a queue with these settings can go on with others. What is counted cannot be counted differently, and
    /// what is on a disk stays there.
    package static func canChange(from old: DeliverySettings, to new: DeliverySettings) -> Bool {
        old.queue.sizer == new.queue.sizer && old.queue.storage == new.queue.storage
            && (old.queue.storage == nil || old.queue.dropsOldest == new.queue.dropsOldest)
    }

    /// Goes on with other settings, for which `canChange` is true. What is held stays; what was held back to gather goes
    /// on its way when the batching is another one.
    ///
    /// - Parameter isOtherDestination: what waits is tried at once.
    package mutating func reconfigure(
        _ new: DeliverySettings, isOtherDestination: Bool, seed: UInt64, now: Instant
    ) -> [Action] {
        var actions: [Action] = []
        let old = settings
        settings = new
        isRetiring = false
        if old.retry != new.retry { backoff = Backoff(new.retry, seed: seed) }
        breaker.threshold = new.retry.isEnabled ? new.retry.breakerFailures : 0
        if isOtherDestination {
            if breaker.answered() {
                actions.append(.report(.breaker(isOpen: false, reason: "the configuration has changed")))
            }
            moveDueRetries { _ in true }
        }
        if accumulator?.policy != new.queue.batch {
            accumulator?.flush(nil, store: &store) { fresh.append($0) }
            accumulator = new.queue.batch.map { BatchAccumulator($0) }
        }
        finishEvent(now, &actions)
        return actions
    }

    /// Nothing more will come. Goes on as ever, and answers with `drained` when nothing is held any more.
    package mutating func retire(now: Instant) -> [Action] {
        guard phase == .running else { return [] }
        isRetiring = true
        tally = DeliveryReport()
        accumulator?.flush(nil, store: &store) { fresh.append($0) }
        accumulator = nil
        var actions: [Action] = []
        finishEvent(now, &actions)
        return actions
    }

    /// It may be taken back into use: it does not end for now. False when it has ended, or is not on its way to.
    package mutating func pauseRetiring() -> Bool {
        guard phase == .running, isRetiring else { return false }
        isRetiring = false
        return true
    }

    /// Whether nothing is held, in memory or on the disk.
    var holdsNothing: Bool {
        guard store.isEmpty, waiters.isEmpty else { return false }
        guard let disk else { return true }
        return disk.appending.isEmpty && !disk.isLoading && disk.next >= disk.end
    }
}
