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
    /// Most bytes of a DATA frame: each frame costs some microseconds.
    private static let frameSize = 1 << 20
    /// Most bytes of all fields of a head. There may be as many heads as streams, and no lease counts them.
    private static let headerListSize = 32 << 10
    /// Most bytes of answers that the client has not taken yet; requests beyond it are refused.
    private static let unsentLimit = 1 << 20

    private(set) var service: any HTTPService
    private(set) var settings: HTTPServerSettings
    /// The registry's, when `service` and `settings` were its.
    private var generation: UInt64
    private let registry: HTTPConnectionRegistry
    private let telemetry: HTTPServerTelemetry?
    private var frames: HTTP2FrameGuard?
    private var pings: HTTP2PingPolicy
    /// Longest time for requests under way behind a GOAWAY, unless it is configured.
    private static let grace = Duration.seconds(300)
    /// Longest time for a client without requests to take note of it.
    private static let idleGrace = Duration.seconds(10)

    /// When the first GOAWAY went out.
    private var goAwayAt: NIODeadline?
    /// It was ended for what its client did, and counted.
    private var isEnded = false
    /// Bytes of answers that wait for the client to take them.
    private var unsent = 0
    private var context: ChannelHandlerContext?
    private var streams: [ObjectIdentifier: HTTP2ServerStream] = [:]
    private(set) var client: String?

    init(
        service: any HTTPService, settings: HTTPServerSettings, registry: HTTPConnectionRegistry,
        telemetry: HTTPServerTelemetry?
    ) {
        self.service = service
        self.settings = settings
        self.registry = registry
        self.telemetry = telemetry
        pings = HTTP2PingPolicy(settings: settings.http2)
        generation = registry.generation
    }

    /// Takes note, before a request, that the server serves differently by now.
    func refresh() {
        guard generation != registry.generation, let serving = registry.serving else { return }
        generation = registry.generation
        (service, settings) = (serving.service, serving.settings)
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
        let frames = HTTP2FrameGuard(frameSize: Self.frameSize) { [weak self] in self?.end($0.rawValue) }
        self.frames = frames
        try pipeline.addHandler(frames)
        try pipeline.addHandler(handler)
        try pipeline.addHandler(GoAwayWatcher { [weak self] in self?.isEnding() })
        try pipeline.addHandler(management)
        try pipeline.addHandler(self)
        // The connection was active before: nothing else would start the clocks of age and idleness.
        management.channelActive(context: try pipeline.context(handler: management))
    }

    /// A GOAWAY went out.
    private func isEnding() { if goAwayAt == nil { goAwayAt = .now() } }

    func add(_ stream: HTTP2ServerStream) { streams[ObjectIdentifier(stream)] = stream }

    func remove(_ stream: HTTP2ServerStream) { streams[ObjectIdentifier(stream)] = nil }

    /// Whether the client takes its answers: no more requests are admitted before it does.
    var takesAnswers: Bool { unsent <= Self.unsentLimit }

    /// An answer of so many bytes is on its way.
    func willSend(_ bytes: Int) {
        unsent += bytes
        pings.answered()
        frames?.addCredit(bytes: bytes)
    }

    /// It is written, or never will be.
    func didSend(_ bytes: Int) { unsent -= bytes }

    /// Ends a connection whose client misuses it: GOAWAY with ENHANCE_YOUR_CALM.
    private func end(_ reason: String, data: String = "") {
        guard let context, !isEnded else { return }
        isEnded = true
        telemetry?.connectionEnded(peer: client, reason: reason)
        let payload = HTTP2Frame.FramePayload.goAway(
            lastStreamID: .maxID, errorCode: .enhanceYourCalm, opaqueData: ByteBuffer(string: data))
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        // The frame is held back until the end of what was read.
        context.writeAndFlush(NIOAny(HTTP2Frame(streamID: .rootStream, payload: payload)))
            .whenComplete { _ in bound.value.close(promise: nil) }
    }

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

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // The rules are gRPC's: clients of plain HTTP/2 do not know them.
        if settings.versions == .http2, case .ping(_, ack: false) = unwrapInboundIn(data).payload,
            !pings.take(.now(), isIdle: streams.isEmpty)
        {
            end("too many pings", data: "too_many_pings")
        }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Errors of one stream are answered on it by NIOHTTP2; all others end the connection.
        if error is NIOHTTP2Errors.StreamError { return }
        if !isEnded, let reason = Self.misuse(error) {
            isEnded = true
            telemetry?.connectionEnded(peer: client, reason: reason)
        }
        context.close(promise: nil)
    }

    /// What NIOHTTP2 found the client to do, too often or against the protocol; nil for errors of the connection itself.
    private static func misuse(_ error: any Error) -> String? {
        switch error {
        case is NIOHTTP2Errors.ExcessiveRSTFrames: "too many streams were reset"
        case is NIOHTTP2Errors.ExcessiveEmptyDataFrames: "too many empty DATA frames"
        case is NIOHTTP2Errors.ExcessiveContinuationFrames: "too many CONTINUATION frames"
        case is NIOHTTP2Errors.ExcessivelyLargeHeaderBlock: "too large a head"
        case is NIOHTTP2Errors.ExcessiveStreamErrors, is NIOHTTP2Errors.ExcessiveNumberOfGlitches:
            "too many errors of streams"
        case is NIOHTTP2Errors.ExcessiveControlFrames, is NIOHTTP2Errors.ExcessiveOutboundFrameBuffering:
            "too many control frames"
        default: error is any NIOHTTP2Error ? "a frame against the protocol" : nil
        }
    }

    // MARK: ServedConnection

    /// GOAWAY now; the connection ends with its last stream.
    func drain() {
        guard let context else { return }
        context.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        for stream in Array(streams.values) { stream.drain() }
    }

    /// GOAWAY; requests under way are answered.
    func endSoon() { context?.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }

    func closeUnlessWaiting() {
        drain()
        for stream in Array(streams.values) { stream.closeUnlessWaiting() }
    }

    func close() { context?.close(promise: nil) }

    func checkDeadline(_ now: NIODeadline) {
        if let goAway = goAwayAt {
            let grace = settings.http2.maximumGrace ?? Self.grace
            // NIOHTTP2's own clock waits for the client to answer.
            if now - goAway >= TimeAmount(streams.isEmpty ? min(grace, Self.idleGrace) : grace) {
                close()
                return
            }
        }
        for stream in Array(streams.values) { stream.checkDeadline(now) }
    }
}

/// Notices that the connection is to end, whoever decided so.
private final class GoAwayWatcher: ChannelOutboundHandler {
    typealias OutboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let goAway: () -> Void

    init(_ goAway: @escaping () -> Void) { self.goAway = goAway }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .goAway = unwrapOutboundIn(data).payload { goAway() }
        context.write(data, promise: promise)
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
