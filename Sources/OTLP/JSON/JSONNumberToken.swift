internal import Glibc

/// A number as JSON writes it, read exactly as far as 64 bits go.
struct JSONNumberToken {
    private(set) var isNegative = false
    /// The digits, point left out; meaningless when `isTooLong`.
    private var mantissa: UInt64 = 0
    /// More digits than fit in `mantissa`.
    private var isTooLong = false
    /// Power of ten that `mantissa` is multiplied by.
    private var exponent = 0
    /// No point and no exponent.
    private var isPlain = true
    private let start: UnsafePointer<UInt8>
    private var count = 0

    /// Longest text of a number, in bytes, that is not plain digits of 64 bits. Longer ones are refused.
    private static let maximumLength = 1023

    /// Reads at `cursor` and moves it past the number; nil, with `cursor` at the wrong byte, when there is none.
    init?(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) {
        start = cursor
        if cursor < end, cursor.pointee == UInt8(ascii: "-") {
            isNegative = true
            cursor += 1
        }
        let whole = cursor
        guard readDigits(&cursor, end) else { return nil }
        if whole.pointee == UInt8(ascii: "0"), cursor - whole > 1 {
            cursor = whole
            return nil
        }
        if cursor < end, cursor.pointee == UInt8(ascii: ".") {
            isPlain = false
            cursor += 1
            let fraction = cursor
            guard readDigits(&cursor, end) else { return nil }
            exponent = fraction - cursor
        }
        if cursor < end, cursor.pointee | 0x20 == UInt8(ascii: "e") {
            isPlain = false
            cursor += 1
            guard readExponent(&cursor, end) else { return nil }
        }
        count = cursor - start
    }

    private mutating func readDigits(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
        let first = cursor
        while cursor < end {
            let digit = cursor.pointee &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            let (shifted, overflow) = mantissa.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(UInt64(digit))
            if overflow || carry { isTooLong = true }
            mantissa = sum
            cursor += 1
        }
        return cursor > first
    }

    private mutating func readExponent(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
        var isNegativeExponent = false
        if cursor < end, cursor.pointee == UInt8(ascii: "-") || cursor.pointee == UInt8(ascii: "+") {
            isNegativeExponent = cursor.pointee == UInt8(ascii: "-")
            cursor += 1
        }
        let first = cursor
        var power = 0
        while cursor < end {
            let digit = cursor.pointee &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            // Far beyond any double; more digits change nothing.
            if power < 1_000_000 { power = power * 10 + Int(digit) }
            cursor += 1
        }
        exponent += isNegativeExponent ? -power : power
        return cursor > first
    }

    /// The value as an integer of at most 64 bits: sign and magnitude. Nil when out of range or not whole. With a
    /// point or an exponent, whole values below 2^53 are taken.
    var integer: (isNegative: Bool, magnitude: UInt64)? {
        if isPlain { return isTooLong ? nil : (isNegative, mantissa) }
        guard let value = double, value.magnitude < 9_007_199_254_740_992, value.rounded() == value else { return nil }
        return (isNegative, UInt64(value.magnitude))
    }

    /// The value as the nearest double; nil when it is too large for one, or its text too long.
    var double: Double? {
        if !isTooLong, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            // Both operands are exact, so the result is rounded once.
            let power = Self.power(exponent.magnitude)
            let value = exponent < 0 ? Double(mantissa) / power : Double(mantissa) * power
            return isNegative ? -value : value
        }
        guard count <= Self.maximumLength else { return nil }
        // strtod needs a terminated string; the process keeps the "C" locale.
        let value = withUnsafeTemporaryAllocation(of: CChar.self, capacity: count + 1) { copy -> Double in
            guard let base = copy.baseAddress else { return .nan }
            memcpy(base, start, count)
            base[count] = 0
            return strtod(base, nil)
        }
        return value.isFinite ? value : nil
    }

    private static func power(_ exponent: UInt) -> Double {
        var power = 1.0
        for _ in 0..<exponent { power *= 10 }
        return power
    }
}
