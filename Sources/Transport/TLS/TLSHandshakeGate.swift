internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import Synchronization

/// Counts the handshakes of a server under way.
final class TLSHandshakes: Sendable {
    private let count = Atomic<Int>(0)
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Counts one more, unless that passes the limit.
    func begin() -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            end()
            return false
        }
        return true
    }

    func end() { count.subtract(1, ordering: .relaxed) }
}

/// Watches the handshake of one connection: its time, its end, its failure. Leaves when it is done.
final class TLSHandshakeGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let handshakes: TLSHandshakes
    private let timeout: Duration
    private let telemetry: HTTPServerTelemetry?
    private var deadline: Scheduled<Void>?
    private var isUnderWay = true
    private var peer: String?

    /// - Parameter handshakes: has counted this one.
    init(_ handshakes: TLSHandshakes, timeout: Duration, telemetry: HTTPServerTelemetry?) {
        self.handshakes = handshakes
        self.timeout = timeout
        self.telemetry = telemetry
    }

    func handlerAdded(context: ChannelHandlerContext) {
        peer = context.remoteAddress?.ipAddress
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            let (gate, context) = bound.value
            gate.fail("took too long")
            // The peer did not even finish its handshake: there is nothing to say good-bye to.
            context.close(mode: .all, promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { finish() }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            finish()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isUnderWay { fail(Self.reason(error)) }
        context.fireErrorCaught(error)
    }

    private func fail(_ reason: String) {
        guard isUnderWay else { return }
        finish()
        telemetry?.handshakeFailed(peer: peer, reason: reason)
    }

    private func finish() {
        guard isUnderWay else { return }
        isUnderWay = false
        deadline?.cancel()
        deadline = nil
        handshakes.end()
    }

    /// The library's own word for what went wrong, such as `CERTIFICATE_VERIFY_FAILED`, without its file names.
    private static func reason(_ error: any Error) -> String {
        guard case NIOSSLError.handshakeFailed(let cause) = error else { return "the connection broke" }
        let text = Array("\(cause)".utf8)
        let mark = Array("OPENSSL_internal:".utf8)
        for start in text.indices where text[start...].starts(with: mark) {
            let word = text[(start + mark.count)...].prefix { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\"") }
            return String(decoding: word, as: UTF8.self)
        }
        return "the client ended it"
    }
}
