import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Transport

/// A frame, taken apart.
struct HTTP2TestFrame: Equatable, CustomStringConvertible {
    var type: UInt8
    var flags: UInt8 = 0
    var stream: UInt32 = 0
    var payload: [UInt8] = []

    var bytes: [UInt8] {
        let count = payload.count
        var bytes: [UInt8] = [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
        for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: stream >> shift)) }
        return bytes + payload
    }

    var description: String { "\(type)/\(flags)@\(stream)[\(payload.count)]" }

    /// The four bytes at an offset of the payload.
    func number(at offset: Int = 0) -> UInt32 {
        payload[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    static func all(in bytes: [UInt8]) -> [Self] {
        var frames: [Self] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            let stream = head[5...].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
            frames.append(
                Self(type: head[3], flags: head[4], stream: stream, payload: Array(rest.dropFirst(9).prefix(length))))
            rest = rest.dropFirst(9 + length)
        }
        return frames
    }
}

/// Frames of a client.
enum HTTP2Client {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func settings(_ values: [(UInt16, UInt32)] = []) -> [UInt8] {
        var payload: [UInt8] = []
        for (name, value) in values { payload += be(UInt32(name)).suffix(2) + be(value) }
        return HTTP2TestFrame(type: 4, payload: payload).bytes
    }

    static func be(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// Fields as literals that no table remembers.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        var block: [UInt8] = []
        for (name, value) in fields {
            block += [0, UInt8(name.utf8.count)]
            block += Array(name.utf8)
            block.append(UInt8(value.utf8.count))
            block += Array(value.utf8)
        }
        return block
    }

    static let request: [(String, String)] = [(":method", "POST"), (":scheme", "http"), (":path", "/x?y")]

    static func head(
        _ stream: UInt32, _ fields: [(String, String)] = request, ends: Bool = false
    ) -> [UInt8] {
        HTTP2TestFrame(type: 1, flags: ends ? 5 : 4, stream: stream, payload: block(fields)).bytes
    }

    static func data(_ stream: UInt32, _ content: [UInt8] = [], ends: Bool = false) -> [UInt8] {
        HTTP2TestFrame(type: 0, flags: ends ? 1 : 0, stream: stream, payload: content).bytes
    }

    static func reset(_ stream: UInt32) -> [UInt8] {
        HTTP2TestFrame(type: 3, stream: stream, payload: be(8)).bytes
    }

    static func window(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
        HTTP2TestFrame(type: 8, stream: stream, payload: be(increment)).bytes
    }

    static func ping(_ byte: UInt8 = 0, ack: Bool = false) -> [UInt8] {
        HTTP2TestFrame(type: 6, flags: ack ? 1 : 0, payload: [UInt8](repeating: byte, count: 8)).bytes
    }
}

/// One HTTP/2 connection without a socket, its preface sent.
struct HTTP2Harness {
    let channel = EmbeddedChannel()
    let service: ScriptedService
    let connections: HTTPServerConnections
    let registry: HTTPConnectionRegistry
    let connection: HTTP2ServerConnection

    init(
        _ service: ScriptedService = ScriptedService(), settings own: [(UInt16, UInt32)] = [], preface: Bool = true,
        _ change: (inout HTTPServerSettings) -> Void = { _ in }
    ) throws {
        var settings = HTTPServerSettings(host: "127.0.0.1", port: 0)
        change(&settings)
        self.service = service
        connections = HTTPServerConnections(limit: 10)
        registry = HTTPConnectionRegistry(connections)
        connection = HTTP2ServerConnection(
            service: service, settings: settings, registry: registry, telemetry: nil, eventLoop: channel.eventLoop,
            allocator: channel.allocator)
        _ = connections.admitOne()
        // A channel that was never connected is closed already.
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        try channel.pipeline.syncOperations.addHandler(connection)
        if preface { try send(HTTP2Client.preface + HTTP2Client.settings(own)) }
    }

    /// Bytes of the connection; does nothing once the server has closed it.
    func send(_ bytes: [UInt8]) throws {
        guard channel.isActive else { return }
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
        channel.pipeline.fireChannelReadComplete()
        channel.embeddedEventLoop.run()
    }

    var isOpen: Bool { channel.isActive }

    /// Runs what waits for the event loop.
    func run() { channel.embeddedEventLoop.run() }

    /// Frames that were written since the last call.
    func frames() throws -> [HTTP2TestFrame] {
        var bytes: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += Array(buffer.readableBytesView) }
        return HTTP2TestFrame.all(in: bytes)
    }

    /// The code of the GOAWAY that ended the connection; nil while it is open.
    func endCode() throws -> UInt32? {
        guard !channel.isActive else { return nil }
        return try frames().last { $0.type == 7 }?.number(at: 4)
    }
}
