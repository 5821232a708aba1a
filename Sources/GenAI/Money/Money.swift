/// An amount of US dollars, exact to 10^-21 dollars: the finest published price per million tokens has 13 decimals,
/// which is 19 per token, and discounts add a few.
///
/// Amounts lie within ±`limit`, about 1.7 × 10^17 dollars; arithmetic that would leave it stays at it, so that no sum
/// of hostile numbers traps. Use the `…ReportingOverflow` forms where that has to be noticed. A plain integer inside:
/// no rounding in sums, whatever their order. Binary floating point exists only in `doubleValue`.
package struct Money: Sendable, Hashable, Comparable {
    /// 10^21: the parts of a dollar.
    package static let zeptodollarsPerDollar: Int128 = 1_000_000_000_000_000_000_000
    /// Decimals of a dollar that are kept.
    package static let fractionDigits = 21
    /// The largest amount; the smallest is its negative.
    package static let limit = Money(zeptodollars: Int128.max)
    /// Nothing.
    package static let zero = Money(zeptodollars: 0)

    /// The amount in 10^-21 dollars.
    package let zeptodollars: Int128

    /// An amount in 10^-21 dollars. The one integer below -`limit` becomes -`limit`.
    package init(zeptodollars: Int128) {
        self.zeptodollars = max(zeptodollars, -Int128.max)
    }

    /// An amount from its exact decimal text, such as `0.0075` or `1e-6`.
    package init(parsing text: some StringProtocol) throws(DecimalText.Failure) {
        self.init(zeptodollars: try DecimalText.parse(text, scale: Self.fractionDigits))
    }

    /// The sum, and whether it left the range (then it is the nearer limit).
    package func addingReportingOverflow(_ other: Money) -> (sum: Money, overflow: Bool) {
        let (sum, overflow) = zeptodollars.addingReportingOverflow(other.zeptodollars)
        if !overflow { return (Money(zeptodollars: sum), false) }
        return (zeptodollars < 0 ? -Money.limit : Money.limit, true)
    }

    /// The sum; at the limits it stays there.
    package static func + (left: Money, right: Money) -> Money { left.addingReportingOverflow(right).sum }

    /// The difference; at the limits it stays there.
    package static func - (left: Money, right: Money) -> Money { left + (-right) }

    /// The same amount with the other sign. Never overflows.
    package static prefix func - (amount: Money) -> Money { Money(zeptodollars: -amount.zeptodollars) }

    /// Adds; at the limits it stays there.
    package static func += (left: inout Money, right: Money) { left = left + right }

    /// Subtracts; at the limits it stays there.
    package static func -= (left: inout Money, right: Money) { left = left - right }

    /// Orders by amount.
    package static func < (left: Money, right: Money) -> Bool { left.zeptodollars < right.zeptodollars }

    /// The nearest floating point number of dollars. For the edge only: attributes, metrics, JSON.
    package var doubleValue: Double {
        // Few amounts have more than 12 decimals; what is left of them is an integer that a Double holds, and one
        // division by a power of ten (exact up to 10^22) rounds correctly.
        let magnitude = zeptodollars.magnitude
        let high = UInt64(truncatingIfNeeded: magnitude >> 64)
        let divisor: UInt64 = 1_000_000_000
        if high < divisor {
            // One machine division instead of one of 128 bits; the quotient fits.
            let (whole, rest) = divisor.dividingFullWidth((high, UInt64(truncatingIfNeeded: magnitude)))
            if rest == 0, whole < 1 << 53 { return (zeptodollars < 0 ? -1 : 1) * Double(whole) / 1e12 }
            return Double(zeptodollars) / 1e21
        }
        let (picodollars, rest) = zeptodollars.quotientAndRemainder(dividingBy: 1_000_000_000)
        if rest == 0, picodollars.magnitude < 1 << 53 { return Double(picodollars) / 1e12 }
        return Double(zeptodollars) / 1e21
    }

    /// The amount in 10^-12 dollars, rounded half to even. Always fits.
    package var picodollars: Int128 { Self.divided(zeptodollars, by: 1_000_000_000) }

    /// An amount in 10^-12 dollars; beyond the limits it is the nearer limit.
    package init(picodollars: Int128) {
        let (product, overflow) = picodollars.multipliedReportingOverflow(by: 1_000_000_000)
        self.init(zeptodollars: overflow ? (picodollars < 0 ? -Int128.max : Int128.max) : product)
    }

    /// A number of dollars that somebody else computed in floating point, to the nearest 10^-12. Nil for what is no
    /// amount to be paid: negative, not finite, or above 10^12 dollars.
    package init?(reported dollars: Double) {
        guard dollars >= 0, dollars <= 1e12 else { return nil }
        if dollars < 1e6 {
            // Nearly all: the picodollars fit 64 bits, and nothing overflows.
            let product = Int64((dollars * 1e12).rounded()).multipliedFullWidth(by: 1_000_000_000)
            self.init(zeptodollars: Int128(product.high) << 64 | Int128(product.low))
            return
        }
        self.init(picodollars: Int128((dollars * 1e12).rounded()))
    }

    /// `value` / `divisor` rounded half to even; `divisor` is positive.
    static func divided(_ value: Int128, by divisor: Int128) -> Int128 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        let rest = remainder.magnitude
        let half = divisor.magnitude - rest
        if rest < half || (rest == half && quotient & 1 == 0) { return quotient }
        return value < 0 ? quotient - 1 : quotient + 1
    }
}

extension Money: CustomStringConvertible {
    /// Exact decimal dollars without exponent, such as `0.0075`; the text that `init(parsing:)` reads back.
    package var description: String { DecimalText.string(zeptodollars, scale: Self.fractionDigits) }

    /// Decimal dollars rounded half to even to `digits` (0...21) after the point, all of them written.
    package func rounded(to digits: Int) -> String {
        let kept = min(max(digits, 0), Self.fractionDigits)
        var divisor: Int128 = 1
        for _ in kept..<Self.fractionDigits { divisor *= 10 }
        return DecimalText.string(
            Self.divided(zeptodollars, by: divisor), scale: kept, minimumFractionDigits: kept)
    }
}
