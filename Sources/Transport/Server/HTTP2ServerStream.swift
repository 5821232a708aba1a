internal import NIOCore
internal import OTLP
internal import Pipeline

/// One request on an HTTP/2 connection: collects its body under the service's limit, and writes the answer, with
/// trailers where it has them.
///
/// Lives on its connection's event loop.
final class HTTP2ServerStream: AnswerTarget {
    private enum State {
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
        /// The answer is written, or waits for windows.
        case answered
        /// Nothing goes on here any more.
        case over
    }

    /// How an answer ends.
    private enum Ending {
        /// It goes on.
        case none
        /// With the last byte of its body.
        case body
        case trailers([(name: String, value: String)])
    }

    let id: UInt32
    private let connection: HTTP2ServerConnection
    private var state = State.answered
    /// The client has ended its side.
    private(set) var isComplete = false

    private var body = WireWriter()
    private var bodyLimit = 0
    /// Most bytes that the body can have: its announced size, or the limit.
    private var bodyGoal = 0
    private var announced: Int?
    private var lease: MemoryLease?
    private var framing = HTTPBodyFraming.none
    private var discarded = 0
    /// Body bytes that came while the credentials were checked; none are read beyond the stream's window.
    private var postponed = WireWriter()
    private var postponedFrames = 0
    /// Bytes that the client may still send, and bytes that it may send again but has not been told so.
    private var window = HTTP2ServerConnection.streamWindow
    private var consumed = 0

    private var omitsBody = false
    private var hasStreamHead = false
    /// Bytes of the answer that wait for windows.
    private var pending: ArraySlice<UInt8> = []
    private var ending = Ending.none
    private var held = 0
    private var sendWindow: Int
    private var deadline: NIODeadline?

    /// Most bytes of an unwanted body that are read before it is answered.
    private static let discardLimit = 256 << 10
    /// What an answer that waits is counted as, beside its bytes.
    private static let answerOverhead = 512

    /// Serves this request from its head to its answer.
    private var service: any HTTPService

    init(_ id: UInt32, _ connection: HTTP2ServerConnection) {
        self.id = id
        self.connection = connection
        service = connection.service
        sendWindow = connection.initialSendWindow
    }

    /// The connection has let go of the stream.
    func forget() {
        state = .over
        lease = nil
        body = WireWriter()
        pending = []
        connection.hold(-held)
        held = 0
        if postponedFrames > 0 { connection.consume(postponedFrames) }
        postponed = WireWriter()
        postponedFrames = 0
    }

    /// Ends the stream for an error, or because nobody waits for it any more.
    func reset(_ code: HTTP2ErrorCode) {
        if case .over = state { return }
        connection.writer.reset(id, code)
        connection.remove(self, remembers: !isComplete)
        connection.flush()
    }

    // MARK: The request

    /// - Parameter length: of the body, in bytes; nil when it is not known.
    func begin(_ head: HTTPHead, length: Int?) {
        connection.refresh()
        service = connection.service
        omitsBody = head.method == "HEAD"
        announced = length
        let timeout = connection.settings.readTimeout
        deadline = timeout > .zero ? connection.now + TimeAmount(timeout) : nil
        guard let authenticator = connection.settings.authenticator, service.needsAuthentication(head) else {
            admit(head)
            return
        }
        let request = AuthenticationRequest(fields: head.headers.fields, peer: connection.client)
        switch authenticator.authenticate(request) {
        case .allowed(let identity): admit(head, identity)
        case .denied(let failure): refuse(service.unauthenticated(head, failure))
        case .later(let check): authenticate(head, check)
        }
    }

    private func authenticate(
        _ head: HTTPHead,
        _ check: (@escaping @Sendable (Result<ClientIdentity, AuthenticationFailure>) -> Void) -> Void
    ) {
        state = .authenticating
        let eventLoop = connection.eventLoop
        let bound = NIOLoopBound((self, head), eventLoop: eventLoop)
        check { result in
            eventLoop.execute {
                let (stream, head) = bound.value
                stream.finishAuthentication(head, result)
            }
        }
    }

