package import Config
internal import Synchronization

/// What an extension can be to other components.
package enum ExtensionRole: String, Sendable {
    /// Checks the requests of a server: `ServerAuthenticator`.
    case serverAuthenticator = "authenticator of servers"
    /// Adds credentials to the requests of a client: `ClientAuthenticator`.
    case clientAuthenticator = "authenticator of clients"
}

/// The running authenticators of a collector, by id. Filled while the extensions are made, before they start.
/// Thread-safe.
package final class AuthenticatorRegistry: Sendable {
    private struct State {
        var servers: [ComponentID: any ServerAuthenticator] = [:]
        var clients: [ComponentID: any ClientAuthenticator] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// Keeps what of the extension is an authenticator.
    package func add(_ part: any ServiceExtension, id: ComponentID) {
        state.withLock { state in
            if let server = part as? any ServerAuthenticator { state.servers[id] = server }
            if let client = part as? any ClientAuthenticator { state.clients[id] = client }
        }
    }

    /// - Returns: nil when there is no such extension, or it does not authenticate clients' requests.
    package func server(_ id: ComponentID) -> (any ServerAuthenticator)? { state.withLock { $0.servers[id] } }

    /// - Returns: nil when there is no such extension, or it has no credentials to send.
    package func client(_ id: ComponentID) -> (any ClientAuthenticator)? { state.withLock { $0.clients[id] } }
}

extension ConfigSection {
    /// Reads otelcol's `auth` section: the id of an extension of that role, which is looked up when the whole
    /// configuration has been read; nil without the section.
    package func authenticator(_ role: ExtensionRole) -> ComponentID? {
        guard let section = optionalSection("auth") else { return nil }
        section.require("authenticator")
        section.refuse("request_params", because: "credentials in URLs end up in logs; use a header")
        return section.reference("authenticator", role: role.rawValue)
    }
}
