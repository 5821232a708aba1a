import Config
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Extensions

@Suite struct AuthFailuresTests {
    private let environment = TestEnvironment()

    private func failures(limit: Int) throws -> AuthFailures {
        AuthFailures(environment.components, id: try ComponentID.parse("auth"), challenge: "Bearer", limit: limit)
    }

    @Test func aPeerIsLimitedForAMinute() throws {
        let failures = try failures(limit: 3)
        let start = ContinuousClock.now
        for number in 1...5 {
            let now = start + .seconds(number)
            #expect(failures.isLimited("10.0.0.1", now: now) == (number > 3))
            #expect(failures.refuse(.rejected, peer: "10.0.0.1", now: now).closes == (number > 3))
        }
        #expect(!failures.isLimited("10.0.0.2", now: start + .seconds(5)))
        #expect(failures.isLimited("10.0.0.1", now: start + .seconds(60)))
        #expect(!failures.isLimited("10.0.0.1", now: start + .seconds(61)))
        #expect(!failures.refuse(.rejected, peer: "10.0.0.1", now: start + .seconds(62)).closes)
    }

    @Test func theTableIsBounded() throws {
        let failures = try failures(limit: 1)
        let start = ContinuousClock.now
        for number in 0..<20_000 {
            _ = failures.refuse(.rejected, peer: "peer \(number)", now: start + .milliseconds(number))
        }
        // The last ones are remembered, the first ones are not.
        #expect(failures.isLimited("peer 19999", now: start + .seconds(20)))
        #expect(!failures.isLimited("peer 0", now: start + .seconds(20)))
    }

    @Test func countsByReasonAndLogsAtABoundedRate() throws {
        let failures = try failures(limit: 1000)
        let start = ContinuousClock.now
        for number in 0..<100 { _ = failures.refuse(.missing, peer: "p", now: start + .milliseconds(number)) }
        _ = failures.refuse(.rejected, peer: "p", now: start + .seconds(2))
        let text = environment.metrics.prometheusText()
        let name = "martlet_extension_auth_failures_total"
        for (reason, count) in [("missing", 100), ("rejected", 1), ("malformed", 0)] {
            #expect(
                text.split(separator: "\n").contains { line in
                    line == "\(name){extension=\"auth\",reason=\"\(reason)\"} \(count)"
                })
        }
        #expect(environment.log.lines.count == 2)
        #expect(environment.log.lines.last?.fields["not_logged_before"] == "99")
    }
}
