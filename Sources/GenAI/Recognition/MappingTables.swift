/// What a value is for: one line of a field of the mapping.
struct FieldAction {
    struct Flags: OptionSet {
        let rawValue: UInt16
        /// A pair of JSON quotes around the text is not part of it.
        static let quoted = Flags(rawValue: 1 << 0)
        /// When the whole text is not in the table, what stands before its first dot is looked up.
        static let untilDot = Flags(rawValue: 1 << 1)
        /// Only the first word counts.
        static let untilSpace = Flags(rawValue: 1 << 2)
        static let milliseconds = Flags(rawValue: 1 << 3)
        /// `argument` is the source that writes milliseconds here.
        static let millisecondsFromSource = Flags(rawValue: 1 << 4)
        /// A point in time, to be counted from the span's start.
        static let sinceStart = Flags(rawValue: 1 << 5)
        /// A 0 beside tokens means that the emitter did not know.
        static let zeroUnknown = Flags(rawValue: 1 << 6)
        static let ignoreAuto = Flags(rawValue: 1 << 7)
        /// `argument` is the kind of span for which the line counts.
        static let onlyKind = Flags(rawValue: 1 << 8)
        /// A value that is not in the table is the kind of the protocol.
        static let elseMCP = Flags(rawValue: 1 << 9)
        /// The key is the field's current name.
        static let isCurrent = Flags(rawValue: 1 << 10)
        /// `extra-input` belongs to this prompt count.
        static let withExtra = Flags(rawValue: 1 << 11)
        /// Reasoning tokens are not part of this output count.
        static let withoutReasoning = Flags(rawValue: 1 << 12)
        /// Of several values the first counts, not the last.
        static let first = Flags(rawValue: 1 << 13)
        /// Of several values the highest counts.
        static let highest = Flags(rawValue: 1 << 14)
        /// Structured text is read only when it is short.
        static let short = Flags(rawValue: 1 << 15)
    }

    let field: CallField
    /// The field's form, at hand.
    let form: CallField.Form
    /// Place in the field's order of preference: the lower the better.
    var rank: UInt8
    var flags: Flags = []
    var argument: UInt8 = 0

    init(field: CallField, rank: UInt8) {
        self.field = field
        form = field.form
        self.rank = rank
    }
}

/// What an attribute key stands for.
struct KeyEntry {
    /// Its lines in `GenAIMapping.actions`.
    var firstAction: UInt16 = 0
    var actionCount: UInt16 = 0
    /// Root of the paths that are read from the value; 0 for none.
    var root: UInt16 = 0
    /// Recognition rule, counted from 1; 0 for none.
    var rule: UInt8 = 0
    /// Line of `marks`, counted from 1; 0 for none.
    var mark: UInt8 = 0
    var isEvidence = false
    var isAggregated = false
    /// The key is that of an attribute that Martlet adds: counted from 1 in the order of `CostAttribute`; 0: it is not.
    var added: UInt8 = 0
}

/// A line of `recognise`.
struct RecognitionRule {
    enum Condition: UInt8 { case none, startsWith, isVectorSystem }

    /// The key, or the pattern of keys.
    var name: UnsafeRawBufferPointer
    var source: UInt8
    var condition = Condition.none
    /// What the value has to begin with.
    var start: UnsafeRawBufferPointer
    /// It counts only beside evidence.
    var isTentative = false
}

/// A line of `marks`.
struct SourceMark {
    var source: UInt8
}

/// A key that is not exact: all that begin with `prefix`; or, when indexed, `prefix`, digits, `suffix`.
struct KeyPattern {
    var prefix: UnsafeRawBufferPointer
    var suffix: UnsafeRawBufferPointer
    var isIndexed: Bool
    var entry: UInt16

    @inline(__always)
    func matches(_ key: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        guard count > prefix.count else { return false }
        for position in 0..<prefix.count where key[position] != prefix[position] { return false }
        guard isIndexed else { return true }
        var position = prefix.count
        while position < count, key[position] >= 0x30, key[position] <= 0x39 { position += 1 }
        guard position > prefix.count, count - position == suffix.count else { return false }
        for offset in 0..<suffix.count where key[position + offset] != suffix[offset] { return false }
        return true
    }
}

/// One step of the paths that are read from structured values. Nodes of one level are linked; 0 ends the links.
struct PathNode {
    /// Empty for a step that is "any element of an array".
    var name: UnsafeRawBufferPointer
    var firstChild: UInt16 = 0
    var sibling: UInt16 = 0
    var firstAction: UInt16 = 0
    var actionCount: UInt16 = 0
    /// Of a root: all actions of its paths.
    var firstOfAll: UInt16 = 0
    var countOfAll: UInt16 = 0
    /// Of a root: what it gives is not worth a long text.
    var isShort = false
}

