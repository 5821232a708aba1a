/// Counts of latencies, in buckets that are at most 1/32 wide of their value. 10 KB, whatever is recorded.
package struct LatencyHistogram: Sendable {
    /// Buckets for each doubling, as a power of two.
    private static let precision = 5
    /// Longest latency that is told from longer ones: 2^40 microseconds, 12 days.
    private static let maximum: UInt64 = (1 << 40) - 1

    private var counts = [Int](repeating: 0, count: Self.index(Self.maximum) + 1)
    /// Latencies recorded.
    package private(set) var total = 0

    package init() {}

    /// Counts one latency; those beyond 12 days count as 12 days.
    package mutating func record(microseconds: UInt64) {
        counts[Self.index(min(microseconds, Self.maximum))] += 1
        total += 1
    }

    /// Microseconds that `percent` of the latencies do not pass, exact to the bucket; nil when there are none.
    package func percentile(_ percent: Double) -> UInt64? {
        guard total > 0 else { return nil }
        let wanted = max(1, Int((Double(total) * percent / 100).rounded(.up)))
        var seen = 0
        for (index, count) in counts.enumerated() {
            seen += count
            if seen >= wanted { return Self.upperBound(index) }
        }
        return Self.maximum
    }

    private static func index(_ value: UInt64) -> Int {
        let exponent = 63 - (value | 1).leadingZeroBitCount
        guard exponent >= precision else { return Int(value) }
        let step = exponent - precision
        return (step + 1) << precision + Int(value >> UInt64(step)) & (1 << precision - 1)
    }

    /// The largest value of a bucket.
    private static func upperBound(_ index: Int) -> UInt64 {
        guard index >= 1 << precision else { return UInt64(index) }
        let step = UInt64(index >> precision - 1)
        let first = UInt64(1 << precision | index & (1 << precision - 1)) << step
        return first + (1 << step) - 1
    }
}
