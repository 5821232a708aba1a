/// Applies prices to usage.
enum Costing {
    /// Zeptodollars in a femtodollar.
    private static let zeptodollarsPerFemtodollar: Int128 = 1_000_000

    /// The cost of one call at the prices of one row, which holds at `time` (Unix nanoseconds).
    static func cost(
        of usage: TokenUsage, row: borrowing PriceRow, tier: ServiceTier, mode: CallMode, time: UInt64
    ) -> CostResult {
        guard usage.invalid.isEmpty else { return CostResult(.invalidUsage) }
        let mode = mode == .unknown ? row.mode : mode
        let rates = PriceRates(
            row, totalInput: usage.input ?? 0, tier: tier, minute: PriceDay.minute(of: time))
        guard hasUsage(usage, rates) else { return CostResult(.missingUsage) }
        var result = CostResult(.priced)
        result.conditions = rates.conditions
        addInput(usage, rates, mode, &result)
        addOutput(usage, rates, mode, &result)
        addUnits(usage, rates, mode, &result)
        if isPartial(usage, rates, mode) { result.conditions.formUnion(.partialUsage) }
        if result.status != .priced { result.parts = CostParts() }
        return result
    }

    /// Whether something was reported that the row has a price for; a fee per request needs no report.
    private static func hasUsage(_ usage: TokenUsage, _ rates: PriceRates) -> Bool {
        if usage.isEmpty { return rates.perRequest != nil && rates.input == nil }
        return true
    }

    private static func isPartial(
        _ usage: TokenUsage, _ rates: PriceRates, _ mode: CallMode
    ) -> Bool {
        if usage.input == nil, rates.input != nil { return true }
        if usage.images == nil, rates.perImage != nil, mode == .image { return true }
        let needsOutput = mode != .embedding && mode != .rerank && mode != .image
        return usage.output == nil && rates.output != nil && needsOutput
    }

    private static func addInput(
        _ usage: TokenUsage, _ rates: PriceRates, _ mode: CallMode, _ result: inout CostResult
    ) {
        // Models billed by the request or the image do not bill input.
        if rates.input == nil, rates.perRequest != nil || rates.perImage != nil { return }
        let reads = usage.cacheRead ?? 0
        let audio = usage.audioInput ?? 0
        let cachedAudio = min(usage.cachedAudioInput ?? 0, audio, reads)
        result.parts.input = charge(usage.uncachedTextInput, rates.input, .input, &result)
        let readText = charge(reads - cachedAudio, rates.cacheRead, .cacheRead, &result)
        result.parts.cacheRead = readText + charge(cachedAudio, rates.cachedAudioInput, .cachedAudioInput, &result)
        let written = charge(usage.cacheWrite5m ?? 0, rates.cacheWrite5m, .cacheWrite5m, &result)
        result.parts.cacheWrite = written + charge(usage.cacheWrite1h ?? 0, rates.cacheWrite1h, .cacheWrite1h, &result)
        result.parts.audioInput = charge(audio - cachedAudio, rates.audioInput, .audioInput, &result)
    }

    private static func addOutput(
        _ usage: TokenUsage, _ rates: PriceRates, _ mode: CallMode, _ result: inout CostResult
    ) {
        if rates.output == nil {
            // Embeddings and ranks have no output to bill; images are billed by the piece.
            if mode == .embedding || mode == .rerank || rates.perImage != nil || rates.perRequest != nil { return }
        }
        result.parts.output = charge(usage.textOutput, rates.output, .output, &result)
        result.parts.reasoning = charge(usage.reasoning ?? 0, rates.reasoning, .reasoning, &result)
        result.parts.audioOutput = charge(usage.audioOutput ?? 0, rates.audioOutput, .audioOutput, &result)
    }

    private static func addUnits(
        _ usage: TokenUsage, _ rates: PriceRates, _ mode: CallMode, _ result: inout CostResult
    ) {
        if let perImage = rates.perImage {
            result.parts.images += fee(usage.images ?? 0, perImage)
            // Without tokens to bill, an unknown number of images is an unknown cost.
            if usage.images == nil, rates.input == nil, rates.output == nil { result.status = .missingUsage }
        }
        if let perRequest = rates.perRequest {
            result.parts.requests += fee(usage.requests ?? 1, perRequest)
        }
    }

    private static func fee(_ count: Int64, _ femtodollars: Int64) -> Money {
        let (each, _) = Int128(femtodollars).multipliedReportingOverflow(by: zeptodollarsPerFemtodollar)
        let (amount, overflow) = each.multipliedReportingOverflow(by: Int128(count))
        return overflow ? Money.limit : Money(zeptodollars: amount)
    }

    /// What `count` tokens cost at `rate` (zeptodollars). Tokens without a rate make the whole cost unknown.
    private static func charge(
        _ count: Int64, _ rate: Int64?, _ tokenClass: TokenClass, _ result: inout CostResult
    ) -> Money {
        guard count > 0 else { return .zero }
        guard let rate else {
            if result.status == .priced {
                result.status = .unknownPrice
                result.unpriced = tokenClass
            }
            return .zero
        }
        // At most 2^50 × 2^63: always fits.
        let product = count.multipliedFullWidth(by: rate)
        return Money(zeptodollars: Int128(product.high) << 64 | Int128(product.low))
    }
}
