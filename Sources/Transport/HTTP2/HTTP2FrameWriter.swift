internal import NIOCore
internal import NIOHPACK

/// Writes frames into a buffer (RFC 9113, section 6). Knows nothing of windows.
struct HTTP2FrameWriter {
    /// Most bytes of a frame that every peer takes.
    static let frameSize = 16 << 10
    /// Most bytes of the table by which heads are compressed: what a peer has unless it says otherwise.
    static let headerTableSize = 4096

    private var encoder: HPACKEncoder
    private var buffer = ByteBuffer()
    private let allocator: ByteBufferAllocator

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
        encoder = HPACKEncoder(allocator: allocator)
    }

    /// Bytes that wait to be taken.
    var count: Int { buffer.readableBytes }

    /// What was written since the last time.
    mutating func take() -> ByteBuffer {
        defer { buffer = ByteBuffer() }
        return buffer
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`.
    mutating func setHeaderTableSize(_ size: Int) {
        // Fails only while a head is being written.
        try? encoder.setDynamicTableSize(min(size, Self.headerTableSize))
    }

    private mutating func begin(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ length: Int) {
        if buffer.capacity == 0 { buffer = allocator.buffer(capacity: 512) }
        buffer.writeInteger(UInt8(truncatingIfNeeded: length >> 16))
        buffer.writeInteger(UInt16(truncatingIfNeeded: length))
        buffer.writeInteger(type)
        buffer.writeInteger(flags)
        buffer.writeInteger(stream)
    }

    mutating func settings(_ values: [(name: UInt16, value: Int)]) {
        begin(HTTP2FrameType.settings, 0, 0, values.count * 6)
        for (name, value) in values {
            buffer.writeInteger(name)
            buffer.writeInteger(UInt32(truncatingIfNeeded: value))
        }
    }

    mutating func preface() {
        if buffer.capacity == 0 { buffer = allocator.buffer(capacity: 512) }
        buffer.writeStaticString(HTTP2FrameReader.preface)
    }

    mutating func settingsAck() { begin(HTTP2FrameType.settings, HTTP2FrameFlags.ack, 0, 0) }

    /// - Parameter data: eight bytes.
    mutating func ping(_ data: UInt64, ack: Bool) {
        begin(HTTP2FrameType.ping, ack ? HTTP2FrameFlags.ack : 0, 0, 8)
        buffer.writeInteger(data)
    }

    mutating func windowUpdate(_ stream: UInt32, _ increment: Int) {
        begin(HTTP2FrameType.windowUpdate, 0, stream, 4)
        buffer.writeInteger(UInt32(truncatingIfNeeded: increment))
    }

    mutating func reset(_ stream: UInt32, _ code: HTTP2ErrorCode) {
        begin(HTTP2FrameType.reset, 0, stream, 4)
        buffer.writeInteger(code.rawValue)
    }

    mutating func goAway(_ lastStream: UInt32, _ code: HTTP2ErrorCode, _ text: StaticString = "") {
        begin(HTTP2FrameType.goAway, 0, 0, 8 + text.utf8CodeUnitCount)
        buffer.writeInteger(lastStream)
        buffer.writeInteger(code.rawValue)
        buffer.writeStaticString(text)
    }

    mutating func data(_ stream: UInt32, _ bytes: ArraySlice<UInt8>, ends: Bool) {
        begin(HTTP2FrameType.data, ends ? HTTP2FrameFlags.endStream : 0, stream, bytes.count)
        buffer.writeBytes(bytes)
    }

    /// A head, or trailers. Line breaks in values are not allowed and become spaces; names become lower-case.
    mutating func head(_ stream: UInt32, _ fields: [(name: String, value: String)], ends: Bool) {
        self.head(stream, HPACKHeaders(fields.map { (Self.lowercased($0.name), Self.printable($0.value)) }), ends: ends)
    }

    /// The same with fields that are as HTTP/2 wants them.
    mutating func head(_ stream: UInt32, _ headers: HPACKHeaders, ends: Bool) {
        let start = buffer.writerIndex
        let flags = HTTP2FrameFlags.endHeaders | (ends ? HTTP2FrameFlags.endStream : 0)
        begin(HTTP2FrameType.headers, flags, stream, 0)
        // Fails only while another head is being written.
        try? encoder.encode(headers: headers, to: &buffer)
        let length = buffer.writerIndex - start - HTTP2FrameHead.byteCount
        if length <= Self.frameSize {
            buffer.setInteger(UInt8(truncatingIfNeeded: length >> 16), at: start)
            buffer.setInteger(UInt16(truncatingIfNeeded: length), at: start + 1)
        } else {
            split(start, stream, ends: ends)
        }
    }

    /// Cuts a head that is too large for a frame into several.
    private mutating func split(_ start: Int, _ stream: UInt32, ends: Bool) {
        let block = Array(buffer.readableBytesView[(start + HTTP2FrameHead.byteCount)...])
        buffer.moveWriterIndex(to: start)
        for offset in stride(from: 0, to: block.count, by: Self.frameSize) {
            let part = block[offset..<min(offset + Self.frameSize, block.count)]
            var flags = part.endIndex == block.count ? HTTP2FrameFlags.endHeaders : 0
            if offset == 0, ends { flags |= HTTP2FrameFlags.endStream }
            begin(offset == 0 ? HTTP2FrameType.headers : HTTP2FrameType.continuation, flags, stream, part.count)
            buffer.writeBytes(part)
        }
    }

    private static func lowercased(_ name: String) -> String {
        name.utf8.contains { $0 >= 0x41 && $0 <= 0x5A } ? name.lowercased() : name
    }

    private static func printable(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else { return value }
        return String(decoding: value.utf8.map { $0 < 0x20 ? 0x20 : $0 }, as: UTF8.self)
    }
}
