/// Durations as Go writes them, which is how configurations write them: `1.5s`, `200ms`, `1h30m`, `0`.
package enum DurationText {
    /// Why a text is no duration; a sentence part.
    package struct Malformed: Error, Sendable, CustomStringConvertible {
        /// The reason and the remedy.
        package let description: String
    }

    /// Units and their nanoseconds; both micro signs are in use.
    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("ns", 1), ("us", 1000), ("\u{B5}s", 1000), ("\u{3BC}s", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// Reads a Go duration: an optional sign, then numbers with an optional fraction and a unit of ns, us, µs, ms, s,
    /// m or h; or `0` alone. Exact to the nanosecond, and within 64 bits of them (292 years); fractions of a
    /// nanosecond are cut off.
    package static func parse(_ text: String) throws(Malformed) -> Duration {
        var rest = Substring(text).utf8
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        if rest.elementsEqual("0".utf8) { return .zero }
        guard !rest.isEmpty else { throw Malformed(description: "is no duration; write one such as 30s or 1m30s") }
        var total: UInt64 = 0
        while !rest.isEmpty {
            let (value, overflow) = total.addingReportingOverflow(try element(&rest))
            guard !overflow, value <= UInt64(Int64.max) else { throw tooLong }
            total = value
        }
        let nanoseconds = Int64(total)
        return .nanoseconds(isNegative ? -nanoseconds : nanoseconds)
    }

    private static let tooLong = Malformed(description: "is longer than a duration can be (about 292 years)")

    /// Takes one number with its unit from the front; in nanoseconds.
    private static func element(_ rest: inout Substring.UTF8View) throws(Malformed) -> UInt64 {
        let whole = rest.prefix(while: SubstitutionScheme.isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction = rest.prefix(0)
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = rest.prefix(while: SubstitutionScheme.isDigit)
            rest = rest.dropFirst(fraction.count)
        }
        guard !whole.isEmpty || !fraction.isEmpty else {
            throw Malformed(description: "is no duration; write one such as 30s or 1m30s")
        }
        let unitText = rest.prefix { !SubstitutionScheme.isDigit($0) && $0 != UInt8(ascii: ".") }
        rest = rest.dropFirst(unitText.count)
        guard !unitText.isEmpty else {
            throw Malformed(description: "has a number without a unit; write ns, us, ms, s, m or h after it")
        }
        guard let unit = units.first(where: { $0.name.utf8.elementsEqual(unitText) }) else {
            throw Malformed(
                description: "has the unknown unit \(quoted(String(Substring(unitText)))); use ns, us, ms, s, m or h")
        }
        let wholeValue = whole.isEmpty ? 0 : UInt64(String(Substring(whole)))
        guard let wholeValue else { throw tooLong }
        let (scaled, overflow) = wholeValue.multipliedReportingOverflow(by: unit.nanoseconds)
        // 18 digits fit 64 bits, and the unit has fewer than 13 of them: the rest is below a nanosecond.
        let digits = fraction.prefix(18)
        var numerator: UInt64 = 0
        var denominator: UInt64 = 1
        for digit in digits {
            numerator = numerator * 10 + UInt64(digit - UInt8(ascii: "0"))
            denominator *= 10
        }
        let product = numerator.multipliedFullWidth(by: unit.nanoseconds)
        let part = denominator.dividingFullWidth(product).quotient
        let (sum, overflowed) = scaled.addingReportingOverflow(part)
        guard !overflow, !overflowed, sum <= UInt64(Int64.max) else { throw tooLong }
        return sum
    }

    /// The shortest usual form, such as `1h30m0s`, `1.5s`, `200ms` or `0s`; what `parse` reads back exactly when the
    /// duration is whole nanoseconds within 64 bits.
    package static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if seconds == 0, attoseconds == 0 { return "0s" }
        let isNegative = seconds < 0 || attoseconds < 0
        let whole = seconds.magnitude
        let nanoseconds = (attoseconds / 1_000_000_000).magnitude
        var text = isNegative ? "-" : ""
        if whole == 0 {
            let (unit, name): (UInt64, String) =
                nanoseconds < 1000 ? (1, "ns") : nanoseconds < 1_000_000 ? (1000, "us") : (1_000_000, "ms")
            return text + decimal(nanoseconds / unit, nanoseconds % unit, of: unit) + name
        }
        if whole >= 3600 { text += "\(whole / 3600)h" }
        if whole >= 60 { text += "\(whole / 60 % 60)m" }
        return text + decimal(whole % 60, nanoseconds, of: 1_000_000_000) + "s"
    }

    /// `whole.fraction`, where the fraction is `part` of `unit` (a power of ten), without closing zeros.
    private static func decimal(_ whole: UInt64, _ part: UInt64, of unit: UInt64) -> String {
        guard part > 0 else { return "\(whole)" }
        var digits = String(unit + part).dropFirst()
        while digits.last == "0" { digits = digits.dropLast() }
        return "\(whole).\(digits)"
    }
}
