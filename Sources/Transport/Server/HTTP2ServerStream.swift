internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import OTLP
internal import Pipeline

/// One request on an HTTP/2 connection: collects its body under the service's limit, and writes the answer, with
/// trailers where it has them.
///
/// Lives on its channel's event loop.
final class HTTP2ServerStream: ChannelDuplexHandler, AnswerTarget {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundIn = Never
    typealias OutboundOut = HTTP2Frame.FramePayload

    private enum State {
        /// The head has not come yet.
        case idle
        /// The client's credentials are being checked; the body waits.
        case authenticating
        /// A body is coming in.
        case reading(HTTPHead)
        /// A body is coming in that nobody wants. The answer waits for its end, unless that is far: some clients lose
        /// an answer that comes before they have sent everything.
        case discarding(HTTPAnswer)
        /// The service has the request.
        case waiting
        /// Request and answer go on side by side.
        case streaming(any HTTPStream)
        /// The answer is out.
        case answered
    }

    private let connection: HTTP2ServerConnection
    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var body = WireWriter()
    private var bodyLimit = 0
    /// Most bytes that the body can have: its announced size, or the limit.
    private var bodyGoal = 0
    private var lease: MemoryLease?
    private var framing = HTTPBodyFraming.none
    private var omitsBody = false
    private var deadline: NIODeadline?
    /// The client has ended its side.
    private var isComplete = false
    private var discarded = 0
    /// What came while the credentials were checked.
    private var postponed: [HTTP2Frame.FramePayload] = []
    private var readIsPostponed = false
    private var endIsPostponed = false
    private var hasStreamHead = false

    /// Most bytes of an unwanted body that are read before it is answered.
    private static let discardLimit = 256 << 10
    /// What an answer without a body is counted as, in bytes.
    private static let answerOverhead = 512

    /// Serves this request from its head to its answer.
    private var service: any HTTPService

