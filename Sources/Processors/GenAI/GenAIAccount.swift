internal import GenAI
internal import Glibc
internal import Synchronization
internal import Telemetry

/// What one call adds to the account.
struct GenAICharge {
    /// By `GenAIAccount.TokenType`; 0 when not reported.
    var tokens: InlineArray<5, Int64>
    var cost: Money
    /// Of the span, by the account's key.
    var fingerprint: CountedSpans.Fingerprint
    /// Of the account, by provider and model.
    var series: Int32
    /// False for a call without a cost, whatever `cost` is.
    var isPriced: Bool
    /// False for a span that is no call to be billed.
    var isBillable: Bool
}

/// Charges that are to be added. The memory is the caller's; nothing of it is kept.
struct GenAICharges: @unchecked Sendable {
    // Unchecked: read and written by the caller's thread alone.

    let all: UnsafePointer<GenAICharge>
    /// Which of them, at most as many as there are.
    let chosen: UnsafeBufferPointer<Int32>
    /// Of the chosen ones, in their order; overwritten.
    let fingerprints: UnsafeMutableBufferPointer<CountedSpans.Fingerprint>
}

/// Sums over the calls that a component has counted, and their metrics. Any thread may use it.
///
/// Sums are integers and `Money`, so they are exact whatever the order; they stay at their limits. Names are labels of
/// at most `maximumSeries` series; what comes beyond them is summed in a series of its own.
final class GenAIAccount: Sendable {
    /// Provider and model pairs with a series of their own.
    static let maximumSeries = 256
    /// Bytes of a provider's or a model's name that count; the rest is cut off.
    static let maximumName = 128
    /// Spans that are remembered so that they count once: 1 MiB, taken with the first AI span.
    static let rememberedSpans = 65_536

    /// Kinds of tokens, in the order of `GenAICharge.tokens`.
    enum TokenType: String, CaseIterable {
        case input
        case output
        case cacheRead = "cache_read"
        case cacheWrite = "cache_write"
        case reasoning
    }

    private struct Series {
        var provider: [UInt8]
        var model: [UInt8]
        var cost = Money.zero
        var unpricedTokens = 0
        var hasCost = false
        var hasUnpriced = false

        func isFor(_ provider: UnsafeRawBufferPointer, _ model: UnsafeRawBufferPointer) -> Bool {
            Self.equal(self.provider, provider) && Self.equal(self.model, model)
        }

        private static func equal(_ name: [UInt8], _ text: UnsafeRawBufferPointer) -> Bool {
            guard name.count == text.count else { return false }
            guard let start = text.baseAddress else { return true }
            return name.withUnsafeBytes { $0.baseAddress.map { memcmp($0, start, text.count) == 0 } ?? true }
        }
    }

    private struct State: ~Copyable {
        let counted: CountedSpans

        init(_ counted: consuming sending CountedSpans) { self.counted = counted }

        var calls = 0
        var tokens = InlineArray<5, Int>(repeating: 0)
        /// The first one is for all names beyond the bound.
        var series = [Series(provider: Array("other".utf8), model: Array("other".utf8))]
        /// Open-addressed: index of a series; 0 is free.
        var slots = [UInt16](repeating: 0, count: 1024)
        /// Series whose metrics are to be registered.
        var newCosts: [Int] = []
        var newUnpriced: [Int] = []
    }

    /// Of the fingerprints of charges.
    let key = CountedSpans.Key()
    /// Of the spans that were counted.
    let places: CountedSpans.Places
    private let state: Mutex<State>
    private let countsOnce: Bool
    private let metrics: MetricRegistry
    private let processor: String

    init(metrics: MetricRegistry, processor: String, countsOnce: Bool) {
        self.metrics = metrics
        self.processor = processor
        self.countsOnce = countsOnce
        let counted = CountedSpans(capacity: Self.rememberedSpans, key: key)
        places = counted.places
        state = Mutex(State(counted))
        metrics.counter(
            "martlet_genai_calls", help: "Model calls, each counted once", labels: [("processor", processor)],
            decimal: { [self] in "\(calls)" })
        for (index, type) in TokenType.allCases.enumerated() {
            metrics.counter(
                "martlet_genai_tokens",
                help: "Tokens of counted calls; cached ones are part of input, reasoning of output",
                labels: [("processor", processor), ("type", type.rawValue)],
                decimal: { [self] in "\(state.withLock { $0.tokens[index] })" })
        }
    }

