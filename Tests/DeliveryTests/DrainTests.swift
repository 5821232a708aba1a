import Pipeline
import Testing

@testable import Delivery

@Suite struct DrainTests {
    private static let down = ExportOutcome.retryable("down", after: nil)

    @Test func flushesWhatGathersAndEndsWhenItIsSent() throws {
        var harness = Harness { $0.queue.batch = BatchPolicy() }
        try harness.enqueue(1..<4, token: 1)
        harness.drain(.seconds(30))
        #expect(harness.dispatched == [[1, 2, 3]])
        #expect(harness.reports.isEmpty)
        try harness.enqueue(4..<5, token: 2)
        #expect(harness.refusal(2) == .shuttingDown)
        harness.complete()
        #expect(harness.reports.map(\.sent) == [3])
        #expect(harness.reports.map(\.lostItems) == [0])
        #expect(harness.timer == nil)
    }

    @Test func anEmptyQueueIsDrainedAtOnce() {
        var harness = Harness()
        harness.drain(.seconds(1))
        #expect(harness.reports == [DeliveryReport()])
        harness.drain(.seconds(1))
        harness.run(harness.machine.giveUp(now: harness.now))
        #expect(harness.reports.count == 1)
    }

    @Test func countsOnlyTheDrain() throws {
        var harness = Harness()
        try harness.enqueue(1..<4, token: 1)
        harness.complete()
        try harness.enqueue(4..<5, token: 2)
        harness.drain(.seconds(1))
        harness.complete()
        #expect(harness.reports.map(\.sent) == [1])
    }

    @Test func waitingRetriesAreTriedAtOnceThenOnSchedule() throws {
        var harness = Harness()
        try harness.enqueue(1..<2, token: 1)
        harness.complete(0, Self.down)
        harness.drain(.seconds(30))
        #expect(harness.dispatched == [[1]])
        harness.complete(0, Self.down)
        #expect(harness.inFlight.isEmpty && harness.reports.isEmpty)
        harness.advance(.milliseconds(7_500))
        #expect(harness.dispatched == [[1]])
        harness.complete()
        #expect(harness.reports.map(\.sent) == [1])
    }

    @Test func aRetryAfterTheDeadlineIsNotWaitedFor() throws {
        var harness = Harness()
        try harness.enqueue(1..<3, token: 1)
        harness.drain(.seconds(4))
        harness.complete(0, Self.down)
        #expect(harness.reports.map(\.lost) == [[.shutdown: 2]])
    }

    @Test func atTheDeadlineTheRestIsLostByCause() throws {
        var harness = Harness {
            $0.queue.consumers = 1
            $0.queue.waitsForResult = true
        }
        try harness.enqueue(1..<2, token: 1)
        try harness.enqueue(2..<5, token: 2)
        let stuck = harness.inFlight[0].id
        harness.drain(.seconds(3))
        harness.advance(.seconds(3))
        #expect(harness.reports.map(\.lost) == [[.interrupted: 1, .shutdown: 3]])
        #expect(harness.refusal(1) == .shuttingDown && harness.refusal(2) == .shuttingDown)
        harness.run(harness.machine.completed(stuck, .delivered, now: harness.now))
        #expect(harness.settled[1]?.count == 1)
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func attemptsOfADrainEndWithIt() throws {
        var harness = Harness()
        harness.drain(.seconds(0))
        #expect(harness.reports.count == 1)
        var other = Harness { $0.queue.consumers = 1 }
        try other.enqueue(1..<2, token: 1)
        try other.enqueue(2..<3, token: 2)
        other.drain(.seconds(3))
        other.advance(.seconds(1))
        other.complete()
        #expect(other.inFlight[0].request.timeout == .seconds(2))
    }

    @Test func batchesThatWaitForRoomAreRefused() throws {
        var harness = Harness {
            $0.queue.size = 1
            $0.queue.blocksOnOverflow = true
        }
        try harness.enqueue(1..<2, token: 1)
        try harness.enqueue(2..<3, token: 2)
        harness.drain(.seconds(5))
        #expect(harness.refusal(2) == .shuttingDown)
    }

    @Test func givingUpSendsNothingMore() throws {
        var harness = Harness { $0.queue.batch = BatchPolicy() }
        try harness.enqueue(1..<4, token: 1)
        harness.run(harness.machine.giveUp(now: harness.now))
        #expect(harness.inFlight.isEmpty)
        #expect(harness.reports.map(\.lost) == [[.shutdown: 3]])
    }
}
