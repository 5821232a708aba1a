import OTLP
import Pipeline
import Testing

@testable import Config
@testable import Delivery
@testable import Storage

/// A queue with a disk log: the rules, without a disk.
@Suite struct StorageRulesTests {
    private func harness(_ change: (inout DeliverySettings) -> Void = { _ in }) -> Harness {
        var harness = Harness {
            $0.queue.storage = ComponentID(type: "file_storage")
            $0.queue.consumers = 1
            change(&$0)
        }
        harness.run(harness.machine.recovered(1..<1, units: 0, now: harness.now))
        return harness
    }

    /// The disk has taken the oldest batch.
    private func complete(_ harness: inout Harness, _ sequence: UInt64) {
        let id = harness.appends.removeFirst().id
        harness.run(harness.machine.appended(id, sequence: sequence, now: harness.now))
    }

    private func load(_ harness: inout Harness, _ batches: [(UInt64, Range<Int>)], next: UInt64) throws {
        harness.loads.removeFirst()
        let found = try batches.map { BatchOnDisk(sequence: $0.0, try Samples.spans($0.1), partition: [:]) }
        harness.run(harness.machine.loaded(found, next: next, lost: [], now: harness.now))
    }

    @Test func aBatchIsTakenWhenTheDiskHasItAndGoneWhenItIsDelivered() throws {
        var harness = harness()
        try harness.enqueue(1..<3, token: 1)
        #expect(harness.settled.isEmpty && harness.inFlight.isEmpty)
        #expect(harness.machine.status.queueSize == 1)
        complete(&harness, 1)
        #expect(harness.accepted(1))
        #expect(harness.dispatched == [[1, 2]])
        #expect(harness.released.isEmpty)
        harness.complete()
        #expect(harness.released == [1])
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func whatFindsNoRoomInMemoryComesBackInOrder() throws {
        let bytes = try Samples.spans(1..<2, padding: 1000).heldBytes
        var harness = harness { $0.queue.maximumBytes = bytes * 2 }
        for serial in 1...5 {
            try harness.enqueue(serial..<serial + 1, token: serial, padding: 1000)
            complete(&harness, UInt64(serial))
        }
        #expect(harness.machine.status.queueSize == 5)
        #expect(harness.machine.status.queueBytes <= bytes * 2)
        #expect(harness.loads.isEmpty)
        harness.complete()
        harness.complete()
        let wanted = try #require(harness.loads.first)
        #expect(wanted.from == 3)
        // One that comes meanwhile goes behind those on the disk.
        try harness.enqueue(6..<7, token: 6, padding: 1000)
        complete(&harness, 6)
        try load(&harness, [(3, 3..<4), (4, 4..<5)], next: 5)
        #expect(harness.dispatched == [[3]])
        harness.complete()
        #expect(harness.dispatched == [[4]])
        harness.complete()
        try load(&harness, [(5, 5..<6), (6, 6..<7)], next: 7)
        harness.complete()
        harness.complete()
        #expect(harness.released == [1, 2, 3, 4, 5, 6])
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func aDiskThatDoesNotTakeTheBatchRefusesIt() throws {
        var harness = harness()
        try harness.enqueue(1..<2, token: 1)
        let error = ConsumeError(.unavailable, "broken")
        harness.run(
            harness.machine.appendFailed(harness.appends.removeFirst().id, error, isFull: false, now: harness.now))
        #expect(harness.refusal(1) == .unavailable)
        #expect(harness.machine.status.queueSize == 0)
        #expect(harness.events.contains(.enqueueFailed(items: 1, error)))
    }

    @Test func aFullDiskIsWaitedForWhenTheQueueBlocks() throws {
        var harness = harness { $0.queue.blocksOnOverflow = true }
        try harness.enqueue(1..<2, token: 1)
        let full = ConsumeError(.queueFull, "full")
        harness.run(
            harness.machine.appendFailed(harness.appends.removeFirst().id, full, isFull: true, now: harness.now))
        #expect(harness.settled.isEmpty && harness.appends.isEmpty)
        harness.advance(QueueSettings.storageRetry)
        #expect(harness.appends.count == 1)
        harness.run(
            harness.machine.appendFailed(harness.appends.removeFirst().id, full, isFull: true, now: harness.now))
        harness.advance(.seconds(11))
        let last = try #require(harness.appends.first?.id)
        harness.run(harness.machine.appendFailed(last, full, isFull: true, now: harness.now))
        #expect(harness.refusal(1) == .queueFull)
    }

    @Test func aDrainKeepsWhatItCannotDeliver() throws {
        var harness = harness()
        for serial in 1...3 {
            try harness.enqueue(serial..<serial + 1, token: serial)
            complete(&harness, UInt64(serial))
        }
        harness.drain(.seconds(5))
        harness.complete(0, .delivered)
        // The destination is gone: a drain does not wait for it, the data is safe.
        harness.complete(0, .retryable("gone", after: nil))
        harness.complete(0, .retryable("gone", after: nil))
        #expect(harness.reports.count == 1)
        #expect(harness.reports.first?.lostItems == 0)
        #expect(harness.released == [1])
    }

    @Test func theEndOfADrainLosesNothingThatIsInFlight() throws {
        var harness = harness()
        try harness.enqueue(1..<2, token: 1)
        complete(&harness, 1)
        harness.drain(.seconds(1))
        harness.advance(.seconds(2))
        #expect(harness.reports.first?.lostItems == 0)
        #expect(harness.released.isEmpty)
    }

    @Test func aBatchThatBecomesDurableAfterTheEndIsTaken() throws {
        var harness = harness()
        try harness.enqueue(1..<2, token: 1)
        harness.run(harness.machine.giveUp(now: harness.now))
        complete(&harness, 1)
        #expect(harness.accepted(1))
        #expect(harness.released.isEmpty)
    }

    @Test func anEarlierRunsDataGoesFirst() throws {
        var harness = Harness {
            $0.queue.storage = ComponentID(type: "file_storage")
            $0.queue.consumers = 1
        }
        harness.run(harness.machine.recovered(5..<7, units: 2, now: harness.now))
        #expect(harness.loads.first?.from == 5)
        #expect(harness.machine.status.queueSize == 2)
        try harness.enqueue(9..<10, token: 1)
        complete(&harness, 7)
        #expect(harness.accepted(1))
        try load(&harness, [(5, 1..<2), (6, 2..<3)], next: 7)
        harness.complete()
        harness.complete()
        try load(&harness, [(7, 9..<10)], next: 8)
        #expect(harness.dispatched == [[9]])
    }

    @Test func whatMadeRoomIsCountedOnceAndWhatIsInMemoryIsSent() throws {
        let bytes = try Samples.spans(1..<2, padding: 1000).heldBytes
        var harness = harness {
            $0.queue.maximumBytes = bytes
            $0.queue.dropsOldest = true
        }
        for serial in 1...4 {
            try harness.enqueue(serial..<serial + 1, token: serial, padding: 1000)
            complete(&harness, UInt64(serial))
        }
        let records = (1...3).map { LogDrop.Record(sequence: $0, items: 1, bytes: 1000) }
        harness.run(harness.machine.dropped(below: 4, records, now: harness.now))
        #expect(harness.events.contains { if case .sendFailed(2, .overflow, _) = $0 { true } else { false } })
        #expect(harness.dispatched == [[1]])
        harness.complete()
        #expect(harness.loads.first?.from == 4)
        try load(&harness, [(4, 4..<5)], next: 5)
        harness.complete()
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func aDiskThatCannotBeReadIsAskedAgain() throws {
        var harness = Harness { $0.queue.storage = ComponentID(type: "file_storage") }
        harness.run(harness.machine.recovered(1..<2, units: 1, now: harness.now))
        harness.loads.removeFirst()
        harness.run(harness.machine.loadFailed(now: harness.now))
        #expect(harness.loads.isEmpty)
        harness.advance(QueueSettings.storageRetry)
        #expect(harness.loads.first?.from == 1)
        harness.run(harness.machine.loaded([], next: 2, lost: [1], now: harness.now))
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func partitionsComeBackAsTheyWere() {
        let keys: [PartitionKey] = [[:], ["a": []], ["b": ["a", ""], "a": [], "": ["ü"]], ["tenant": ["x"]]]
        for key in keys {
            let bytes = PartitionText.encode(key)
            bytes.withUnsafeBytes { #expect(PartitionText.decode($0) == key) }
            for end in 0..<bytes.count {
                // Cut anywhere: another key or none, never a trap.
                bytes.withUnsafeBytes { _ = PartitionText.decode(UnsafeRawBufferPointer(rebasing: $0[0..<end])) }
            }
        }
    }
}
