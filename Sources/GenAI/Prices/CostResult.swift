/// Whether a call has a cost, and if not, why.
package enum CostStatus: UInt8, CaseIterable, Sendable {
    /// It has.
    case priced
    /// The call names no model.
    case missingModel
    /// No price is known for the model.
    case unknownModel
    /// The model is known, but not the price of what was used, or not at that time.
    case unknownPrice
    /// No usage was reported.
    case missingUsage
    /// The usage that was reported cannot be true.
    case invalidUsage
    /// No call of a model, such as an agent's span: nothing is billed for it.
    case notBillable

    /// The name in attributes, metrics and results.
    package var name: String {
        switch self {
        case .priced: "priced"
        case .missingModel: "missing_model"
        case .unknownModel: "unknown_model"
        case .unknownPrice: "unknown_price"
        case .missingUsage: "missing_usage"
        case .invalidUsage: "invalid_usage"
        case .notBillable: "not_billable"
        }
    }
}

/// What a cost was computed with, beside the row itself.
package struct CostConditions: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The prices above the threshold of total input.
    package static let aboveThreshold = CostConditions(rawValue: 1 << 0)
    /// The prices of the service tier that was asked for.
    package static let serviceTier = CostConditions(rawValue: 1 << 1)
    /// Standard prices, since the row has none for the service tier.
    package static let tierWithoutPrice = CostConditions(rawValue: 1 << 2)
    /// The tier's prices above the threshold were derived from those below it.
    package static let derivedTierPrice = CostConditions(rawValue: 1 << 3)
    /// The peak multiplier.
    package static let peak = CostConditions(rawValue: 1 << 4)
    /// Input or output (or the number of images) was not reported: the cost is of the rest.
    package static let partialUsage = CostConditions(rawValue: 1 << 5)
}

/// What each part of a call cost. The parts add up to the total, exactly.
package struct CostParts: Sendable, Equatable {
    /// Uncached text input.
    package var input = Money.zero
    /// Input read from a cache, audio too.
    package var cacheRead = Money.zero
    /// Input written to caches of either life time.
    package var cacheWrite = Money.zero
    /// Audio input that was not read from a cache.
    package var audioInput = Money.zero
    /// Text output.
    package var output = Money.zero
    /// Reasoning.
    package var reasoning = Money.zero
    /// Audio output.
    package var audioOutput = Money.zero
    /// Generated images.
    package var images = Money.zero
    /// Fees per request or search unit.
    package var requests = Money.zero

    /// No cost.
    package init() {}

    /// The sum.
    package var total: Money {
        input + cacheRead + cacheWrite + audioInput + output + reasoning + audioOutput + images + requests
    }

    /// All that was paid for input: uncached, cached, written, audio.
    package var allInput: Money { input + cacheRead + cacheWrite + audioInput }

    /// All that was paid for output: text, reasoning, audio, images.
    package var allOutput: Money { output + reasoning + audioOutput + images }

    /// The parts with their names in results, in order.
    package var named: [(name: String, amount: Money)] {
        [
            ("input", input), ("cache_read", cacheRead), ("cache_write", cacheWrite), ("audio_input", audioInput),
            ("output", output), ("reasoning", reasoning), ("audio_output", audioOutput), ("images", images),
            ("requests", requests),
        ]
    }
}

/// The answer to "what did this call cost". A value without heap parts; no cost is never shown as zero.
package struct CostResult: Sendable {
    /// Whether there is a cost.
    package var status: CostStatus
    /// What each part cost; all zero unless `status` is `priced`.
    package var parts = CostParts()
    /// How the price was found.
    package var match: PriceMatch = []
    /// What applied.
    package var conditions: CostConditions = []
    /// The row that was used; `none` without one. Valid for the catalogue that made it: see `PriceReader.describe`.
    package var reference = PriceReference.none
    /// The first kind of usage without a price, when `status` is `unknownPrice`; nil: there is no row for that time.
    package var unpriced: TokenClass?

    init(_ status: CostStatus) { self.status = status }

    /// What the call cost, in US dollars; nil unless `status` is `priced`.
    package var cost: Money? { status == .priced ? parts.total : nil }

    /// Whether the cost is probably, but not certainly, what is billed.
    package var isEstimate: Bool {
        match.isEstimate || conditions.contains(.derivedTierPrice) || conditions.contains(.tierWithoutPrice)
    }
}
