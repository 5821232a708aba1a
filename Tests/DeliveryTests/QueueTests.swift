import OTLP
import Pipeline
import Testing

@testable import Delivery

@Suite struct QueueTests {
    @Test func acceptsWhenTheQueueHasTakenTheBatch() throws {
        var harness = Harness()
        try harness.enqueue(1..<4, token: 1)
        #expect(harness.accepted(1))
        #expect(harness.dispatched == [[1, 2, 3]])
        #expect(harness.machine.status.queueSize == 1)
        harness.complete()
        #expect(harness.machine.status.queueSize == 0)
        #expect(harness.machine.status.queueBytes == 0)
        #expect(harness.events == [.dispatched(items: 3), .sent(items: 3)])
    }

    @Test(arguments: [true, false])
    func acceptsOnDelivery(withoutQueue: Bool) throws {
        var harness = Harness {
            if withoutQueue { $0.queue.isEnabled = false } else { $0.queue.waitsForResult = true }
        }
        try harness.enqueue(1..<2, token: 1)
        #expect(harness.settled.isEmpty)
        harness.complete()
        #expect(harness.accepted(1))
        try harness.enqueue(2..<3, token: 2)
        harness.complete(0, .permanent("bad"))
        #expect(harness.refusal(2) == .refused)
    }

    @Test func anEmptyBatchIsAcceptedAndNotSent() throws {
        var harness = Harness()
        harness.enqueue(try TelemetryBatch(WireBytes(adopting: nil, count: 0), signal: .traces), token: 1)
        #expect(harness.accepted(1))
        #expect(harness.inFlight.isEmpty)
    }

    @Test func keepsToTheNumberOfConsumers() throws {
        var harness = Harness { $0.queue.consumers = 2 }
        for token in 1..<6 { try harness.enqueue(token..<token + 1, token: token) }
        #expect(harness.dispatched == [[1], [2]])
        harness.complete(1)
        #expect(harness.dispatched == [[1], [3]])
    }

    @Test func refusesWhatDoesNotFitUntilThereIsRoom() throws {
        var harness = Harness {
            $0.queue.size = 2
            $0.queue.consumers = 1
        }
        for token in 1..<4 { try harness.enqueue(token..<token + 1, token: token) }
        #expect(harness.accepted(1) && harness.accepted(2))
        #expect(harness.refusal(3) == .queueFull)
        #expect(harness.settled[3]?[0]?.retryAfter == .seconds(1))
        #expect(harness.settled[3]?[0]?.isRetryable == true)
        harness.complete()
        try harness.enqueue(4..<5, token: 4)
        #expect(harness.accepted(4))
    }

    @Test(arguments: [QueueSizer.items, .bytes])
    func countsInUnitsOfTheSizer(sizer: QueueSizer) throws {
        let batch = try Samples.spans(1..<11)
        var harness = Harness {
            $0.queue.sizer = sizer
            $0.queue.size = sizer == .items ? 25 : batch.bytes.count * 5 / 2
        }
        harness.enqueue(batch, token: 1)
        #expect(harness.machine.status.queueSize == (sizer == .items ? 10 : batch.bytes.count))
        try harness.enqueue(11..<21, token: 2)
        try harness.enqueue(21..<31, token: 3)
        #expect(harness.accepted(2))
        #expect(harness.refusal(3) == .queueFull)
    }

    @Test func boundsTheBytesInMemory() throws {
        let batch = try Samples.spans(1..<11)
        var harness = Harness { $0.queue.maximumBytes = batch.heldBytes * 2 }
        for token in 1..<4 { try harness.enqueue(1..<11, token: token) }
        #expect(harness.accepted(2))
        #expect(harness.refusal(3) == .queueFull)
        #expect(harness.machine.status.queueBytes == batch.heldBytes * 2)
    }

    @Test func refusesForGoodWhatCanNeverFit() throws {
        var harness = Harness {
            $0.queue.sizer = .items
            $0.queue.size = 5
            $0.queue.blocksOnOverflow = true
        }
        try harness.enqueue(1..<7, token: 1)
        #expect(harness.refusal(1) == .refused)
        var bytes = Harness { $0.queue.maximumBytes = 10 }
        try bytes.enqueue(1..<2, token: 1)
        #expect(bytes.refusal(1) == .refused)
    }

    @Test func blockedBatchesWaitForRoomInOrder() throws {
        var harness = Harness {
            $0.queue.size = 1
            $0.queue.blocksOnOverflow = true
        }
        for token in 1..<4 { try harness.enqueue(token..<token + 1, token: token) }
        #expect(harness.settled.count == 1)
        #expect(harness.machine.status.waitingBatches == 2)
        harness.complete()
        #expect(harness.accepted(2) && harness.settled[3] == nil)
        #expect(harness.dispatched == [[2]])
    }

    @Test func aSmallBatchDoesNotOvertakeAWaitingOne() throws {
        var harness = Harness {
            $0.queue.sizer = .items
            $0.queue.size = 10
            $0.queue.blocksOnOverflow = true
        }
        try harness.enqueue(1..<9, token: 1)
        try harness.enqueue(9..<17, token: 2)
        try harness.enqueue(17..<18, token: 3)
        #expect(harness.settled[3] == nil)
        harness.complete()
        #expect(harness.dispatched == [Array(9..<17), [17]])
    }

    @Test func aBlockedBatchIsRefusedAtItsDeadline() throws {
        var harness = Harness {
            $0.queue.size = 1
            $0.queue.blocksOnOverflow = true
            $0.timeout = .seconds(60)
        }
        try harness.enqueue(1..<2, token: 1)
        harness.advance(.seconds(1))
        try harness.enqueue(2..<3, token: 2)
        harness.advance(.milliseconds(9999))
        #expect(harness.settled[2] == nil)
        harness.advance(.milliseconds(1))
        #expect(harness.refusal(2) == .deadlineExceeded)
        harness.complete()
        #expect(harness.inFlight.isEmpty)
    }

    @Test func onlySoManyBatchesMayWait() throws {
        var harness = Harness {
            $0.queue.size = 1
            $0.queue.blocksOnOverflow = true
        }
        let batch = try Samples.spans(1..<2)
        for token in 0...QueueSettings.maximumWaiters { harness.enqueue(batch, token: token) }
        #expect(harness.settled.count == 1)
        harness.enqueue(batch, token: -1)
        #expect(harness.refusal(-1) == .queueFull)
    }

    @Test func unknownAndRepeatedCompletionsAreIgnored() throws {
        var harness = Harness()
        try harness.enqueue(1..<2, token: 1)
        let id = harness.inFlight[0].id
        harness.complete()
        harness.run(harness.machine.completed(id, .delivered, now: harness.now))
        harness.run(harness.machine.completed(999, .permanent(""), now: harness.now))
        harness.run(harness.machine.setAsideCompleted(999, failure: nil, now: harness.now))
        #expect(harness.events == [.dispatched(items: 1), .sent(items: 1)])
    }
}
