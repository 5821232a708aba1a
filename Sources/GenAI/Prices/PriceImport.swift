/// Price data of other tools, turned into the text of a price file.
package struct PriceImport: Sendable {
    /// Whose data it is.
    package enum Format: String, Sendable, CaseIterable {
        /// LiteLLM's price map: an object of model names.
        case litellm
        /// genai-prices' data: an array of providers.
        case genaiPrices = "genai-prices"
    }

    /// Why nothing was imported; a sentence part.
    package struct Failure: Error, Sendable, CustomStringConvertible {
        /// The reason.
        package let description: String
    }

    /// What was left out, and why.
    package struct Skipped: Sendable {
        /// The provider and model, or the part of the data.
        package let name: String
        /// The reason.
        package let reason: String
    }

    struct Entry {
        var provider: String
        var model: String
        var match: String?
        var row: PriceRow
    }

    /// Bytes of data, at most.
    package static let maximumBytes = 64 << 20

    /// Whose data it was.
    package let format: Format
    /// What was left out.
    package internal(set) var skipped: [Skipped] = []
    var entries: [Entry] = []
    /// Whether a figure of the entry being read was unusable. Without it the rest would price calls wrongly.
    private var isEntryUnusable = false

    /// How many entries there are.
    package var count: Int { entries.count }

    /// Reads data; the format is recognised by its shape unless it is given.
    package init(_ bytes: [UInt8], format: Format? = nil) throws(Failure) {
        guard bytes.count <= Self.maximumBytes else { throw Failure(description: "it is larger than 64 MiB") }
        let root: PriceJSON
        do throws(PriceJSON.Malformed) {
            root = try PriceJSON(parsing: bytes)
        } catch {
            throw Failure(description: "it is no JSON: \(error)")
        }
        switch root {
        case .array: self.format = .genaiPrices
        case .object: self.format = root["providers"] == nil ? .litellm : .genaiPrices
        default:
            throw Failure(description: "it is neither LiteLLM's price map (an object) nor genai-prices' (an array)")
        }
        if let format, format != self.format {
            throw Failure(description: "it does not look like data of \(format.rawValue)")
        }
        switch self.format {
        case .litellm: readLiteLLM(root)
        case .genaiPrices: readGenAIPrices(root["providers"] ?? root)
        }
        guard !entries.isEmpty else { throw Failure(description: "it holds no price that can be used") }
        if entries.count > PriceOptions.maximumEntries {
            throw Failure(description: "it holds more than \(PriceOptions.maximumEntries) entries")
        }
    }

    mutating func skip(_ name: String, _ reason: String) { skipped.append(Skipped(name: name, reason: reason)) }

    /// Starts an entry.
    mutating func beginEntry() { isEntryUnusable = false }

    /// Adds the entry begun, unless one of its figures was unusable, or it has no price but zeros (which both data sets
    /// write where they know none, beside the few models that are free).
    mutating func add(_ entry: Entry, _ name: String) {
        if isEntryUnusable { return }
        guard entry.row.hasPrice else { return skip(name, "it has no price per token, image or request") }
        let isPriced = PriceField.allCases.contains {
            ($0.isTokenPrice || $0 == .perImage || $0 == .perRequest) && (entry.row[$0] ?? 0) > 0
        }
        guard isPriced else { return skip(name, "all its prices are zero") }
        entries.append(entry)
    }

    /// A figure as the row keeps it; nil when there is none. With one that cannot be a price the entry is left out.
    mutating func figure(_ value: PriceJSON?, _ unit: PriceUnit, _ name: String) -> Int64? {
        guard let text = value?.figure else {
            if let value, case .null = value { return nil }
            if value != nil { refuse(name, "a price is no number") }
            return nil
        }
        do throws(DecimalText.Failure) {
            switch unit.judge(try DecimalText.parse(text, scale: unit.scale, isRounding: true)) {
            case .usable(let figure) where figure >= 0: return figure
            case .usable: refuse(name, "a price is negative")
            case .refused(let reason): refuse(name, "a price \(reason)")
            }
        } catch {
            refuse(name, "\(text) is no price")
        }
        return nil
    }

    private mutating func refuse(_ name: String, _ reason: String) {
        if !isEntryUnusable { skip(name, reason) }
        isEntryUnusable = true
    }

    // MARK: Writing

    /// The text of a price file. `version` becomes its stamp.
    package func priceFile(version: String) -> String {
        var text = "# Imported from \(format.rawValue) data by `martlet prices import`.\n"
        text += "version: \(Self.quoted(version))\nprices:\n"
        for entry in entries {
            text += "  - provider: \(Self.quoted(entry.provider))\n    model: \(Self.quoted(entry.model))\n"
            if let match = entry.match { text += "    match: \(Self.quoted(match))\n" }
            text += Self.lines(entry.row)
        }
        return text
    }

    private static func lines(_ row: PriceRow) -> String {
        func group(_ fields: [(String, PriceField)]) -> String? {
            let present = fields.compactMap { name, field in
                row[field].map { "\(name): \(DecimalText.string(Int128($0), scale: 15))" }
            }
            return present.isEmpty ? nil : "per_1m: {\(present.joined(separator: ", "))}"
        }
        var text = ""
        let main = group([
            ("input", .input), ("output", .output), ("cache_read", .cacheRead), ("cache_write", .cacheWrite5m),
            ("cache_write_1h", .cacheWrite1h), ("reasoning", .reasoning), ("audio_input", .audioInput),
            ("audio_output", .audioOutput), ("cached_audio_input", .cachedAudioInput),
        ])
        if let main { text += "    \(main)\n" }
        for (name, field) in [("per_image", PriceField.perImage), ("per_request", .perRequest)] {
            if let value = row[field] { text += "    \(name): \(DecimalText.string(Int128(value), scale: 15))\n" }
        }
        let above = group([
            ("input", .inputAbove), ("output", .outputAbove), ("cache_read", .cacheReadAbove),
            ("cache_write", .cacheWrite5mAbove), ("cache_write_1h", .cacheWrite1hAbove),
        ])
        if let above, let threshold = row[.threshold] { text += "    above: {tokens: \(threshold), \(above)}\n" }
        for (name, fields) in [
            ("batch", [PriceField.batchInput, .batchOutput, .batchCacheRead]),
            ("flex", [.flexInput, .flexOutput, .flexCacheRead]),
            ("priority", [.priorityInput, .priorityOutput, .priorityCacheRead]),
        ] {
            if let tier = group(Array(zip(["input", "output", "cache_read"], fields))) {
                text += "    \(name): {\(tier)}\n"
            }
        }
        if let day = PriceDay.text(row.validFrom) { text += "    valid_from: \(day)\n" }
        if let day = PriceDay.text(row.validTo) { text += "    valid_to: \(day)\n" }
        if !row.mode.name.isEmpty { text += "    mode: \(row.mode.name)\n" }
        return text
    }

    /// A YAML string in double quotes; a dollar is doubled, since `${…}` means something in configuration files.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "$": result += "$$"
            case "\n", "\r", "\t": result += " "
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    result += " "
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
