/// A cost for people and for programs, off the hot path.
package struct CostReport: Sendable {
    private let result: CostResult
    private let row: PriceDescription?
    private let provider: String
    private let model: String
    private let tier: ServiceTier
    private let version: String

    /// A report on what `book` answered for these names.
    package init(_ result: CostResult, book: PriceBook, provider: String, model: String, tier: ServiceTier) {
        self.result = result
        row = book.describe(result.reference)
        self.provider = provider
        self.model = model
        self.tier = tier
        version = book.version
    }

    /// Why the cost is what it is, or why there is none; one sentence part each.
    package var reasons: [String] {
        switch result.status {
        case .priced: return priceReasons + conditionReasons
        case .missingModel: return ["the call names no model"]
        case .unknownModel:
            return ["no price is known for this model; add it to a price file, or give it same_as"]
        case .unknownPrice:
            if let unpriced = result.unpriced { return priceReasons + ["there is no price for \(Self.name(unpriced))"] }
            return ["the model has prices, but none at that time"]
        case .missingUsage: return ["the call reports no usage that could be priced"]
        case .invalidUsage: return ["a count is negative, fractional or beyond \(TokenUsage.maximumCount)"]
        case .notBillable: return ["only calls of models are billed; this operation is none"]
        }
    }

    private var priceReasons: [String] {
        var reasons: [String] = []
        let match = result.match
        if match.contains(.userPrice) {
            reasons.append("a price of yours")
        } else if match.contains(.family) {
            reasons.append("the name starts like, or contains, a known model's: an estimate")
        } else if match.contains(.pattern) {
            reasons.append("a version of the model")
        } else {
            reasons.append("a row for exactly this model")
        }
        if match.contains(.alias) { reasons.append("through same_as") }
        if match.contains(.inferredProvider) { reasons.append("the provider is inferred from the model's name") }
        if match.contains(.otherProvider) {
            reasons.append("the provider does not list it; the price is another one's")
        }
        if match.contains(.withoutRegion) { reasons.append("the region has no price of its own") }
        if match.contains(.withoutVersion) { reasons.append("the version has no price of its own") }
        if match.contains(.multiplied) { reasons.append("a multiplier of yours applies") }
        return reasons
    }

    private var conditionReasons: [String] {
        var reasons: [String] = []
        let conditions = result.conditions
        if conditions.contains(.aboveThreshold) {
            reasons.append("total input is above the threshold: the whole request pays the higher prices")
        }
        if conditions.contains(.serviceTier) { reasons.append("prices of the service tier \(tier.name)") }
        if conditions.contains(.tierWithoutPrice) {
            reasons.append("no prices for the service tier: standard ones are taken")
        }
        if conditions.contains(.derivedTierPrice) {
            reasons.append("the tier's prices above the threshold are derived from those below it")
        }
        if conditions.contains(.peak) { reasons.append("a peak window: the multiplier applies") }
        if conditions.contains(.partialUsage) {
            reasons.append("a part of the usage was not reported: the cost is of the rest")
        }
        return reasons
    }

    private static func name(_ tokenClass: TokenClass) -> String {
        switch tokenClass {
        case .input: "input"
        case .cacheRead: "cache reads"
        case .cacheWrite5m, .cacheWrite1h: "cache writes"
        case .audioInput, .cachedAudioInput: "audio input"
        case .output: "output"
        case .reasoning: "reasoning"
        case .audioOutput: "audio output"
        case .images: "images"
        case .requests: "requests"
        }
    }

    /// Lines for a terminal.
    package var text: String {
        var lines: [String] = []
        if let cost = result.cost {
            lines.append("cost \(cost) USD\(result.isEstimate ? " (estimate)" : "")")
            for (name, amount) in result.parts.named where amount != .zero { lines.append("  \(name) \(amount)") }
        } else {
            lines.append("no cost: \(result.status.name)")
        }
        if let row {
            lines.append("price \(row.provider) \(row.model) (\(row.origin))")
            lines.append("  \(row.figures.map { "\($0.name) \($0.value)" }.joined(separator: ", "))")
            if row.validFrom != nil || row.validTo != nil {
                lines.append("  valid from \(row.validFrom ?? "ever") to before \(row.validTo ?? "further notice")")
            }
        }
        lines.append("price version \(version)")
        lines += reasons.map { "because \($0)" }
        return lines.joined(separator: "\n")
    }

    /// One JSON object. Amounts are numbers with all their digits; `cost` is null when there is none.
    package var json: String {
        var members: [(String, String)] = [
            ("cost", result.cost?.description ?? "null"), ("currency", JSONText.string("USD")),
            ("status", JSONText.string(result.status.name)), ("estimate", result.isEstimate ? "true" : "false"),
            ("provider", JSONText.string(provider)), ("model", JSONText.string(model)),
            ("service_tier", JSONText.string(tier.name)),
        ]
        let parts = result.status == .priced ? result.parts.named.map { ($0.name, $0.amount.description) } : []
        members.append(("parts", JSONText.object(parts)))
        members.append(("price", row?.json ?? "null"))
        members.append(("price_version", JSONText.string(version)))
        members.append(("reasons", "[\(reasons.map(JSONText.string).joined(separator: ","))]"))
        return JSONText.object(members)
    }
}

extension PriceDescription {
    /// One JSON object: names and dates as strings, figures as numbers (windows as a string).
    package var json: String {
        func optional(_ text: String?) -> String { text.map(JSONText.string) ?? "null" }
        return JSONText.object([
            ("provider", JSONText.string(provider)), ("model", JSONText.string(model)),
            ("origin", JSONText.string(origin)),
            ("sources", "[\(sources.map(JSONText.string).joined(separator: ","))]"),
            ("valid_from", optional(validFrom)), ("valid_to", optional(validTo)), ("mode", JSONText.string(mode)),
            (
                "figures",
                JSONText.object(
                    figures.map { figure in
                        (figure.name, figure.name == "peak_windows_utc" ? JSONText.string(figure.value) : figure.value)
                    })
            ),
        ])
    }

    /// One line for a terminal.
    package var text: String {
        var line = "\(provider) \(model)"
        if !mode.isEmpty { line += " \(mode)" }
        for figure in figures { line += " \(figure.name)=\(figure.value)" }
        if let validFrom { line += " valid_from=\(validFrom)" }
        if let validTo { line += " valid_to=\(validTo)" }
        line += " (\(sources.isEmpty ? origin : origin + ": " + sources.joined(separator: ", ")))"
        return line
    }
}

/// JSON text of small reports.
enum JSONText {
    static func object(_ members: [(String, String)]) -> String {
        "{" + members.map { string($0.0) + ":" + $0.1 }.joined(separator: ",") + "}"
    }

    static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            default:
                if scalar.value < 0x20 {
                    let code = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - code.utf8.count) + code
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
