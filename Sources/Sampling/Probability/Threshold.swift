package import OTLP

/// A rejection threshold: of the 2^56 values that randomness can have, how many are not kept.
///
/// OpenTelemetry, "TraceState: Probability Sampling": an item is kept when its randomness is at least the threshold, and
/// each kept one then stands for `adjustedCount` items. Larger thresholds keep less.
package struct Threshold: Equatable, Comparable, Sendable {
    /// 2^56: the number of values of randomness, and the bound of `rejected`.
    package static let range: UInt64 = 1 << 56
    /// Hexadecimal digits of a threshold in full.
    package static let maximumDigits = 14
    /// Keeps everything: probability 1.
    package static let always = Threshold(unchecked: 0)
    /// Keeps nothing. It has no text form: what has it does not exist downstream.
    package static let never = Threshold(unchecked: range)
    /// The smallest probability that a threshold expresses, 2^-56.
    package static let minimumProbability = 0x1p-56

    /// Rejected values of randomness, from 0 to 2^56.
    package let rejected: UInt64

    private init(unchecked rejected: UInt64) { self.rejected = rejected }

    /// Nil beyond 2^56.
    package init?(rejected: UInt64) {
        guard rejected <= Self.range else { return nil }
        self.rejected = rejected
    }

    /// The threshold of a probability.
    ///
    /// - Parameter precision: significant hexadecimal digits, from 1 to 14 (others are clamped). Leading digits `0` or
    ///   `f` do not count, so that probabilities near 1 and near 0 keep their precision.
    /// - Returns: nil below 2^-56, above 1 and for NaN.
    package init?(probability: Double, precision: Int = maximumDigits) {
        guard probability >= Self.minimumProbability, probability <= 1 else { return nil }
        guard probability < 1 else {
            self = .always
            return
        }
        // Exponents as of a fraction in 0.5..<1: each further 4 below 0 is one more leading 0 or f.
        let leading = max(-(probability.exponent + 1), -((1 - probability).exponent + 1)) / 4
        let digits = min(Self.maximumDigits, max(1, precision) + max(0, leading))
        var rejected = Self.range - UInt64((probability * 0x1p56).rounded())
        let dropped = UInt64(4 * (Self.maximumDigits - digits))
        if dropped > 0 { rejected = ((rejected + 1 << (dropped - 1)) >> dropped) << dropped }
        self.rejected = min(rejected, Self.range)
    }

    /// Reads `th`: 1 to 14 hexadecimal digits, of which trailing zeros may be left out. Nil for anything else. Capitals
    /// are read too, as the reference implementation does; they are never written.
    package init?(digits: UnsafeRawBufferPointer) {
        guard (1...Self.maximumDigits).contains(digits.count), let value = hexadecimal(digits) else { return nil }
        rejected = value << UInt64(4 * (Self.maximumDigits - digits.count))
    }

    /// Whether `left` keeps more.
    package static func < (left: Threshold, right: Threshold) -> Bool { left.rejected < right.rejected }

    /// Whether an item of this randomness is kept: R >= T.
    package func keeps(_ randomness: Randomness) -> Bool { randomness.value >= rejected }

    /// The share that is kept, from 0 (`never`) to 1.
    package var probability: Double { Double(Self.range - rejected) * 0x1p-56 }

    /// How many items a kept one stands for: 1 / probability; 0 for `never`.
    package var adjustedCount: Double { self == .never ? 0 : 0x1p56 / Double(Self.range - rejected) }

    /// The threshold that keeps `ratio` of what this one keeps; `never` when that is less than 2^-56. `precision` is as
    /// in `init(probability:precision:)`, `ratio` from 0 to 1.
    package func keeping(_ ratio: Double, precision: Int = maximumDigits) -> Threshold {
        Threshold(probability: probability * ratio, precision: precision) ?? .never
    }

    /// Appends the value of `th`: `0`, or up to 14 lower-case digits without trailing zeros; nothing for `never`.
    package func append(to writer: inout WireWriter) {
        guard self != .never else { return }
        let zeros = Self.maximumDigits - digitCount
        appendHexadecimal(rejected >> UInt64(4 * zeros), digits: digitCount, to: &writer)
    }

    /// Digits of the text form, from 1 to 14.
    var digitCount: Int { max(1, Self.maximumDigits - rejected.trailingZeroBitCount / 4) }
}

/// The number that `digits` write, at most 15 of them; nil when there is anything but hexadecimal digits.
@inline(__always)
func hexadecimal(_ digits: UnsafeRawBufferPointer) -> UInt64? {
    var value: UInt64 = 0
    for byte in digits {
        let lower = byte | 0x20
        switch byte {
        case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
        default:
            guard (0x61...0x66).contains(lower) else { return nil }
            value = value << 4 | UInt64(lower - 0x57)
        }
    }
    return value
}

/// Appends the lowest `digits` hexadecimal digits of `value`, in lower case.
@inline(__always)
func appendHexadecimal(_ value: UInt64, digits: Int, to writer: inout WireWriter) {
    guard let target = writer.appendUninitialized(digits) else { return }
    for position in 0..<digits {
        let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * (digits - 1 - position)) & 0xF)
        target.storeBytes(of: digit < 10 ? digit + 0x30 : digit + 0x57, toByteOffset: position, as: UInt8.self)
    }
}
