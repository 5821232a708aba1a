package import Config
package import OTLP
package import Pipeline
internal import Synchronization
package import Telemetry
package import Transport

/// What `service::telemetry::admin` sets.
package struct AdminSettings: Sendable {
    /// POST /-/reload has the configuration read again. Key `reload`.
    package var reloads = false
    /// The extension that checks who asks for metrics, pages or a reload; nil for nobody. Key `auth::authenticator`.
    package var authenticator: ComponentID?

    package init() {}

    init(from section: ConfigSection) {
        reloads = section.bool("reload") ?? false
        authenticator = section.authenticator(.serverAuthenticator)
    }
}

/// Serves Martlet's own metrics for Prometheus to scrape, and to the same machine the components' pages and, where that
/// is wanted, a way to reload the configuration.
package final class AdminService: HTTPService {
    /// Reads the configuration again and follows it; returns the paths of what has changed.
    package typealias Reload = @Sendable () async throws(ReloadFailure) -> [String]

    private static let reloadPath = "/-/reload"

    private let registry: MetricRegistry
    private let pages: StatusPages
    private let settings: AdminSettings
    private let authenticator: PresentAuthenticator?
    private let reload = Mutex<Reload?>(nil)

    package init(registry: MetricRegistry, pages: StatusPages, settings: AdminSettings = AdminSettings()) {
        self.registry = registry
        self.pages = pages
        self.settings = settings
        authenticator = settings.authenticator.map { PresentAuthenticator($0) }
    }

    /// Not started.
    func server(at endpoint: ConfigEndpoint) -> HTTPServer {
        var server = HTTPServerSettings(host: endpoint.host, port: endpoint.port)
        let authenticators = AuthenticatorRegistry()
        if let authenticator {
            server.authenticatorID = authenticator.id
            authenticators.add(authenticator, id: authenticator.id)
        }
        return HTTPServer(settings: server, service: self, authenticators: authenticators)
    }

    /// The authenticators that run now.
    func use(_ authenticators: AuthenticatorRegistry) { authenticator?.use(authenticators) }

    /// What a request to reload does.
    func onReload(_ reload: @escaping Reload) { self.reload.withLock { $0 = reload } }

    package func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        if head.path == Self.reloadPath { return admitReload(head) }
        guard head.method == "GET" || head.method == "HEAD" else {
            return .answer(.text(405, "405 method not allowed, supported: [GET]\n", headers: [("Allow", "GET, HEAD")]))
        }
        if isPage(head) { return .body(limit: 1024, lease: nil) }
        guard head.path == "/metrics" else { return .answer(.text(404, "404 page not found; see /metrics\n")) }
        return .body(limit: 1024, lease: nil)
    }

    private func admitReload(_ head: HTTPHead) -> HTTPAdmission {
        guard head.method == "POST" else {
            return .answer(.text(405, "405 method not allowed, supported: [POST]\n", headers: [("Allow", "POST")]))
        }
        guard settings.reloads else {
            return .answer(.text(403, "reload is off; service::telemetry::admin::reload turns it on\n"))
        }
        // A page in somebody's browser is no administrator, wherever the browser runs.
        guard isLocal(head) || head.identity != nil, head.headers["origin"] == nil else {
            return .answer(.text(403, "reload is for the same machine, or with credentials\n"))
        }
        return .body(limit: 1024, lease: nil)
    }

    private func isPage(_ head: HTTPHead) -> Bool { head.path.utf8.starts(with: "/debug/".utf8) && isLocal(head) }

    /// Whether the request comes from the same machine.
    private func isLocal(_ head: HTTPHead) -> Bool {
        guard let client = head.client?.utf8 else { return false }
        return client.elementsEqual("::1".utf8) || client.starts(with: "127.".utf8)
            || client.starts(with: "::ffff:127.".utf8)
    }

    package func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        if head.path == Self.reloadPath { return answerReload(responder) }
        if isPage(head) {
            guard let page = pages.page(head.path) else { return responder.send(.text(404, "404 page not found\n")) }
            return responder.send(
                HTTPAnswer(status: 200, headers: [("Content-Type", "application/json")], body: Array(page.utf8)))
        }
        responder.send(
            HTTPAnswer(
                status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
                body: Array(registry.prometheusText().utf8)))
    }

    private func answerReload(_ responder: HTTPResponder) {
        guard let reload = reload.withLock({ $0 }) else {
            return responder.send(.text(503, "the collector is starting\n"))
        }
        Task {
            do throws(ReloadFailure) {
                let changed = try await reload()
                let text = changed.isEmpty ? "nothing" : changed.joined(separator: ", ")
                responder.send(.text(200, "configuration reloaded, changed: \(text)\n"))
            } catch {
                responder.send(.text(500, "nothing has changed:\n\(error)\n"))
            }
        }
    }
}

/// The authenticator of that id, whichever runs at the time of a request. Thread-safe.
private final class PresentAuthenticator: ServiceExtension, ServerAuthenticator {
    let id: ComponentID
    private let registry = Mutex<AuthenticatorRegistry?>(nil)

    init(_ id: ComponentID) { self.id = id }

    func use(_ authenticators: AuthenticatorRegistry) { registry.withLock { $0 = authenticators } }

    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult {
        guard let found = registry.withLock({ $0 })?.server(id) else {
            return .denied(AuthenticationFailure(.limited, challenge: ""))
        }
        return found.authenticate(request)
    }

    func start() {}

    func stop() async {}
}
