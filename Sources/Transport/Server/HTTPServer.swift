internal import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
package import Pipeline
internal import Synchronization

/// An HTTP server, 1.1 and 2, on NIO event loops. Connections are spread over the loops; each lives on one.
///
/// A server of a component that takes another's place, at the same address, goes on with that one's socket and
/// connections (`ListenerRegistry`).
package final class HTTPServer: Sendable {
    private let service: any HTTPService
    private let settings: HTTPServerSettings
    private let listener = Mutex<HTTPListener?>(nil)
    /// Set by the first `close`: the event loops may be gone after it.
    private let isClosed = Atomic<Bool>(false)
    private let telemetry: HTTPServerTelemetry?
    private let authenticators: AuthenticatorRegistry?
    private let tls = Mutex<TLSContextSource?>(nil)

    /// - Parameters:
    ///   - telemetry: who is told about connections that fail; nil for nobody.
    ///   - authenticators: where the authenticator is looked up at the start, when the settings name one.
    package init(
        settings: HTTPServerSettings, service: any HTTPService, telemetry: HTTPServerTelemetry? = nil,
        authenticators: AuthenticatorRegistry? = nil
    ) {
        self.authenticators = authenticators
        self.settings = settings
        self.service = service
        self.telemetry = telemetry
    }

    /// Connections open at present.
    package var openConnections: Int { listener.withLock { $0 }?.connections.count.load(ordering: .relaxed) ?? 0 }

    private var address: String { "\(settings.host):\(settings.port)" }

    /// Binds and starts to accept. Blocks until bound: call it off the event loops. In place of a server that ends with
    /// the present change it begins when the change is sure to happen.
    ///
    /// - Returns: the port, which the system chose when `settings.port` is 0.
    /// - Throws: `HTTPServerBindError`, which names the address, or an error that names the TLS option.
    @discardableResult
    package func start(on group: any EventLoopGroup) throws -> Int {
        let serving = HTTPServing(
            service: service, settings: try authenticated(), telemetry: telemetry, security: try loadTLS())
        if let telemetry, settings.port != 0,
            let former = telemetry.listeners.predecessor(at: address) as? HTTPServer
        {
            telemetry.listeners.onCommit { [self] in takeOver(former, serving) }
            return settings.port
        }
        let listener = HTTPListener(serving)
        do {
            let port = try listener.start(on: group)
            use(listener)
            return port
        } catch let error as HTTPServerBindError {
            tls.withLock { $0?.stop() }
            throw error
        }
    }

    private func use(_ listener: HTTPListener) {
        self.listener.withLock { $0 = listener }
        telemetry?.listeners.add(address, component: telemetry?.component ?? "", owner: self)
    }

    private func takeOver(_ former: HTTPServer, _ serving: HTTPServing) {
        let taken = former.listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        guard let taken else { return }
        let isOtherTLS = former.settings.tls != settings.tls
        taken.serve(serving, endsConnections: isOtherTLS || former.settings.versions != settings.versions)
        use(taken)
    }

    /// The settings with the authenticator that they name.
    private func authenticated() throws -> HTTPServerSettings {
        guard let id = settings.authenticatorID else { return settings }
        guard let found = authenticators?.server(id) else {
            throw HTTPServerSetupError(
                host: settings.host, port: settings.port, cause: "the extension \(id) authenticates no clients")
        }
        var settings = settings
        settings.authenticator = found
        return settings
    }

    private func loadTLS() throws -> HTTPServing.Security? {
        guard let tls = settings.tls else { return nil }
        let protocols = settings.versions == .http2 ? ["h2"] : ["h2", "http/1.1"]
        do throws(TLSServerError) {
            let source = try TLSContextSource(tls, protocols: protocols)
            source.start(logger: telemetry?.logger ?? Logger(label: "tls") { _ in SwiftLogNoOpLogHandler() })
            self.tls.withLock { $0 = source }
            return HTTPServing.Security(
                source: source, handshakes: TLSHandshakes(limit: tls.maximumHandshakes), timeout: tls.handshakeTimeout)
        } catch {
            throw HTTPServerSetupError(
                host: settings.host, port: settings.port, cause: "tls: \(error.option) \(error.text)")
        }
    }

    /// Stops accepting and ends idle connections. Busy ones end after their answer. Returns at once; does nothing
    /// the second time.
    package func drain() {
        guard !isClosed.load(ordering: .acquiring) else { return }
        endListening()
        listener.withLock { $0 }?.connections.drain()
    }

    private func endListening() {
        tls.withLock { source in
            source?.stop()
            source = nil
        }
        telemetry?.listeners.remove(address, owner: self)
        listener.withLock { $0 }?.stop()
    }

    /// Stops accepting and ends the connections whose request has not come in whole. Those that wait for their
    /// answer end after it.
    package func closeUnfinished() {
        guard !isClosed.load(ordering: .acquiring) else { return }
        drain()
        listener.withLock { $0 }?.connections.closeUnfinished()
    }

    /// Closes what is still open, answered or not. Does nothing the second time.
    package func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        endListening()
        listener.withLock { $0 }?.connections.closeAll()
    }
}

/// HTTP/1.1 came where only HTTP/2 is spoken.
private struct HTTPVersionError: Error {}

