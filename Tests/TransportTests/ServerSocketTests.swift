import NIOCore
import NIOPosix
import OTLP
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// The server over real sockets on loopback.
@Suite struct ServerSocketTests {
    private func settings(_ change: (inout HTTPServerSettings) -> Void = { _ in }) -> HTTPServerSettings {
        var settings = HTTPServerSettings(host: "127.0.0.1", port: 0)
        change(&settings)
        return settings
    }

    private func serving(
        _ service: ScriptedService, _ change: (inout HTTPServerSettings) -> Void = { _ in },
        _ body: (HTTPServer, Int) throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let server = HTTPServer(settings: settings(change), service: service)
        do {
            try body(server, try server.start(on: group))
        } catch {
            server.close()
            try await group.shutdownGracefully()
            throw error
        }
        server.close()
        try await group.shutdownGracefully()
    }

    @Test func answersComeFromAnyThread() async throws {
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        let service = ThreadedService(pool: pool)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let server = HTTPServer(settings: settings(), service: service)
        let port = try server.start(on: group)
        do {
            let sockets = try (0..<4).map { _ in try LoopbackSocket(port: port) }
            for round in 0..<20 {
                for socket in sockets { try socket.send(httpPost("a\(round)") + httpPost("b\(round)")) }
                for socket in sockets {
                    #expect(try socket.reply()?.text == "POST /p?|a\(round)")
                    #expect(try socket.reply()?.text == "POST /p?|b\(round)")
                }
            }
        }
        server.close()
        try await group.shutdownGracefully()
        try await pool.shutdownGracefully()
    }

    @Test func connectionsOverTheLimitAreToldToComeBack() async throws {
        let oneConnection: (inout HTTPServerSettings) -> Void = { $0.maximumConnections = 1 }
        try await serving(ScriptedService(), oneConnection) { server, port in
            let first = try LoopbackSocket(port: port)
            try first.send(httpPost("1"))
            #expect(try first.reply()?.status == 200)
            let second = try LoopbackSocket(port: port)
            let refused = try second.reply()
            #expect(refused?.status == 503)
            #expect(refused?["retry-after"] == "1")
            #expect(refused?["connection"] == "close")
            try first.send(httpPost("2"))
            #expect(try first.reply()?.status == 200)
            #expect(server.openConnections == 1)
        }
    }

    @Test func aDrainRefusesNewConnectionsAndEndsIdleOnes() async throws {
        try await serving(ScriptedService()) { server, port in
            let busy = try LoopbackSocket(port: port)
            let idle = try LoopbackSocket(port: port)
            try busy.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            #expect(try busy.reply()?.status == 100)
            server.drain()
            #expect(try idle.readToEnd().isEmpty)
            try busy.send("1")
            #expect(try busy.reply()?.text == "POST /p?|1")
            #expect(try busy.readToEnd().isEmpty)
            // The listener ends on its own thread.
            #expect((0..<100_000).contains { _ in (try? LoopbackSocket(port: port)) == nil })
        }
    }

    @Test func largeBodiesComeWhole() async throws {
        let service = ScriptedService(
            answer: { _, body in .text(200, "\(body.count) \(body.last ?? 0)") },
            admission: { _, _ in .body(limit: 8 << 20, lease: nil) })
        try await serving(service) { _, port in
            let socket = try LoopbackSocket(port: port)
            let body = [UInt8](repeating: 7, count: 5 << 20)
            try socket.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\r\n")
            try socket.send(body)
            #expect(try socket.reply()?.text == "\(5 << 20) 7")
        }
    }

    @Test func anAddressInUseIsNamed() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let first = HTTPServer(settings: settings(), service: ScriptedService())
        let port = try first.start(on: group)
        let second = HTTPServer(settings: settings { $0.port = port }, service: ScriptedService())
        let error = #expect(throws: HTTPServerBindError.self) { try second.start(on: group) }
        #expect(error?.description.contains("127.0.0.1:\(port)") == true)
        second.close()
        first.close()
        first.close()
        try await group.shutdownGracefully()
    }
}

/// Echoes from the threads of a pool.
private final class ThreadedService: HTTPService {
    let pool: NIOThreadPool

    init(pool: NIOThreadPool) { self.pool = pool }

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission { .body(limit: 1 << 20, lease: nil) }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        let bytes = Array(body.buffer)
        pool.submit { _ in responder.send(ScriptedService.echo(head, bytes)) }
    }
}
