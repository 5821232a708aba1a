import Config
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing
import Transport

@testable import Receivers

/// Settings and life of the receiver.
@Suite struct OTLPReceiverTests {
    private func read(_ yaml: String) throws -> (settings: OTLPReceiverSettings?, errors: [String]) {
        let root = try ConfigLoader().load(configs: ["yaml:" + yaml]).root
        var diagnostics = ConfigDiagnostics()
        let settings = ConfigSection.decode(root, path: "receivers::otlp", into: &diagnostics) {
            OTLPReceiverFactory().settings(from: $0)
        }
        return (settings, diagnostics.errors.map(\.description))
    }

    private func http(_ yaml: String) throws -> [String] {
        try read("protocols:\n  http:\n    \(yaml)").errors
    }

    @Test func defaults() throws {
        let http = try #require(try read("protocols: {http: }").settings?.http)
        #expect(http.server.host == "localhost" && http.server.port == 4318)
        #expect(http.maximumBodySize == 64 << 20)
        #expect(!http.metadata.includesHeaders && http.cors == nil)
        #expect(http.decodeLimits == .default)
        #expect(http.paths == [.traces: "/v1/traces", .metrics: "/v1/metrics", .logs: "/v1/logs"])
    }

    @Test func everyOption() throws {
        let yaml = """
            protocols:
              http:
                endpoint: 127.0.0.1:0
                transport: tcp
                max_request_body_size: 1000
                include_metadata: true
                traces_url_path: spans
                metrics_url_path: /m
                max_connections: 7
                read_header_timeout: 1s
                read_timeout: 2s
                idle_timeout: 3s
                keep_alives_enabled: false
                response_headers: {X-Served-By: martlet}
                decode_limits: {max_depth: 20, max_items: 30}
                cors: {allowed_origins: ["https://*.example"], allowed_headers: [X-A], exposed_headers: [X-B], max_age: 5}
            """
        let (settings, errors) = try read(yaml)
        #expect(errors.isEmpty)
        let http = try #require(settings?.http)
        #expect(http.server.host == "127.0.0.1" && http.server.port == 0)
        #expect(http.maximumBodySize == 1000 && http.metadata.includesHeaders)
        #expect(http.paths == [.traces: "/spans", .metrics: "/m", .logs: "/v1/logs"])
        #expect(http.server.maximumConnections == 7 && !http.server.keepAlive)
        #expect(http.server.readHeaderTimeout == .seconds(1) && http.server.readTimeout == .seconds(2))
        #expect(http.server.idleTimeout == .seconds(3))
        #expect(http.server.responseHeaders.map(\.name) == ["X-Served-By"])
        #expect(http.decodeLimits == DecodeLimits(maximumDepth: 20, maximumItems: 30))
        #expect(http.cors?.allowedOrigins == ["https://*.example"] && http.cors?.maximumAge == 5)
        #expect(try read("protocols: {http: {endpoint: ':4318'}}").settings?.http?.server.host == "0.0.0.0")
        #expect(try read("protocols: {http: {max_request_body_size: 0}}").settings?.http?.maximumBodySize == 64 << 20)
    }

    @Test func aProtocolMustBeNamed() throws {
        let message = "\"protocols\" must name \"grpc\", \"http\" or both, as in `protocols: {grpc: , http: }`"
        let none = try read("{}").errors
        #expect(none == ["--config#1:1:6: receivers::otlp: \(message)"], "\(none)")
    }