    init(_ connection: HTTP2ServerConnection) {
        self.connection = connection
        service = connection.service
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { forget() }

    func channelInactive(context: ChannelHandlerContext) {
        forget()
        context.fireChannelInactive()
    }

    private func forget() {
        connection.remove(self)
        lease = nil
        body = WireWriter()
        postponed = []
        context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Nothing more is read from a client whose credentials are being checked.
    func read(context: ChannelHandlerContext) {
        if case .authenticating = state { readIsPostponed = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        if case .authenticating = state { postponed.append(frame) } else { handle(frame) }
    }

    private func handle(_ frame: HTTP2Frame.FramePayload) {
        switch frame {
        case .headers(let frame):
            if case .idle = state { begin(frame.headers, ends: frame.endStream) }
            if frame.endStream { endOrPostpone() }
        case .data(let frame):
            if case .byteBuffer(let chunk) = frame.data { take(chunk) }
            if frame.endStream { end() }
        default: break
        }
    }

    // MARK: The request

    private func begin(_ fields: HPACKHeaders, ends: Bool) {
        connection.refresh()
        service = connection.service
        let head = Self.head(fields, client: connection.client)
        omitsBody = head.method == "HEAD"
        guard connection.takesAnswers else {
            // Another answer would only wait behind the others.
            state = .answered
            context?.writeAndFlush(wrapOutboundOut(.rstStream(.refusedStream)), promise: nil)
            return
        }
        let timeout = connection.settings.readTimeout
        deadline = timeout > .zero ? .now() + TimeAmount(timeout) : nil
        let length = ends ? 0 : head.headers["content-length"].flatMap { Int($0) }
        guard let authenticator = connection.settings.authenticator, service.needsAuthentication(head) else {
            admit(head, length)
            return
        }
        let request = AuthenticationRequest(fields: head.headers.fields, peer: connection.client)
        switch authenticator.authenticate(request) {
        case .allowed(let identity): admit(head, length, identity)
        case .denied(let failure): refuse(service.unauthenticated(head, failure))
        case .later(let check): authenticate(head, length, check)
        }
    }

    private func authenticate(
        _ head: HTTPHead, _ length: Int?,
        _ check: (@escaping @Sendable (Result<ClientIdentity, AuthenticationFailure>) -> Void) -> Void
    ) {
        guard let context else { return }
        state = .authenticating
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound((self, head, length), eventLoop: eventLoop)
        check { result in
            eventLoop.execute {
                let (stream, head, length) = bound.value
                stream.finishAuthentication(head, length, result)
            }
        }
    }

    private func finishAuthentication(
        _ head: HTTPHead, _ length: Int?, _ result: Result<ClientIdentity, AuthenticationFailure>
    ) {
        guard case .authenticating = state, let context else { return }
        switch result {
        case .success(let identity): admit(head, length, identity)
        case .failure(let failure): refuse(service.unauthenticated(head, failure))
        }
        let waiting = postponed
        postponed = []
        if endIsPostponed { end() }
        for frame in waiting { handle(frame) }
        guard readIsPostponed else { return }
        readIsPostponed = false
        context.read()
    }

    /// The client's side may end with the head, while its credentials are being checked.
    private func endOrPostpone() {
        if case .authenticating = state { endIsPostponed = true } else { end() }
    }

    private func admit(_ head: HTTPHead, _ length: Int?, _ identity: ClientIdentity? = nil) {
        var head = head
        head.identity = identity
        switch service.admit(head, length: length) {
        case .answer(let answer): refuse(answer)
        case .stream(let make):
            deadline = nil
            state = .streaming(make(HTTPStreamWriter(self)))
        case .body(let limit, let lease):
            if let length, length > limit {
                refuse(service.bodyTooLarge(head, limit: limit))
                return
            }
            framing = service.framing(of: head)
            bodyLimit = limit
            self.lease = lease
            bodyGoal = length ?? limit
            body = WireWriter(capacity: length ?? 0, limit: limit)
            state = .reading(head)
        }
    }

    private func take(_ chunk: ByteBuffer) {
        switch state {
        case .reading(let head): collect(chunk, head)
        case .discarding(let answer):
            discarded += chunk.readableBytes
            if discarded > Self.discardLimit { write(answer) }
        case .streaming(let stream): chunk.withUnsafeReadableBytes { stream.received($0, ended: false) }
        case .idle, .authenticating, .waiting, .answered: break
        }
    }

    private func collect(_ chunk: ByteBuffer, _ head: HTTPHead) {
        let isFirst = body.count < HTTPBodyFraming.prefixBytes
        chunk.withUnsafeReadableBytes { body.append($0) }
        if isFirst, framing == .lengthPrefixed, let length = HTTPBodyFraming.announcedBytes(body.bytes) {
            guard length <= bodyLimit else {
                refuse(service.bodyTooLarge(head, limit: bodyLimit))
                return
            }
            bodyGoal = length
            _ = body.reserve(max(0, length - body.count))
        }
        if body.overflowed {
            refuse(service.bodyTooLarge(head, limit: bodyLimit))
        } else if let lease, body.count > lease.bytes, !lease.resize(to: min(bodyLimit, max(bodyGoal, body.count))) {
            refuse(service.outOfMemory(head))
        }
    }

    private func refuse(_ answer: HTTPAnswer) {
        body = WireWriter()
        lease = nil
        state = .discarding(answer)
    }

    private func end() {
        isComplete = true
        if case .discarding(let answer) = state { write(answer) }
        if case .streaming(let stream) = state {
            stream.received(UnsafeRawBufferPointer(start: nil, count: 0), ended: true)
        }
        guard let context, case .reading(let head) = state else { return }
        let bytes = WireBytes(taking: &body, accounting: lease)
        lease = nil
        deadline = nil
        state = .waiting
        let responder = HTTPResponder(
            eventLoop: context.eventLoop, target: NIOLoopBound(self, eventLoop: context.eventLoop), requestNumber: 0)
        service.respond(to: head, body: bytes, responder: responder)
    }

    // MARK: The answer

    func answer(_ number: UInt64, _ answer: HTTPAnswer) {
        guard case .waiting = state else { return }
        write(answer)
    }

    private func write(_ answer: HTTPAnswer) {
        guard let context else { return }
        state = .answered
        // Longest time for the client to take it.
        deadline = .now() + TimeAmount(connection.settings.idleTimeout)
        let cost = answer.body.count + Self.answerOverhead
        connection.willSend(cost)
        let sent = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        sent.futureResult.whenComplete { _ in
            bound.value.deadline = nil
            bound.value.connection.didSend(cost)
        }
        var head = HPACKHeaders([(":status", String(answer.status))])
        for (name, value) in answer.headers { head.add(name: name.lowercased(), value: Self.printable(value)) }
        for (name, value) in connection.settings.responseHeaders {
            head.add(name: name.lowercased(), value: Self.printable(value))
        }
        let hasBody = !answer.body.isEmpty && !omitsBody && answer.status != 204
        if answer.trailers.isEmpty, answer.status != 204 {
            head.add(name: "content-length", value: String(answer.body.count))
        }
        let endsWithHead = !hasBody && answer.trailers.isEmpty
        context.write(
            wrapOutboundOut(.headers(.init(headers: head, endStream: endsWithHead))), promise: endsWithHead ? sent : nil
        )
        if hasBody {
            let data = context.channel.allocator.buffer(bytes: answer.body)
            context.write(
                wrapOutboundOut(.data(.init(data: .byteBuffer(data), endStream: answer.trailers.isEmpty))),
                promise: answer.trailers.isEmpty ? sent : nil)
        }
        if !answer.trailers.isEmpty {
            let trailers = HPACKHeaders(answer.trailers.map { ($0.name, Self.printable($0.value)) })
            context.write(wrapOutboundOut(.headers(.init(headers: trailers, endStream: true))), promise: sent)
        }
        context.flush()
        // RFC 9113, section 8.1: the answer is complete, so the rest of the body may be refused.
        if !isComplete { context.writeAndFlush(wrapOutboundOut(.rstStream(.noError)), promise: nil) }
    }

    // MARK: Streams

    /// Writes a part of an answer; false when the client takes so little that the stream is reset.
    func send(_ part: [UInt8]) -> Bool {
        guard let context, case .streaming = state else { return false }
        guard connection.takesAnswers else {
            state = .answered
            context.writeAndFlush(wrapOutboundOut(.rstStream(.enhanceYourCalm)), promise: nil)
            return false
        }
        let cost = part.count + Self.answerOverhead
        connection.willSend(cost)
        let sent = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(connection, eventLoop: context.eventLoop)
        sent.futureResult.whenComplete { _ in bound.value.didSend(cost) }
        writeStreamHead(context)
        let data = context.channel.allocator.buffer(bytes: part)
        context.writeAndFlush(wrapOutboundOut(.data(.init(data: .byteBuffer(data)))), promise: sent)
        return true
    }

    /// Ends the answer.
    func finish(_ trailers: [(name: String, value: String)]) {
        guard let context, case .streaming = state else { return }
        writeStreamHead(context)
        state = .answered
        deadline = .now() + TimeAmount(connection.settings.idleTimeout)
        let fields = HPACKHeaders(trailers.map { ($0.name, Self.printable($0.value)) })
        // Some clients lose trailers that a reset comes behind: their side may stay open until the deadline.
        context.writeAndFlush(wrapOutboundOut(.headers(.init(headers: fields, endStream: true))), promise: nil)
    }

    private func writeStreamHead(_ context: ChannelHandlerContext) {
        guard !hasStreamHead else { return }
        hasStreamHead = true
        let head = HPACKHeaders([(":status", "200"), ("content-type", "application/grpc")])
        context.write(wrapOutboundOut(.headers(.init(headers: head))), promise: nil)
    }

    /// Part of a graceful stop: streams do not end by themselves.
    func drain() { if case .streaming(let stream) = state { stream.drain() } }

    // MARK: Ends

    func closeUnlessWaiting() {
        if case .waiting = state { return }
        context?.close(promise: nil)
    }

    func checkDeadline(_ now: NIODeadline) {
        if case .streaming(let stream) = state { stream.tick() }
        guard let deadline, deadline <= now else { return }
        self.deadline = nil
        switch state {
        case .reading: write(service.badRequest(status: 408, message: "the request body came too slowly"))
        case .discarding(let answer): write(answer)
        case .answered: context?.close(promise: nil)
        case .idle, .authenticating, .waiting, .streaming: break
        }
    }

    // MARK: Heads

    private static func head(_ fields: HPACKHeaders, client: String?) -> HTTPHead {
        var method = ""
        var target = ""
        var others: [(name: String, value: String)] = []
        others.reserveCapacity(fields.count)
        for (name, value, _) in fields {
            switch name {
            case ":method": method = value
            case ":path": target = value
            case ":authority": others.append(("host", value))
            case _ where name.utf8.first == UInt8(ascii: ":"): break
            default: others.append((name, value))
            }
        }
        let (path, query) = HTTPHead.split(target)
        return HTTPHead(method: method, path: path, query: query, headers: HTTPHeaderFields(others), client: client)
    }

    /// Line breaks in a value are not allowed in HTTP/2 either: they become spaces.
    private static func printable(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else { return value }
        return String(decoding: value.utf8.map { $0 < 0x20 ? 0x20 : $0 }, as: UTF8.self)
    }
}
