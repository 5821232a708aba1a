/// Exact decimal text to and from scaled integers: no floating point in between.
package enum DecimalText {
    /// Why a text is not a usable decimal.
    package enum Failure: Error, Sendable, Equatable {
        /// It is no decimal number: `[+-]digits[.digits][e[+-]digits]`.
        case malformed
        /// It has digits beyond the scale, so that it cannot be kept exactly.
        case tooPrecise
        /// It is beyond what the integer holds, or longer than `maximumLength`.
        case outOfRange
    }

    /// Bytes of a text that is looked at.
    package static let maximumLength = 64
    /// The largest scale, which 10^38 < 2^127 bounds.
    package static let maximumScale = 38

    /// The number in `text` times 10^`scale`, exactly. `scale` is in 0...`maximumScale`. With `isRounding`, digits beyond
    /// the scale are rounded half to even instead of refused: for data that went through binary floating point.
    package static func parse(
        _ text: UnsafeRawBufferPointer, scale: Int, isRounding: Bool = false
    ) throws(Failure) -> Int128 {
        guard text.count <= maximumLength, (0...maximumScale).contains(scale) else { throw .outOfRange }
        var at = 0
        var isNegative = false
        if at < text.count, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") {
            isNegative = text[at] == UInt8(ascii: "-")
            at += 1
        }
        var digits: Int128 = 0
        var pendingZeros = 0
        var exponent = 0
        var digitCount = 0
        var sawPoint = false
        while at < text.count {
            let byte = text[at]
            if byte == UInt8(ascii: "."), !sawPoint {
                sawPoint = true
            } else if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                digitCount += 1
                if sawPoint { exponent -= 1 }
                // Zeros are taken in only when a digit follows, so that 1.000000… never overflows.
                if byte == UInt8(ascii: "0") {
                    pendingZeros += 1
                } else {
                    digits = try shifted(digits, by: pendingZeros + 1)
                    let (sum, overflow) = digits.addingReportingOverflow(Int128(byte - UInt8(ascii: "0")))
                    guard !overflow else { throw .outOfRange }
                    digits = sum
                    pendingZeros = 0
                }
            } else {
                break
            }
            at += 1
        }
        guard digitCount > 0 else { throw .malformed }
        if at < text.count { exponent += try exponentPart(text, at) }
        guard digits != 0 else { return 0 }
        let shift = exponent + pendingZeros + scale
        if shift >= 0 {
            let value = try shifted(digits, by: shift)
            return isNegative ? -value : value
        }
        guard isRounding else { throw .tooPrecise }
        guard shift >= -maximumScale else { return 0 }
        let rounded = Money.divided(digits, by: try shifted(1, by: -shift))
        return isNegative ? -rounded : rounded
    }

    /// The same for a string.
    package static func parse(
        _ text: some StringProtocol, scale: Int, isRounding: Bool = false
    ) throws(Failure) -> Int128 {
        let bytes = Array(text.utf8.prefix(maximumLength + 1))
        return try bytes.withUnsafeBufferPointer { buffer throws(Failure) in
            try parse(UnsafeRawBufferPointer(buffer), scale: scale, isRounding: isRounding)
        }
    }

    private static func exponentPart(_ text: UnsafeRawBufferPointer, _ start: Int) throws(Failure) -> Int {
        var at = start
        guard text[at] | 0x20 == UInt8(ascii: "e") else { throw .malformed }
        at += 1
        var isNegative = false
        if at < text.count, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") {
            isNegative = text[at] == UInt8(ascii: "-")
            at += 1
        }
        guard at < text.count else { throw .malformed }
        var value = 0
        while at < text.count {
            guard text[at] >= UInt8(ascii: "0"), text[at] <= UInt8(ascii: "9") else { throw .malformed }
            value = value * 10 + Int(text[at] - UInt8(ascii: "0"))
            guard value <= 1000 else { throw isNegative ? .tooPrecise : .outOfRange }
            at += 1
        }
        return isNegative ? -value : value
    }

    private static func shifted(_ value: Int128, by places: Int) throws(Failure) -> Int128 {
        if value == 0 { return 0 }
        guard places <= maximumScale else { throw .outOfRange }
        var result = value
        for _ in 0..<places {
            let (product, overflow) = result.multipliedReportingOverflow(by: 10)
            guard !overflow else { throw .outOfRange }
            result = product
        }
        return result
    }

    /// `value` / 10^`scale` as a plain decimal (no exponent), without zeros at its end, but with at least
    /// `minimumFractionDigits` after the point.
    package static func string(_ value: Int128, scale: Int, minimumFractionDigits: Int = 0) -> String {
        var magnitude = value.magnitude
        var reversed: [UInt8] = []
        var position = 0
        while magnitude > 0 || position <= scale {
            if position == scale, scale > 0 { reversed.append(UInt8(ascii: ".")) }
            let (quotient, digit) = magnitude.quotientAndRemainder(dividingBy: 10)
            let isSuperfluous = digit == 0 && reversed.isEmpty && position < scale - minimumFractionDigits
            if !isSuperfluous { reversed.append(UInt8(ascii: "0") + UInt8(digit)) }
            magnitude = quotient
            position += 1
        }
        if reversed.first == UInt8(ascii: ".") { reversed.removeFirst() }
        if value < 0 { reversed.append(UInt8(ascii: "-")) }
        return String(decoding: reversed.reversed(), as: UTF8.self)
    }
}
