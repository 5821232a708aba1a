internal import NIOCore
internal import NIOHPACK

/// The client's side of a connection of HTTP/2 (RFC 9113): bytes and calls in, bytes and outcomes out. Knows no sockets
/// and no clock. Belongs to the client's thread.
///
/// Calls begin when the peer's first SETTINGS have come (`room`), so that nothing is sent to what is no such peer.
final class HTTP2ClientSession {
    /// What became of a call.
    enum Outcome {
        case answered(HTTP2ClientCall, HTTPClientResponse)
        /// - mayResend: the peer has done nothing with it, or ended a kept connection before it answered anything.
        case failed(HTTP2ClientCall, HTTPClientError, mayResend: Bool)
    }

    /// Bytes of an answer that may be under way: what every peer begins with.
    private static let receiveWindow = 65_535
    /// Most bytes of a frame that we take: what every peer begins with.
    private static let frameSize = 16 << 10
    /// Most bytes of a DATA frame that we send. Large ones cost less; a peer says how large they may be.
    private static let largestFrame = 1 << 20
    /// Most answers to PING and SETTINGS that may wait for a peer that does not read.
    private static let mostAcknowledgements = 1000

    private var reader = HTTP2FrameReader(
        frameSize: HTTP2ClientSession.frameSize, headSize: HTTP2HeadReader.blockSize, expectsPreface: false)
    private var heads: HTTP2HeadReader
    /// Bytes of bodies to put into the output at a time.
    private let outputBytes: Int
    private var writer: HTTP2FrameWriter

    private var streams: [UInt32: HTTP2ClientStream] = [:]
    /// Those whose bodies are not sent, in order.
    private var sending: [HTTP2ClientStream] = []
    private var nextStream: UInt32 = 1
    /// The stream of the DATA frame that is being read.
    private var dataStream: UInt32 = 0
    private var dataEnds = false

    private var window = 65_535
    private var receiveWindow = HTTP2ClientSession.receiveWindow
    private var peerWindow = 65_535
    private var peerFrameSize = 16 << 10
    private var peerStreams = Int.max
    /// Calls under way that the peer takes for certain since it refused one, whatever its SETTINGS say.
    private var provenStreams = Int.max

    /// Acknowledgements that are not in an output.
    private var acknowledgements = 0

    /// The peer's SETTINGS have come.
    private(set) var isReady = false
    /// No further call can begin: the peer said so, or there are no numbers left.
    private(set) var isClosing = false
    /// Whether any call was answered.
    private(set) var hasAnswered = false
    /// Outcomes since the last `takeOutcomes`.
    private var outcomes: [Outcome] = []

    /// - Parameter outputBytes: of bodies that `fill` puts out at a time; above 0.
    init(outputBytes: Int) {
        self.outputBytes = outputBytes
        let allocator = ByteBufferAllocator()
        heads = HTTP2HeadReader(allocator: allocator)
        writer = HTTP2FrameWriter(allocator: allocator)
        writer.preface()
        writer.settings([
            (HTTP2SettingName.enablePush, 0), (HTTP2SettingName.maxHeaderListSize, HTTP2HeadReader.listSize),
        ])
    }

    /// Calls that may begin now.
    var room: Int { isReady && !isClosing ? max(0, min(peerStreams, provenStreams) - streams.count) : 0 }

    /// Calls under way.
    var calls: Int { streams.count }

    /// Begins a call. Only with `room`.
    func begin(_ call: HTTP2ClientCall) {
        let stream = HTTP2ClientStream(call, id: nextStream, window: peerWindow, receiveWindow: Self.receiveWindow)
        streams[nextStream] = stream
        writer.head(nextStream, call.fields, ends: stream.unsent == 0)
        if stream.unsent > 0 { sending.append(stream) }
        nextStream += 2
        if nextStream > UInt32(HTTP2Wire.mostWindow) { isClosing = true }
    }

    /// Gives up on the calls that `isOver` says.
    ///
    /// - Returns: how far each had come.
    func cancel(where isOver: (HTTP2ClientCall) -> Bool) -> [(call: HTTP2ClientCall, phase: String, status: Int)] {
        let over = streams.values.filter { isOver($0.call) }
        for stream in over { end(stream, .cancel) }
        return over.map { ($0.call, $0.phase, $0.status) }
    }

    /// The earliest deadline of a call, monotonic nanoseconds.
    var nextDeadline: UInt64 { streams.values.reduce(.max) { min($0, $1.call.submission.deadline) } }

    /// What has become of calls since the last time.
    func takeOutcomes() -> [Outcome] {
        defer { outcomes = [] }
        return outcomes
    }

    /// Puts what can be sent now into `output`.
    func fill(_ output: inout HTTP2Output) {
        if writer.count > 0 { output.append(writer.take()) }
        acknowledgements = 0
        var index = 0
        while index < sending.count, window > 0, output.count < outputBytes {
            let stream = sending[index]
            let count = min(stream.unsent, window, stream.window, peerFrameSize, outputBytes - output.count)
            guard count > 0 else {
                index += 1
                continue
            }
            window -= count
            stream.send(count, to: &output)
            if stream.unsent == 0 { sending.remove(at: index) }
        }
    }

