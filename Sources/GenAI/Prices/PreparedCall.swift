/// What calls of one provider, model, service tier and kind cost, worked out once and remembered by a `PriceReader`.
///
/// Amounts are picodollars (10^-12 dollars) in 64 bits, which holds nearly every call exactly; `cost` says when one does
/// not fit, and then the general way (`PriceReader.cost`) prices it.
package struct PreparedCall {
    /// For the caller's use; -1 in an entry that was just made.
    package var tag: Int32
    /// `CallRecord.modelHash` of the model's name: the response's, else the request's.
    package internal(set) var model: UInt64
    /// The prices below the threshold, or at any number of tokens.
    var rates = Rates()
    var ratesAbove = Rates()
    /// Tokens of input up to which `rates` hold.
    var threshold = Int64.max
    /// Unix nanoseconds from which, and before which, the prices hold.
    var from: UInt64 = 0
    var to: UInt64 = 0
    var ignoresOutput = false
    /// No price is known for the model, whatever was used and whenever.
    package internal(set) var isUnknownModel = false

    /// Picodollars per token.
    struct Rates {
        var input: Int64 = 0
        var cacheRead: Int64 = 0
        var cacheWrite5m: Int64 = 0
        var cacheWrite1h: Int64 = 0
        var output: Int64 = 0
        var reasoning: Int64 = 0
    }

    /// Parts of a cost, in picodollars. They add up to the total.
    package struct Parts {
        package var input: Int64
        package var output: Int64
        package var cacheRead: Int64
        package var cacheWrite: Int64
        /// What cached tokens would have cost as plain input, less what they cost. No part of the total.
        package var cacheSavings: Int64

        /// All of the call.
        package var total: Int64 { input + output + cacheRead + cacheWrite }
    }

    /// Counts of tokens, and rates, below which products and their sums fit.
    private static let limit: Int64 = 1 << 30
    /// Picodollars that are exact as a Double.
    private static let exactTotal: Int64 = 1 << 53

    init(model: UInt64) {
        tag = -1
        self.model = model
    }

    /// The cost of a call with these names. Nil: not known here, ask `PriceReader.cost`.
    package func cost(of call: UnsafePointer<ModelCall>) -> Parts? {
        cost(of: call.pointee.usage, at: call.pointee.startTime)
    }

    /// The cost of a usage at `time` (Unix nanoseconds).
    @inline(__always)
    func cost(of usage: borrowing TokenUsage, at time: UInt64) -> Parts? {
        guard time > 0, time >= from, time < to, usage.hasTextOnly, let input = usage[.input] else { return nil }
        let read = usage[.cacheRead] ?? 0
        let written = usage[.cacheWrite5m] ?? 0
        let writtenLong = usage[.cacheWrite1h] ?? 0
        let output = ignoresOutput ? 0 : usage[.output] ?? 0
        let reasoning = ignoresOutput ? 0 : usage[.reasoning] ?? 0
        guard input | read | written | writtenLong | output | reasoning < Self.limit else { return nil }
        let rates = input > threshold ? ratesAbove : rates
        let parts = Parts(
            input: max(0, input - read - written - writtenLong) * rates.input,
            output: max(0, output - reasoning) * rates.output + reasoning * rates.reasoning,
            cacheRead: read * rates.cacheRead,
            cacheWrite: written * rates.cacheWrite5m + writtenLong * rates.cacheWrite1h,
            cacheSavings: read * (rates.input - rates.cacheRead) + written * (rates.input - rates.cacheWrite5m)
                + writtenLong * (rates.input - rates.cacheWrite1h))
        return parts.total < Self.exactTotal ? parts : nil
    }

    /// Takes the prices of the row that holds on `day`, unless they are of a kind that this value does not hold.
    mutating func take(_ found: UnsafeBufferPointer<MatchedPrice>, _ tier: ServiceTier, _ mode: CallMode, day: Int32) {
        guard let index = found.indices.first(where: { found[$0].row.holds(on: day) }) else { return }
        let row = found[index].row
        let mode = mode == .unknown ? row.mode : mode
        guard row[.peakMultiplier] == nil, row[.perImage] == nil, row[.perRequest] == nil, mode != .image else {
            return
        }
        let threshold = row[.threshold]
        let below = PriceRates(row, totalInput: 0, tier: tier, minute: 0)
        let above = threshold.map { PriceRates(row, totalInput: $0 &+ 1, tier: tier, minute: 0) } ?? below
        ignoresOutput = below.output == nil && (mode == .embedding || mode == .rerank)
        guard let low = Rates(below, ignoresOutput), let high = Rates(above, ignoresOutput), threshold ?? 0 < .max
        else {
            return
        }
        rates = low
        ratesAbove = high
        self.threshold = threshold ?? .max
        // An earlier row does not hold on this day, but may on others on which this one would.
        var (first, last) = (row.validFrom, row.validTo)
        for earlier in found[..<index] {
            if earlier.row.validTo <= day { first = max(first, earlier.row.validTo) }
            if earlier.row.validFrom > day { last = min(last, earlier.row.validFrom) }
        }
        from = PriceDay.start(of: first)
        to = PriceDay.start(of: last)
    }
}

extension PreparedCall.Rates {
    private static let zeptodollarsPerPicodollar: Int64 = 1_000_000_000
    private static let limit: Int64 = 1 << 30

    /// Nil when a rate is missing, or is no whole number of picodollars, or is very high.
    init?(_ rates: PriceRates, _ ignoresOutput: Bool) {
        func whole(_ rate: Int64?) -> Int64? {
            guard let rate else { return nil }
            let (quotient, rest) = rate.quotientAndRemainder(dividingBy: Self.zeptodollarsPerPicodollar)
            return rest == 0 && quotient >= 0 && quotient < Self.limit ? quotient : nil
        }
        guard let input = whole(rates.input), let read = whole(rates.cacheRead),
            let written = whole(rates.cacheWrite5m),
            let writtenLong = whole(rates.cacheWrite1h)
        else { return nil }
        self.input = input
        cacheRead = read
        cacheWrite5m = written
        cacheWrite1h = writtenLong
        if ignoresOutput { return }
        guard let output = whole(rates.output), let reasoning = whole(rates.reasoning) else { return nil }
        self.output = output
        self.reasoning = reasoning
    }
}
