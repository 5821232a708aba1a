/// A value of the configuration tree, with its place in the text. Immutable in practice and safe to share.
///
/// It may hold secrets: its description names only its kind and place, never its text.
package struct ConfigNode: Sendable, CustomStringConvertible, CustomReflectable {
    /// What the node is.
    package enum Content: Sendable {
        /// A single value.
        case scalar(ConfigScalar)
        /// A list.
        case sequence([ConfigNode])
        /// Keys and values in the order of the text; keys are unique.
        case mapping(ConfigMapping)
    }

    /// What the node is.
    package var content: Content
    /// Where its text starts. For what a `${…}` gave: where that `${…}` is written.
    package var position: ConfigPosition
    /// The text that `${…}` gave, when the node came from one; nil for what the source itself says.
    /// A string option takes this text, so that a password `0123` keeps its zero, as in otelcol.
    package var substitutedText: String?

    /// Makes a node.
    package init(_ content: Content, at position: ConfigPosition, substitutedText: String? = nil) {
        self.content = content
        self.position = position
        self.substitutedText = substitutedText
    }

    /// A null at `position`.
    package static func null(at position: ConfigPosition) -> ConfigNode {
        ConfigNode(.scalar(ConfigScalar(text: "", style: .plain, value: .null)), at: position)
    }

    /// Whether this is null, which stands for the defaults.
    package var isNull: Bool {
        if case .scalar(let scalar) = content, case .null = scalar.value { return true }
        return false
    }

    /// The mapping, or nil for anything else.
    package var mapping: ConfigMapping? {
        if case .mapping(let mapping) = content { return mapping }
        return nil
    }

    /// The elements, or nil for anything else.
    package var sequence: [ConfigNode]? {
        if case .sequence(let nodes) = content { return nodes }
        return nil
    }

    /// The scalar, or nil for anything else.
    package var scalar: ConfigScalar? {
        if case .scalar(let scalar) = content { return scalar }
        return nil
    }

    /// The value under `key` of a mapping; nil when it is absent or this is no mapping.
    package subscript(key: String) -> ConfigNode? { mapping?[key]?.value }

    /// `a mapping`, `an integer` …, for messages.
    package var kind: String {
        switch content {
        case .sequence: "a sequence"
        case .mapping: "a mapping"
        case .scalar(let scalar): scalar.kind
        }
    }

    /// The kind and the place, without the text.
    package var description: String { "\(kind) at \(position)" }

    /// Shows the same as `description`: reflection must not reveal secrets either.
    package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}

/// A scalar as it was written and what it means.
package struct ConfigScalar: Sendable, CustomStringConvertible, CustomReflectable {
    /// How it was written.
    package enum Style: Sendable, Hashable {
        /// Without quotes: its text decides its type.
        case plain
        /// In quotes or as a block (`|`, `>`): always a string.
        case quoted
    }

    /// What it means.
    package enum Value: Sendable, Hashable {
        /// `null`, `~` or nothing.
        case null
        /// `true` or `false`.
        case bool(Bool)
        /// An integer in decimal, `0x`, `0o`, `0b` or old octal (`010`) form. Beyond 64 bits it becomes a float.
        case int(Int64)
        /// Any other number, with `.nan` and `.inf`.
        case float(Double)
        /// Everything else; the scalar's `text`.
        case string
    }

    /// The text after YAML's own unescaping.
    package var text: String
    /// How it was written.
    package var style: Style
    /// What it means.
    package var value: Value

    /// Makes a scalar.
    package init(text: String, style: Style, value: Value) {
        self.text = text
        self.style = style
        self.value = value
    }

    /// Makes a string.
    package init(string: String) { self.init(text: string, style: .quoted, value: .string) }

    /// `an integer` …, for messages.
    package var kind: String {
        switch value {
        case .null: "null"
        case .bool: "a boolean"
        case .int: "an integer"
        case .float: "a number"
        case .string: "a string"
        }
    }

    /// The kind, without the text.
    package var description: String { kind }

    /// Shows the same as `description`.
    package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}

/// A key of a mapping with its value.
package struct ConfigEntry: Sendable {
    /// The key's text.
    package var key: String
    /// Where the key is written.
    package var keyPosition: ConfigPosition
    /// Its value.
    package var value: ConfigNode

    /// Makes an entry.
    package init(key: String, at keyPosition: ConfigPosition, value: ConfigNode) {
        self.key = key
        self.keyPosition = keyPosition
        self.value = value
    }
}

/// Unique keys with values, in order. Look-up does not depend on the number of keys.
package struct ConfigMapping: Sendable {
    /// The entries in the order of the text.
    package private(set) var entries: [ConfigEntry] = []
    private var index: [String: Int] = [:]

    /// Makes an empty mapping.
    package init() {}

    /// The keys in the order of the text.
    package var keys: [String] { entries.map(\.key) }

    /// The entry of `key`, or nil.
    package subscript(key: String) -> ConfigEntry? { index[key].map { entries[$0] } }

    /// Adds `entry` at the end, or replaces the value (and place) of the same key where it stands.
    package mutating func set(_ entry: ConfigEntry) {
        if let at = index[entry.key] {
            entries[at] = entry
        } else {
            index[entry.key] = entries.count
            entries.append(entry)
        }
    }

    /// Changes the value of `key` in place, without copying what it holds; does nothing when `key` is absent.
    mutating func update<Failure: Error>(
        _ key: String, _ body: (inout ConfigEntry) throws(Failure) -> Void
    ) throws(Failure) {
        if let at = index[key] { try body(&entries[at]) }
    }

    /// The same keys with each value replaced by what `transform` makes of it.
    func mapValues(_ transform: (ConfigNode) -> ConfigNode) -> ConfigMapping {
        var result = self
        for at in result.entries.indices { result.entries[at].value = transform(result.entries[at].value) }
        return result
    }
}
