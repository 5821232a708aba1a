internal import Config
internal import Pipeline

/// The credentials that an exporter's requests get, from the extension that `auth` names. Any thread may call.
struct RequestAuthorization: Sendable {
    /// The extension does not run.
    struct Missing: Error, CustomStringConvertible {
        let id: ComponentID
        var description: String { "the authenticator \(id) is not running" }
    }

    private let id: ComponentID?
    private let registry: AuthenticatorRegistry

    /// - Parameter id: nil when requests need no credentials.
    init(_ id: ComponentID?, _ environment: ComponentEnvironment) {
        self.id = id
        registry = environment.authenticators
    }

    /// Call it from the exporter's `start`.
    /// - Throws: `Missing`.
    func check() throws(Missing) {
        if let id, registry.client(id) == nil { throw Missing(id: id) }
    }

    /// The header fields of one request.
    ///
    /// - Parameter metadata: that of the `ExportRequest`.
    func authorized(
        _ headers: [(name: String, value: String)], metadata: [String: [String]]
    ) -> [(name: String, value: String)] {
        guard let id, let authenticator = registry.client(id) else { return headers }
        var result = headers
        authenticator.authorize(&result, metadata: metadata)
        return result
    }
}
