/// A row of prices for people and for output, off the hot path.
package struct PriceDescription: Sendable {
    /// The provider; `any` for a user's entry that names none.
    package let provider: String
    /// The model, or the pattern of a user's entry without one.
    package let model: String
    /// `built-in`, or the user's file.
    package let origin: String
    /// Who states the figures, for built-in rows.
    package let sources: [String]
    /// Which day it holds from, `YYYY-MM-DD`; nil: always did.
    package let validFrom: String?
    /// The day from which it does not hold any more; nil: holds on.
    package let validTo: String?
    /// What it is for; empty when it is not known.
    package let mode: String
    /// Figures by name, as exact decimals: dollars per million tokens (`…_per_1m`), per image or request, and others.
    package let figures: [(name: String, value: String)]

    init?(_ reference: PriceReference, in catalog: PriceCatalog) {
        if reference.index >= PriceReference.firstUser {
            let index = Int(reference.index - PriceReference.firstUser)
            guard index < catalog.user.count else { return nil }
            let entry = catalog.user[index]
            let name = entry.model.isEmpty ? "(by pattern)" : entry.model
            self.init(entry.row, provider: entry.provider ?? "any", model: name, origin: entry.origin, sources: [])
            return
        }
        let index = Int(reference.index)
        guard index >= 0, index < catalog.builtin.rows.count, let provider = catalog.builtin.provider(ofRow: index)
        else { return nil }
        let figures = catalog.builtin.figures(index)
        let sources = figures.sources.compactMap { Self.sourceNames[$0] }
        self.init(
            figures.row, provider: catalog.builtin.string(provider.name), model: catalog.builtin.model(index),
            origin: "built-in", sources: sources)
    }

    private init(_ row: PriceRow, provider: String, model: String, origin: String, sources: [String]) {
        self.provider = provider
        self.model = model
        self.origin = origin
        self.sources = sources
        validFrom = PriceDay.text(row.validFrom)
        validTo = PriceDay.text(row.validTo)
        mode = row.mode.name
        var figures = PriceField.allCases.compactMap { field in
            row[field].map { (name: Self.name(field), value: Self.text($0, field)) }
        }
        if !row.peakWindows.isEmpty {
            figures.append((name: "peak_windows_utc", value: row.peakWindows.map(\.text).joined(separator: ";")))
        }
        self.figures = figures
    }

    private static let sourceNames: [Character: String] = ["l": "litellm", "g": "genai-prices", "t": "tokencost"]

    private static func text(_ value: Int64, _ field: PriceField) -> String {
        switch field {
        case .threshold: String(value)
        case .batchDiscount, .peakMultiplier, .multiplier: DecimalText.string(Int128(value), scale: 6)
        default: DecimalText.string(Int128(value), scale: 15)
        }
    }

    private static func name(_ field: PriceField) -> String {
        switch field {
        case .input: "input_per_1m"
        case .output: "output_per_1m"
        case .cacheRead: "cache_read_per_1m"
        case .cacheWrite5m: "cache_write_per_1m"
        case .cacheWrite1h: "cache_write_1h_per_1m"
        case .reasoning: "reasoning_per_1m"
        case .audioInput: "audio_input_per_1m"
        case .audioOutput: "audio_output_per_1m"
        case .cachedAudioInput: "cached_audio_input_per_1m"
        case .inputAbove: "input_above_per_1m"
        case .outputAbove: "output_above_per_1m"
        case .cacheReadAbove: "cache_read_above_per_1m"
        case .cacheWrite5mAbove: "cache_write_above_per_1m"
        case .cacheWrite1hAbove: "cache_write_1h_above_per_1m"
        case .batchInput: "batch_input_per_1m"
        case .batchOutput: "batch_output_per_1m"
        case .batchCacheRead: "batch_cache_read_per_1m"
        case .flexInput: "flex_input_per_1m"
        case .flexOutput: "flex_output_per_1m"
        case .flexCacheRead: "flex_cache_read_per_1m"
        case .priorityInput: "priority_input_per_1m"
        case .priorityOutput: "priority_output_per_1m"
        case .priorityCacheRead: "priority_cache_read_per_1m"
        case .perImage: "per_image"
        case .perRequest: "per_request"
        case .batchDiscount: "batch_discount"
        case .threshold: "above_tokens"
        case .peakMultiplier: "peak_multiplier"
        case .multiplier: "multiplier"
        }
    }
}
