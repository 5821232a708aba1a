internal import Synchronization

/// Which component listens where, so that one that takes another's place can go on with its listening socket: no client
/// finds the port closed meanwhile. Thread-safe.
package final class ListenerRegistry: Sendable {
    private struct Entry {
        let component: String
        let owner: any AnyObject & Sendable
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// Components that end with the present change; nil while there is none.
        var ending: Set<String>?
        var transfers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// `owner` listens at `address` (`host:port`) for `component` (`receiver/otlp`) now.
    package func add(_ address: String, component: String, owner: any AnyObject & Sendable) {
        state.withLock { $0.entries[address] = Entry(component: component, owner: owner) }
    }

    /// `owner` does not listen at `address` any more.
    package func remove(_ address: String, owner: any AnyObject & Sendable) {
        state.withLock { state in
            if state.entries[address]?.owner === owner { state.entries[address] = nil }
        }
    }

    /// Who listens at `address` and ends with the present change; nil otherwise.
    package func predecessor(at address: String) -> (any AnyObject & Sendable)? {
        state.withLock { state in
            guard let entry = state.entries[address], state.ending?.contains(entry.component) ?? false else {
                return nil
            }
            return entry.owner
        }
    }

    /// A change begins that ends these components. One at a time.
    package func beginChange(ending: Set<String>) { state.withLock { $0.ending = ending } }

    /// One more component ends with the present change.
    package func add(ending component: String) { state.withLock { _ = $0.ending?.insert(component) } }

    /// Has `transfer` run when the change is sure to happen; it cannot fail.
    package func onCommit(_ transfer: @escaping @Sendable () -> Void) {
        state.withLock { $0.transfers.append(transfer) }
    }

    /// The change happens: all transfers run, on this thread.
    package func commit() { for transfer in end() { transfer() } }

    /// The change does not happen.
    package func cancel() { _ = end() }

    private func end() -> [@Sendable () -> Void] {
        state.withLock { state in
            defer { (state.ending, state.transfers) = (nil, []) }
            return state.transfers
        }
    }
}