/// A connection beyond what the server takes; the channel's initializer closes it.
private struct HTTPServerOverload: Error {}

/// How the requests of a listening socket are served.
struct HTTPServing: Sendable {
    /// TLS as it is configured, loaded and watched.
    struct Security: Sendable {
        let source: TLSContextSource
        let handshakes: TLSHandshakes
        let timeout: Duration
    }

    let service: any HTTPService
    let settings: HTTPServerSettings
    let telemetry: HTTPServerTelemetry?
    let security: Security?
}

/// A listening socket and its connections. It may outlive the server that opened it.
final class HTTPListener: Sendable {
    let connections: HTTPServerConnections
    private let channel = Mutex<(any Channel)?>(nil)
    /// How new connections are served.
    private let serving: Mutex<HTTPServing>

    init(_ serving: HTTPServing) {
        connections = HTTPServerConnections(limit: serving.settings.maximumConnections)
        self.serving = Mutex(serving)
    }

    /// Binds and accepts. Blocks: off the event loops.
    ///
    /// - Returns: the port.
    func start(on group: any EventLoopGroup) throws -> Int {
        try connections.registerLoops(of: group)
        let settings = serving.withLock { $0.settings }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10)
            )
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel) }
            }
        do {
            let channel = try bootstrap.bind(host: settings.host, port: settings.port).wait()
            self.channel.withLock { $0 = channel }
            return channel.localAddress?.port ?? settings.port
        } catch {
            throw HTTPServerBindError(host: settings.host, port: settings.port, cause: "\(error)")
        }
    }

    /// Serves otherwise from now on, open connections too.
    func serve(_ new: HTTPServing, endsConnections: Bool) {
        serving.withLock { $0 = new }
        connections.serve(new, limit: new.settings.maximumConnections, endsConnections: endsConnections)
    }

    /// Stops to accept.
    func stop() {
        let channel = channel.withLock { channel in
            defer { channel = nil }
            return channel
        }
        channel?.close(promise: nil)
    }

    private func accept(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let serving = serving.withLock { $0 }
        if let secure = serving.security {
            guard secure.handshakes.begin() else { throw HTTPServerOverload() }
            try pipeline.addHandler(NIOSSLServerHandler(context: secure.source.context))
            try pipeline.addHandler(
                TLSHandshakeGate(secure.handshakes, timeout: secure.timeout, telemetry: serving.telemetry))
        }
        guard let registry = connections.registry(of: channel.eventLoop), connections.admitOne() else {
            // Over TLS the client could not read an answer yet.
            if serving.security != nil { throw HTTPServerOverload() }
            let answer = serving.service.badRequest(status: 503, message: "too many connections")
            try pipeline.addHandler(RefusingHandler(answer: answer))
            return
        }
        try Self.configure(pipeline, serving, registry)
    }

    /// Most bytes of one field of a head, or of its URI: 64 KiB.
    private static let headerFieldLimit = 64 << 10
    /// Most bytes of all fields of a head: 128 KiB. No lease counts them.
    private static let headerListLimit = 128 << 10

    /// Adds the handler that finds out what a connection speaks. On its event loop.
    private static func configure(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ accepted: HTTPServing, _ registry: HTTPConnectionRegistry
    ) throws {
        let timeout = accepted.settings.readHeaderTimeout
        let detector = HTTPVersionDetector(registry: registry, timeout: timeout) { isHTTP2, context in
            let pipeline = context.pipeline.syncOperations
            let serving = registry.serving ?? accepted
            let (service, settings) = (serving.service, serving.settings)
            if isHTTP2 {
                try pipeline.addHandler(
                    HTTP2ServerConnection(
                        service: service, settings: settings, registry: registry, telemetry: serving.telemetry,
                        eventLoop: context.eventLoop, allocator: context.channel.allocator))
            } else if settings.versions == .http2 {
                throw HTTPVersionError()
            } else {
                let connection = HTTPServerConnection(service: service, settings: settings, registry: registry)
                try configure(pipeline, connection)
            }
        }
        try pipeline.addHandler(detector)
    }

    /// Adds the handlers of one HTTP/1.1 connection. On its event loop.
    static func configure(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ connection: HTTPServerConnection
    ) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = headerFieldLimit
        limits.maxHeaderListSize = headerListLimit
        let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)
        try pipeline.addHandler(ByteToMessageHandler(decoder))
        try pipeline.addHandler(connection)
    }
}

/// What a server needs beside its address could not be set up.
package struct HTTPServerSetupError: Error, CustomStringConvertible {
    package var host: String
    package var port: Int
    /// The thing and what is wrong with it.
    package var cause: String

    package var description: String { "cannot listen on \(host):\(port): \(cause)" }
}

/// The address could not be bound.
package struct HTTPServerBindError: Error, CustomStringConvertible {
    package var host: String
    package var port: Int
    package var cause: String

    package var description: String {
        "cannot listen on \(host):\(port): \(cause); is another process using the port?"
    }
}

/// Answers a connection that is over the bound, and closes it.
private final class RefusingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: HTTPAnswer

    init(answer: HTTPAnswer) { self.answer = answer }

    func channelActive(context: ChannelHandlerContext) {
        let buffer = HTTPAnswerEncoder.encode(
            answer, extra: [("Retry-After", "1")], closes: true, allocator: context.channel.allocator)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