/// What an event name stands for.
struct EventEntry {
    var isEvidence = false
    /// Its attributes repeat the span's.
    var repeats = false
    /// Its lines in `GenAIMapping.eventValues`.
    var firstValue: UInt16 = 0
    var valueCount: UInt16 = 0
    /// Some of the lines name an attribute.
    var hasKeys = false
    /// Fields that it may fill.
    var fields: CallFields = []
}

/// A field that is read from an attribute of an event, or from the event's time when the key is empty.
struct EventValue {
    var key: UnsafeRawBufferPointer
    var action: FieldAction
}

/// A text pattern with at most one `*`, at its beginning or its end.
struct Glob {
    enum Shape { case exact, prefix, suffix }

    let shape: Shape
    /// In lower case.
    let text: UnsafeRawBufferPointer

    init(_ pattern: [UInt8], _ store: NameStore) {
        let star = UInt8(ascii: "*")
        let folded = pattern.map(foldASCII)
        if pattern.last == star {
            shape = .prefix
            text = store.keep(folded.dropLast())
        } else if pattern.first == star {
            shape = .suffix
            text = store.keep(Array(folded.dropFirst()))
        } else {
            shape = .exact
            text = store.keep(folded)
        }
    }

    func matches(_ subject: UnsafeRawBufferPointer) -> Bool {
        guard shape == .exact ? subject.count == text.count : subject.count >= text.count else { return false }
        let offset = shape == .suffix ? subject.count - text.count : 0
        for position in 0..<text.count where foldASCII(subject[offset + position]) != text[position] {
            return false
        }
        return true
    }
}

/// What the value of an operation attribute stands for.
struct OperationEntry {
    var kind: CallKind
    /// Slice of the mapping's names; empty when we write none.
    var name: UnsafeRawBufferPointer
}

/// A span known by its name.
struct SpanNameEntry {
    var source: UInt8
    var operation: OperationEntry
    var isWrapper: Bool
}

/// A line of `usage`.
struct UsageLine {
    var isExclusive: Bool
    var scope: Glob?
    var version: VersionRange?
    var source: UInt8?
    var provider: UnsafeRawBufferPointer?
}

/// A range of dotted versions: `<6`, `>=1.40`, `1.2` (that version and its patches), several joined by commas.
struct VersionRange {
    enum Relation { case less, lessOrEqual, greater, greaterOrEqual, equal }

    var bounds: [(relation: Relation, version: [UInt64])]

    /// Nil when it is not one.
    init?(_ text: some Collection<UInt8>) {
        bounds = []
        for part in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let hasEqual = part.dropFirst().first == UInt8(ascii: "=")
            let relation: Relation
            switch part.first {
            case UInt8(ascii: "<"): relation = hasEqual ? .lessOrEqual : .less
            case UInt8(ascii: ">"): relation = hasEqual ? .greaterOrEqual : .greater
            default: relation = .equal
            }
            let number = part.drop { $0 == UInt8(ascii: "<") || $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "=") }
            let version = Self.numbers(number)
            guard !version.isEmpty else { return nil }
            bounds.append((relation, version))
        }
    }

    /// False for a text that begins with no number.
    func contains(_ text: UnsafeRawBufferPointer) -> Bool {
        let version = Self.numbers(text)
        guard !version.isEmpty else { return false }
        return bounds.allSatisfy { bound in
            let order = Self.compare(version, bound.version)
            switch bound.relation {
            case .less: return order < 0
            case .lessOrEqual: return order <= 0
            case .greater: return order > 0
            case .greaterOrEqual: return order >= 0
            case .equal: return Array(version.prefix(bound.version.count)) == bound.version
            }
        }
    }

    private static func compare(_ left: [UInt64], _ right: [UInt64]) -> Int {
        for position in 0..<max(left.count, right.count) {
            let a = position < left.count ? left[position] : 0
            let b = position < right.count ? right[position] : 0
            if a != b { return a < b ? -1 : 1 }
        }
        return 0
    }

    /// The leading numbers, at most six; what follows a number other than a dot ends them (`2.1b0` is 2, 1).
    private static func numbers(_ text: some Collection<UInt8>) -> [UInt64] {
        var numbers: [UInt64] = []
        var value: UInt64?
        for byte in text.prefix(64) {
            if byte >= 0x30, byte <= 0x39 {
                value = min((value ?? 0) * 10 + UInt64(byte - 0x30), 1 << 40)
            } else if byte == UInt8(ascii: "."), let number = value, numbers.count < 5 {
                numbers.append(number)
                value = nil
            } else {
                break
            }
        }
        if let value { numbers.append(value) }
        return numbers
    }
}
