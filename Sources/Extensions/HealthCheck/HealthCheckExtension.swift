package import Config
internal import Logging
internal import OTLP
package import Pipeline
package import Transport

/// otelcol's `health_check`: says over HTTP whether the collector takes data.
package struct HealthCheckExtensionFactory: ExtensionFactory {
    package typealias Settings = HealthCheckSettings

    package init() {}

    package var descriptor: ComponentDescriptor { ComponentDescriptor(type: "health_check") }

    package func settings(from section: ConfigSection) -> HealthCheckSettings { HealthCheckSettings(from: section) }

    package func make(
        _ settings: HealthCheckSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension {
        HealthCheckExtension(settings, id: id, environment: environment)
    }
}

/// What a `health_check` section sets.
package struct HealthCheckSettings: Sendable {
    package var server: HTTPServerSettings
    /// Path that answers 200 when ready. Key `path`.
    package var path = "/"
    /// Body when ready; nil for the JSON status. Key `response_body::healthy`.
    package var healthyBody: String?
    /// Body when not ready. Key `response_body::unhealthy`.
    package var unhealthyBody: String?

    /// Port of otelcol's extension.
    package static let defaultPort = 13133

    init(from section: ConfigSection) {
        server = HTTPServerSettings(from: section, defaultPort: Self.defaultPort, isHarmless: true)
        path = section.nonEmptyString("path") ?? "/"
        if !path.hasPrefix("/") { section.error("path", "must begin with \"/\"") }
        let body = section.section("response_body")
        healthyBody = body.string("healthy")
        unhealthyBody = body.string("unhealthy")
        section.refuse(
            "check_collector_pipeline", because: "readiness does not depend on destinations; watch the metrics")
    }
}

/// Answers `path` and `/readyz` by readiness, and `/livez` always.
struct HealthCheckService: HTTPService {
    let settings: HealthCheckSettings
    let readiness: Readiness

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        guard head.method == "GET" || head.method == "HEAD" else {
            return .answer(.text(405, "405 method not allowed, supported: [GET]\n", headers: [("Allow", "GET, HEAD")]))
        }
        return .body(limit: 1024, lease: nil)
    }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        let answer =
            switch head.path {
            case "/livez": status(alive: true)
            case "/readyz", settings.path: status(alive: readiness.isReady)
            default: HTTPAnswer.text(404, "404 page not found; health is at \(settings.path), /livez and /readyz\n")
            }
        responder.send(answer)
    }

    private func status(alive: Bool) -> HTTPAnswer {
        if let text = alive ? settings.healthyBody : settings.unhealthyBody { return .text(alive ? 200 : 503, text) }
        let uptime = readiness.started.duration(to: .now)
        let text = alive ? "Server available" : "Server not available"
        let json = "{\"status\":\"\(text)\",\"uptime\":\"\(DurationText.format(uptime))\"}"
        return HTTPAnswer(
            status: alive ? 200 : 503, headers: [("Content-Type", "application/json")], body: Array(json.utf8))
    }
}

final class HealthCheckExtension: ServiceExtension {
    private let server: HTTPServer
    private let environment: ComponentEnvironment
    private let logger: Logger
    private let address: String

    init(_ settings: HealthCheckSettings, id: ComponentID, environment: ComponentEnvironment) {
        let service = HealthCheckService(settings: settings, readiness: environment.readiness)
        server = HTTPServer(
            settings: settings.server, service: service,
            telemetry: HTTPServerTelemetry(environment, kind: "extension", id: id, protocolName: "http"),
            authenticators: environment.authenticators)
        address = "\(settings.server.host):\(settings.server.port)"
        logger = environment.logger("extension", id)
        self.environment = environment
    }

    func start() throws {
        let port = try server.start(on: environment.eventLoops)
        logger.info("health check started", metadata: ["endpoint": "\(address)", "port": "\(port)"])
    }

    func stop() async { server.close() }
}
