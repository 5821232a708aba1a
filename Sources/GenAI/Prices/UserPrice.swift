import Config

/// One entry of a price file or of `prices::overrides`.
struct UserPrice: Sendable {
    /// The canonical provider; nil: any.
    var provider: String?
    /// The name as it was written, for people.
    var model: String
    /// Lower case; compared with names as they come.
    var modelKey: [UInt8]
    /// Further names.
    var pattern: NamePattern?
    /// Figures, conditions and multiplier.
    var row: PriceRow
    /// Whose prices it has, instead of figures.
    var sameAs: String?
    /// The file that it is from, for people.
    var origin: String

    /// How well a name fits; a pattern's rank is below that of the name itself.
    func rank(of name: ModelName) -> MatchRank? {
        if !modelKey.isEmpty, name.forms.contains(modelKey) { return MatchRank(anchors: 4, literals: 0) }
        guard let pattern else { return nil }
        return name.forms.lazy.compactMap { pattern.match($0)?.rank }.first
    }
}

/// Reads entries. Everything that is ambiguous or absurd is an error with a hint: a wrong price is worse than none.
struct UserPriceReader {
    let origin: String

    private static let tokenFields: [(key: String, field: PriceField)] = [
        ("input", .input), ("output", .output), ("cache_read", .cacheRead), ("cache_write", .cacheWrite5m),
        ("cache_write_1h", .cacheWrite1h), ("reasoning", .reasoning), ("audio_input", .audioInput),
        ("audio_output", .audioOutput), ("cached_audio_input", .cachedAudioInput),
    ]
    private static let aboveFields: [(key: String, field: PriceField)] = [
        ("input", .inputAbove), ("output", .outputAbove), ("cache_read", .cacheReadAbove),
        ("cache_write", .cacheWrite5mAbove), ("cache_write_1h", .cacheWrite1hAbove),
    ]
    private static let batchFields: [(key: String, field: PriceField)] = [
        ("input", .batchInput), ("output", .batchOutput), ("cache_read", .batchCacheRead),
    ]
    private static let flexFields: [(key: String, field: PriceField)] = [
        ("input", .flexInput), ("output", .flexOutput), ("cache_read", .flexCacheRead),
    ]
    private static let priorityFields: [(key: String, field: PriceField)] = [
        ("input", .priorityInput), ("output", .priorityOutput), ("cache_read", .priorityCacheRead),
    ]

    /// Reads one entry; what is wrong with it is recorded in `section`.
    func read(_ section: ConfigSection) -> UserPrice {
        var row = PriceRow()
        readFigures(section, Self.tokenFields, into: &row)
        readFlatFigures(section, into: &row)
        readConditions(section, into: &row)
        readTiers(section, into: &row)
        let provider = section.nonEmptyString("provider")
        let model = section.nonEmptyString("model") ?? ""
        let entry = UserPrice(
            provider: provider.flatMap { ProviderName.canonical(Self.key($0)) }, model: model,
            modelKey: Self.key(model),
            pattern: readPattern(section), row: row, sameAs: section.nonEmptyString("same_as"), origin: origin)
        check(section, entry)
        return entry
    }

    private static func key(_ text: String) -> [UInt8] {
        Array(text.utf8).withUnsafeBytes { ASCII.trimmedAndLowered($0) }
    }

    private func readPattern(_ section: ConfigSection) -> NamePattern? {
        guard let text = section.nonEmptyString("match") else { return nil }
        do throws(NamePattern.Malformed) {
            return try NamePattern(text)
        } catch {
            section.error("match", "is no usable regular expression: \(error)")
            return nil
        }
    }

