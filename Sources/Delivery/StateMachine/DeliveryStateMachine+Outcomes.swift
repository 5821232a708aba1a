internal import NIOCore
internal import OTLP
internal import Pipeline

extension PendingRequest {
    /// What the sender of a request that was set aside is told, if it still waits: never again, the data is kept here.
    var setAsideError: ConsumeError {
        ConsumeError(.refused, "the destination does not take the data; it is in the dead letters")
    }
}

// What an attempt's outcome means for its request.
extension DeliveryStateMachine {
    mutating func settle(
        _ id: UInt64, _ request: PendingRequest, _ outcome: ExportOutcome, _ now: Instant, _ actions: inout [Action]
    ) {
        defer { breaker.ended(id) }
        if case .retryable = outcome {
        } else if breaker.answered() {
            actions.append(.report(.breaker(isOpen: false, reason: "the destination answers again")))
            // They waited for the destination, not for their own time.
            moveDueRetries { _ in true }
        }
        switch outcome {
        case .delivered(let rejected, let message):
            delivered(request, rejected: rejected, message, &actions)
        case .retryable(let reason, let after):
            retry(id, request, reason, after: after, now, &actions)
        case .permanent(let reason):
            fail(request, .permanent, reason, &actions)
        case .tooLarge(let reason):
            halve(request, reason, &actions)
        }
    }

    private mutating func delivered(
        _ request: PendingRequest, rejected: Int, _ message: String, _ actions: inout [Action]
    ) {
        let rejected = min(max(0, rejected), request.itemCount)
        tally.sent += request.itemCount - rejected
        actions.append(.report(.sent(items: request.itemCount - rejected)))
        if rejected > 0 {
            tally.lost[.rejected, default: 0] += rejected
            actions.append(.report(.sendFailed(items: rejected, .rejected, reason: message)))
        } else if !message.isEmpty {
            actions.append(.report(.warning(message)))
        }
        release(request, nil, &actions)
    }

    private mutating func retry(
        _ id: UInt64, _ request: PendingRequest, _ reason: String, after: Duration?, _ now: Instant,
        _ actions: inout [Action]
    ) {
        guard settings.retry.isEnabled else {
            fail(request, .exhausted, reason, &actions)
            return
        }
        var request = request
        let (wait, next) = backoff.wait(for: request.interval)
        let asked = min(max(after ?? .zero, .zero), RetrySettings.maximumServerDelay)
        let delay = max(wait, asked)
        let due = now + delay
        if breaker.failed(id, due: due) { actions.append(.report(.breaker(isOpen: true, reason: reason))) }
        let limit = settings.retry.maxElapsedTime
        if limit > .zero, let first = request.firstAttempt, due > first + limit {
            fail(request, .exhausted, reason, &actions)
            return
        }
        if case .draining(let deadline) = phase, due >= deadline || disk != nil {
            // It would only keep the drain waiting; what is on the disk is safe there.
            drop(request, .shutdown, reason, &actions)
            return
        }
        request.interval = next
        actions.append(
            .report(
                .retrying(items: request.itemCount, attempt: request.attempts, delay: delay, reason: reason)))
        retries.append((due, request))
        note(due)
    }

    /// Gives up requests that the breaker has held back for longer than they may be tried.
    mutating func expire(_ now: Instant, _ actions: inout [Action]) {
        let limit = settings.retry.maxElapsedTime
        guard limit > .zero, breaker.state != .closed else { return }
        let isOver = { (request: PendingRequest) in request.firstAttempt.map { $0 + limit < now } ?? false }
        let over = urgent.filter(isOver)
        guard !over.isEmpty else { return }
        urgent.removeAll(where: isOver)
        for request in over { fail(request, .exhausted, "the destination did not answer", &actions) }
    }

    private mutating func halve(_ request: PendingRequest, _ reason: String, _ actions: inout [Action]) {
        guard let halves = request.halved() else {
            fail(request, .tooLarge, reason, &actions)
            return
        }
        if let entry = halves.splitEntry { store.addPiece(of: entry) }
        urgent.prepend(halves.second)
        urgent.prepend(halves.first)
        actions.append(.report(.split(items: request.itemCount, reason: reason)))
    }

    /// Ends a request that will not be tried again: dead letters, if there are any and nobody else has the data.
    private mutating func fail(
        _ request: PendingRequest, _ cause: DropCause, _ reason: String, _ actions: inout [Action]
    ) {
        // A sender that still waits and may try again keeps its data itself.
        let senderKeeps = cause == .exhausted && settings.queue.acknowledgesOnDelivery
        guard settings.deadLetter != nil, !senderKeeps else {
            drop(request, cause, reason, &actions)
            return
        }
        lastID += 1
        settingAside[lastID] = FailedRequest(request: request, cause: cause)
        actions.append(.report(.sendFailed(items: request.itemCount, cause, reason: reason)))
        let content = ExportRequest(signal: signal, slices: request.slices, timeout: settings.timeout)
        actions.append(.setAside(id: lastID, content, cause, reason: reason))
    }

    /// Loses a request and says so to whoever waits for it.
    mutating func drop(
        _ request: PendingRequest, _ cause: DropCause, _ reason: String, _ actions: inout [Action]
    ) {
        if disk != nil, cause == .shutdown || cause == .interrupted {
            // Not lost: it is on the disk, and sent after the next start.
            release(request, ConsumeError(.shuttingDown, reason), keeping: true, &actions)
            return
        }
        tally.lost[cause, default: 0] += request.itemCount
        actions.append(.report(.sendFailed(items: request.itemCount, cause, reason: reason)))
        let code: ConsumeError.Code =
            switch cause {
            case .permanent, .tooLarge, .rejected, .unreadable: .refused
            case .exhausted, .overflow: .unavailable
            case .shutdown, .interrupted: .shuttingDown
            }
        release(request, ConsumeError(code, reason), &actions)
    }

    /// Finishes every piece of the request in the store, and answers the senders whose batch is through.
    mutating func release(
        _ request: PendingRequest, _ failure: ConsumeError?, keeping: Bool = false, _ actions: inout [Action]
    ) {
        for entry in request.entries {
            guard let settlement = store.finishPiece(of: entry, failure: failure, keeping: keeping) else { continue }
            shares.remove(units: settlement.units, bytes: settlement.bytes, settlement.client)
            if let sequence = settlement.sequence { actions.append(.release(sequence)) }
            guard let token = settlement.token else { continue }
            if let failure = settlement.failure {
                actions.append(.refuse(token, failure))
            } else {
                actions.append(.accept(token))
            }
        }
    }
}
