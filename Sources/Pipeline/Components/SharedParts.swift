internal import Synchronization

/// What components of one graph share with each other, by name: one sampler for pipelines of several signals. Any thread.
package final class SharedParts: Sendable {
    private let parts = Mutex<[String: any AnyObject & Sendable]>([:])

    package init() {}

    /// The part of that name; made by who asks first. A name belongs to one type: under another one a part is made that
    /// nobody shares.
    package func part<Part: AnyObject & Sendable>(_ name: String, _ make: () -> Part) -> Part {
        parts.withLock { parts in
            if let known = parts[name] as? Part { return known }
            let new = make()
            if parts[name] == nil { parts[name] = new }
            return new
        }
    }
}