    private func finishAuthentication(_ head: HTTPHead, _ result: Result<ClientIdentity, AuthenticationFailure>) {
        guard case .authenticating = state else { return }
        switch result {
        case .success(let identity): admit(head, identity)
        case .failure(let failure): refuse(service.unauthenticated(head, failure))
        }
        let frames = postponedFrames
        postponedFrames = 0
        var waiting = WireWriter()
        swap(&waiting, &postponed)
        if waiting.count > 0 { received(waiting.bytes) }
        if frames > 0 { consume(frames) }
        if isComplete { finish() }
        connection.flush()
    }

    private func admit(_ head: HTTPHead, _ identity: ClientIdentity? = nil) {
        var head = head
        head.identity = identity
        switch service.admit(head, length: announced) {
        case .answer(let answer): refuse(answer)
        case .stream(let make):
            deadline = nil
            state = .streaming(make(HTTPStreamWriter(self)))
        case .body(let limit, let lease):
            if let announced, announced > limit {
                refuse(service.bodyTooLarge(head, limit: limit))
                return
            }
            framing = service.framing(of: head)
            bodyLimit = limit
            self.lease = lease
            bodyGoal = announced ?? limit
            body = WireWriter(capacity: announced ?? 0, limit: limit)
            state = .reading(head)
        }
    }

    /// Counts a frame of so many bytes; false when the client had no window for it.
    func take(window bytes: Int) -> Bool {
        window -= bytes
        return window >= 0
    }

    /// Bytes of the body came.
    func received(_ bytes: UnsafeRawBufferPointer) {
        switch state {
        case .authenticating: postponed.append(bytes)
        case .reading(let head): collect(bytes, head)
        case .discarding(let answer):
            discarded += bytes.count
            if discarded > Self.discardLimit { write(answer) }
        case .streaming(let stream): stream.received(bytes, ended: false)
        case .waiting, .answered, .over: break
        }
    }

