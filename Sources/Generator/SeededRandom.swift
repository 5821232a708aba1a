internal import Glibc

/// SplitMix64: the same seed gives the same numbers on every machine.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Any seed is as good as any other.
    package init(seed: UInt64) { state = seed }

    /// Any of all 64-bit numbers.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Never zero, as ids must not be.
    mutating func identifier() -> UInt64 { max(1, next()) }

    /// From 0 to `bound` - 1; 0 for a bound below 1.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(max(1, bound))).high) }

    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// Within `range`, whose lower bound is at least 1; small values are as frequent as large ones by order of
    /// magnitude, as sizes and durations are.
    mutating func skewed(_ range: ClosedRange<Int>) -> Int {
        let fraction = Double(next() >> 11) * 0x1p-53
        let low = Double(range.lowerBound)
        return min(Int(low * pow(Double(range.upperBound) / low, fraction)), range.upperBound)
    }

    /// True in `permille` of 1000 cases.
    mutating func chance(_ permille: Int) -> Bool { below(1000) < permille }
}
