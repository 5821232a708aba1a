internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import OTLP
internal import Pipeline

/// One HTTP/1.1 connection: reads one request at a time, collects its body under the service's limit, and writes the
/// answer. Requests that a client pipelines wait until the one before is answered.
///
/// Lives on its channel's event loop.
final class HTTPServerConnection: ChannelDuplexHandler, ServedConnection, AnswerTarget {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// Between requests.
        case idle
        /// The client's credentials are being checked; the body waits.
        case authenticating
        /// A body is coming in.
        case reading(HTTPHead)
        /// A body is coming in that nobody wants; the answer is out or waits for its end.
        case discarding
        /// The service has the request.
        case waiting
        /// No more requests are taken.
        case closing
    }

    /// Most bytes of an unwanted body that are read to keep the connection usable; above it, it is closed.
    private static let discardLimit = 256 << 10

    private var service: any HTTPService
    private var settings: HTTPServerSettings
    /// The registry's, when `service` and `settings` were its.
    private var generation: UInt64
    /// The next answer is the last one.
    private var endsSoon = false
    private let registry: HTTPConnectionRegistry
    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var requestNumber: UInt64 = 0
    private var body = WireWriter()
    private var bodyLimit = 0
    /// Most bytes that the body can have: its announced size, or the limit.
    private var bodyGoal = 0
    private var lease: MemoryLease?
    private var discarded = 0
    private var keepsAlive = true
    /// The request is a HEAD, whose answer has no body.
    private var omitsBody = false
    private var postponed: [HTTPServerRequestPart] = []
    private var readIsPostponed = false
    private var client: String?
    /// When the present phase is given up; nil while the service works.
    private(set) var deadline: NIODeadline?

    init(service: any HTTPService, settings: HTTPServerSettings, registry: HTTPConnectionRegistry) {
        self.service = service
        self.settings = settings
        self.registry = registry
        generation = registry.generation
    }

    /// Takes note that the server serves differently by now.
    private func refresh() {
        guard generation != registry.generation, let serving = registry.serving else { return }
        generation = registry.generation
        (service, settings) = (serving.service, serving.settings)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { begin(context) } }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        self.context = context
        client = context.remoteAddress?.ipAddress
        expect(settings.readHeaderTimeout)
        registry.add(self)
        // Accepted while the server began to end: nobody would close it before its time-out.
        if registry.isDraining { close() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        registry.remove(self)
        state = .closing
        lease = nil
        body = WireWriter()
        postponed = []
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else {
            // What comes behind malformed bytes means nothing, and must not take the answer away that is still to go out.
            if !(error is ByteToMessageDecoderError) { context.close(promise: nil) }
            return
        }
        switch state {
        case .waiting, .authenticating, .closing:
            // The answer to the request before still goes out, then the connection ends.
            keepsAlive = false
        case .discarding:
            // That request has its answer.
            close()
        case .idle, .reading:
            let tooLong = (error as? HTTPParserError) == .headerOverflow
            requestNumber &+= 1
            if case .idle = state { omitsBody = false }
            refuse(service.badRequest(status: tooLong ? 431 : 400, message: "malformed HTTP request"))
        }
    }

    func read(context: ChannelHandlerContext) {
        if mayRead(context) { context.read() } else { readIsPostponed = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        readIfPostponed(context)
        context.fireChannelWritabilityChanged()
    }

    /// Back-pressure: nothing more is read from a client whose request is not settled yet, or who does not read the
    /// answers that it has.
    private func mayRead(_ context: ChannelHandlerContext) -> Bool {
        isBusy ? false : context.channel.isWritable
    }

    /// Whether what comes has to wait.
    private var isBusy: Bool {
        switch state {
        case .waiting, .authenticating: true
        case .idle, .reading, .discarding, .closing: false
        }
    }

    private func readIfPostponed(_ context: ChannelHandlerContext) {
        guard readIsPostponed, mayRead(context) else { return }
        readIsPostponed = false
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if isBusy {
            postponed.append(part)
        } else {
            handle(part)
        }
    }

    private func handle(_ part: HTTPServerRequestPart) {
        switch (part, state) {
        case (.head(let head), .idle):
            begin(head)
        case (.body(let chunk), .reading(let head)):
            collect(chunk, head)
        case (.body(let chunk), .discarding):
            discarded += chunk.readableBytes
            if discarded > Self.discardLimit { close() }
        case (.end, .reading(let head)):
            finish(head)
        case (.end, .discarding):
            becomeIdle()
        default:
            break
        }
    }

    // MARK: Requests

    private func begin(_ head: HTTPRequestHead) {
        refresh()
        requestNumber &+= 1
        omitsBody = head.method == .HEAD
        keepsAlive = settings.keepAlive && !registry.isDraining && !endsSoon && Self.allowsAnotherRequest(head)
        if settings.readTimeout > .zero { expect(settings.readTimeout) } else { deadline = nil }
        let (path, query) = HTTPHead.split(head.uri)
        let request = HTTPHead(
            method: head.method.rawValue, path: path, query: query,
            headers: HTTPHeaderFields(head.headers.map { (name: $0.name, value: Self.trimmed($0.value)) }),
            client: client)
        let body = AnnouncedBody(
            length: Self.bodyLength(request.headers),
            waits: head.version == .http1_1
                && (request.headers["expect"].map { equalIgnoringCase($0, "100-continue") } ?? false))
        guard let authenticator = settings.authenticator, service.needsAuthentication(request) else {
            admit(request, body)
            return
        }
        let result = authenticator.authenticate(AuthenticationRequest(fields: request.headers.fields, peer: client))
        switch result {
        case .allowed(let identity): admit(request, body, identity)
        case .denied(let failure): deny(request, body, failure)
        case .later(let check): authenticate(request, body, check)
        }
    }

    /// What a head says about the body.
    private struct AnnouncedBody {
        /// In bytes; nil when chunked, 0 without one.
        let length: Int?
        /// The client sends it only when told to; one of HTTP/1.0 would take 100 Continue for the answer (RFC 9110,
        /// section 10.1.1).
        let waits: Bool
    }

    private func authenticate(
        _ head: HTTPHead, _ body: AnnouncedBody,
        _ check: (@escaping @Sendable (Result<ClientIdentity, AuthenticationFailure>) -> Void) -> Void
    ) {
        guard let context else { return }
        state = .authenticating
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound((self, head, body, requestNumber), eventLoop: eventLoop)
        check { result in
            eventLoop.execute {
                let (connection, head, body, number) = bound.value
                connection.finishAuthentication(number, head, body, result)
            }
        }
    }

    private func finishAuthentication(
        _ number: UInt64, _ head: HTTPHead, _ body: AnnouncedBody,
        _ result: Result<ClientIdentity, AuthenticationFailure>
    ) {
        guard number == requestNumber, case .authenticating = state, let context else { return }
        switch result {
        case .success(let identity): admit(head, body, identity)
        case .failure(let failure): deny(head, body, failure)
        }
        replay()
        readIfPostponed(context)
    }

    private func deny(_ head: HTTPHead, _ body: AnnouncedBody, _ failure: AuthenticationFailure) {
        discarded = 0
        keepsAlive = keepsAlive && !failure.closes && Self.canReadPast(body)
        state = .discarding
        write(service.unauthenticated(head, failure))
    }

    private func admit(_ head: HTTPHead, _ announced: AnnouncedBody, _ identity: ClientIdentity? = nil) {
        var head = head
        head.identity = identity
        switch service.admit(head, length: announced.length) {
        case .answer(let answer):
            discarded = 0
            keepsAlive = keepsAlive && Self.canReadPast(announced)
            state = .discarding
            write(answer)
        case .stream:
            discarded = 0
            keepsAlive = keepsAlive && Self.canReadPast(announced)
            state = .discarding
            write(service.badRequest(status: 505, message: "this needs HTTP/2"))
        case .body(let limit, let lease):
            if let length = announced.length, length > limit {
                keepsAlive = keepsAlive && Self.canReadPast(announced)
                discarded = 0
                state = .discarding
                write(service.bodyTooLarge(head, limit: limit))
                return
            }
            bodyLimit = limit
            self.lease = lease
            bodyGoal = announced.length ?? limit
            body = WireWriter(capacity: announced.length ?? 0, limit: limit)
            state = .reading(head)
            if announced.waits { writeContinue() }
        }
    }

    private func collect(_ chunk: ByteBuffer, _ head: HTTPHead) {
        chunk.withUnsafeReadableBytes { body.append($0) }
        if body.overflowed {
            refuse(service.bodyTooLarge(head, limit: bodyLimit))
        } else if let lease, body.count > lease.bytes, !lease.resize(to: min(bodyGoal, body.count * 2)) {
            refuse(service.outOfMemory(head))
        }
    }

    /// Ends a request whose body did not come whole, and the connection with it.
    private func refuse(_ answer: HTTPAnswer) {
        body = WireWriter()
        lease = nil
        keepsAlive = false
        write(answer)
    }

    private func finish(_ head: HTTPHead) {
        guard let context else { return }
        let bytes = WireBytes(taking: &body, accounting: lease)
        lease = nil
        deadline = nil
        state = .waiting
        let responder = HTTPResponder(
            eventLoop: context.eventLoop, target: NIOLoopBound(self, eventLoop: context.eventLoop),
            requestNumber: requestNumber)
        service.respond(to: head, body: bytes, responder: responder)
    }

    /// Writes the answer to request `number`, unless it was answered already or the connection is gone.
    func answer(_ number: UInt64, _ answer: HTTPAnswer) {
        guard number == requestNumber, case .waiting = state else { return }
        write(answer)
        guard context != nil, keepsAlive else { return }
        becomeIdle()
    }

    private func becomeIdle() {
        guard let context, keepsAlive else {
            close()
            return
        }
        state = .idle
        expect(settings.idleTimeout)
        replay()
        readIfPostponed(context)
    }

    /// Handles what came while the connection was busy, up to where it is busy again.
    private func replay() {
        let waiting = postponed
        postponed = []
        for (index, part) in waiting.enumerated() {
            if isBusy {
                postponed.append(contentsOf: waiting[index...])
                break
            }
            handle(part)
        }
    }

    // MARK: Output

    private func write(_ answer: HTTPAnswer) {
        guard let context else { return }
        let closes = answer.closes || !keepsAlive || registry.isDraining
        keepsAlive = !closes
        let buffer = HTTPAnswerEncoder.encode(
            answer, extra: settings.responseHeaders, closes: closes, omitsBody: omitsBody,
            allocator: context.channel.allocator)
        if closes {
            state = .closing
            deadline = .now() + .seconds(10)
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in Self.lingeringClose(bound.value) }
        } else {
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
    }

    /// Ends our side first: a close while the peer still sends would reset the connection and lose the answer.
    private static func lingeringClose(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.close(mode: .output).whenFailure { _ in bound.value.close(promise: nil) }
    }

    private func writeContinue() {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: 32)
        buffer.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func endSoon() { endsSoon = true }

    /// Ends the connection unless its request is with the service.
    func closeUnlessWaiting() {
        if case .waiting = state { return }
        close()
    }

    func close() {
        state = .closing
        context?.close(promise: nil)
    }

    // MARK: Time

    private func expect(_ timeout: Duration) { deadline = .now() + TimeAmount(timeout) }

    /// Called about once a second: gives up a connection whose phase has lasted too long.
    func checkDeadline(_ now: NIODeadline) {
        guard let deadline, deadline <= now else { return }
        self.deadline = nil
        switch state {
        case .reading:
            requestNumber &+= 1
            refuse(service.badRequest(status: 408, message: "the request body came too slowly"))
        case .idle, .discarding, .closing:
            close()
        case .waiting, .authenticating:
            break
        }
    }

    /// Part of a graceful stop: an idle connection ends now, a busy one after its answer.
    func drain() {
        keepsAlive = false
        if case .idle = state { close() }
    }

    // MARK: Parsing

    /// HTTP/1.0 connections end, which every such client understands; and the parser reads nothing behind an offer to
    /// upgrade, which is never taken.
    private static func allowsAnotherRequest(_ head: HTTPRequestHead) -> Bool {
        head.isKeepAlive && head.version == .http1_1 && head.method != .CONNECT
            && !head.headers.contains(name: "upgrade")
    }

    /// Whether the connection stays usable behind an unwanted body: a small one is read past, a large one is not worth
    /// the bytes. A client that was to wait for 100 Continue may leave the body out: the next bytes mean nothing then.
    private static func canReadPast(_ body: AnnouncedBody) -> Bool {
        guard let length = body.length, !(body.waits && length > 0) else { return false }
        return length <= discardLimit
    }

    /// Announced size of the body; nil when chunked, 0 without one.
    private static func bodyLength(_ headers: HTTPHeaderFields) -> Int? {
        if headers["transfer-encoding"] != nil { return nil }
        // The parser has seen that these are digits: more of them than fit are more than any limit.
        return headers["content-length"].map { Int($0) ?? .max } ?? 0
    }

    /// White space behind a value is no part of it (RFC 9110, section 5.5); the parser leaves it there.
    private static func trimmed(_ value: String) -> String {
        let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        guard let last = value.utf8.last, isSpace(last) else { return value }
        guard let end = value.utf8.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(Substring(value.utf8[...end]))
    }
}
