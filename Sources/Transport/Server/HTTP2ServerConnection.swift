internal import NIOCore
internal import NIOHPACK

/// One HTTP/2 connection (RFC 9113): its streams, its windows, its end, and what it may cost. Each stream is one request.
///
/// Bodies go from the bytes of the socket into the request's buffer at once: no channel, no event and no copy lies
/// between them. Frames are taken apart by `HTTP2FrameReader` and handled in `HTTP2ServerConnection+Frames.swift`.
///
/// Lives on its channel's event loop.
final class HTTP2ServerConnection: ChannelInboundHandler, ServedConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes that a client may send ahead on one stream, and on all of one connection. Large enough that a body rarely
    /// waits for our window updates; what has come is counted in the memory budget.
    static let streamWindow = 1 << 20
    static let connectionWindow = 4 << 20
    /// Bytes that may be sent ahead before the settings are known.
    static let initialWindow = 65_535
    /// Most bytes of a DATA frame.
    static let frameSize = 1 << 20
    /// Most bytes of answers that the client has not taken yet; requests beyond it are refused, and a client that goes on
    /// to ask for answers of the protocol itself is ended.
    static let unsentLimit = 1 << 20
    /// Streams that were ended by us and are remembered, because their client may not know yet.
    private static let mostRemembered = 256
    /// What is in the PING that says whether a client has seen our GOAWAY, and in those that ask whether it is there.
    static let drainPing: UInt64 = 0x6D61_7274_6C65_7400
    static let alivePing: UInt64 = 0x6D61_7274_6C65_7401

    /// How far the connection has come to its end.
    enum Ending {
        case open
        /// The client was told to begin no more streams; those that it began before it knew are still taken.
        case announced
        /// No more streams are taken. The connection ends with the last one.
        case final
        /// Nothing is read any more.
        case ended
    }

    private(set) var service: any HTTPService
    private(set) var settings: HTTPServerSettings
    /// The registry's, when `service` and `settings` were its.
    private var generation: UInt64
    let eventLoop: any EventLoop
    private let registry: HTTPConnectionRegistry
    private let telemetry: HTTPServerTelemetry?
    private(set) var client: String?
    private var context: ChannelHandlerContext?

    var reader = HTTP2FrameReader(frameSize: HTTP2ServerConnection.frameSize, headSize: HTTP2HeadReader.blockSize)
    var heads: HTTP2HeadReader
    var writer: HTTP2FrameWriter
    var credit: HTTP2FrameCredit
    var pings: HTTP2PingPolicy
    private var clock: HTTP2ConnectionClock
    /// When the bytes at hand came.
    private(set) var now: NIODeadline
    private var isReading = false
    var sawSettings = false

    private(set) var streams: [UInt32: HTTP2ServerStream] = [:]
    /// The newest stream of the client.
    var lastStream: UInt32 = 0
    private var forgotten: [UInt32] = []
    private var nextForgotten = 0
    private(set) var ending = Ending.open

    /// The DATA frame that is coming in, and whose it is; nil when nobody wants it.
    var dataFrame: HTTP2FrameHead?
    var dataStream: HTTP2ServerStream?
    /// Bytes that the client may still send, and bytes that it may send again but has not been told so.
    var window = HTTP2ServerConnection.connectionWindow
    var consumed = 0
    /// Bytes that may be sent to the client, on the connection and at the beginning of a stream.
    var sendWindow = HTTP2ServerConnection.initialWindow
    var initialSendWindow = HTTP2ServerConnection.initialWindow
    /// Bytes of answers that wait for windows, and that wait for the socket.
    private var held = 0
    private var unwritten = 0

    init(
        service: any HTTPService, settings: HTTPServerSettings, registry: HTTPConnectionRegistry,
        telemetry: HTTPServerTelemetry?, eventLoop: any EventLoop, allocator: ByteBufferAllocator
    ) {
        self.service = service
        self.settings = settings
        self.registry = registry
        self.telemetry = telemetry
        self.eventLoop = eventLoop
        now = .now()
        heads = HTTP2HeadReader(allocator: allocator)
        writer = HTTP2FrameWriter(allocator: allocator)
        credit = HTTP2FrameCredit(now: now)
        pings = HTTP2PingPolicy(settings: settings.http2)
        clock = HTTP2ConnectionClock(settings.http2, idle: settings.idleTimeout, now: now)
        generation = registry.generation
    }

    /// Takes note, before a request, that the server serves differently by now.
    func refresh() {
        guard generation != registry.generation, let serving = registry.serving else { return }
        generation = registry.generation
        (service, settings) = (serving.service, serving.settings)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        client = context.remoteAddress?.ipAddress
        registry.add(self)
        writer.settings([
            (HTTP2SettingName.maxConcurrentStreams, settings.http2.maximumConcurrentStreams),
            (HTTP2SettingName.initialWindowSize, Self.streamWindow),
            (HTTP2SettingName.maxFrameSize, Self.frameSize),
            (HTTP2SettingName.maxHeaderListSize, HTTP2HeadReader.listSize),
        ])
        writer.windowUpdate(0, Self.connectionWindow - Self.initialWindow)
        flush()
        if registry.isDraining { drain() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        registry.remove(self)
        self.context = nil
        ending = .ended
        dataStream = nil
        let open = Array(streams.values)
        streams = [:]
        for stream in open { stream.forget() }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard ending != .ended else { return }
        now = .now()
        clock.read(now)
        isReading = true
        let problem: HTTP2ConnectionError? = unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
            do throws(HTTP2ConnectionError) {
                var offset = 0
                while ending != .ended, let event = try reader.next(bytes, &offset) { try handle(event) }
                return nil
            } catch {
                return error
            }
        }
        isReading = false
        if let problem { end(problem) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush()
        context.fireChannelReadComplete()
    }

    // MARK: Output

    /// Sends what was written; while bytes are read, at their end.
    func flush() {
        guard !isReading, writer.count > 0, let context else { return }
        let buffer = writer.take()
        let count = buffer.readableBytes
        unwritten += count
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in bound.value.unwritten -= count }
        if unwritten > 2 * Self.unsentLimit { end(.excess("too many answers that it does not read")) }
    }

    /// Whether the client takes its answers: no more requests are admitted before it does.
    var takesAnswers: Bool { held + unwritten + writer.count <= Self.unsentLimit }

    /// Counts bytes of an answer that wait in its stream; fewer with a negative number.
    func hold(_ bytes: Int) { held += bytes }

    /// Part of an answer of so many bytes goes out.
    func answered(_ bytes: Int) {
        pings.answered()
        credit.earn(bytes: bytes)
    }

    // MARK: Streams

    /// Requests under way.
    var isIdle: Bool { streams.isEmpty }

    func add(_ stream: HTTP2ServerStream) {
        streams[stream.id] = stream
        clock.becameBusy()
    }

    /// Forgets a stream whose both sides have ended, or that was reset.
    ///
    /// - Parameter remembers: the client may still send on it.
    func remove(_ stream: HTTP2ServerStream, remembers: Bool) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        if dataStream === stream { dataStream = nil }
        if remembers { remember(stream.id) }
        stream.forget()
        guard streams.isEmpty else { return }
        clock.becameIdle(isReading ? now : .now())
        if ending == .final { closeWhenWritten() }
    }

    /// Remembers a stream on which the client may still send.
    func remember(_ stream: UInt32) {
        if forgotten.count < Self.mostRemembered {
            forgotten.append(stream)
        } else {
            forgotten[nextForgotten] = stream
            nextForgotten = (nextForgotten + 1) % Self.mostRemembered
        }
    }

    func remembers(_ stream: UInt32) -> Bool { forgotten.contains(stream) }

    /// Lets the client send so many bytes again, once they are worth a frame.
    func consume(_ bytes: Int) {
        consumed += bytes
        guard consumed >= Self.connectionWindow / 2 else { return }
        writer.windowUpdate(0, consumed)
        window += consumed
        consumed = 0
    }

    // MARK: The end

    /// Ends a connection whose client misuses it: GOAWAY, and no more is read.
    func end(_ problem: HTTP2ConnectionError, _ text: StaticString = "") {
        guard ending != .ended else { return }
        ending = .ended
        telemetry?.connectionEnded(peer: client, reason: problem.reason)
        writer.goAway(lastStream, problem.code, text)
        closeWhenWritten()
    }

    private func closeWhenWritten() {
        ending = .ended
        guard let context else { return }
        let buffer = writer.take()
        let bound = NIOLoopBound(context, eventLoop: eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    /// The client has seen the first GOAWAY: what it begins now, it began against it.
    func sawGoAway() {
        guard ending == .announced else { return }
        ending = .final
        writer.goAway(lastStream, .noError)
        if streams.isEmpty { closeWhenWritten() } else { flush() }
    }

    // MARK: ServedConnection

    /// GOAWAY now; the connection ends with its last stream.
    func drain() {
        guard ending == .open, context != nil else { return }
        ending = .announced
        clock.drained(.now())
        writer.goAway(UInt32(HTTP2Wire.mostWindow), .noError)
        writer.ping(Self.drainPing, ack: false)
        flush()
        for stream in Array(streams.values) { stream.drain() }
    }

    /// GOAWAY; requests under way are answered.
    func endSoon() { drain() }

    func closeUnlessWaiting() {
        drain()
        for stream in Array(streams.values) { stream.closeUnlessWaiting() }
        sawGoAway()
    }

    func close() { context?.close(promise: nil) }

    func checkDeadline(_ now: NIODeadline) {
        for stream in Array(streams.values) { stream.checkDeadline(now) }
        switch clock.tick(now) {
        case .nothing: break
        case .ping:
            writer.ping(Self.alivePing, ack: false)
            flush()
        case .drain: drain()
        case .close:
            if ending == .open { writer.goAway(lastStream, .noError) }
            closeWhenWritten()
        }
    }
}