    @Test func readsGRPC() throws {
        let (settings, errors) = try read(
            """
            protocols:
              grpc:
                endpoint: 127.0.0.1:0
                max_recv_msg_size_mib: 5
                max_concurrent_streams: 9
                include_metadata: true
                keepalive: {server_parameters: {max_connection_age: 1m, max_connection_age_grace: 5s, time: 10s, timeout: 3s}}
            """)
        #expect(errors.isEmpty)
        let grpc = try #require(settings?.grpc)
        #expect(settings?.http == nil && grpc.server.port == 0 && grpc.server.versions == .http2)
        #expect(grpc.maximumMessageSize == 5 << 20 && grpc.metadata.includesHeaders)
        #expect(grpc.server.http2.maximumConcurrentStreams == 9 && grpc.server.http2.maximumAge == .seconds(60))
        #expect(grpc.server.http2.maximumGrace == .seconds(5) && grpc.server.http2.pingTimeout == .seconds(3))
        #expect(try read("protocols: {grpc: }").settings?.grpc?.server.port == 4317)
        let refused = try read("protocols: {grpc: {tls: {}}}").errors
        #expect(refused.count == 1 && refused[0].contains("tls::cert_file: is missing"), "\(refused)")
    }

    @Test func diagnostics() throws {
        let path = "receivers::otlp::protocols::http"
        #expect(
            try http("endpont: 1:2") == [
                "--config#1:3:5: \(path): unknown key \"endpont\" (did you mean \"endpoint\"?)"
            ])
        let collision = try http("traces_url_path: /v1/logs")
        #expect(
            collision == ["--config#1:3:5: \(path)::logs_url_path: must not be the path of traces"], "\(collision)")
        #expect(
            try http("max_request_body_size: -1").first?.hasPrefix(
                "--config#1:3:28: \(path)::max_request_body_size: must be from 0 to 1073741824") == true)
        #expect(
            try http("cors: {allowed_origins: ['http://*.*']}") == [
                "--config#1:3:29: \(path)::cors::allowed_origins: an origin may hold one \"*\" at most"
            ])
        for key in ["write_timeout: 1s", "profiles_url_path: /p"] {
            let name = key.prefix { $0 != ":" }
            #expect(try http(key).first?.hasPrefix("--config#1:3:5: \(path): \"\(name)\" is not supported: ") == true)
        }
    }

    @Test func responseHeadersCannotBreakAnswers() throws {
        #expect(try http("response_headers: {\"X: y\\r\\nZ\": a}").first?.contains("no HTTP header name") == true)
        #expect(try http("response_headers: {\"ü\": a}").first?.contains("no HTTP header name") == true)
        #expect(try http("response_headers: {Content-length: abc}").first?.contains("sets itself") == true)
    }

    @Test func aReceiverServesOverASocketUntilItStops() async throws {
        let environment = TestEnvironment()
        let consumer = RecordingConsumer()
        let settings = try #require(try read("protocols: {http: {endpoint: '127.0.0.1:0'}}").settings)
        let receiver = try OTLPReceiverFactory().make(
            settings, id: ComponentID(type: "otlp", name: "a"), consumers: [.traces: consumer],
            environment: environment.components)
        try receiver.start()
        let port = try #require(environment.log.first("port").flatMap { Int($0) })
        do {
            let socket = try LoopbackSocket(port: port)
            let body = SampleRequests.bytes(.traces, items: 2)
            let head = "Host: h\r\nContent-Type: application/x-protobuf\r\nContent-Length: \(body.count)\r\n\r\n"
            try socket.send(Array("POST /v1/traces HTTP/1.1\r\n\(head)".utf8) + body)
            #expect(try socket.reply()?.status == 200)
            // A signal that no pipeline takes has no path.
            try socket.send(Array("POST /v1/logs HTTP/1.1\r\n\(head)".utf8) + body)
            #expect(try socket.reply()?.status == 404)
        }
        #expect(consumer.itemCount == 2)
        #expect(environment.metrics.prometheusText().contains("receiver=\"otlp/a\",transport=\"http\""))
        await receiver.stop(deadline: .now + .seconds(5))
        await receiver.stop(deadline: .now)
        #expect(throws: LoopbackSocket.Failed.self) { try LoopbackSocket(port: port) }
        try await environment.shutDown()
    }
}
