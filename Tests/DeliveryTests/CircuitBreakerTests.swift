import OTLP
import Pipeline
import Testing

@testable import Delivery

/// A destination that keeps failing is tried by one request at a time.
@Suite struct CircuitBreakerTests {
    private func harness(consumers: Int = 10, failures: Int = 3) -> Harness {
        Harness {
            $0.queue.consumers = consumers
            $0.retry.initialInterval = .seconds(1)
            $0.retry.maxInterval = .seconds(1)
            $0.retry.breakerFailures = failures
        }
    }

    private func fail(_ harness: inout Harness, _ count: Int) {
        for _ in 0..<count { harness.complete(0, .retryable("down", after: nil)) }
    }

    @Test func itOpensAfterARowOfFailuresAndOneRequestTries() throws {
        var harness = harness()
        for serial in 1...6 { try harness.enqueue(serial..<serial + 1, token: serial) }
        #expect(harness.inFlight.count == 6)
        fail(&harness, 3)
        #expect(harness.machine.status.breaker == .open)
        #expect(harness.events.contains(.breaker(isOpen: true, reason: "down")))
        fail(&harness, 3)
        try harness.enqueue(7..<8, token: 7)
        #expect(harness.inFlight.isEmpty, "a new request does not try a dead destination")
        harness.advance(.milliseconds(1001))
        #expect(harness.inFlight.count == 1)
        #expect(harness.machine.status.breaker == .probing)
        fail(&harness, 1)
        #expect(harness.inFlight.isEmpty && harness.machine.status.breaker == .open)
        harness.advance(.milliseconds(1001))
        harness.complete()
        #expect(harness.machine.status.breaker == .closed)
        #expect(harness.inFlight.count == 6, "all go on at once")
        #expect(harness.events.contains { if case .breaker(false, _) = $0 { true } else { false } })
        while !harness.inFlight.isEmpty { harness.complete() }
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func aSingleAnswerResetsTheRow() throws {
        var harness = harness()
        for serial in 1...6 { try harness.enqueue(serial..<serial + 1, token: serial) }
        fail(&harness, 2)
        harness.complete(0, .permanent("no"))
        fail(&harness, 2)
        #expect(harness.machine.status.breaker == .closed)
    }

    @Test func itCanBeTurnedOff() throws {
        var harness = harness(failures: 0)
        for serial in 1...10 { try harness.enqueue(serial..<serial + 1, token: serial) }
        fail(&harness, 10)
        #expect(harness.machine.status.breaker == .closed)
        harness.advance(.seconds(2))
        #expect(harness.inFlight.count == 10)
    }

    @Test func whatIsHeldBackTooLongIsGivenUp() throws {
        var harness = harness()
        harness.settings.retry.maxElapsedTime = .seconds(5)
        harness.machine = Harness.Machine(signal: .traces, settings: harness.settings, seed: 1)
        for serial in 1...4 { try harness.enqueue(serial..<serial + 1, token: serial) }
        fail(&harness, 4)
        for _ in 0..<10 {
            harness.advance(.seconds(1))
            if !harness.inFlight.isEmpty { fail(&harness, 1) }
        }
        let given = harness.events.count { if case .sendFailed(_, .exhausted, _) = $0 { true } else { false } }
        #expect(given == 4)
        #expect(harness.machine.status.queueSize == 0)
    }

    @Test func aDrainTriesEverythingOnce() throws {
        var harness = harness()
        for serial in 1...5 { try harness.enqueue(serial..<serial + 1, token: serial) }
        fail(&harness, 5)
        harness.drain(.seconds(30))
        #expect(harness.inFlight.count == 5)
        while !harness.inFlight.isEmpty { harness.complete() }
        #expect(harness.reports.first?.sent == 5)
    }

    @Test func theProbeThatIsNeverAnsweredIsGivenUp() throws {
        var harness = harness()
        for serial in 1...3 { try harness.enqueue(serial..<serial + 1, token: serial) }
        fail(&harness, 3)
        harness.advance(.milliseconds(1001))
        #expect(harness.inFlight.count == 1)
        // The attempt's time-out and the grace pass.
        harness.advance(harness.settings.timeout + Harness.Machine.attemptGrace + .milliseconds(1))
        #expect(harness.machine.status.breaker != .closed)
        harness.advance(.seconds(2))
        #expect(harness.inFlight.count == 2, "another probe")
    }
}
