import OTLP
import Synchronization
import Testing

@testable import Delivery
@testable import Pipeline

/// What a full queue says about requests before they are read.
@Suite struct AdmissionTests {
    private let client = ClientKey(hashing: 1)

    private func harness(size: Int, _ change: (inout DeliverySettings) -> Void = { _ in }) -> Harness {
        Harness {
            $0.queue.size = size
            $0.queue.consumers = 1
            change(&$0)
        }
    }

    private func fill(_ harness: inout Harness, padding: Int = 0) throws {
        var token = 1000
        while harness.refusal(token) == nil {
            token += 1
            try harness.enqueue(token..<token + 1, token: token, padding: padding, client: client)
        }
    }

    private func isRefused(_ answer: AdmissionAnswer) -> Bool {
        if case .refused(let error) = answer { return error.code == .queueFull && error.retryAfter != nil }
        return false
    }

    @Test func afterARefusalRequestsComeInAsPlacesBecomeFree() throws {
        var harness = harness(size: 80)
        #expect(harness.machine.expect(client, now: harness.now) == .open)
        try fill(&harness)
        #expect(isRefused(harness.machine.expect(client, now: harness.now)))
        for _ in 0..<3 { harness.complete() }
        for _ in 0..<3 { #expect(harness.machine.expect(client, now: harness.now) == .admitted) }
        #expect(isRefused(harness.machine.expect(client, now: harness.now)))
        // One of them never comes, another one does.
        harness.machine.arrived(client)
        harness.machine.arrived(client)
        try harness.enqueue(1..<2, token: 1, client: client)
        #expect(harness.machine.expect(client, now: harness.now) == .admitted)
        #expect(isRefused(harness.machine.expect(client, now: harness.now)))
    }

    @Test func withRoomEnoughNobodyIsAskedAgain() throws {
        var harness = harness(size: 80)
        try fill(&harness)
        for _ in 0..<10 { harness.complete() }
        #expect(harness.machine.expect(client, now: harness.now) == .admitted)
        harness.complete()
        harness.machine.arrived(client)
        #expect(harness.machine.expect(client, now: harness.now) == .open)
        #expect(harness.machine.shares.expected == 0)
    }

    @Test func bytesCountAsThoseOfTheLastThatFoundNoRoom() throws {
        let bytes = try Samples.spans(1..<2, padding: 1000).heldBytes
        var harness = harness(size: 1000) { $0.queue.maximumBytes = bytes * 80 + bytes / 2 }
        try fill(&harness, padding: 1000)
        #expect(isRefused(harness.machine.expect(client, now: harness.now)))
        harness.complete()
        #expect(harness.machine.expect(client, now: harness.now) == .admitted)
        #expect(isRefused(harness.machine.expect(client, now: harness.now)))
    }

    @Test func whoHasHisShareStaysOutside() throws {
        let other = try #require((2...9).map { ClientKey(hashing: $0) }.first { $0 != client })
        var harness = harness(size: 90)
        try harness.enqueue(1..<2, token: 1, client: other)
        try fill(&harness)
        #expect(isRefused(harness.machine.expect(client, now: harness.now)))
        #expect(harness.machine.expect(other, now: harness.now) == .admitted)
    }

    @Test func queuesThatLetSendersWaitAskNobody() throws {
        var harness = harness(size: 1) { $0.queue.blocksOnOverflow = true }
        try harness.enqueue(1..<2, token: 1, client: client)
        try harness.enqueue(2..<3, token: 2, client: client)
        #expect(harness.machine.expect(client, now: harness.now) == .open)
    }

    @Test func aQueueThatIsGoneKeepsNobodyOut() throws {
        var harness = harness(size: 1)
        try fill(&harness)
        harness.run(harness.machine.beginDrain(deadline: harness.now + .seconds(5), now: harness.now))
        #expect(harness.machine.expect(client, now: harness.now) == .open)
    }
}

@Suite struct AdmissionDoorTests {
    private final class Gate: AdmissionGate {
        let answer: Mutex<AdmissionAnswer>
        let inside = Mutex(0)
        let asked = Mutex(0)

        init(_ answer: AdmissionAnswer) { self.answer = Mutex(answer) }

        func enter(_ client: ClientKey) -> AdmissionAnswer {
            asked.withLock { $0 += 1 }
            let answer = answer.withLock { $0 }
            if answer == .admitted { inside.withLock { $0 += 1 } }
            return answer
        }

        func leave(_ client: ClientKey) { inside.withLock { $0 -= 1 } }
    }

    @Test func asksOnlyWhatRefused() throws {
        let door = AdmissionDoor()
        let gate = Gate(.admitted)
        #expect(try door.admit(.none) == nil && gate.asked.withLock { $0 } == 0)
        var error = ConsumeError(.queueFull, "full")
        door.note(error)
        #expect(try door.admit(.none) == nil)
        error.gate = gate
        Self.refuse(door, error)
        var ticket = try door.admit(.none)
        let second = try door.admit(.none)
        #expect(gate.inside.withLock { $0 } == 2)
        ticket?.leave()
        ticket?.leave()
        #expect(gate.inside.withLock { $0 } == 1)
        ticket = nil
        #expect(gate.inside.withLock { $0 } == 1)
        gate.answer.withLock { $0 = .refused(error) }
        #expect(throws: error) { try door.admit(.none) }
        withExtendedLifetime(second) {}
        gate.answer.withLock { $0 = .open }
        #expect(try door.admit(.none) == nil)
        gate.answer.withLock { $0 = .refused(error) }
        #expect(try door.admit(.none) == nil)
    }

    /// As often as it takes for the gate to be asked.
    private static func refuse(_ door: AdmissionDoor, _ error: ConsumeError) {
        for _ in 0...AdmissionDoor.refusalsPerSecond { door.note(error) }
    }

    @Test func aRefusalNowAndThenIsNoReasonToAsk() throws {
        let clock = Mutex(ContinuousClock.now)
        let door = AdmissionDoor(clock: { clock.withLock { $0 } })
        let gate = Gate(.admitted)
        var error = ConsumeError(.queueFull, "full")
        error.gate = gate
        for _ in 0..<100 {
            door.note(error)
            clock.withLock { $0 += .milliseconds(50) }
        }
        #expect(try door.admit(.none) == nil && gate.asked.withLock { $0 } == 0)
        Self.refuse(door, error)
        #expect(try door.admit(.none) != nil)
    }

    @Test func aRequestThatEndsEarlyLeaves() throws {
        let door = AdmissionDoor()
        let gate = Gate(.admitted)
        var error = ConsumeError(.queueFull, "full")
        error.gate = gate
        Self.refuse(door, error)
        let budget = MemoryBudget(limit: 100, spike: 0)
        var lease = try budget.lease(10, ticket: door.admit(.none))
        #expect(gate.inside.withLock { $0 } == 1 && lease != nil)
        lease = nil
        #expect(gate.inside.withLock { $0 } == 0)
    }
}
