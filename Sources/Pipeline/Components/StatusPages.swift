internal import Synchronization

/// Pages about the present state of components, as JSON objects, for somebody who looks at a running collector. They are
/// served to the same machine only. No page shows what telemetry says, beside keys that a configuration asks for. Any
/// thread.
package final class StatusPages: Sendable {
    fileprivate struct Entry: Sendable {
        let path: String
        let component: String
        let render: @Sendable () -> String
    }

    private let entries = Mutex<[Entry]>([])

    package init() {}

    /// Adds what `component` shows on the page at `path`, such as `/debug/sampling`.
    ///
    /// - Parameter render: a JSON object; runs on the thread that serves and must not block for long.
    package func add(_ path: String, _ component: String, _ render: @escaping @Sendable () -> String) {
        entries.withLock { $0.append(Entry(path: path, component: component, render: render)) }
    }

    /// All entries at one moment.
    package struct Snapshot: Sendable {
        fileprivate let entries: [Entry]
    }

    /// All entries now, for `restore`.
    package func snapshot() -> Snapshot { Snapshot(entries: entries.withLock { $0 }) }

    /// Forgets what was added since.
    package func restore(_ snapshot: Snapshot) { entries.withLock { $0 = snapshot.entries } }

    /// Forgets what `component` shows.
    package func remove(_ component: String) { entries.withLock { $0.removeAll { $0.component == component } } }

    /// The page at `path`: an object with a member for each component; nil when nobody shows anything there.
    package func page(_ path: String) -> String? {
        let entries = entries.withLock { $0.filter { $0.path == path } }
        if entries.isEmpty { return nil }
        let members = entries.map { Self.quoted($0.component) + ":" + $0.render() }
        return "{" + members.joined(separator: ",") + "}\n"
    }

    /// A text as a JSON string.
    package static func quoted(_ text: String) -> String {
        var result: [UInt8] = [0x22]
        let digits = Array("0123456789abcdef".utf8)
        for byte in text.utf8 {
            if byte == 0x22 || byte == 0x5C {
                result += [0x5C, byte]
            } else if byte < 0x20 {
                result += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result + [0x22], as: UTF8.self)
    }
}
