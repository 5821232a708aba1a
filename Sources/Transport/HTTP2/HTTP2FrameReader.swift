internal import OTLP

/// Takes the bytes that a peer sends apart into frames (RFC 9113, sections 3.4, 4 and 6.1). What DATA frames carry is
/// handed on as it comes, without a copy; other frames are put together first. Knows nothing of streams.
struct HTTP2FrameReader: ~Copyable {
    /// What comes next on the connection. Pointers are valid until the next call.
    enum Event {
        /// A DATA frame begins; its `.content` follows, then `.dataEnd`.
        case data(HTTP2FrameHead)
        /// Bytes of the DATA frame, without its padding.
        case content(UnsafeRawBufferPointer)
        case dataEnd
        /// Any other frame, whole.
        case frame(HTTP2FrameHead, UnsafeRawBufferPointer)
    }

    /// Most bytes of frames that carry neither a body nor a head.
    static let largestControlFrame = 16 << 10
    /// What a client begins with.
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    private enum Phase {
        case preface
        case head
        case paddingLength
        case content
        case padding
        case payload
    }

    /// Most bytes of a DATA frame, as the settings say.
    private let frameSize: Int
    /// Most bytes of a frame of a head.
    private let headSize: Int
    private var phase = Phase.preface
    private var frame: HTTP2FrameHead?
    /// Bytes of the preface that have come; then, bytes of a DATA frame's content that have not.
    private var progress = 0
    private var padding = 0
    /// A head or payload of which the last part has not come yet.
    private var partial = WireWriter()
    private var partialIsUsed = false

    /// - Parameters:
    ///   - frameSize: most bytes of a DATA frame.
    ///   - headSize: most bytes of a HEADERS or CONTINUATION frame.
    ///   - expectsPreface: true for what a client sends; a server begins with a frame.
    init(frameSize: Int, headSize: Int, expectsPreface: Bool = true) {
        self.frameSize = frameSize
        self.headSize = headSize
        if !expectsPreface { phase = .head }
    }

    /// The next event in `bytes` from `offset` on, which moves behind what was used; nil when more bytes are needed. What
    /// is left of `bytes` then is remembered, and is not to be passed again.
    mutating func next(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(HTTP2ConnectionError) -> Event? {
        while true {
            switch phase {
            case .preface:
                guard try takePreface(bytes, &offset) else { return nil }
            case .head:
                guard let head = gather(HTTP2FrameHead.byteCount, bytes, &offset) else { return nil }
                let frame = HTTP2FrameHead(head)
                self.frame = frame
                if try begin(frame) { return .data(frame) }
            case .paddingLength:
                guard offset < bytes.count else { return nil }
                padding = Int(bytes[offset])
                offset += 1
                progress -= 1
                guard padding <= progress else { throw .protocolError("more padding than frame") }
                progress -= padding
                phase = .content
            case .content:
                if progress == 0 {
                    phase = .padding
                    continue
                }
                let count = min(progress, bytes.count - offset)
                guard count > 0 else { return nil }
                progress -= count
                offset += count
                return .content(UnsafeRawBufferPointer(rebasing: bytes[(offset - count)..<offset]))
            case .padding:
                let count = min(padding, bytes.count - offset)
                padding -= count
                offset += count
                guard padding == 0 else { return nil }
                phase = .head
                return .dataEnd
            case .payload:
                guard let frame, let payload = gather(frame.length, bytes, &offset) else { return nil }
                phase = .head
                return .frame(frame, payload)
            }
        }
    }

    private mutating func takePreface(
        _ bytes: UnsafeRawBufferPointer, _ offset: inout Int
    ) throws(HTTP2ConnectionError) -> Bool {
        let count = min(Self.preface.utf8CodeUnitCount - progress, bytes.count - offset)
        let matches = Self.preface.withUTF8Buffer { preface in
            bytes[offset..<(offset + count)].elementsEqual(preface[progress..<(progress + count)])
        }
        guard matches else { throw .protocolError("not the preface of HTTP/2") }
        offset += count
        progress += count
        guard progress == Self.preface.utf8CodeUnitCount else { return false }
        phase = .head
        return true
    }

    /// - Returns: true for a DATA frame.
    private mutating func begin(_ frame: HTTP2FrameHead) throws(HTTP2ConnectionError) -> Bool {
        switch frame.type {
        case HTTP2FrameType.data:
            let isPadded = frame.has(HTTP2FrameFlags.padded)
            guard frame.length <= frameSize, !isPadded || frame.length > 0 else {
                throw HTTP2ConnectionError(code: .frameSizeError, reason: "a DATA frame of a wrong size")
            }
            progress = frame.length
            padding = 0
            phase = isPadded ? .paddingLength : .content
            return true
        case HTTP2FrameType.headers, HTTP2FrameType.continuation:
            guard frame.length <= headSize else { throw .excess("too large a head") }
        default:
            guard frame.length <= Self.largestControlFrame else {
                throw .excess("a frame larger than its kind may be")
            }
        }
        phase = .payload
        return false
    }

    /// `count` bytes side by side: in `bytes` where they lie whole there, otherwise put together from several calls.
    private mutating func gather(
        _ count: Int, _ bytes: UnsafeRawBufferPointer, _ offset: inout Int
    ) -> UnsafeRawBufferPointer? {
        if partialIsUsed {
            partialIsUsed = false
            // A large one was rare, and there are many connections.
            if partial.count > 1 << 10 { partial = WireWriter() } else { partial.removeAll() }
        }
        let there = bytes.count - offset
        if partial.count == 0, there >= count {
            offset += count
            return UnsafeRawBufferPointer(rebasing: bytes[(offset - count)..<offset])
        }
        let step = min(count - partial.count, there)
        partial.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + step)]))
        offset += step
        guard partial.count == count else { return nil }
        partialIsUsed = true
        return partial.bytes
    }
}
