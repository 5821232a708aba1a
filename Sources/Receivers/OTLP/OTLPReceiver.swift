package import Config
internal import Logging
internal import NIOCore
package import OTLP
package import Pipeline
internal import Transport

/// Receives OTLP. Key `protocols` says over which protocols.
package struct OTLPReceiverFactory: ReceiverFactory {
    package typealias Settings = OTLPReceiverSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "otlp", signals: [.traces: .beta, .metrics: .alpha, .logs: .alpha])
    }

    package func settings(from section: ConfigSection) -> OTLPReceiverSettings { OTLPReceiverSettings(from: section) }

    package func make(
        _ settings: OTLPReceiverSettings, id: ComponentID, consumers: [Signal: any Consumer],
        environment: ComponentEnvironment
    ) throws -> any Receiver {
        OTLPReceiver(settings, id: id, consumers: consumers, environment: environment)
    }
}

/// What an `otlp` receiver's section sets.
package struct OTLPReceiverSettings: Sendable {
    package var http: OTLPHTTPSettings

    init(from section: ConfigSection) {
        let protocols = section.section("protocols")
        protocols.refuse("grpc", because: "OTLP/gRPC is not available yet; use \"http\"")
        if !protocols.contains("http") {
            section.error("\"protocols\" must name \"http\", as in `protocols: {http: }`")
        }
        http = OTLPHTTPSettings(from: protocols.section("http"))
    }
}

extension OTLPHTTPSettings {
    /// Port that OTLP/HTTP has by specification.
    package static let defaultPort = 4318

    /// Reads the `http` section under `protocols`.
    init(from section: ConfigSection) {
        self.init(server: HTTPServerSettings(from: section, defaultPort: Self.defaultPort))
        maximumBodySize = section.integer("max_request_body_size", in: 0...Self.largestBodySize) ?? 0
        if maximumBodySize == 0 { maximumBodySize = Self.defaultBodySize }
        includeMetadata = section.bool("include_metadata") ?? false
        for signal in Signal.allCases {
            let key = "\(signal.rawValue)_url_path"
            guard let path = section.nonEmptyString(key) else { continue }
            paths[signal] = path.hasPrefix("/") ? path : "/" + path
        }
        for (index, signal) in Signal.allCases.enumerated() {
            guard let earlier = Signal.allCases[..<index].first(where: { paths[$0] == paths[signal] }) else { continue }
            section.error("\(signal.rawValue)_url_path", "must not be the path of \(earlier.rawValue)")
        }
        section.refuse("profiles_url_path", because: "profiles are not supported")
        if let cors = section.optionalSection("cors") { self.cors = CORSPolicy(from: cors) }
        let limits = section.section("decode_limits")
        decodeLimits.maximumDepth = limits.integer("max_depth", in: 8...200) ?? decodeLimits.maximumDepth
        decodeLimits.maximumItems = limits.integer("max_items", in: 1...16_777_216) ?? decodeLimits.maximumItems
    }

    /// Largest body that can be configured: 1 GiB.
    private static let largestBodySize = 1 << 30
}

extension CORSPolicy {
    /// Reads a `cors` section.
    init?(from section: ConfigSection) {
        let origins = section.stringList("allowed_origins") ?? []
        let policy = CORSPolicy(
            allowedOrigins: origins, allowedHeaders: section.stringList("allowed_headers") ?? [],
            exposedHeaders: section.stringList("exposed_headers") ?? [],
            maximumAge: section.integer("max_age", in: 0...86_400) ?? 0)
        for origin in origins where origin.filter({ $0 == "*" }).count > 1 {
            section.error("allowed_origins", "an origin may hold one \"*\" at most")
        }
        if origins.isEmpty { return nil }
        self = policy
    }
}

/// The listeners of one `otlp` receiver.
final class OTLPReceiver: Receiver {
    private let server: HTTPServer
    private let environment: ComponentEnvironment
    private let logger: Logger
    private let address: String

    init(
        _ settings: OTLPReceiverSettings, id: ComponentID, consumers: [Signal: any Consumer],
        environment: ComponentEnvironment
    ) {
        var routes: [String: OTLPHTTPService.Route] = [:]
        for (signal, consumer) in consumers {
            guard let path = settings.http.paths[signal] else { continue }
            routes[path] = OTLPHTTPService.Route(
                signal: signal, consumer: consumer,
                metrics: ReceiverMetrics(
                    environment.metrics, receiver: id.description, transport: "http", signal: signal))
        }
        let service = OTLPHTTPService(settings: settings.http, routes: routes, budget: environment.budget)
        server = HTTPServer(settings: settings.http.server, service: service)
        address = "\(settings.http.server.host):\(settings.http.server.port)"
        logger = environment.logger("receiver", id)
        self.environment = environment
    }

    func start() throws {
        let port = try server.start(on: environment.eventLoops)
        logger.info("OTLP/HTTP server started", metadata: ["endpoint": "\(address)", "port": "\(port)"])
    }

    func stop(deadline: ContinuousClock.Instant) async {
        server.drain()
        while server.openConnections > 0, ContinuousClock.now < deadline {
            try? await Task.sleep(for: Self.drainPollInterval)
        }
        // Who waits for a receipt is answered while the queues drain.
        server.closeUnfinished()
    }

    private static let drainPollInterval = Duration.milliseconds(5)
}