    private func check(_ section: ConfigSection, _ entry: UserPrice) {
        if entry.model.isEmpty, entry.pattern == nil, !section.contains("match") {
            section.error("an entry needs \"model\" or \"match\"")
        }
        if section.nonEmptyString("provider") != nil, entry.provider == nil {
            section.error("provider", "is no provider that bills; leave it out for any provider")
        }
        let hasPrice = entry.row.hasPrice
        if entry.sameAs != nil, hasPrice {
            section.error("same_as", "stands instead of prices; remove one of them")
        }
        // Figures that were refused are reported already.
        let mentionsPrice = PriceUnit.allCases.contains { section.contains($0.rawValue) }
        if entry.sameAs == nil, !hasPrice, entry.row[.multiplier] == nil, !mentionsPrice, !section.diagnostics.hasErrors
        {
            section.error("there is no price; write, for example, per_1m: {input: 3, output: 15}")
        }
        for (part, whole) in [(PriceField.cacheRead, PriceField.input), (.cachedAudioInput, .audioInput)] {
            if let part = entry.row[part], let whole = entry.row[whole], part > whole {
                section.warn(at: section.position, "reading from the cache costs more than plain input")
            }
        }
    }

    // MARK: Figures

    /// Reads token prices from `per_1k`, `per_1m` and `per_token` of one section.
    private func readFigures(
        _ section: ConfigSection, _ fields: [(key: String, field: PriceField)], into row: inout PriceRow
    ) {
        for unit in PriceUnit.allCases {
            guard let prices = section.optionalSection(unit.rawValue) else { continue }
            for (key, field) in fields {
                guard let figure = figure(prices, key, unit) else { continue }
                if row[field] != nil {
                    prices.error(key, "is given twice, in different units; keep one of them")
                }
                row[field] = figure
            }
        }
        for (key, _) in fields where section.contains(key) {
            section.error(key, "has no unit", suggestion: "per_1m: {\(key): …}")
        }
    }

    /// Reads `input_cost_per_1k: 0.03` and its like.
    private func readFlatFigures(_ section: ConfigSection, into row: inout PriceRow) {
        for unit in PriceUnit.allCases {
            for (key, field) in [("input", PriceField.input), ("output", .output)] {
                let flat = "\(key)_cost_\(unit.rawValue)"
                guard section.contains(flat), let figure = figure(section, flat, unit) else { continue }
                if row[field] != nil { section.error(flat, "is given twice; keep one of them") }
                row[field] = figure
            }
        }
        for (key, field) in [("per_image", PriceField.perImage), ("per_request", .perRequest)] {
            row[field] = figure(section, key, .unit)
        }
    }

    /// A price in the row's unit; nil when missing or refused.
    private func figure(_ section: ConfigSection, _ key: String, _ unit: PriceUnit) -> Int64? {
        guard let value = number(section, key, scale: unit.scale) else { return nil }
        switch unit.judge(value) {
        case .usable(let figure): return figure
        case .refused(let reason):
            section.error(key, reason)
            return nil
        }
    }

    /// A decimal times 10^`scale`; nil when missing, null, or refused.
    private func number(_ section: ConfigSection, _ key: String, scale: Int) -> Int128? {
        guard let node = section.node(key), !node.isNull else { return nil }
        guard let text = node.substitutedText ?? node.scalar?.text else {
            section.error(key, "must be a number, not \(node.kind)")
            return nil
        }
        do throws(DecimalText.Failure) {
            let value = try DecimalText.parse(text, scale: scale)
            if value >= 0 { return value }
            section.error(key, "must not be negative")
        } catch {
            switch error {
            case .malformed: section.error(key, "must be a decimal number such as 0.25, not \(node.kind)")
            case .tooPrecise: section.error(key, "has more decimals than can be kept exactly (\(scale))")
            case .outOfRange: section.error(key, "is far too large")
            }
        }
        return nil
    }

    // MARK: Conditions

