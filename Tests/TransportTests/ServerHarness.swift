import NIOCore
import NIOEmbedded
import NIOHTTP1
import OTLP
import Pipeline
import Synchronization
import TestSupport

@testable import Transport

/// A service that follows a script and remembers what it saw.
final class ScriptedService: HTTPService {
    struct Request: Sendable {
        let head: HTTPHead
        let body: [UInt8]
        let responder: HTTPResponder
    }
    private struct Log {
        var methods: [String] = []
        var requests: [Request] = []
    }

    private let admission: @Sendable (HTTPHead, Int?) -> HTTPAdmission
    private let answer: (@Sendable (HTTPHead, [UInt8]) -> HTTPAnswer)?
    private let log = Mutex(Log())

    /// - Parameter answer: nil leaves the answers to the test.
    init(
        answer: (@Sendable (HTTPHead, [UInt8]) -> HTTPAnswer)?,
        admission: @escaping @Sendable (HTTPHead, Int?) -> HTTPAdmission = { _, _ in .body(limit: 1 << 20, lease: nil) }
    ) {
        self.answer = answer
        self.admission = admission
    }

    /// Answers with `echo`.
    convenience init(
        _ admission: @escaping @Sendable (HTTPHead, Int?) -> HTTPAdmission = { _, _ in .body(limit: 1 << 20, lease: nil)
        }
    ) {
        self.init(answer: Self.echo, admission: admission)
    }

    /// `METHOD path?query|body`.
    static let echo: @Sendable (HTTPHead, [UInt8]) -> HTTPAnswer = { head, body in
        .text(200, "\(head.method) \(head.path)?\(head.query)|\(String(decoding: body, as: UTF8.self))")
    }

    /// Methods of all heads that came, in order.
    var methods: [String] { log.withLock { $0.methods } }
    /// Requests that came whole.
    var requests: [Request] { log.withLock { $0.requests } }

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        log.withLock { $0.methods.append(head.method) }
        return admission(head, length)
    }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        let bytes = Array(body.buffer)
        log.withLock { $0.requests.append(Request(head: head, body: bytes, responder: responder)) }
        if let answer { responder.send(answer(head, bytes)) }
    }
}

/// Counts the reads that reach the socket.
private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = NIOAny
    private(set) var count = 0

    func read(context: ChannelHandlerContext) {
        count += 1
        context.read()
    }
}

/// One connection without a socket.
struct ServerHarness {
    let channel = EmbeddedChannel()
    let service: ScriptedService
    let connections: HTTPServerConnections
    let registry: HTTPConnectionRegistry
    let connection: HTTPServerConnection
    private let reads = ReadCounter()

    init(_ service: ScriptedService = ScriptedService(), _ change: (inout HTTPServerSettings) -> Void = { _ in }) throws
    {
        var settings = HTTPServerSettings(host: "127.0.0.1", port: 0)
        change(&settings)
        self.service = service
        connections = HTTPServerConnections(limit: 10)
        registry = HTTPConnectionRegistry(connections)
        connection = HTTPServerConnection(service: service, settings: settings, registry: registry)
        _ = connections.admitOne()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(reads)
        try HTTPListener.configure(pipeline, connection)
        channel.pipeline.fireChannelActive()
    }

    /// Reads that were not held back.
    var readCount: Int { reads.count }
    var isOpen: Bool { connections.count.load(ordering: .relaxed) == 1 }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws { try channel.writeInbound(ByteBuffer(bytes: bytes)) }

    /// What was written since the last call.
    func output() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += Array(buffer.readableBytesView) }
        return bytes
    }

    func replies() throws -> [HTTPReply] {
        try HTTPReply.all(in: output()) { service.methods.indices.contains($0) && service.methods[$0] == "HEAD" }
    }

    /// One request, one answer.
    func exchange(_ text: String) throws -> HTTPReply? {
        try send(text)
        return try replies().last
    }

    func close() {
        if channel.isActive { channel.close(promise: nil) }
        channel.pipeline.fireChannelInactive()
    }
}

/// A POST with a body of known length.
func httpPost(_ body: String, path: String = "/p", fields: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: h\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// A chunked POST, one chunk for each element.
func chunked(_ chunks: [String], trailers: String = "") -> String {
    let body = chunks.map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }.joined()
    return "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\(body)0\r\n\(trailers)\r\n"
}
