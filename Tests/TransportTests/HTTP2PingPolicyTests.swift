import NIOCore
import Testing

@testable import Transport

@Suite struct HTTP2PingPolicyTests {
    private func policy(_ change: (inout HTTP2ServerSettings) -> Void = { _ in }) -> HTTP2PingPolicy {
        var settings = HTTP2ServerSettings()
        change(&settings)
        return HTTP2PingPolicy(settings: settings)
    }

    private func at(_ seconds: UInt64) -> NIODeadline { .uptimeNanoseconds(seconds * 1_000_000_000) }

    @Test func threeStrikesEndIt() {
        var policy = policy()
        var taken: [Bool] = []
        for number in 0..<5 as Range<UInt64> { taken.append(policy.take(at(number), isIdle: false)) }
        #expect(taken == [true, true, true, false, false])
    }

    @Test func patientClientsMayPing() {
        var policy = policy { $0.minimumPingInterval = .seconds(10) }
        var taken: [Bool] = []
        for number in 0..<100 as Range<UInt64> { taken.append(policy.take(at(number * 10), isIdle: false)) }
        #expect(taken.allSatisfy { $0 })
        // Without a request that is too often.
        taken = []
        for number in 0..<3 as Range<UInt64> { taken.append(policy.take(at(2000 + number * 10), isIdle: true)) }
        #expect(taken == [true, true, false])
        var lenient = self.policy {
            $0.minimumPingInterval = .seconds(10)
            $0.permitsPingWithoutStream = true
        }
        taken = []
        for number in 0..<100 as Range<UInt64> { taken.append(lenient.take(at(number * 10), isIdle: true)) }
        #expect(taken.allSatisfy { $0 })
    }

    @Test func answersMakeGood() {
        var policy = policy()
        for number in 0..<100 as Range<UInt64> {
            let isTaken = policy.take(at(number), isIdle: false)
            #expect(isTaken)
            policy.answered()
        }
    }
}
