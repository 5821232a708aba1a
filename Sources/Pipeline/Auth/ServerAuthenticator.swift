/// Who sent a request, as an authenticator found out: metadata that goes along with its data. Immutable and shared.
package final class ClientIdentity: Sendable {
    /// Names, in lower case, with their values. They stand in place of request headers of the same names, so that a
    /// client cannot say it is somebody else. `auth.…` names are attributes of the client, such as `auth.username`.
    package let metadata: [String: [String]]

    /// What attributes of clients are called in metadata; no header of a request may begin like this.
    package static let attributePrefix = "auth."

    /// `none` without metadata: such clients are not told apart.
    package let key: ClientKey

    package init(metadata: [String: [String]] = [:]) {
        self.metadata = metadata
        key = metadata.isEmpty ? .none : ClientKey(hashing: metadata)
    }
}

/// What an authenticator sees of a request: its head.
package struct AuthenticationRequest: Sendable {
    /// Header fields in their order; names in any case.
    private let fields: [(name: String, value: String)]
    /// Address of the peer, without port; nil when unknown.
    package let peer: String?

    package init(fields: [(name: String, value: String)], peer: String?) {
        self.fields = fields
        self.peer = peer
    }

    /// The first value of a header; `name` is in lower case.
    package func header(_ name: String) -> String? {
        for field in fields where field.name.utf8.count == name.utf8.count && field.name.lowercased() == name {
            return field.value
        }
        return nil
    }
}

/// Why a request is refused.
package struct AuthenticationFailure: Error, Sendable, Equatable {
    /// The cause; its raw value is the label of metrics.
    package enum Reason: String, Sendable, CaseIterable {
        /// There are no credentials.
        case missing
        /// There are some, but not of the form that is asked for.
        case malformed
        /// They are nobody's.
        case rejected
        /// They were not looked at: too many of this client's were wrong, or too many wait.
        case limited
    }

    package var reason: Reason
    /// For `WWW-Authenticate`, such as `Basic realm="martlet"`.
    package var challenge: String
    /// The client has failed so often that its connection is closed.
    package var closes = false
    /// Set for `limited`: when the same credentials may be tried again.
    package var retryAfter: Duration?

    package init(_ reason: Reason, challenge: String, closes: Bool = false, retryAfter: Duration? = nil) {
        self.reason = reason
        self.challenge = challenge
        self.closes = closes
        self.retryAfter = retryAfter
    }

    /// For the client; the same whether a user exists or not.
    package var message: String {
        switch reason {
        case .missing: "credentials are missing"
        case .malformed: "credentials are malformed"
        case .rejected: "credentials are not valid"
        case .limited: "too many attempts to authenticate, try again later"
        }
    }
}

/// What an authenticator says of a request.
package enum AuthenticationResult: Sendable {
    case allowed(ClientIdentity)
    case denied(AuthenticationFailure)
    /// It takes some time, off the event loop. The function is called once, at once, with a completion that runs
    /// once, on any thread.
    case later(
        @Sendable (_ completion: @escaping @Sendable (Result<ClientIdentity, AuthenticationFailure>) -> Void) -> Void)
}

/// An extension that decides who may send, by the heads of requests.
package protocol ServerAuthenticator: AnyObject, Sendable {
    /// Looks at one request, before its body is read. On an event loop: must not block or compute for long.
    ///
    /// Counts and logs what it refuses; no credentials in logs.
    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult
}

/// An extension that adds credentials to requests that are sent.
package protocol ClientAuthenticator: AnyObject, Sendable {
    /// Changes the header fields of one request. Any thread; must not block.
    ///
    /// - Parameters:
    ///   - headers: what the exporter sends; names in any case.
    ///   - metadata: what came along with the request's data, names in lower case; see `ClientIdentity`.
    func authorize(_ headers: inout [(name: String, value: String)], metadata: [String: [String]])
}
