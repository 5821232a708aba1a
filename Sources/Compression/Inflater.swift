internal import CDeflate
internal import CZlib

/// Decodes gzip and deflate bodies that are whole in memory. Reusable, for one thread at a time.
///
/// A gzip body of one member, whose trailer tells its size, goes through libdeflate in one step. Everything else
/// (several members, a trailer that does not fit, deflate) goes through zlib, which can stop at the limit.
struct Inflater: ~Copyable {
    /// Deflate cannot expand further than this: 258 bytes out of 2 bits (a length and a distance code of 1 bit each).
    static let maxExpansion = 1032
    /// Header and trailer of a gzip member, without any block.
    private static let gzipFraming = 18
    /// zlib counts in 32 bits, so it is fed in pieces of at most this many bytes.
    private static let maxPiece = 1 << 30

    /// zlib's window bits: 15, plus 16 for gzip, negative for no framing.
    private enum Format: Int32 {
        case gzip = 31
        case zlib = 15
        case raw = -15
    }

    /// libdeflate's tables; created at first use.
    private var oneShot: OpaquePointer?
    /// zlib's state; created at first use. On the heap, since zlib keeps a pointer back to it.
    private var stream: UnsafeMutablePointer<z_stream>?

    init() {}

    deinit {
        if let oneShot { libdeflate_free_decompressor(oneShot) }
        if let stream {
            inflateEnd(stream)
            stream.deallocate()
        }
    }

    mutating func gunzip(_ input: UnsafeRawBufferPointer, limit: Int) throws(CompressionError) -> OwnedBytes {
        guard input.count >= Self.gzipFraming else { throw .corrupt(.gzip) }
        let trailer = input.loadUnaligned(fromByteOffset: input.count - 4, as: UInt32.self)
        let size = Int(UInt32(littleEndian: trailer))
        if size <= limit, size <= Self.mostOutput(of: input.count) {
            let oneShot = try readyOneShot()
            let output = try OutputBuffer(capacity: size)
            var consumed = 0
            var produced = 0
            let result = libdeflate_gzip_decompress_ex(
                oneShot, input.baseAddress, input.count, output.base, size, &consumed, &produced)
            if result == LIBDEFLATE_SUCCESS, consumed == input.count { return output.finish(count: produced) }
            if result == LIBDEFLATE_BAD_DATA { throw .corrupt(.gzip) }
            // The trailer does not speak for the whole input: it is that of the last of several members, or wrong.
        }
        return try inflate(input, format: .gzip, encoding: .gzip, limit: limit)
    }

    mutating func inflate(_ input: UnsafeRawBufferPointer, limit: Int) throws(CompressionError) -> OwnedBytes {
        let format: Format = Self.hasZlibHeader(input) ? .zlib : .raw
        return try inflate(input, format: format, encoding: .deflate, limit: limit)
    }

    private mutating func inflate(
        _ input: UnsafeRawBufferPointer, format: Format, encoding: ContentEncoding, limit: Int
    ) throws(CompressionError) -> OwnedBytes {
        let stream = try readyStream(format)
        // Pages are only committed as they are written, so a generous buffer costs address space, not memory.
        let output = try OutputBuffer(capacity: min(max(limit, 0), Self.mostOutput(of: input.count)))
        var consumed = 0
        var produced = 0
        // Receives what does not fit any more: its first byte proves that the limit is passed.
        var overflow: UInt8 = 0
        while true {
            let pieceIn = min(input.count - consumed, Self.maxPiece)
            let room = min(output.capacity - produced, Self.maxPiece)
            // zlib does not write to its input, it only lacks the const.
            stream.pointee.next_in = input.baseAddress.map {
                UnsafeMutableRawPointer(mutating: $0 + consumed).assumingMemoryBound(to: UInt8.self)
            }
            stream.pointee.avail_in = UInt32(pieceIn)
            let code = withUnsafeMutablePointer(to: &overflow) { spill in
                let target = (output.base + produced).assumingMemoryBound(to: UInt8.self)
                stream.pointee.next_out = room > 0 ? target : spill
                stream.pointee.avail_out = UInt32(max(room, 1))
                return CZlib.inflate(stream, Z_NO_FLUSH)
            }
            let taken = pieceIn - Int(stream.pointee.avail_in)
            let given = max(room, 1) - Int(stream.pointee.avail_out)
            if room == 0, given > 0 { throw .tooLarge(limit: limit) }
            consumed += taken
            produced += given
            switch code {
            case Z_OK:
                guard taken + given > 0 else { throw .corrupt(encoding) }
            case Z_STREAM_END:
                if consumed == input.count { return output.finish(count: produced) }
                // RFC 1952 §2.2: members follow each other.
                guard format == .gzip, inflateReset(stream) == Z_OK else { throw .corrupt(encoding) }
            case Z_MEM_ERROR: throw .outOfMemory
            default: throw .corrupt(encoding)
            }
        }
    }

    private mutating func readyOneShot() throws(CompressionError) -> OpaquePointer {
        if oneShot == nil { oneShot = libdeflate_alloc_decompressor() }
        guard let oneShot else { throw .outOfMemory }
        return oneShot
    }

    private mutating func readyStream(_ format: Format) throws(CompressionError) -> UnsafeMutablePointer<z_stream> {
        if let stream {
            guard inflateReset2(stream, format.rawValue) == Z_OK else { throw .outOfMemory }
            return stream
        }
        let created = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        created.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(created, format.rawValue, ZLIB_VERSION, size) == Z_OK else {
            created.deallocate()
            throw .outOfMemory
        }
        stream = created
        return created
    }

    /// RFC 1950 §2.2. Bare deflate only looks like it when it pads a stored block with ones, which no encoder does.
    private static func hasZlibHeader(_ input: UnsafeRawBufferPointer) -> Bool {
        guard input.count >= 2 else { return false }
        let method = Int(input[0])
        return method & 0x0F == 8 && method >> 4 <= 7 && (method << 8 | Int(input[1])) % 31 == 0
    }

    /// Most bytes that `count` bytes of deflate can become.
    private static func mostOutput(of count: Int) -> Int {
        let (product, overflow) = count.multipliedReportingOverflow(by: maxExpansion)
        return overflow ? .max : product
    }
}
