internal import CPrices

/// The price table that is part of the program, in the text format that `scripts/prices` describes.
///
/// Only line and name boundaries are found at the first use; a row's figures are read when a name resolves to it.
/// Immutable; any thread.
struct BuiltinPrices: Sendable {
    /// What a further name of a row looks like.
    enum NameKind: UInt8 {
        case whole
        case dated
        case bedrockVersion
        case compactOrLongDate
        case prefix
        case suffix
        case part
        case expression

        init?(_ byte: UInt8) {
            switch byte {
            case UInt8(ascii: "="): self = .whole
            case UInt8(ascii: "%"): self = .dated
            case UInt8(ascii: "&"): self = .bedrockVersion
            case UInt8(ascii: "#"): self = .compactOrLongDate
            case UInt8(ascii: "^"): self = .prefix
            case UInt8(ascii: "$"): self = .suffix
            case UInt8(ascii: "*"): self = .part
            case UInt8(ascii: "/"): self = .expression
            default: return nil
            }
        }

        var anchors: UInt8 {
            switch self {
            case .whole, .dated, .bedrockVersion, .compactOrLongDate, .expression: 3
            case .prefix: 2
            case .suffix, .part: 1
            }
        }
    }

    struct Span {
        let start: Int32
        let end: Int32
    }

    struct Row {
        let model: Span
        let facts: Span
    }

    struct Name {
        let row: Int32
        let kind: NameKind
        let text: Span
        /// Index into `expressions` for that kind.
        let expression: Int32
    }

    struct Provider {
        let name: Span
        var rows: Range<Int>
        var names: Range<Int>
    }

    /// The text; static storage of the executable, never written and never freed.
    private let text: TableText
    private(set) var rows: [Row] = []
    private(set) var names: [Name] = []
    private(set) var providers: [Provider] = []
    private(set) var expressions: [NamePattern] = []
    /// The date that the table is from.
    private(set) var version = ""
    /// Lines that were not understood; zero for the table in the program.
    private(set) var malformedLines = 0

    /// The table in the program, read at the first use.
    static let shared = BuiltinPrices(
        UnsafeRawBufferPointer(start: martlet_prices_text(), count: martlet_prices_length()))

    // Unchecked: a pointer to constant static storage.
    private struct TableText: @unchecked Sendable {
        let bytes: UnsafeRawBufferPointer
    }

    /// Finds the boundaries in `text`, which must outlive this value. Never fails: see `malformedLines`.
    init(_ text: UnsafeRawBufferPointer) {
        self.text = TableText(bytes: text)
        rows.reserveCapacity(2000)
        names.reserveCapacity(3000)
        var start = 0
        while start < text.count {
            var end = start
            while end < text.count, text[end] != UInt8(ascii: "\n") { end += 1 }
            if !addLine(start, end) { malformedLines += 1 }
            start = end + 1
        }
    }

    private mutating func addLine(_ start: Int, _ end: Int) -> Bool {
        guard start < end else { return false }
        let bytes = text.bytes
        if version.isEmpty {
            let words = string(Span(start: Int32(start), end: Int32(end))).split(separator: " ")
            guard words.count == 3, words[0] == "martlet-prices", words[1] == "1" else { return false }
            version = String(words[2])
            return true
        }
        if bytes[start] == UInt8(ascii: "@") {
            providers.append(
                Provider(
                    name: Span(start: Int32(start + 1), end: Int32(end)), rows: rows.count..<rows.count,
                    names: names.count..<names.count))
            return true
        }
        guard !providers.isEmpty, let firstTab = tab(start, end), let secondTab = tab(firstTab + 1, end) else {
            return false
        }
        let model = Span(start: Int32(start), end: Int32(firstTab))
        let row = Int32(rows.count)
        rows.append(Row(model: model, facts: Span(start: Int32(secondTab + 1), end: Int32(end))))
        var isComplete = true
        var at = firstTab + 1
        while at < secondTab {
            var wordEnd = at
            while wordEnd < secondTab, bytes[wordEnd] != UInt8(ascii: " ") { wordEnd += 1 }
            if !addName(at, wordEnd, row, model) { isComplete = false }
            at = wordEnd + 1
        }
        let last = providers.count - 1
        providers[last].rows = providers[last].rows.lowerBound..<rows.count
        providers[last].names = providers[last].names.lowerBound..<names.count
        return isComplete
    }

