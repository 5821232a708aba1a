internal import NIOCore

/// Tells HTTP/2 from HTTP/1.1 by the first bytes of a connection, adds the handlers for it, and leaves. A client of
/// HTTP/2, by agreement in TLS or by prior knowledge, begins with a fixed text (RFC 9113, section 3.4).
final class HTTPVersionDetector: ChannelInboundHandler, RemovableChannelHandler, ServedConnection {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// The first bytes of HTTP/2's preface; no method of HTTP/1.1 begins with them.
    private static let preface = Array("PRI * HTTP/2".utf8)

    private let registry: HTTPConnectionRegistry
    /// Adds the handlers of the version to the end of the pipeline.
    private let configure: (_ isHTTP2: Bool, _ context: ChannelHandlerContext) throws -> Void
    private let deadline: NIODeadline
    private var context: ChannelHandlerContext?
    private var received: ByteBuffer?

    /// - Parameter timeout: longest wait for the first bytes.
    init(
        registry: HTTPConnectionRegistry, timeout: Duration,
        configure: @escaping (_ isHTTP2: Bool, _ context: ChannelHandlerContext) throws -> Void
    ) {
        self.registry = registry
        self.configure = configure
        deadline = .now() + TimeAmount(timeout)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { registry.add(self) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        registry.add(self)
        context.fireChannelActive()
        // Accepted while the server began to end: nobody would close it before its time-out.
        if registry.isDraining { close() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        registry.remove(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var chunk = unwrapInboundIn(data)
        if received == nil { received = chunk } else { received?.writeBuffer(&chunk) }
        guard let received else { return }
        let seen = received.readableBytesView.prefix(Self.preface.count)
        let matches = Self.preface.starts(with: seen)
        if matches, seen.count < Self.preface.count { return }
        self.received = nil
        registry.hand(over: self)
        do {
            try configure(matches, context)
            context.fireChannelRead(wrapInboundOut(received))
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            // Nobody took it: it is this one's again, to be counted until it is closed.
            registry.add(self)
            context.close(promise: nil)
        }
    }

    // MARK: ServedConnection

    func drain() { close() }

    func endSoon() {}

    func closeUnlessWaiting() { close() }

    func close() { context?.close(promise: nil) }

    func checkDeadline(_ now: NIODeadline) { if deadline <= now { close() } }
}
