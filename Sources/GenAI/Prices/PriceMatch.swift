/// How a price was found for a name; empty for a row of exactly that name, or a pattern for the whole of it.
package struct PriceMatch: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// By a pattern for the whole name (a dated name of a known model).
    package static let pattern = PriceMatch(rawValue: 1 << 0)
    /// By a pattern for a part of the name: a new member of a family may cost something else.
    package static let family = PriceMatch(rawValue: 1 << 1)
    /// Nothing said who bills; the model's name did.
    package static let inferredProvider = PriceMatch(rawValue: 1 << 2)
    /// The provider does not list the model; another one that offers it does.
    package static let otherProvider = PriceMatch(rawValue: 1 << 3)
    /// The name's region has no price of its own.
    package static let withoutRegion = PriceMatch(rawValue: 1 << 4)
    /// The name's version has no price of its own.
    package static let withoutVersion = PriceMatch(rawValue: 1 << 5)
    /// From the user's prices.
    package static let userPrice = PriceMatch(rawValue: 1 << 6)
    /// Through the user's `same_as`.
    package static let alias = PriceMatch(rawValue: 1 << 7)
    /// A user's multiplier applies.
    package static let multiplied = PriceMatch(rawValue: 1 << 8)

    /// Whether the price is probably, but not certainly, the one that is billed.
    package var isEstimate: Bool {
        !isDisjoint(with: [.family, .inferredProvider, .otherProvider, .withoutRegion, .withoutVersion])
    }
}

/// Names a row of the catalogue that made it.
package struct PriceReference: Sendable, Hashable {
    /// Rows of the built-in table count from 0, those of the user from `firstUser`.
    let index: Int32
    static let firstUser: Int32 = 1 << 24
    /// No row.
    static let none = PriceReference(index: -1)
}

/// A row that a name resolves to.
struct MatchedPrice: Sendable {
    let reference: PriceReference
    var match: PriceMatch
    var row: PriceRow
}