    private func tab(_ start: Int, _ end: Int) -> Int? {
        var at = start
        while at < end, text.bytes[at] != UInt8(ascii: "\t") { at += 1 }
        return at < end ? at : nil
    }

    private mutating func addName(_ start: Int, _ end: Int, _ row: Int32, _ model: Span) -> Bool {
        guard start < end, let kind = NameKind(text.bytes[start]) else { return false }
        let written = Span(start: Int32(start + 1), end: Int32(end))
        var expression: Int32 = -1
        if kind == .expression {
            guard let pattern = try? NamePattern(string(written)) else { return false }
            expression = Int32(expressions.count)
            expressions.append(pattern)
        }
        names.append(
            Name(row: row, kind: kind, text: start + 1 == end ? model : written, expression: expression))
        return true
    }

    // MARK: Reading

    /// The bytes of a part of the text.
    func bytes(_ span: Span) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: text.bytes[Int(span.start)..<Int(span.end)])
    }

    /// The same as a string.
    func string(_ span: Span) -> String { String(decoding: bytes(span), as: UTF8.self) }

    /// The model's name in a row.
    func model(_ row: Int) -> String { string(rows[row].model) }

    /// The provider that owns a row.
    func provider(ofRow row: Int) -> Provider? { providers.first { $0.rows.contains(row) } }

    /// The provider of a canonical name.
    func provider(named name: [UInt8]) -> Provider? {
        providers.first { name.elementsEqual(bytes($0.name)) }
    }

    /// Reads the figures of a row. `unread` counts facts that were not understood; zero for the table in the program.
    func figures(_ row: Int) -> (row: PriceRow, sources: String, unread: Int) {
        var result = PriceRow()
        var sources = ""
        var unread = 0
        for word in string(rows[row].facts).split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else {
                unread += 1
                continue
            }
            if parts[0] == "S" {
                sources = String(parts[1])
            } else if !Self.read(parts[0], parts[1], into: &result) {
                unread += 1
            }
        }
        return (result, sources, unread)
    }

    private static func read(_ code: Substring, _ value: Substring, into row: inout PriceRow) -> Bool {
        switch code {
        case "m":
            guard let mode = CallMode(tableName: value) else { return false }
            row.mode = mode
        case "F", "U":
            guard let day = PriceDay.parse(value) else { return false }
            if code == "F" { row.validFrom = day } else { row.validTo = day }
        case "k":
            return value.split(separator: ";").allSatisfy { PeakWindow($0).map { row.addPeak($0) } ?? false }
        default:
            guard let (field, scale) = fields[code],
                let figure = try? DecimalText.parse(value, scale: scale), let exact = Int64(exactly: figure)
            else { return false }
            row[field] = exact
        }
        return true
    }

    /// Codes of figures, with the decimals that their unit has.
    private static let fields: [Substring: (PriceField, Int)] = [
        "i": (.input, 15), "o": (.output, 15), "r": (.cacheRead, 15), "w": (.cacheWrite5m, 15),
        "W": (.cacheWrite1h, 15), "s": (.reasoning, 15), "a": (.audioInput, 15), "A": (.audioOutput, 15),
        "c": (.cachedAudioInput, 15), "ti": (.inputAbove, 15), "to": (.outputAbove, 15), "tr": (.cacheReadAbove, 15),
        "tw": (.cacheWrite5mAbove, 15), "tW": (.cacheWrite1hAbove, 15), "br": (.batchCacheRead, 15),
        "fi": (.flexInput, 15), "fo": (.flexOutput, 15), "fr": (.flexCacheRead, 15), "pi": (.priorityInput, 15),
        "po": (.priorityOutput, 15), "pr": (.priorityCacheRead, 15), "I": (.perImage, 15), "q": (.perRequest, 15),
        "B": (.batchDiscount, 6), "T": (.threshold, 0), "K": (.peakMultiplier, 6),
    ]
}
