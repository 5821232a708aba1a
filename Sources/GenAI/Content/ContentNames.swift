internal import Glibc

/// Which attributes and events hold content: prompts, answers, what tools got and gave, documents. From the `content`
/// section of a mapping. Immutable once the mapping is built.
struct ContentNames: Sendable {
    /// A name with at most one `*`, which stands for any text.
    struct Pattern: Sendable {
        let prefix: [UInt8]
        let suffix: [UInt8]
        let isExact: Bool

        /// Nil for a name with more than one `*`.
        init?(_ text: [UInt8]) {
            let parts = text.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
            guard parts.count <= 2, !text.isEmpty else { return nil }
            prefix = Array(parts[0])
            suffix = parts.count == 2 ? Array(parts[1]) : []
            isExact = parts.count == 1
        }

        func matches(_ name: UnsafeRawBufferPointer) -> Bool {
            guard isExact ? name.count == prefix.count : name.count >= prefix.count + suffix.count else { return false }
            return name.starts(with: prefix) && name.suffix(suffix.count).elementsEqual(suffix)
        }
    }

    /// Patterns by the first byte of a name; those that begin with `*` are in all.
    private var patterns = [[Pattern]](repeating: [], count: 256)
    /// Events of which every text is content.
    var events: [Pattern] = []
    /// Names that are no content although a pattern fits.
    var exceptions: [[UInt8]] = []

    mutating func add(_ pattern: Pattern) {
        if let first = pattern.prefix.first { return patterns[Int(first)].append(pattern) }
        for index in patterns.indices { patterns[index].append(pattern) }
    }

    /// Whether an attribute of this name holds content.
    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let first = key.first else { return false }
        for pattern in patterns[Int(first)] where pattern.matches(key) { return !isException(key) }
        return false
    }

    /// Whether every text of an event of this name is content.
    func contains(event name: UnsafeRawBufferPointer) -> Bool { events.contains { $0.matches(name) } }

    func isException(_ key: UnsafeRawBufferPointer) -> Bool { exceptions.contains { $0.elementsEqual(key) } }
}

/// What happens to content.
package struct ContentFilter: Sendable {
    /// The modes, by their names in a configuration.
    package enum Mode: String, CaseIterable, Sendable {
        /// It stays.
        case keep
        /// Texts are cut to `limit` bytes, between characters; longer structured values go.
        case truncate
        /// The value becomes the text `sha256:` and 64 hexadecimal digits.
        case hash
        /// The attribute goes.
        case drop
    }

    package var mode: Mode
    /// Bytes of a text that stay, with `truncate`.
    package var limit: Int

    package init(_ mode: Mode = .keep, limit: Int = 1024) {
        self.mode = mode
        self.limit = max(0, limit)
    }
}
