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
        #expect((0..<3).map { policy.take(at($0), isIdle: false) } == [true, true, true])
        #expect(!policy.take(at(3), isIdle: false))
    }

    @Test func patientClientsMayPing() {
        var policy = policy { $0.minimumPingInterval = .seconds(10) }
        for number in 0..<100 as Range<UInt64> { #expect(policy.take(at(number * 10), isIdle: false)) }
        // Without a request that is too often.
        #expect((0..<3).map { policy.take(at(2000 + $0 * 10), isIdle: true) } == [true, true, false])
        var lenient = self.policy {
            $0.minimumPingInterval = .seconds(10)
            $0.permitsPingWithoutStream = true
        }
        for number in 0..<100 as Range<UInt64> { #expect(lenient.take(at(number * 10), isIdle: true)) }
    }

    @Test func answersMakeGood() {
        var policy = policy()
        for number in 0..<100 as Range<UInt64> {
            #expect(policy.take(at(number), isIdle: false))
            policy.answered()
        }
    }
}