    /// Adds the calls of one batch, but for spans that were counted before.
    ///
    /// - Returns: those of the chosen that were counted before.
    func add(_ charges: GenAICharges) -> [Int32] {
        var resent: [Int32] = []
        let (costs, unpriced) = state.withLock { state in
            if countsOnce {
                state.counted.insert(charges.fingerprints)
            }
            for place in charges.chosen.indices {
                if countsOnce, charges.fingerprints[place].value == 0 {
                    resent.append(charges.chosen[place])
                } else {
                    Self.add(charges.all[Int(charges.chosen[place])], &state)
                }
            }
            if state.newCosts.isEmpty, state.newUnpriced.isEmpty { return ([Int](), [Int]()) }
            defer {
                state.newCosts = []
                state.newUnpriced = []
            }
            return (state.newCosts, state.newUnpriced)
        }
        for index in costs { registerCost(index) }
        for index in unpriced { registerUnpriced(index) }
        return resent
    }

    @inline(__always)
    private static func add(_ charge: GenAICharge, _ state: inout State) {
        state.calls = sum(state.calls, 1)
        for type in 0..<5 { state.tokens[type] = sum(state.tokens[type], Int(charge.tokens[type])) }
        let index = Int(charge.series)
        if charge.isPriced {
            state.series[index].cost += charge.cost
            if !state.series[index].hasCost {
                state.series[index].hasCost = true
                state.newCosts.append(index)
            }
            return
        }
        // Input and output hold the other kinds.
        let tokens = sum(Int(charge.tokens[0]), Int(charge.tokens[1]))
        guard tokens > 0 else { return }
        state.series[index].unpricedTokens = sum(state.series[index].unpricedTokens, tokens)
        if !state.series[index].hasUnpriced {
            state.series[index].hasUnpriced = true
            state.newUnpriced.append(index)
        }
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    /// The series of a provider and a model, made when there is room; 0 is the one for all others. It stays.
    func series(provider: UnsafeRawBufferPointer, model: UnsafeRawBufferPointer) -> Int32 {
        let provider = UnsafeRawBufferPointer(rebasing: provider.prefix(Self.maximumName))
        let model = UnsafeRawBufferPointer(rebasing: model.prefix(Self.maximumName))
        return state.withLock { state in
            let mask = state.slots.count - 1
            var slot =
                Int(truncatingIfNeeded: Self.hash(model, Self.hash(provider, 0xCBF2_9CE4_8422_2325)) >> 20) & mask
            // At most a quarter of the slots is taken.
            while state.slots[slot] != 0 {
                let index = Int(state.slots[slot])
                if state.series[index].isFor(provider, model) { return Int32(index) }
                slot = (slot + 1) & mask
            }
            guard state.series.count <= Self.maximumSeries else { return 0 }
            state.series.append(Series(provider: Array(provider), model: Array(model)))
            state.slots[slot] = UInt16(state.series.count - 1)
            return Int32(state.series.count - 1)
        }
    }

    /// FNV-1a.
    private static func hash(_ text: UnsafeRawBufferPointer, _ start: UInt64) -> UInt64 {
        var hash = start
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
    }

    // MARK: Reading

    /// Calls that were counted.
    var calls: Int { state.withLock { $0.calls } }

    /// What all counted calls cost.
    var cost: Money { state.withLock { $0.series.reduce(Money.zero) { $0 + $1.cost } } }

    private func labels(_ index: Int) -> MetricRegistry.Labels {
        let (provider, model) = state.withLock { ($0.series[index].provider, $0.series[index].model) }
        return [
            ("processor", processor), ("provider", Self.label(provider)), ("model", Self.label(model)),
        ]
    }

    private static func label(_ name: [UInt8]) -> String {
        name.isEmpty ? "unknown" : String(decoding: name, as: UTF8.self)
    }

    private func registerCost(_ index: Int) {
        metrics.counter(
            "martlet_genai_cost_usd", help: "Cost of counted calls in US dollars, exact", labels: labels(index),
            decimal: { [self] in "\(state.withLock { $0.series[index].cost })" })
    }

    private func registerUnpriced(_ index: Int) {
        metrics.counter(
            "martlet_genai_unpriced_tokens", help: "Input and output tokens of counted calls without a cost",
            labels: labels(index), decimal: { [self] in "\(state.withLock { $0.series[index].unpricedTokens })" })
    }
}
