internal import NIOCore
internal import Pipeline

// What happens because of time: flushes, retries, overdue attempts, expired waits, the drain's deadline.
extension DeliveryStateMachine {
    /// The timer went off. Harmless when nothing is due.
    package mutating func timerFired(now: Instant) -> [Action] {
        guard phase != .finished else { return [] }
        if case .draining(let deadline) = phase, deadline <= now { return giveUp(now: now) }
        var actions: [Action] = []
        timer = nil
        if let instant = disk?.appendsAfter, instant <= now { disk?.appendsAfter = nil }
        if let instant = disk?.loadsAfter, instant <= now { disk?.loadsAfter = nil }
        giveUpOverdueAttempts(now, &actions)
        moveDueRetries { $0 <= now }
        expire(now, &actions)
        accumulator?.flush(now, store: &store) { fresh.append($0) }
        while let waiter = waiters.first, waiter.deadline <= now {
            _ = waiters.popFirst()
            let message = "the sending queue had no room for \(settings.queue.overflowTimeout)"
            refuse(waiter.arrival, overflow(.deadlineExceeded, message, now), &actions)
        }
        if let next = nextDeadline { note(next) }
        finishEvent(now, &actions)
        return actions
    }

    /// No more batches: sends what gathers and retries what waits at once, and goes on until nothing is held or the
    /// deadline passes. Answers with `drained`, once. A second call changes nothing.
    package mutating func beginDrain(deadline: Instant, now: Instant) -> [Action] {
        guard phase == .running else { return [] }
        guard deadline > now else { return giveUp(now: now) }
        var actions: [Action] = []
        stopTaking(until: deadline, &actions)
        note(deadline)
        finishEvent(now, &actions)
        return actions
    }

    /// Ends now: everything that is held is counted as lost, and answered as such where the sender still waits.
    package mutating func giveUp(now: Instant) -> [Action] {
        guard phase != .finished else { return [] }
        var actions: [Action] = []
        if phase == .running { stopTaking(until: now, &actions) }
        for id in active.keys.sorted() {
            guard let attempt = active.removeValue(forKey: id) else { continue }
            drop(attempt.request, .interrupted, "shut down before the destination answered", &actions)
        }
        for id in settingAside.keys.sorted() {
            guard let request = settingAside.removeValue(forKey: id)?.request else { continue }
            if disk == nil { tally.lost[.interrupted, default: 0] += request.itemCount }
            let failure = ConsumeError(.shuttingDown, "shut down before the data was set aside")
            release(request, failure, keeping: disk != nil, &actions)
        }
        let rest = retries.map(\.request) + Array(urgent) + Array(fresh)
        retries.removeAll()
        urgent.removeAll()
        fresh.removeAll()
        for request in rest { drop(request, .shutdown, "shut down before the data was sent", &actions) }
        finish(&actions)
        return actions
    }

    private mutating func stopTaking(until deadline: Instant, _ actions: inout [Action]) {
        phase = .draining(deadline: deadline)
        tally = DeliveryReport()
        while let waiter = waiters.popFirst() {
            refuse(waiter.arrival, ConsumeError(.shuttingDown, "the exporter is shutting down"), &actions)
        }
        moveDueRetries { _ in true }
        accumulator?.flush(nil, store: &store) { fresh.append($0) }
    }

    mutating func finish(_ actions: inout [Action]) {
        phase = .finished
        timer = nil
        timerGeneration += 1
        actions.append(.cancelTimer(generation: timerGeneration))
        actions.append(.drained(tally))
    }

    private mutating func giveUpOverdueAttempts(_ now: Instant, _ actions: inout [Action]) {
        let overdue = active.filter { $0.value.overdue.map { $0 <= now } ?? false }.keys.sorted()
        for id in overdue {
            guard let attempt = active.removeValue(forKey: id) else { continue }
            settle(id, attempt.request, .retryable("no answer within the time-out", after: nil), now, &actions)
        }
    }

    /// Makes waiting retries urgent, the one that is due first in front.
    mutating func moveDueRetries(_ isDue: (Instant) -> Bool) {
        guard retries.contains(where: { isDue($0.due) }) else { return }
        let due = retries.filter { isDue($0.due) }.sorted { $0.due < $1.due }
        retries.removeAll { isDue($0.due) }
        if settings.queue.consumers == 1 {
            // The only request that can wait here is older than its other half, which may be urgent already.
            for retry in due.reversed() { urgent.prepend(retry.request) }
        } else {
            for retry in due { urgent.append(retry.request) }
        }
    }

    private var nextDeadline: Instant? {
        var next: Instant?
        func consider(_ instant: Instant?) {
            guard let instant else { return }
            if let earliest = next, earliest <= instant { return }
            next = instant
        }
        if case .draining(let deadline) = phase { consider(deadline) }
        consider(accumulator?.nextFlush)
        consider(waiters.first?.deadline)
        for retry in retries { consider(retry.due) }
        for attempt in active.values { consider(attempt.overdue) }
        if phase == .running {
            consider(disk?.appendsAfter)
            consider(disk?.loadsAfter)
        }
        return next
    }
}