    private func collect(_ bytes: UnsafeRawBufferPointer, _ head: HTTPHead) {
        let isFirst = body.count < HTTPBodyFraming.prefixBytes
        if isFirst, framing == .lengthPrefixed, body.count == 0, let length = HTTPBodyFraming.announcedBytes(bytes),
            length <= bodyLimit
        {
            // All of it at once, where the first bytes say how much that is.
            _ = body.reserve(length)
        }
        body.append(bytes)
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
        } else if let announced, body.count > announced {
            reset(.protocolError)
        }
    }

    private func refuse(_ answer: HTTPAnswer) {
        body = WireWriter()
        lease = nil
        state = .discarding(answer)
    }

    /// A DATA frame of so many bytes, padding and all, is complete.
    func endFrame(_ bytes: Int, ends: Bool) {
        if case .authenticating = state {
            // The client's windows stay as small as they are until it is known who it is.
            postponedFrames += bytes
        } else {
            connection.consume(bytes)
            if !ends { consume(onStream: bytes) }
        }
        if ends { end() }
    }

    private func consume(_ bytes: Int) {
        connection.consume(bytes)
        consume(onStream: bytes)
    }

    private func consume(onStream bytes: Int) {
        consumed += bytes
        guard consumed >= HTTP2ServerConnection.streamWindow / 2, !isComplete else { return }
        if case .over = state { return }
        connection.writer.windowUpdate(id, consumed)
        window += consumed
        consumed = 0
    }

    /// The client has ended its side.
    func end() {
        isComplete = true
        if case .authenticating = state { return }
        finish()
    }

    private func finish() {
        switch state {
        case .discarding(let answer): write(answer)
        case .streaming(let stream): stream.received(UnsafeRawBufferPointer(start: nil, count: 0), ended: true)
        case .reading(let head):
            if let announced, announced != body.count {
                reset(.protocolError)
                return
            }
            let bytes = WireBytes(taking: &body, accounting: lease)
            lease = nil
            deadline = nil
            state = .waiting
            let eventLoop = connection.eventLoop
            let responder = HTTPResponder(
                eventLoop: eventLoop, target: NIOLoopBound(self, eventLoop: eventLoop), requestNumber: 0)
            service.respond(to: head, body: bytes, responder: responder)
        case .answered: if pending.isEmpty { close() }
        case .authenticating, .waiting, .over: break
        }
    }

    // MARK: The answer

    func answer(_ number: UInt64, _ answer: HTTPAnswer) {
        guard case .waiting = state else { return }
        write(answer)
    }

    private func write(_ answer: HTTPAnswer) {
        state = .answered
        deadline = nil
        var head = [(name: ":status", value: String(answer.status))]
        head += answer.headers
        head += connection.settings.responseHeaders
        let hasBody = !answer.body.isEmpty && !omitsBody && answer.status != 204
        if answer.trailers.isEmpty, answer.status != 204 {
            head.append(("content-length", String(answer.body.count)))
        }
        connection.answered(answer.body.count)
        let endsWithHead = !hasBody && answer.trailers.isEmpty
        connection.writer.head(id, head, ends: endsWithHead)
        if hasBody { pending = answer.body[...] }
        if !endsWithHead { ending = answer.trailers.isEmpty ? .body : .trailers(answer.trailers) }
        if endsWithHead { close() } else { sendPending() }
        waitForClient()
        connection.flush()
    }

    /// Bounds the time for the client to take an answer, and to end its side.
    private func waitForClient() {
        if case .answered = state { deadline = .now() + TimeAmount(connection.settings.idleTimeout) }
    }

    /// Sends what windows allow.
    func sendPending() {
        while let first = pending.indices.first {
            let room = min(connection.sendWindow, sendWindow, HTTP2FrameWriter.frameSize)
            guard room > 0 else { break }
            let count = min(room, pending.count)
            let isLast = count == pending.count
            var endsHere = false
            if isLast, case .body = ending { endsHere = true }
            connection.writer.data(id, pending[first..<(first + count)], ends: endsHere)
            pending = pending.dropFirst(count)
            connection.sendWindow -= count
            sendWindow -= count
        }
        let cost = pending.isEmpty ? 0 : pending.count + Self.answerOverhead
        connection.hold(cost - held)
        held = cost
        guard pending.isEmpty else { return }
        switch ending {
        case .none: break
        case .body: close()
        case .trailers(let fields):
            connection.writer.head(id, fields, ends: true)
            close()
        }
    }

    /// Changes the bytes that may be sent; false when that is more than there can be.
    func addSendWindow(_ bytes: Int) -> Bool {
        sendWindow += bytes
        guard sendWindow <= HTTP2Wire.mostWindow else { return false }
        if !pending.isEmpty { sendPending() }
        return true
    }

    /// The answer is out: ends the stream, or waits for the client to end it.
    private func close() {
        ending = .none
        if isComplete {
            connection.remove(self, remembers: false)
        } else if !hasStreamHead {
            // RFC 9113, section 8.1: the answer is complete, so the rest of the body may be refused.
            connection.writer.reset(id, .noError)
            connection.remove(self, remembers: true)
        }
        // Some clients lose trailers of a stream that a reset comes behind: their side may stay open until the deadline.
    }

    // MARK: Streams

    /// Writes a part of an answer; false when the client takes so little that the stream is reset.
    func send(_ part: [UInt8]) -> Bool {
        guard case .streaming = state else { return false }
        guard connection.takesAnswers else {
            reset(.enhanceYourCalm)
            return false
        }
        connection.answered(part.count)
        writeStreamHead()
        pending += part
        sendPending()
        connection.flush()
        return true
    }

    /// Ends the answer.
    func finish(_ trailers: [(name: String, value: String)]) {
        guard case .streaming = state else { return }
        writeStreamHead()
        state = .answered
        ending = .trailers(trailers)
        sendPending()
        waitForClient()
        connection.flush()
    }

    private func writeStreamHead() {
        guard !hasStreamHead else { return }
        hasStreamHead = true
        connection.writer.head(id, [(":status", "200"), ("content-type", "application/grpc")], ends: false)
    }

    /// Part of a graceful stop: streams do not end by themselves.
    func drain() { if case .streaming(let stream) = state { stream.drain() } }

    // MARK: Ends

    func closeUnlessWaiting() {
        if case .waiting = state { return }
        reset(.cancel)
    }

    func checkDeadline(_ now: NIODeadline) {
        if case .streaming(let stream) = state { stream.tick() }
        guard let deadline, deadline <= now else { return }
        self.deadline = nil
        switch state {
        case .reading: write(service.badRequest(status: 408, message: "the request body came too slowly"))
        case .discarding(let answer): write(answer)
        case .answered: reset(.cancel)
        case .authenticating, .waiting, .streaming, .over: break
        }
    }
}
