import Config
import NIOCore
import NIOPosix
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing
import Transport

@testable import Extensions
@testable import Service

@Suite struct CollectorTests {
    private func collector(_ yaml: String) throws -> Collector {
        let (made, errors, _) = try plan(yaml)
        return try Collector(try #require(made, "\(errors)"), threads: 1)
    }

    @Test func startsAndStopsOnce() async throws {
        let collector = try collector(configuration())
        try collector.start()
        await collector.stop(timeout: .seconds(60))
        await collector.stop(timeout: .seconds(60))
    }

    @Test func stopsWithoutStart() async throws {
        let collector = try collector(
            configuration(
                exporters: "debug:", extensions: "health_check: {endpoint: '127.0.0.1:0'}",
                service: "extensions: [health_check]\npipelines: {traces: {receivers: [otlp], exporters: [debug]}}"))
        await collector.stop(timeout: .seconds(60))
        await collector.stop(timeout: .zero)
    }

    /// Occupies a port while `body` runs.
    private func occupying(_ body: (Int) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let settings = HTTPServerSettings(host: "127.0.0.1", port: 0)
        let server = HTTPServer(
            settings: settings, service: AdminService(registry: MetricRegistry(), pages: StatusPages()))
        try await body(try server.start(on: group))
        server.close()
        try await group.shutdownGracefully()
    }

    @Test func aPortInUseIsNamedAndWhatRunsCanBeStopped() async throws {
        try await occupying { port in
            let receiver = "otlp: {protocols: {http: {endpoint: '127.0.0.1:\(port)'}}}"
            let collector = try collector(
                configuration(
                    receivers: receiver, exporters: "debug:",
                    extensions: "health_check: {endpoint: '127.0.0.1:0'}",
                    service: "extensions: [health_check]\npipelines: {traces: {receivers: [otlp], exporters: [debug]}}")
            )
            let error = #expect(throws: HTTPServerBindError.self) { try collector.start() }
            #expect(error?.description.contains("127.0.0.1:\(port)") == true)
            await collector.stop(timeout: .seconds(60))
            await collector.stop(timeout: .zero)
        }
    }

    @Test func metricsThatCannotBeServedStopTheStart() async throws {
        try await occupying { port in
            let telemetry = "{metrics: {address: '127.0.0.1:\(port)'}, logs: {level: fatal}}"
            let collector = try collector(configuration(telemetry: telemetry))
            #expect(throws: HTTPServerBindError.self) { try collector.start() }
            await collector.stop(timeout: .seconds(60))
        }
    }

    @Test func anExporterThatCannotStartIsNamed() async throws {
        let exporters = "file: {path: /nonexistent/directory/file.json}"
        let service = "pipelines: {traces: {receivers: [otlp], exporters: [file]}}"
        let collector = try collector(configuration(exporters: exporters, service: service))
        let error = #expect(throws: (any Error).self) { try collector.start() }
        #expect(error.map { "\($0)" }?.contains("/nonexistent/directory") == true)
        await collector.stop(timeout: .seconds(60))
    }
}

@Suite struct OwnEndpointTests {
    private func serving(_ service: any HTTPService, _ body: (Int) throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = HTTPServer(settings: HTTPServerSettings(host: "127.0.0.1", port: 0), service: service)
        try body(try server.start(on: group))
        server.close()
        try await group.shutdownGracefully()
    }

    private func get(_ path: String, _ port: Int, method: String = "GET") throws -> HTTPReply? {
        let socket = try LoopbackSocket(port: port)
        try socket.send("\(method) \(path) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        let bytes = try socket.readToEnd()
        return try HTTPReply.all(in: bytes) { _ in method == "HEAD" }.first
    }

    @Test func metricsAreServed() async throws {
        let registry = MetricRegistry()
        registry.counter("c", help: "C.").add(7)
        try await serving(AdminService(registry: registry, pages: StatusPages())) { port in
            let reply = try get("/metrics", port)
            #expect(reply?.status == 200)
            #expect(reply?["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(reply?.text == "# HELP c_total C.\n# TYPE c_total counter\nc_total 7\n")
            #expect(try get("/metrics", port, method: "HEAD")?["content-length"] == reply?["content-length"])
            let status1 = try get("/", port)?.status
            #expect(status1 == 404)
            let status2 = try get("/metrics", port, method: "POST")?.status
            #expect(status2 == 405)
        }
    }

    private func health(_ yaml: String) throws -> HealthCheckSettings {
        var diagnostics = ConfigDiagnostics()
        let settings = ConfigSection.decode(try node(yaml), path: "x", into: &diagnostics) {
            HealthCheckExtensionFactory().settings(from: $0)
        }
        return try #require(settings, "\(diagnostics.errors)")
    }

    @Test func healthFollowsReadiness() async throws {
        let readiness = Readiness()
        try await serving(HealthCheckService(settings: try health("{path: /health}"), readiness: readiness)) { port in
            let status3 = try get("/health", port)?.status
            #expect(status3 == 503)
            let status4 = try get("/readyz", port)?.status
            #expect(status4 == 503)
            let status5 = try get("/livez", port)?.status
            #expect(status5 == 200)
            readiness.set(true)
            let reply = try get("/health", port)
            #expect(reply?.status == 200)
            #expect(reply?["content-type"] == "application/json")
            #expect(reply?.text.hasPrefix("{\"status\":\"Server available\",\"uptime\":\"") == true)
            let status6 = try get("/readyz", port)?.status
            #expect(status6 == 200)
            let status7 = try get("/", port)?.status
            #expect(status7 == 404)
            let status8 = try get("/health", port, method: "HEAD")?.status
            #expect(status8 == 200)
            let status9 = try get("/health", port, method: "POST")?.status
            #expect(status9 == 405)
            readiness.set(false)
            let status10 = try get("/health", port)?.status
            #expect(status10 == 503)
        }
    }

    @Test func healthBodiesCanBeChosen() async throws {
        let readiness = Readiness()
        let settings = try health("{response_body: {healthy: yes we can, unhealthy: wait}}")
        try await serving(HealthCheckService(settings: settings, readiness: readiness)) { port in
            let text = try get("/", port)?.text
            #expect(text == "wait")
            readiness.set(true)
            let ready = try get("/", port)?.text
            #expect(ready == "yes we can")
        }
    }

    @Test func theHealthCheckExtensionListens() async throws {
        let environment = TestEnvironment()
        let settings = try health("{endpoint: '127.0.0.1:0'}")
        let part = try HealthCheckExtensionFactory().make(
            settings, id: ComponentID(type: "health_check"), environment: environment.components)
        try part.start()
        let port = try #require(environment.log.first("port").flatMap { Int($0) })
        let status11 = try get("/livez", port)?.status
        #expect(status11 == 200)
        await part.stop()
        await part.stop()
        try await environment.shutDown()
    }
}