    /// Whether `fill` would put something.
    var hasOutput: Bool {
        writer.count > 0 || window > 0 && sending.contains { $0.window > 0 }
    }

    /// Ends all calls, since the connection has ended.
    ///
    /// - Parameter error: for a call's origin, and whether the peer may have got something of it.
    func close(_ error: (HTTP2ClientCall, _ status: Int) -> HTTPClientError) {
        isClosing = true
        for stream in streams.values {
            // A peer that ends a kept connection mostly does so before it reads what comes.
            let mayResend = hasAnswered && !stream.hasAnswer
            outcomes.append(.failed(stream.call, error(stream.call, stream.status), mayResend: mayResend))
        }
        streams = [:]
        sending = []
    }

    /// Writes why the connection ends.
    func sayGoodbye(_ code: HTTP2ErrorCode) { writer.goAway(0, code) }

    /// Takes what the peer sent.
    func receive(_ bytes: UnsafeRawBufferPointer) throws(HTTP2ConnectionError) {
        var offset = 0
        while let event = try reader.next(bytes, &offset) {
            switch event {
            case .data(let frame): try begin(frame)
            case .content(let content): take(content)
            case .dataEnd: endData()
            case .frame(let frame, let payload): try take(frame, payload)
            }
        }
    }

    private func take(_ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer) throws(HTTP2ConnectionError) {
        guard isReady || frame.type == HTTP2FrameType.settings else { throw Self.noPeer }
        if heads.isOpen, frame.type != HTTP2FrameType.continuation {
            throw .protocolError("a frame within a head")
        }
        switch frame.type {
        case HTTP2FrameType.headers:
            try checkStream(frame)
            if let block = try heads.begin(frame, payload) { take(block) }
        case HTTP2FrameType.continuation:
            if let block = try heads.go(on: frame, payload) { take(block) }
        case HTTP2FrameType.settings: try takeSettings(frame, payload)
        case HTTP2FrameType.ping:
            guard payload.count == 8 else { throw Self.sizeError }
            guard !frame.has(HTTP2FrameFlags.ack) else { return }
            let data = UInt64(HTTP2Wire.uint32(payload, at: 0)) << 32 | UInt64(HTTP2Wire.uint32(payload, at: 4))
            try countAcknowledgement()
            writer.ping(data, ack: true)
        case HTTP2FrameType.windowUpdate: try takeWindowUpdate(frame, payload)
        case HTTP2FrameType.reset: try takeReset(frame, payload)
        case HTTP2FrameType.goAway:
            guard payload.count >= 8 else { throw Self.sizeError }
            takeGoAway(HTTP2Wire.uint32(payload, at: 0) & 0x7FFF_FFFF)
        case HTTP2FrameType.pushPromise: throw .protocolError("a push that nobody allowed")
        default: break
        }
    }

    private static var noPeer: HTTP2ConnectionError { .protocolError("not SETTINGS at first") }

    private static var sizeError: HTTP2ConnectionError {
        HTTP2ConnectionError(code: .frameSizeError, reason: "a frame of a wrong size")
    }

    /// A frame that only a stream of ours can have.
    private func checkStream(_ frame: HTTP2FrameHead) throws(HTTP2ConnectionError) {
        guard frame.stream % 2 == 1, frame.stream < nextStream else {
            throw .protocolError("a frame of a stream that was not begun")
        }
    }

    private func countAcknowledgement() throws(HTTP2ConnectionError) {
        acknowledgements += 1
        guard acknowledgements <= Self.mostAcknowledgements else {
            throw .excess("frames to answer, and nothing is read")
        }
    }
}

// What frames do.
extension HTTP2ClientSession {
    private func takeSettings(
        _ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) {
        guard frame.stream == 0 else { throw .protocolError("SETTINGS of a stream") }
        if frame.has(HTTP2FrameFlags.ack) {
            guard isReady else { throw Self.noPeer }
            return
        }
        guard payload.count % 6 == 0 else { throw Self.sizeError }
        for offset in stride(from: 0, to: payload.count, by: 6) {
            let value = Int(HTTP2Wire.uint32(payload, at: offset + 2))
            switch HTTP2Wire.uint16(payload, at: offset) {
            case HTTP2SettingName.headerTableSize: writer.setHeaderTableSize(value)
            case HTTP2SettingName.maxConcurrentStreams: peerStreams = value
            case HTTP2SettingName.initialWindowSize:
                guard value <= HTTP2Wire.mostWindow else { throw Self.windowError }
                for stream in streams.values { stream.window += value - peerWindow }
                peerWindow = value
            case HTTP2SettingName.maxFrameSize:
                guard (16 << 10..<1 << 24).contains(value) else { throw .protocolError("a frame size out of range") }
                peerFrameSize = min(value, Self.largestFrame)
            default: break
            }
        }
        isReady = true
        try countAcknowledgement()
        writer.settingsAck()
    }

