import Pipeline
import Testing

@testable import Delivery

@Suite struct TooLargeTests {
    @Test func halvesAreTriedAtOnceDownToTheItemThatIsTooLarge() throws {
        var harness = Harness { $0.queue.waitsForResult = true }
        try harness.enqueue(1..<9, token: 1)
        // Item 6 is the one that the destination does not take.
        while let attempt = harness.inFlight.first {
            let poisoned = Samples.serials(attempt.request).contains(6)
            harness.complete(0, poisoned ? .tooLarge("too large") : .delivered)
        }
        let sent = harness.events.compactMap { event -> Int? in
            guard case .sent(let items) = event else { return nil }
            return items
        }
        #expect(sent.reduce(0, +) == 7)
        #expect(harness.events.contains(.sendFailed(items: 1, .tooLarge, reason: "too large")))
        #expect(harness.refusal(1) == .refused)
        #expect(harness.machine.status.queueSize == 0)
        #expect(harness.now == harness.start)
    }

    @Test func aListOfSlicesIsSplitInTheMiddle() throws {
        var harness = Harness {
            var policy = BatchPolicy()
            policy.minSize = 9
            $0.queue.batch = policy
        }
        try harness.enqueue(1..<3, token: 1)
        try harness.enqueue(3..<9, token: 2)
        try harness.enqueue(9..<10, token: 3)
        harness.complete(0, .tooLarge(""))
        #expect(harness.dispatched == [[1, 2, 3, 4], [5, 6, 7, 8, 9]])
        harness.complete()
        #expect(harness.machine.status.queueSize == 2)
        harness.complete()
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func aSplitBetweenSlicesSplitsNone() throws {
        var harness = Harness {
            var policy = BatchPolicy()
            policy.minSize = 4
            $0.queue.batch = policy
        }
        try harness.enqueue(1..<3, token: 1)
        try harness.enqueue(3..<5, token: 2)
        harness.complete(0, .tooLarge(""))
        #expect(harness.dispatched == [[1, 2], [3, 4]])
        harness.complete(1)
        #expect(harness.machine.status.queueSize == 1)
    }

    @Test func halvesKeepTheHistoryOfRetries() throws {
        var harness = Harness { $0.retry.maxElapsedTime = .seconds(10) }
        try harness.enqueue(1..<3, token: 1)
        harness.complete(0, .retryable("down", after: nil))
        harness.advance(.seconds(5))
        harness.complete(0, .tooLarge(""))
        #expect(harness.inFlight.count == 2)
        // The next wait is 7.5 s, past the 10 s since the first try.
        harness.complete(0, .retryable("down", after: nil))
        #expect(harness.events.last == .sendFailed(items: 1, .exhausted, reason: "down"))
    }
}
