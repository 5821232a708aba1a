extension JSONTextWriter {
    /// A double in the shortest form that reads back the same; NaN and the infinities as quoted names. Needs
    /// `fieldRoom`.
    mutating func put(double value: Double) {
        guard value.isFinite else {
            put(value.isNaN ? "\"NaN\"" : value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
            return
        }
        let magnitude = value.magnitude
        if value.sign == .minus { put(UInt8(ascii: "-")) }
        // Longer integers are shorter with an exponent.
        if magnitude < 1e16 {
            let whole = UInt64(magnitude)
            if Double(whole) == magnitude {
                put(unsigned: whole)
                // "-0" would be read as an integer without a sign.
                if whole == 0, value.sign == .minus { put(".0") }
                return
            }
            if magnitude >= 1e-4, put(fraction: magnitude) { return }
        }
        for byte in magnitude.description.utf8 { put(byte) }
    }

    /// Writes `value` when it is n / 10^k with n below 2^53 and k up to 9. Such a quotient of two exact doubles is
    /// rounded once, just as a reader rounds the decimal text, so the smallest k that gives `value` back is its
    /// shortest text.
    private mutating func put(fraction value: Double) -> Bool {
        var scale = 10.0
        var digits = 1
        while digits <= 9 {
            let scaled = (value * scale).rounded()
            guard scaled < 9_007_199_254_740_992 else { return false }
            if scaled / scale == value {
                let unit = UInt64(scale)
                let (whole, part) = UInt64(scaled).quotientAndRemainder(dividingBy: unit)
                put(unsigned: whole)
                // The digit 1 in front keeps the leading zeros; the point replaces it.
                put(unsigned: unit + part)
                replace(last: digits + 1, with: UInt8(ascii: "."))
                return true
            }
            scale *= 10
            digits += 1
        }
        return false
    }
}
