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
    package var http: OTLPHTTPSettings?
    package var grpc: OTLPGRPCSettings?

    init(from section: ConfigSection) {
        let protocols = section.section("protocols")
        if protocols.contains("http") { http = OTLPHTTPSettings(from: protocols.section("http")) }
        if protocols.contains("grpc") { grpc = OTLPGRPCSettings(from: protocols.section("grpc")) }
        if http == nil, grpc == nil {
            section.error("\"protocols\" must name \"grpc\", \"http\" or both, as in `protocols: {grpc: , http: }`")
        }
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
        metadata = MetadataSettings(from: section)
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
    /// A server with what it is called in logs.
    private struct Listener {
        let name: String
        let address: String
        let server: HTTPServer
    }

    private let listeners: [Listener]
    private let environment: ComponentEnvironment
    private let logger: Logger

    init(
        _ settings: OTLPReceiverSettings, id: ComponentID, consumers: [Signal: any Consumer],
        environment: ComponentEnvironment
    ) {
        func route(_ signal: Signal, _ consumer: any Consumer, _ transport: String) -> OTLPRoute {
            OTLPRoute(
                signal: signal, consumer: consumer,
                metrics: ReceiverMetrics(
                    environment.metrics, receiver: id.description, transport: transport, signal: signal))
        }
        var listeners: [Listener] = []
        func listen(_ name: String, _ transport: String, _ server: HTTPServerSettings, _ service: any HTTPService) {
            let telemetry = HTTPServerTelemetry(environment, kind: "receiver", id: id, protocolName: transport)
            listeners.append(
                Listener(
                    name: name, address: "\(server.host):\(server.port)",
                    server: HTTPServer(
                        settings: server, service: service, telemetry: telemetry,
                        authenticators: environment.authenticators)))
        }
        if let grpc = settings.grpc {
            var routes: [Signal: OTLPRoute] = [:]
            for (signal, consumer) in consumers { routes[signal] = route(signal, consumer, "grpc") }
            let readiness = environment.readiness
            let service = OTLPGRPCService(settings: grpc, routes: routes, budget: environment.budget) {
                readiness.isReady
            }
            listen("OTLP/gRPC", "grpc", grpc.server, service)
        }
        if let http = settings.http {
            var routes: [String: OTLPRoute] = [:]
            for (signal, consumer) in consumers {
                if let path = http.paths[signal] { routes[path] = route(signal, consumer, "http") }
            }
            let service = OTLPHTTPService(settings: http, routes: routes, budget: environment.budget)
            listen("OTLP/HTTP", "http", http.server, service)
        }
        self.listeners = listeners
        logger = environment.logger("receiver", id)
        self.environment = environment
    }

    func start() throws {
        for listener in listeners {
            let port = try listener.server.start(on: environment.eventLoops)
            logger.info(
                "\(listener.name) server started", metadata: ["endpoint": "\(listener.address)", "port": "\(port)"])
        }
    }

    func stop(deadline: ContinuousClock.Instant) async {
        for listener in listeners { listener.server.drain() }
        while listeners.contains(where: { $0.server.openConnections > 0 }), ContinuousClock.now < deadline {
            try? await Task.sleep(for: Self.drainPollInterval)
        }
        // Who waits for a receipt is answered while the queues drain.
        for listener in listeners { listener.server.closeUnfinished() }
    }

    private static let drainPollInterval = Duration.milliseconds(5)
}
