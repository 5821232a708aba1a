import Pipeline
import Testing

@testable import Delivery

@Suite struct RetryTests {
    private static let down = ExportOutcome.retryable("down", after: nil)

    @Test func waitsLongerEachTimeUpToTheMaximum() throws {
        var harness = Harness { $0.retry.maxElapsedTime = .zero }
        try harness.enqueue(1..<3, token: 1)
        for (attempt, seconds) in [5, 7.5, 11.25, 16.875, 25.3125, 30, 30].enumerated() {
            harness.complete(0, Self.down)
            let delay = Duration.seconds(seconds)
            #expect(
                harness.events.last == .retrying(items: 2, attempt: attempt + 1, delay: delay, reason: "down"))
            #expect(harness.inFlight.isEmpty)
            harness.advance(delay - .nanoseconds(1))
            #expect(harness.inFlight.isEmpty)
            harness.advance(.nanoseconds(1))
            #expect(harness.dispatched == [[1, 2]])
        }
        harness.complete()
        #expect(harness.events.last == .sent(items: 2))
    }

    @Test func jitterStaysInItsRangeAndFollowsTheSeed() {
        var settings = RetrySettings()
        settings.randomizationFactor = 0.5
        var first = Backoff(settings, seed: 42)
        var second = Backoff(settings, seed: 42)
        var seen: Set<Duration> = []
        for _ in 0..<200 {
            let delay = first.wait(for: .seconds(10)).delay
            #expect(delay >= .seconds(5) && delay <= .seconds(15))
            #expect(delay == second.wait(for: .seconds(10)).delay)
            seen.insert(delay)
        }
        #expect(seen.count > 100)
    }

    @Test func theDestinationsDelayIsAMinimum() throws {
        var harness = Harness()
        try harness.enqueue(1..<2, token: 1)
        harness.complete(0, .retryable("busy", after: .seconds(20)))
        #expect(harness.timerSeconds.map { $0 <= 20 } == true)
        harness.advance(.milliseconds(19_999))
        #expect(harness.inFlight.isEmpty)
        harness.advance(.milliseconds(1))
        #expect(harness.inFlight.count == 1)
        harness.complete(0, .retryable("busy", after: .seconds(1)))
        harness.advance(.milliseconds(7_499))
        #expect(harness.inFlight.isEmpty)
        harness.advance(.milliseconds(1))
        #expect(harness.inFlight.count == 1)
    }

    @Test func anAbsurdDelayDoesNotTrap() throws {
        var harness = Harness { $0.retry.maxElapsedTime = .zero }
        try harness.enqueue(1..<2, token: 1)
        harness.complete(0, .retryable("busy", after: .seconds(Int64.max)))
        harness.advance(.seconds(86_400))
        #expect(harness.inFlight.count == 1)
        harness.complete(0, .retryable("busy", after: .seconds(-5)))
        harness.advance(.seconds(8))
        #expect(harness.inFlight.count == 1)
    }

    @Test func givesUpWhenTheNextTryWouldComeTooLate() throws {
        var harness = Harness { $0.retry.maxElapsedTime = .seconds(12) }
        try harness.enqueue(1..<4, token: 1)
        harness.complete(0, Self.down)
        harness.advance(.seconds(5))
        // The next wait is 7.5 s: 12.5 s after the first try.
        harness.complete(0, Self.down)
        #expect(harness.events.last == .sendFailed(items: 3, .exhausted, reason: "down"))
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func withoutRetryTheFirstFailureIsTheLast() throws {
        var harness = Harness {
            $0.retry.isEnabled = false
            $0.queue.waitsForResult = true
        }
        try harness.enqueue(1..<2, token: 1)
        harness.complete(0, Self.down)
        #expect(harness.refusal(1) == .unavailable)
        #expect(harness.events.last == .sendFailed(items: 1, .exhausted, reason: "down"))
    }

    @Test func withOneConsumerNothingOvertakes() throws {
        var harness = Harness { $0.queue.consumers = 1 }
        try harness.enqueue(1..<2, token: 1)
        try harness.enqueue(2..<3, token: 2)
        harness.complete(0, Self.down)
        #expect(harness.inFlight.isEmpty)
        harness.advance(.seconds(5))
        #expect(harness.dispatched == [[1]])
        harness.complete()
        #expect(harness.dispatched == [[2]])
    }

    @Test func withOneConsumerHalvesKeepTheirOrder() throws {
        var harness = Harness { $0.queue.consumers = 1 }
        try harness.enqueue(1..<5, token: 1)
        try harness.enqueue(5..<6, token: 2)
        harness.complete(0, .tooLarge("4 MiB"))
        #expect(harness.dispatched == [[1, 2]])
        harness.complete(0, Self.down)
        #expect(harness.inFlight.isEmpty)
        harness.advance(.seconds(5))
        #expect(harness.dispatched == [[1, 2]])
        harness.complete()
        #expect(harness.dispatched == [[3, 4]])
        harness.complete()
        #expect(harness.dispatched == [[5]])
    }

    @Test func waitingRetriesDoNotBlockOthersButBoundThem() throws {
        var harness = Harness { $0.queue.consumers = 2 }
        for token in 1..<8 { try harness.enqueue(token..<token + 1, token: token) }
        harness.complete(0, Self.down)
        #expect(harness.dispatched == [[2], [3]])
        harness.complete(0, Self.down)
        // Two wait for their retry: nothing fresh starts.
        #expect(harness.dispatched == [[3]])
        harness.complete()
        #expect(harness.inFlight.isEmpty)
        harness.advance(.seconds(5))
        #expect(harness.dispatched == [[1], [2]])
        harness.complete()
        #expect(harness.dispatched == [[2], [4]])
    }

    @Test func anAttemptWithoutAnswerIsTriedAgain() throws {
        var harness = Harness()
        try harness.enqueue(1..<2, token: 1)
        let lost = harness.inFlight.removeFirst()
        #expect(lost.request.timeout == .seconds(5))
        harness.advance(.seconds(6))
        #expect(
            harness.events.last
                == .retrying(
                    items: 1, attempt: 1, delay: .seconds(5), reason: "no answer within the time-out"))
        harness.run(harness.machine.completed(lost.id, .delivered, now: harness.now))
        harness.advance(.seconds(5))
        #expect(harness.dispatched == [[1]])
    }

    @Test func withoutTimeoutAnAttemptMayTakeItsTime() throws {
        var harness = Harness { $0.timeout = .zero }
        try harness.enqueue(1..<2, token: 1)
        #expect(harness.inFlight[0].request.timeout == DeliverySettings.unlimitedAttempt)
        #expect(harness.timer == nil)
        harness.advance(.seconds(3600))
        harness.complete()
        #expect(harness.events.last == .sent(items: 1))
    }

    @Test func partialSuccessIsNeverRetried() throws {
        var harness = Harness { $0.queue.waitsForResult = true }
        try harness.enqueue(1..<11, token: 1)
        harness.complete(0, .delivered(rejected: 3, message: "3 too old"))
        #expect(harness.accepted(1))
        #expect(
            harness.events.suffix(2) == [
                .sent(items: 7), .sendFailed(items: 3, .rejected, reason: "3 too old"),
            ])
        try harness.enqueue(1..<11, token: 2)
        harness.complete(0, .delivered(rejected: 99, message: ""))
        #expect(
            harness.events.suffix(2) == [.sent(items: 0), .sendFailed(items: 10, .rejected, reason: "")])
        try harness.enqueue(1..<2, token: 3)
        harness.complete(0, .delivered(rejected: -1, message: "slow down"))
        #expect(harness.events.suffix(2) == [.sent(items: 1), .warning("slow down")])
    }

    @Test func spuriousTimersChangeNothing() throws {
        var harness = Harness()
        try harness.enqueue(1..<2, token: 1)
        harness.complete(0, Self.down)
        harness.run(harness.machine.timerFired(now: harness.now))
        harness.run(harness.machine.timerFired(now: harness.now + .seconds(1)))
        #expect(harness.inFlight.isEmpty)
        #expect(harness.timerSeconds == 5)
    }
}
