/// A mapping under construction, in which `a::b` keys unfold into mappings.
struct MappingAssembly {
    var mapping = ConfigMapping()
    /// Keys that a path made: `a::b: 1` and `a::c: 2` beside each other, or beside `a: {d: 3}`, are one mapping.
    private var madeByPath: Set<String> = []

    /// Adds `value` under `path`, which is not empty. Returns the place of the key that it would replace, if there is
    /// one; the mapping is then unchanged there.
    mutating func insert(_ path: [String], at position: ConfigPosition, value: ConfigNode) -> ConfigPosition? {
        guard let first = path.first else { return nil }
        var nested = value
        for key in path.dropFirst().reversed() {
            var inner = ConfigMapping()
            inner.set(ConfigEntry(key: key, at: position, value: nested))
            nested = ConfigNode(.mapping(inner), at: position)
        }
        let entry = ConfigEntry(key: first, at: position, value: nested)
        let isPath = path.count > 1
        guard let taken = mapping[first]?.keyPosition else {
            if isPath { madeByPath.insert(first) }
            mapping.set(entry)
            return nil
        }
        let isJoinable = isPath || madeByPath.contains(first)
        guard isJoinable, nested.mapping != nil, mapping[first]?.value.mapping != nil else { return taken }
        if isPath { madeByPath.insert(first) }
        var duplicate: ConfigPosition?
        mapping.update(first) { Self.join(&$0.value, with: nested, &duplicate) }
        return duplicate
    }

    /// Joins two mappings whose keys must differ, all the way down. `duplicate` is the first key that is in both.
    private static func join(_ base: inout ConfigNode, with other: ConfigNode, _ duplicate: inout ConfigPosition?) {
        guard let added = other.mapping, case .mapping(var target) = base.content else { return }
        // Gives up the other reference, so that changing `target` copies nothing.
        base.content = .sequence([])
        for entry in added.entries {
            guard let existing = target[entry.key] else {
                target.set(entry)
                continue
            }
            if existing.value.mapping != nil, entry.value.mapping != nil {
                target.update(entry.key) { join(&$0.value, with: entry.value, &duplicate) }
            } else {
                duplicate = duplicate ?? existing.keyPosition
            }
        }
        base.content = .mapping(target)
    }
}

/// Configuration paths: keys joined by `::`, as in otelcol.
package enum ConfigPath {
    /// `path::key`, or `key` under the root.
    package static func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path)::\(key)" }

    /// The parts of `text` between separators; nil when it holds no separator.
    static func split(_ text: String, by separator: String) -> [String]? {
        let bytes = Array(text.utf8)
        let mark = Array(separator.utf8)
        var parts: [String] = []
        var start = 0
        var at = 0
        while at + mark.count <= bytes.count {
            if bytes[at..<at + mark.count].elementsEqual(mark) {
                parts.append(String(decoding: bytes[start..<at], as: UTF8.self))
                at += mark.count
                start = at
            } else {
                at += 1
            }
        }
        if parts.isEmpty { return nil }
        parts.append(String(decoding: bytes[start...], as: UTF8.self))
        return parts
    }
}
