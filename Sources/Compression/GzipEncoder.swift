internal import CDeflate
internal import Glibc

/// Compresses whole bodies to gzip (RFC 1952) or deflate (RFC 1950), one member each: level 1 with ISA-L, the others
/// with libdeflate. Keeps its tables and a scratch buffer from one body to the next. One owner; not thread-safe.
package struct GzipEncoder: ~Copyable {
    /// Level when none is configured. On spans it is 5 times as fast as level 2, and the result 1 % larger.
    package static let defaultLevel = 1

    private var streaming: StreamingDeflater?
    private var oneShot: OneShotDeflater?

    /// - Parameters:
    ///   - level: 1 (fastest) to 12.
    ///   - encoding: `gzip` or `deflate`.
    /// - Throws: `.levelOutOfRange`, `.unsupported` for another encoding, `.outOfMemory`.
    package init(level: Int = defaultLevel, encoding: ContentEncoding = .gzip) throws(CompressionError) {
        guard encoding == .gzip || encoding == .deflate else { throw .unsupported(encoding.token) }
        guard encoding.levels.contains(level) else { throw .levelOutOfRange(level, encoding: encoding) }
        streaming = nil
        oneShot = nil
        if level == 1 {
            streaming = try StreamingDeflater(zlibFraming: encoding == .deflate)
        } else {
            oneShot = try OneShotDeflater(level: level, zlibFraming: encoding == .deflate)
        }
    }

    /// Compresses the bytes of all `slices`, in order, which are only read during the call.
    /// - Returns: bytes that the caller owns.
    /// - Throws: `.outOfMemory`; `.tooLarge` for more than 2 GiB at level 1.
    package mutating func encode(_ slices: [UnsafeRawBufferPointer]) throws(CompressionError) -> OwnedBytes {
        if let output = try streaming?.encode(slices) { return output }
        if let output = try oneShot?.encode(slices) { return output }
        throw .outOfMemory
    }
}

/// Compresses whole bodies with libdeflate. Keeps its tables and a scratch buffer from one body to the next. One
/// owner; not thread-safe.
struct OneShotDeflater: ~Copyable {
    private let compressor: OpaquePointer
    private let zlibFraming: Bool
    private var input = ContiguousInput()

    /// - Parameters:
    ///   - level: 1 to 12.
    ///   - zlibFraming: RFC 1950 in place of gzip.
    /// - Throws: `.outOfMemory`.
    init(level: Int, zlibFraming: Bool) throws(CompressionError) {
        guard let compressor = libdeflate_alloc_compressor(Int32(level)) else { throw .outOfMemory }
        self.compressor = compressor
        self.zlibFraming = zlibFraming
    }

    deinit { libdeflate_free_compressor(compressor) }

    /// Compresses the bytes of all `slices`, in order, which are only read during the call.
    /// - Throws: `.outOfMemory`.
    mutating func encode(_ slices: [UnsafeRawBufferPointer]) throws(CompressionError) -> OwnedBytes {
        let source = try input.join(slices)
        let bound =
            zlibFraming
            ? libdeflate_zlib_compress_bound(compressor, source.count)
            : libdeflate_gzip_compress_bound(compressor, source.count)
        let output = try OutputBuffer(capacity: bound)
        let size =
            zlibFraming
            ? libdeflate_zlib_compress(compressor, source.baseAddress, source.count, output.base, bound)
            : libdeflate_gzip_compress(compressor, source.baseAddress, source.count, output.base, bound)
        input.trim()
        // 0 says that the bound was too small, which libdeflate rules out.
        guard size > 0 else { throw .outOfMemory }
        return output.finish(count: size)
    }
}

/// Makes a list of slices contiguous, since one-shot compression needs that. Copying costs 0.02 ns a byte; streaming
/// over the slices 0.14 more than one shot with zstd, 1.3 more with zlib in place of libdeflate.
struct ContiguousInput: ~Copyable {
    /// A scratch buffer above this many bytes is given back after use.
    static let maxKept = 8 << 20

    private var scratch: UnsafeMutableRawPointer?
    private var capacity = 0

    init() {}

    deinit { free(scratch) }

    /// The bytes of all `slices` in one piece; valid until the next call. A single slice is not copied.
    mutating func join(_ slices: [UnsafeRawBufferPointer]) throws(CompressionError) -> UnsafeRawBufferPointer {
        if slices.count == 1 { return slices[0] }
        let total = slices.reduce(0) { $0 + $1.count }
        if total == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        if total > capacity {
            free(scratch)
            scratch = malloc(total)
            capacity = scratch == nil ? 0 : total
        }
        guard let scratch else { throw .outOfMemory }
        gather(slices, into: scratch)
        return UnsafeRawBufferPointer(start: scratch, count: total)
    }

    /// Gives a large scratch buffer back.
    mutating func trim() {
        guard capacity > Self.maxKept else { return }
        free(scratch)
        scratch = nil
        capacity = 0
    }
}