    private static var windowError: HTTP2ConnectionError {
        HTTP2ConnectionError(code: .flowControlError, reason: "a window out of range")
    }

    private func takeWindowUpdate(
        _ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) {
        guard payload.count == 4 else { throw Self.sizeError }
        let increment = Int(HTTP2Wire.uint32(payload, at: 0) & 0x7FFF_FFFF)
        guard increment > 0 else { throw .protocolError("a window update of 0") }
        if frame.stream == 0 {
            guard window + increment <= HTTP2Wire.mostWindow else { throw Self.windowError }
            window += increment
            return
        }
        try checkStream(frame)
        guard let stream = streams[frame.stream] else { return }
        guard stream.window + increment <= HTTP2Wire.mostWindow else { throw Self.windowError }
        stream.window += increment
    }

    private func takeReset(_ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer) throws(HTTP2ConnectionError) {
        guard payload.count == 4 else { throw Self.sizeError }
        try checkStream(frame)
        guard let stream = streams[frame.stream] else { return }
        let code = HTTP2Wire.uint32(payload, at: 0)
        let isRefused = code == HTTP2ErrorCode.refusedStream.rawValue
        let detail = "the server reset the stream with code \(code)"
        end(stream, nil)
        // The peer may count calls that we have seen the end of: the refused one waits for another's answer.
        if isRefused { provenStreams = max(1, streams.count) }
        outcomes.append(
            .failed(
                stream.call, Self.error(.reset, stream, detail, maybeReceived: !isRefused), mayResend: isRefused))
    }

    private func takeGoAway(_ last: UInt32) {
        isClosing = true
        for stream in streams.values.filter({ $0.id > last }) {
            end(stream, nil)
            outcomes.append(
                .failed(
                    stream.call, Self.error(.reset, stream, "the server goes away", maybeReceived: false),
                    mayResend: true))
        }
    }

    private func begin(_ frame: HTTP2FrameHead) throws(HTTP2ConnectionError) {
        guard isReady else { throw Self.noPeer }
        guard !heads.isOpen else { throw .protocolError("a frame within a head") }
        try checkStream(frame)
        receiveWindow -= frame.length
        guard receiveWindow >= 0 else { throw Self.windowError }
        if receiveWindow < Self.receiveWindow / 2 {
            writer.windowUpdate(0, Self.receiveWindow - receiveWindow)
            receiveWindow = Self.receiveWindow
        }
        dataStream = frame.stream
        dataEnds = frame.has(HTTP2FrameFlags.endStream)
        guard let stream = streams[frame.stream] else { return }
        guard stream.hasAnswer else { return fail(stream, .malformedResponse, "a body without a head", .protocolError) }
        stream.receiveWindow -= frame.length
        guard stream.receiveWindow >= 0 else { throw Self.windowError }
        if !dataEnds, stream.receiveWindow < Self.receiveWindow / 2 {
            writer.windowUpdate(stream.id, Self.receiveWindow - stream.receiveWindow)
            stream.receiveWindow = Self.receiveWindow
        }
    }

    private func take(_ content: UnsafeRawBufferPointer) {
        guard let stream = streams[dataStream], !stream.take(content) else { return }
        let limit = stream.call.submission.request.maxResponseBytes
        fail(stream, .responseTooLarge, "the body passes \(limit) bytes", .cancel)
    }

    private func endData() {
        guard dataEnds, let stream = streams[dataStream] else { return }
        answer(stream)
    }

    private func take(_ block: HTTP2HeadReader.Block) {
        guard let stream = streams[block.stream] else { return }
        guard stream.take(block) else {
            return fail(stream, .malformedResponse, "the answer's head is malformed", .protocolError)
        }
        if block.ends { answer(stream) }
    }

    private func answer(_ stream: HTTP2ClientStream) {
        hasAnswered = true
        if provenStreams < Int.max { provenStreams += 1 }
        // The peer does not want the rest of the body (RFC 9113, section 8.1).
        end(stream, stream.unsent > 0 ? .cancel : nil)
        outcomes.append(.answered(stream.call, stream.response))
    }

    private func fail(
        _ stream: HTTP2ClientStream, _ code: HTTPClientError.Code, _ detail: String, _ reason: HTTP2ErrorCode
    ) {
        end(stream, reason)
        outcomes.append(.failed(stream.call, Self.error(code, stream, detail, maybeReceived: true), mayResend: false))
    }

    private static func error(
        _ code: HTTPClientError.Code, _ stream: HTTP2ClientStream, _ detail: String, maybeReceived: Bool
    ) -> HTTPClientError {
        HTTPClientError(
            code, origin: stream.call.origin, detail: detail, status: stream.status, maybeReceived: maybeReceived)
    }

    /// Forgets a stream; with a reason, the peer is told.
    private func end(_ stream: HTTP2ClientStream, _ reason: HTTP2ErrorCode?) {
        streams[stream.id] = nil
        if stream.unsent > 0 { sending.removeAll { $0 === stream } }
        if let reason { writer.reset(stream.id, reason) }
    }
}
