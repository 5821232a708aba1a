/// The prices that apply to one call, after threshold, service tier, peak time and multipliers.
struct PriceRates {
    /// Zeptodollars per token; nil: the row does not say.
    var input: Int64?
    var cacheRead: Int64?
    var cacheWrite5m: Int64?
    var cacheWrite1h: Int64?
    var audioInput: Int64?
    var cachedAudioInput: Int64?
    var output: Int64?
    var reasoning: Int64?
    var audioOutput: Int64?
    /// Femtodollars.
    var perImage: Int64?
    var perRequest: Int64?
    var conditions: CostConditions = []

    private static let million: Int64 = 1_000_000

    /// `totalInput` is inclusive of cached and written tokens; `minute` is that of the day.
    init(_ row: borrowing PriceRow, totalInput: Int64, tier: ServiceTier, minute: UInt16) {
        input = row[.input]
        output = row[.output]
        cacheRead = row[.cacheRead]
        cacheWrite5m = row[.cacheWrite5m]
        cacheWrite1h = row[.cacheWrite1h]
        reasoning = row[.reasoning]
        audioInput = row[.audioInput]
        audioOutput = row[.audioOutput]
        cachedAudioInput = row[.cachedAudioInput]
        perImage = row[.perImage]
        perRequest = row[.perRequest]
        if let threshold = row[.threshold], totalInput > threshold { applyThreshold(row) }
        switch tier {
        case .standard: break
        case .batch: applyBatch(row)
        case .flex: applyTier(row, .flexInput, .flexOutput, .flexCacheRead)
        case .priority: applyTier(row, .priorityInput, .priorityOutput, .priorityCacheRead)
        case .other: conditions.formUnion(.tierWithoutPrice)
        }
        if let multiplier = row[.multiplier] {
            multiplyTokens(by: multiplier)
            perImage = Self.multiplied(perImage, by: multiplier)
            perRequest = Self.multiplied(perRequest, by: multiplier)
        }
        if let multiplier = row[.peakMultiplier], row.isPeak(minute: minute) {
            multiplyTokens(by: multiplier)
            conditions.formUnion(.peak)
        }
        fillGaps()
    }

    /// The whole request moves to the higher prices, not only what is above.
    private mutating func applyThreshold(_ row: borrowing PriceRow) {
        conditions.formUnion(.aboveThreshold)
        input = row[.inputAbove] ?? input
        output = row[.outputAbove] ?? output
        cacheRead = row[.cacheReadAbove] ?? cacheRead
        cacheWrite5m = row[.cacheWrite5mAbove] ?? cacheWrite5m
        cacheWrite1h = row[.cacheWrite1hAbove] ?? cacheWrite1h
    }

    private mutating func applyBatch(_ row: borrowing PriceRow) {
        let discount = row[.batchDiscount]
        let prices = (row[.batchInput], row[.batchOutput])
        guard discount != nil || prices.0 != nil || prices.1 != nil else {
            conditions.formUnion(.tierWithoutPrice)
            return
        }
        conditions.formUnion(.serviceTier)
        let rest = Self.batchShare(discount, prices.0, row[.input])
        let standardRead = row[.cacheRead]
        input = prices.0 ?? Self.multiplied(input, by: rest)
        output = prices.1 ?? Self.multiplied(output, by: rest)
        reasoning = Self.multiplied(reasoning, by: rest)
        audioInput = Self.multiplied(audioInput, by: rest)
        audioOutput = Self.multiplied(audioOutput, by: rest)
        guard let batchRead = row[.batchCacheRead] else { return }
        let isAbove = conditions.contains(.aboveThreshold)
        // A provider that discounts cached reads like input discounts writes, and what lies above the threshold, too.
        if batchRead == Self.multiplied(standardRead, by: rest) {
            cacheRead = Self.multiplied(cacheRead, by: rest)
            cacheWrite5m = Self.multiplied(cacheWrite5m, by: rest)
            cacheWrite1h = Self.multiplied(cacheWrite1h, by: rest)
            cachedAudioInput = Self.multiplied(cachedAudioInput, by: rest)
        } else if isAbove {
            cacheRead = scaled(cacheRead, by: batchRead, over: standardRead)
        } else {
            cacheRead = batchRead
        }
    }

    /// What is left of a price in batch processing, in millionths: by the discount, else as for input.
    private static func batchShare(_ discount: Int64?, _ batchInput: Int64?, _ input: Int64?) -> Int64 {
        if let discount { return million - discount }
        guard let batchInput, let input, input > 0, batchInput < input else { return million }
        return Int64(clamping: Money.divided(Int128(batchInput) * Int128(million), by: Int128(input)))
    }

    private mutating func applyTier(
        _ row: borrowing PriceRow, _ inputField: PriceField, _ outputField: PriceField, _ readField: PriceField
    ) {
        let prices = (row[inputField], row[outputField], row[readField])
        guard prices.0 != nil || prices.1 != nil || prices.2 != nil else {
            conditions.formUnion(.tierWithoutPrice)
            return
        }
        conditions.formUnion(.serviceTier)
        let isAbove = conditions.contains(.aboveThreshold)
        // The tables list tier prices below the threshold only; above it the same ratio is assumed.
        func tier(_ price: Int64?, _ current: Int64?, _ standard: Int64?) -> Int64? {
            guard let price else { return current }
            return isAbove ? scaled(current, by: price, over: standard) : price
        }
        input = tier(prices.0, input, row[.input])
        cacheRead = tier(prices.2, cacheRead, row[.cacheRead])
        if prices.1 != nil {
            output = tier(prices.1, output, row[.output])
            // Reasoning is output: it follows the tier.
            reasoning = nil
        }
        if isAbove { conditions.formUnion(.derivedTierPrice) }
    }

    private func scaled(_ value: Int64?, by price: Int64, over standard: Int64?) -> Int64? {
        guard let value, let standard, standard > 0 else { return price }
        return Int64(clamping: Money.divided(Int128(value) * Int128(price), by: Int128(standard)))
    }

    private static func multiplied(_ price: Int64?, by millionths: Int64) -> Int64? {
        guard let price else { return nil }
        let product = price.multipliedFullWidth(by: millionths)
        let wide = Int128(product.high) << 64 | Int128(product.low)
        return Int64(clamping: Money.divided(wide, by: Int128(million)))
    }

    private mutating func multiplyTokens(by millionths: Int64) {
        input = Self.multiplied(input, by: millionths)
        cacheRead = Self.multiplied(cacheRead, by: millionths)
        cacheWrite5m = Self.multiplied(cacheWrite5m, by: millionths)
        cacheWrite1h = Self.multiplied(cacheWrite1h, by: millionths)
        audioInput = Self.multiplied(audioInput, by: millionths)
        cachedAudioInput = Self.multiplied(cachedAudioInput, by: millionths)
        output = Self.multiplied(output, by: millionths)
        reasoning = Self.multiplied(reasoning, by: millionths)
        audioOutput = Self.multiplied(audioOutput, by: millionths)
    }

    /// A class without a price of its own has that of its parent class.
    private mutating func fillGaps() {
        let readOnly = cacheRead
        cacheRead = cacheRead ?? input
        cacheWrite5m = cacheWrite5m ?? input
        cacheWrite1h = cacheWrite1h ?? cacheWrite5m
        cachedAudioInput = cachedAudioInput ?? readOnly ?? audioInput ?? input
        audioInput = audioInput ?? input
        reasoning = reasoning ?? output
        audioOutput = audioOutput ?? output
    }
}
