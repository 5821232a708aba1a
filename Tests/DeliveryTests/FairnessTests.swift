import OTLP
import Testing

@testable import Config
@testable import Delivery
@testable import Pipeline

/// A client that sends too much, and one that does not.
@Suite struct FairnessTests {
    private let greedy = ClientKey(identity: ClientIdentity(metadata: ["tenant": ["greedy"]]), address: nil)
    private let modest = Self.other(than: ClientIdentity(metadata: ["tenant": ["greedy"]]).key)

    /// A client with another number.
    private static func other(than key: ClientKey) -> ClientKey {
        var number = 0
        while ClientKey(hashing: number) == key { number += 1 }
        return ClientKey(hashing: number)
    }

    private func harness(size: Int, _ change: (inout DeliverySettings) -> Void = { _ in }) -> Harness {
        Harness {
            $0.queue.size = size
            $0.queue.consumers = 1
            change(&$0)
        }
    }

    /// Sends until the client is refused, and says how many were taken.
    private func fill(_ harness: inout Harness, _ client: ClientKey, from token: Int, padding: Int = 0) throws -> Int {
        for count in 0... {
            let token = token + count
            try harness.enqueue(token..<token + 1, token: token, padding: padding, client: client)
            if harness.refusal(token) == .queueFull { return count }
        }
        return 0
    }

    @Test func aloneAClientHasTheWholeQueue() throws {
        var harness = harness(size: 50)
        #expect(try fill(&harness, greedy, from: 1) == 50)
        var unknown = self.harness(size: 50)
        #expect(try fill(&unknown, .none, from: 1) == 50)
    }

    @Test func besideOthersItLeavesRoom() throws {
        var harness = harness(size: 90)
        try harness.enqueue(1..<2, token: 1, client: modest)
        let taken = try fill(&harness, greedy, from: 100)
        #expect((75...80).contains(taken))
        for token in 2...5 {
            try harness.enqueue(token..<token + 1, token: token, client: modest)
            #expect(harness.accepted(token))
        }
        #expect(try fill(&harness, greedy, from: 1000) == 0)
        #expect(harness.settled[1000]?[0]?.message.contains("share") == true)
    }

    @Test func whatALoneClientTookIsNotGivenBackToItOnceThereIsAnother() throws {
        var harness = harness(size: 90)
        #expect(try fill(&harness, greedy, from: 100) == 90)
        try harness.enqueue(1..<2, token: 1, client: modest)
        #expect(harness.refusal(1) == .queueFull)
        for _ in 0..<5 { harness.complete() }
        #expect(try fill(&harness, greedy, from: 1000) == 0)
        #expect(try fill(&harness, modest, from: 2000) == 5)
    }

    @Test func afterAWhileWithoutOthersItIsAlone() throws {
        var harness = harness(size: 90)
        try harness.enqueue(1..<2, token: 1, client: modest)
        let taken = try fill(&harness, greedy, from: 100)
        harness.now += .seconds(9)
        #expect(try fill(&harness, greedy, from: 1000) == 0)
        harness.now += .seconds(1)
        #expect(try fill(&harness, greedy, from: 2000) == 90 - 1 - taken)
    }

    @Test func bytesAreSharedToo() throws {
        let bytes = try Samples.spans(1..<2, padding: 1000).heldBytes
        var harness = harness(size: 1000) { $0.queue.maximumBytes = bytes * 90 }
        try harness.enqueue(1..<2, token: 1, padding: 1000, client: modest)
        let taken = try fill(&harness, greedy, from: 100, padding: 1000)
        #expect((75...80).contains(taken))
        try harness.enqueue(2..<3, token: 2, padding: 1000, client: modest)
        #expect(harness.accepted(2))
    }

    @Test func waitersAreSharedToo() throws {
        var harness = harness(size: 1) { $0.queue.blocksOnOverflow = true }
        try harness.enqueue(1..<2, token: 1, client: modest)
        let waiting = try fill(&harness, greedy, from: 10)
        #expect(waiting < QueueSettings.maximumWaiters * 9 / 10)
        try harness.enqueue(5..<6, token: 5, client: modest)
        #expect(harness.settled[5] == nil)
    }

    @Test func recordsOnTheDiskCountForWhoSentThem() throws {
        let bytes = try Samples.spans(1..<2).heldBytes
        var harness = harness(size: 90) {
            $0.queue.storage = ComponentID(type: "file_storage")
            $0.queue.maximumBytes = bytes * 2
        }
        harness.run(harness.machine.recovered(1..<1, units: 0, now: harness.now))
        var sequence: UInt64 = 0
        func store() {
            while !harness.appends.isEmpty {
                sequence += 1
                let id = harness.appends.removeFirst().id
                harness.run(harness.machine.appended(id, sequence: sequence, now: harness.now))
            }
        }
        try harness.enqueue(1..<2, token: 1, client: modest)
        store()
        var taken = 0
        while true {
            let token = 100 + taken
            try harness.enqueue(token..<token + 1, token: token, client: greedy)
            if harness.refusal(token) == .queueFull { break }
            store()
            taken += 1
        }
        #expect((75...80).contains(taken))
        #expect(harness.machine.shares.holdings[greedy.index].units == taken)
        // All are read back and delivered: nobody holds anything.
        while harness.machine.status.queueSize > 0 {
            if let load = harness.loads.first {
                harness.loads.removeFirst()
                let token = Int(load.from) + 98
                let found = BatchOnDisk(sequence: load.from, try Samples.spans(token..<token + 1), partition: [:])
                harness.run(harness.machine.loaded([found], next: load.from + 1, lost: [], now: harness.now))
            }
            if !harness.inFlight.isEmpty { harness.complete() }
        }
        #expect(harness.machine.shares.holdings.allSatisfy { $0 == ClientShares.Holding() })
    }

    @Test func sendersComeAgainWhenThereWillBeRoom() throws {
        var speed = DrainSpeed()
        let start = ContinuousClock.now
        func wait(_ held: Int, _ settled: Int, at seconds: Double) -> Duration {
            speed.wait(held: held, settled: settled, now: start + .seconds(seconds))
        }
        #expect(wait(1000, 0, at: 0) == .seconds(1))
        // 50 a second.
        #expect(wait(1000, 100, at: 2) == .seconds(20))
        #expect(wait(1000, 110, at: 2.5) == .seconds(20))
        #expect(wait(1000, 5100, at: 3) == .seconds(1))
        // Nothing moves any more.
        #expect(wait(1000, 5100, at: 3.5) == .seconds(1))
        #expect(wait(1000, 5100, at: 10) == .seconds(7))
        #expect(wait(1000, 5100, at: 40) == .seconds(30))
        #expect(wait(1000, 5101, at: 41) == .seconds(30))
        // Long ago.
        #expect(wait(1000, 5101, at: 200) == .seconds(1))
    }
}
