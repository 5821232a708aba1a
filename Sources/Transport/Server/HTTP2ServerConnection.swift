internal import NIOCore
internal import NIOHTTP2

/// One HTTP/2 connection (RFC 9113): its streams, its end, and what it may cost. Each stream is one request.
///
/// Lives on its channel's event loop.
final class HTTP2ServerConnection: ChannelInboundHandler, ServedConnection {
    typealias InboundIn = HTTP2Frame

    /// Bytes that a client may send ahead on one stream, and on all of one connection. Large enough that a body rarely
    /// waits for our window updates; what has come is counted in the memory budget.
    private static let streamWindow = 1 << 20
    private static let connectionWindow = 4 << 20
    /// Most bytes of a frame: fewer frames cost less, and this is 1/4 of a common body.
    private static let frameSize = 64 << 10
    /// Most bytes of all fields of a head, as for HTTP/1.1.
    private static let headerListSize = 128 << 10

    let service: any HTTPService
    let settings: HTTPServerSettings
    private let registry: HTTPConnectionRegistry
    private var context: ChannelHandlerContext?
    private var streams: [ObjectIdentifier: HTTP2ServerStream] = [:]
    private(set) var client: String?

    init(service: any HTTPService, settings: HTTPServerSettings, registry: HTTPConnectionRegistry) {
        self.service = service
        self.settings = settings
        self.registry = registry
    }

    /// True once the server ends.
    var isDraining: Bool { registry.isDraining }

    /// Adds the handlers of HTTP/2 to the end of the pipeline. On the event loop.
    func configure(_ pipeline: ChannelPipeline.SynchronousOperations, on eventLoop: any EventLoop) throws {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: settings.http2.maximumConcurrentStreams),
            HTTP2Setting(parameter: .initialWindowSize, value: Self.streamWindow),
            HTTP2Setting(parameter: .maxFrameSize, value: Self.frameSize),
            HTTP2Setting(parameter: .maxHeaderListSize, value: Self.headerListSize),
        ]
        connection.targetWindowSize = Self.connectionWindow
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = Self.streamWindow
        let management = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: eventLoop, configuration: settings.http2.management(idle: settings.idleTimeout))
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let handler = NIOHTTP2Handler(
            mode: .server, eventLoop: eventLoop, connectionConfiguration: connection, streamConfiguration: stream,
            streamDelegate: management.http2StreamDelegate
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(HTTP2ServerStream(bound.value))
            }
        }
        try pipeline.addHandler(handler)
        try pipeline.addHandler(management)
        try pipeline.addHandler(self)
    }

    func add(_ stream: HTTP2ServerStream) { streams[ObjectIdentifier(stream)] = stream }

    func remove(_ stream: HTTP2ServerStream) { streams[ObjectIdentifier(stream)] = nil }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        client = context.remoteAddress?.ipAddress
        registry.add(self)
        if registry.isDraining { drain() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        registry.remove(self)
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Errors of one stream are answered on it by NIOHTTP2; all others end the connection.
        if error is NIOHTTP2Errors.StreamError { return }
        context.close(promise: nil)
    }

    // MARK: ServedConnection

    /// GOAWAY now; the connection ends with its last stream.
    func drain() {
        guard let context else { return }
        context.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    func closeUnlessWaiting() {
        drain()
        for stream in Array(streams.values) { stream.closeUnlessWaiting() }
    }

    func close() { context?.close(promise: nil) }

    func checkDeadline(_ now: NIODeadline) {
        for stream in Array(streams.values) { stream.checkDeadline(now) }
    }
}

extension HTTP2ServerSettings {
    /// What NIOHTTP2's connection management is told.
    fileprivate func management(idle: Duration) -> NIOHTTP2ServerConnectionManagementHandler.Configuration {
        var configuration = NIOHTTP2ServerConnectionManagementHandler.Configuration.defaults
        configuration.maxIdleTime = TimeAmount(maximumIdle ?? idle)
        configuration.maxAge = maximumAge.map { TimeAmount($0) }
        configuration.maxGraceTime = maximumGrace.map { TimeAmount($0) }
        configuration.keepalive = .init(pingInterval: TimeAmount(pingInterval), ackTimeout: TimeAmount(pingTimeout))
        return configuration
    }
}
