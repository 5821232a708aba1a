/// A path pattern with one `*`, and the paths that it gives for attribute values.
///
/// Values come from senders and are not trusted: a path always begins with what stands before the `*`, and no part of
/// a value leads out of there.
struct GroupPath {
    /// Longest value that makes a path, in bytes. Longer ones are refused.
    static let maximumValueBytes = 1024

    /// What stands before the `*`; not empty.
    let prefix: String
    /// What stands after it.
    let suffix: String

    /// Nil unless `pattern` holds exactly one `*`, and not at its start.
    init?(pattern: String) {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { return nil }
        prefix = String(parts[0])
        suffix = String(parts[1])
    }

    /// The directory that all paths lie in or below.
    var directory: String { prefix.hasSuffix("/") ? prefix : Exporters.directory(of: prefix) }

    /// The path for an attribute's value: empty parts and `.` are left out and `..` takes the part before it away,
    /// but never more than that; control characters become `_`. Nil when nothing is left, when the value is too long,
    /// or when it is not UTF-8.
    func path(for value: UnsafeRawBufferPointer) -> String? {
        guard value.count <= Self.maximumValueBytes, let text = String(validating: value, as: UTF8.self) else {
            return nil
        }
        var parts: [Substring] = []
        for part in text.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        if parts.isEmpty { return nil }
        var path = prefix
        for scalar in parts.joined(separator: "/").unicodeScalars {
            path.unicodeScalars.append(scalar.properties.generalCategory == .control ? "_" : scalar)
        }
        return path + suffix
    }
}
