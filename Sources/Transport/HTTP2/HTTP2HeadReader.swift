internal import NIOCore
internal import NIOHPACK

/// Puts the fields of messages together from HEADERS and CONTINUATION frames (RFC 9113, sections 4.3, 6.2 and 6.10).
struct HTTP2HeadReader {
    /// The fields of one head, or of the trailers of a body.
    struct Block {
        let stream: UInt32
        /// The peer's side of the stream ends with it.
        let ends: Bool
        let fields: HPACKHeaders
    }

    /// Most bytes of all fields of a head, each with 32 more. There may be as many heads as streams, and no lease counts
    /// them.
    static let listSize = 32 << 10
    /// Most bytes of a head as it is sent: compressed, it is hardly ever larger.
    static let blockSize = listSize
    /// Most CONTINUATION frames of a head.
    private static let mostContinuations = 8

    private var decoder: HPACKDecoder
    private var block: ByteBuffer
    private var stream: UInt32 = 0
    private var ends = false
    private var continuations = 0
    /// A head has begun whose end has not come: only its next frame is allowed.
    private(set) var isOpen = false

    init(allocator: ByteBufferAllocator) {
        decoder = HPACKDecoder(
            allocator: allocator, maxDynamicTableSize: HPACKDecoder.maxDynamicTableSize,
            maxHeaderListSize: Self.listSize)
        block = ByteBuffer()
    }

    /// Takes a HEADERS frame.
    ///
    /// - Returns: the head, when it is complete.
    mutating func begin(
        _ frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) -> Block? {
        var start = 0
        var end = payload.count
        if frame.has(HTTP2FrameFlags.padded) {
            guard let padding = payload.first else { throw Self.sizeError }
            start += 1
            end -= Int(padding)
        }
        if frame.has(HTTP2FrameFlags.priority) { start += 5 }
        guard start <= end else { throw .protocolError("more padding than frame") }
        stream = frame.stream
        ends = frame.has(HTTP2FrameFlags.endStream)
        continuations = 0
        block.clear(minimumCapacity: 256)
        return try append(UnsafeRawBufferPointer(rebasing: payload[start..<end]), frame)
    }

    /// Takes a CONTINUATION frame.
    mutating func go(
        on frame: HTTP2FrameHead, _ payload: UnsafeRawBufferPointer
    ) throws(HTTP2ConnectionError) -> Block? {
        guard isOpen, frame.stream == stream else { throw .protocolError("a CONTINUATION frame of no head") }
        continuations += 1
        guard continuations <= Self.mostContinuations else { throw .excess("too many CONTINUATION frames") }
        return try append(payload, frame)
    }

    private mutating func append(
        _ part: UnsafeRawBufferPointer, _ frame: HTTP2FrameHead
    ) throws(HTTP2ConnectionError) -> Block? {
        guard block.readableBytes + part.count <= Self.blockSize else { throw .excess("too large a head") }
        block.writeBytes(part)
        isOpen = !frame.has(HTTP2FrameFlags.endHeaders)
        guard !isOpen else { return nil }
        do {
            let fields = try decoder.decodeHeaders(from: &block)
            // A large one was rare, and there are many connections.
            if block.capacity > 4 << 10 { block = ByteBuffer() }
            return Block(stream: stream, ends: ends, fields: fields)
        } catch is NIOHPACKErrors.MaxHeaderListSizeViolation {
            throw .excess("too large a head")
        } catch {
            throw HTTP2ConnectionError(code: .compressionError, reason: "a head that cannot be decoded")
        }
    }

    private static var sizeError: HTTP2ConnectionError {
        HTTP2ConnectionError(code: .frameSizeError, reason: "a HEADERS frame of a wrong size")
    }
}

/// What fields may look like over HTTP/2 (RFC 9113, section 8.2.1).
enum HTTP2FieldSyntax {
    /// Whether the fields behind a body are well-formed.
    static func areTrailers(_ fields: HPACKHeaders) -> Bool {
        for (name, value, _) in fields where !isName(name) || !isValue(value) { return false }
        return true
    }

    /// Names are tokens without capital letters.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || Self.isMark($0)
            }
    }

    /// `!#$%&'*+-.^_` and the rest of RFC 9110, 5.6.2.
    private static func isMark(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }

    /// What would end a field of HTTP/1.1 is malformed. Blanks around a value are not allowed either, but clients of
    /// gRPC send them.
    static func isValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 != 0 && $0 != 0x0A && $0 != 0x0D }
    }
}