    private func readConditions(_ section: ConfigSection, into row: inout PriceRow) {
        for key in ["valid_from", "valid_to"] {
            guard let node = section.node(key), !node.isNull else { continue }
            guard let day = (node.substitutedText ?? node.scalar?.text).flatMap({ PriceDay.parse($0) }) else {
                section.error(key, "must be a date such as 2026-11-21")
                continue
            }
            if key == "valid_from" { row.validFrom = day } else { row.validTo = day }
        }
        if row.validFrom >= row.validTo {
            section.error("valid_to", "must be after \"valid_from\"; that day is excluded")
        }
        if let mode = section.choice("mode", CallMode.allCases.map(\.name).filter { !$0.isEmpty && $0 != "none" }) {
            row.mode = CallMode(tableName: mode) ?? .unknown
        }
        row[.multiplier] = multiplier(section, "multiplier")
        guard let peak = section.optionalSection("peak") else { return }
        peak.require("windows")
        peak.require("multiplier")
        row[.peakMultiplier] = multiplier(peak, "multiplier")
        for window in peak.stringList("windows") ?? [] {
            guard let window = PeakWindow(window) else {
                peak.error("windows", "must be times of the day in UTC such as 01:00-04:00, the end after the start")
                continue
            }
            if !row.addPeak(window) {
                peak.error("windows", "has more than \(PeakWindow.maximumCount) windows")
                break
            }
        }
    }

    /// A factor in millionths, from 0.001 to 10.
    private func multiplier(_ section: ConfigSection, _ key: String) -> Int64? {
        guard let value = number(section, key, scale: 6) else { return nil }
        guard value >= 1000, value <= 10_000_000 else {
            section.error(key, "must be from 0.001 to 10; 0.9 is ten per cent off")
            return nil
        }
        return Int64(value)
    }

    private func readTiers(_ section: ConfigSection, into row: inout PriceRow) {
        if let above = section.optionalSection("above") {
            above.require("tokens")
            row[.threshold] = above.integer("tokens", in: 1...TokenUsage.maximumCount)
            readFigures(above, Self.aboveFields, into: &row)
        }
        if let batch = section.optionalSection("batch") {
            if let discount = number(batch, "discount", scale: 6) {
                if discount <= 1_000_000 {
                    row[.batchDiscount] = Int64(discount)
                } else {
                    batch.error("discount", "must be from 0 to 1; 0.5 is half price")
                }
            }
            readFigures(batch, Self.batchFields, into: &row)
        }
        if let flex = section.optionalSection("flex") { readFigures(flex, Self.flexFields, into: &row) }
        if let priority = section.optionalSection("priority") {
            readFigures(priority, Self.priorityFields, into: &row)
        }
    }
}

/// The unit that a user gives a price in.
enum PriceUnit: String, CaseIterable {
    case per1k = "per_1k"
    case per1m = "per_1m"
    case perToken = "per_token"
    /// Per image or request; not a key of its own.
    case unit = ""

    static let allCases: [PriceUnit] = [.per1k, .per1m, .perToken]

    /// The dearest model ever listed cost 600 USD per million tokens.
    private static let maximumPerMillion = 2000
    /// The cheapest figure ever listed is 0.0016 USD per million tokens.
    private static let minimumPerMillionText = "0.0001"
    private static let minimumPerMillion: Int128 = 100_000_000_000
    private static let maximumPerUnit = 1000
    private static let femtodollars: Int128 = 1_000_000_000_000_000

    /// Decimals that make the figure femtodollars per million tokens, or per unit.
    var scale: Int {
        switch self {
        case .per1k: 18
        case .per1m, .unit: 15
        case .perToken: 21
        }
    }

    enum Judgement {
        case usable(Int64)
        case refused(String)
    }

    /// Whether a figure (femtodollars per million tokens, or per unit) can be a price.
    func judge(_ value: Int128) -> Judgement {
        if self == .unit {
            guard value <= Int128(Self.maximumPerUnit) * Self.femtodollars else {
                return .refused("is more than \(Self.maximumPerUnit) USD for one; the unit is USD")
            }
            return .usable(Int64(value))
        }
        let perMillion = DecimalText.string(value, scale: 15)
        if value > Int128(Self.maximumPerMillion) * Self.femtodollars {
            let hint = self == .per1m ? "check the figure" : "a figure per million tokens belongs under per_1m"
            return .refused("would be \(perMillion) USD per million tokens; \(hint)")
        }
        if value > 0, value < Self.minimumPerMillion {
            let hint = self == .perToken ? "check the figure" : "a figure per token belongs under per_token"
            return .refused(
                "would be \(perMillion) USD per million tokens, below \(Self.minimumPerMillionText); \(hint)")
        }
        return .usable(Int64(value))
    }
}
