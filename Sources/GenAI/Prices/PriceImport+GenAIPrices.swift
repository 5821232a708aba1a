extension PriceImport {
    private static let tokenKeys: [(key: String, field: PriceField, above: PriceField?)] = [
        ("input_mtok", .input, .inputAbove), ("output_mtok", .output, .outputAbove),
        ("cache_read_mtok", .cacheRead, .cacheReadAbove), ("cache_write_mtok", .cacheWrite5m, .cacheWrite5mAbove),
        ("cache_write_1h_mtok", .cacheWrite1h, .cacheWrite1hAbove), ("output_reasoning_mtok", .reasoning, nil),
        ("input_audio_mtok", .audioInput, nil), ("output_audio_mtok", .audioOutput, nil),
        ("cache_audio_read_mtok", .cachedAudioInput, nil),
    ]

    /// Reads the array of providers, with models and dated prices per million tokens.
    mutating func readGenAIPrices(_ root: PriceJSON) {
        for provider in root.elements {
            guard let id = provider["id"]?.text, let canonical = ProviderName.canonical(Array(id.lowercased().utf8))
            else {
                skip("a provider", "it has no id")
                continue
            }
            for model in provider["models"]?.elements ?? [] {
                guard let id = model["id"]?.text else { continue }
                readModel(model, id, canonical)
            }
        }
    }

    private mutating func readModel(_ model: PriceJSON, _ id: String, _ provider: String) {
        let name = provider + " " + id
        var match = model["match"].flatMap(Self.pattern)
        if match == nil { skip(name, "its match rule; only the id itself is matched") }
        if let text = match, (try? NamePattern(text)) == nil {
            skip(name, "its match rule is no supported regular expression; only the id itself is matched")
            match = nil
        }
        let periods = periods(model["prices"] ?? .null, name)
        for (index, period) in periods.enumerated() {
            beginEntry()
            var row = PriceRow()
            row.validFrom = period.from
            // The last price that has begun counts.
            row.validTo = index + 1 < periods.count ? periods[index + 1].from : PriceDay.never
            guard row.validFrom < row.validTo else { continue }
            readPrices(period.prices, name, into: &row)
            readVariants(model["price_variants"], from: row.validFrom, name, into: &row)
            add(Entry(provider: provider, model: id, match: match, row: row), name)
        }
    }

    /// The prices with their first days, in order; those for hours of the day are left out.
    private mutating func periods(_ prices: PriceJSON, _ name: String) -> [(from: Int32, prices: PriceJSON)] {
        guard case .array(let listed) = prices else { return [(PriceDay.open, prices)] }
        var result: [(from: Int32, prices: PriceJSON)] = []
        for item in listed {
            let inner = item["prices"] ?? .null
            guard let constraint = item["constraint"], case .object = constraint else {
                result.append((PriceDay.open, inner))
                continue
            }
            if let day = constraint["start_date"]?.text.flatMap({ PriceDay.parse($0) }) {
                result.append((day, inner))
            } else {
                skip(name, "its prices for hours of the day")
            }
        }
        return result.sorted { $0.from < $1.from }
    }

    private mutating func readPrices(_ prices: PriceJSON, _ name: String, into row: inout PriceRow) {
        for (key, field, above) in Self.tokenKeys {
            guard let price = prices[key] else { continue }
            row[field] = figure(price["base"] ?? price, .per1m, name)
            guard let tier = price["tiers"]?.elements.first else { continue }
            guard let above, let start = tier["start"]?.figure.flatMap({ Int64($0) }), start > 0 else { continue }
            row[above] = figure(tier["price"], .per1m, name)
            row[.threshold] = start
        }
        // Requests are priced by the thousand.
        if let thousand = prices["requests_kcount"]?.figure,
            let value = try? DecimalText.parse(thousand, scale: 12, isRounding: true), let fee = Int64(exactly: value)
        {
            row[.perRequest] = fee
        }
    }

    /// Batch and service tier prices in force when the period begins or later.
    private mutating func readVariants(
        _ variants: PriceJSON?, from day: Int32, _ name: String, into row: inout PriceRow
    ) {
        for variant in variants?.elements ?? [] {
            let when = variant["when"]
            let fields: (PriceField, PriceField, PriceField)
            if when?["processing"]?.text == "batch" {
                fields = (.batchInput, .batchOutput, .batchCacheRead)
            } else if when?["service_tier"]?.text == "flex" {
                fields = (.flexInput, .flexOutput, .flexCacheRead)
            } else if when?["service_tier"]?.text == "priority" {
                fields = (.priorityInput, .priorityOutput, .priorityCacheRead)
            } else {
                continue
            }
            let start = variant["constraint"]?["start_date"]?.text.flatMap { PriceDay.parse($0) } ?? PriceDay.open
            // A variant that begins after this period belongs to a later one.
            guard start < row.validTo else { continue }
            let prices = variant["prices"] ?? .null
            for (key, field) in [("input_mtok", fields.0), ("output_mtok", fields.1), ("cache_read_mtok", fields.2)] {
                guard let price = prices[key] else { continue }
                row[field] = figure(price["base"] ?? price, .per1m, name)
            }
        }
    }

    /// A match rule as a regular expression; nil for one that has none.
    private static func pattern(_ clause: PriceJSON) -> String? {
        if let text = clause["equals"]?.text { return "^" + escaped(text) + "$" }
        if let text = clause["starts_with"]?.text { return "^" + escaped(text) }
        if let text = clause["ends_with"]?.text { return escaped(text) + "$" }
        if let text = clause["contains"]?.text { return escaped(text) }
        if let text = clause["regex"]?.text { return text }
        guard let parts = clause["or"]?.elements, !parts.isEmpty else { return nil }
        let patterns = parts.compactMap(pattern)
        return patterns.count == parts.count ? patterns.joined(separator: "|") : nil
    }

    private static func escaped(_ text: String) -> String {
        text.map { #"\^$.|?*+()[]{}"#.contains($0) ? "\\\($0)" : String($0) }.joined()
    }
}
