import Testing

@testable import Telemetry

@Suite struct SteadyTimeTests {
    private static let day: Int64 = 86_400_000_000_000

    @Test func itGoesOn() {
        let first = SteadyTime.now()
        #expect(first > 1_600_000_000_000_000_000)
        #expect(SteadyTime.now() >= first)
        #expect(SteadyTime.correction().magnitude < UInt64(Self.day))
    }

    @Test(
        arguments: [
            (0, 0, 0), (0, 9_999_999_999, 0), (0, -9_999_999_999, 0), (0, 10_000_000_001, 10_000_000_001),
            (0, day, day), (0, -day, -day), (day, day + 5, day), (day, 0, 0), (-day, day, day),
            (.max, .min, .min), (.min, .max, .max),
        ] as [(Int64, Int64, Int64)])
    func itFollowsJumpsOnly(present: Int64, difference: Int64, result: Int64) {
        #expect(SteadyTime.follow(present, difference) == result)
    }
}
