internal import CZstd

/// Compresses whole bodies to zstd, one frame each, which tells its size. Keeps its tables and a scratch buffer from
/// one body to the next. One owner; not thread-safe.
package struct ZstdEncoder: ~Copyable {
    /// Level when none is configured.
    package static let defaultLevel = 1
    /// Bytes of the length that `encode(_:lengthPrefixed:)` can put before a frame.
    package static let prefixSize = 4

    private let context: OpaquePointer
    private var input = ContiguousInput()

    /// - Parameter level: -7 (fastest) to 19.
    /// - Throws: `.levelOutOfRange`, `.outOfMemory`.
    package init(level: Int = defaultLevel) throws(CompressionError) {
        guard ContentEncoding.zstd.levels.contains(level) else { throw .levelOutOfRange(level, encoding: .zstd) }
        guard let context = ZSTD_createCCtx() else { throw .outOfMemory }
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        self.context = context
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Compresses the bytes of all `slices`, in order, which are only read during the call.
    ///
    /// - Parameter lengthPrefixed: puts the frame's size before it, 4 bytes, most significant first: one message of a
    ///   compressed telemetry file.
    /// - Returns: bytes that the caller owns.
    /// - Throws: `.outOfMemory`; `.tooLarge` when a frame passes what the prefix can say.
    package mutating func encode(_ slices: [UnsafeRawBufferPointer], lengthPrefixed: Bool = false)
        throws(CompressionError) -> OwnedBytes
    {
        let source = try input.join(slices)
        let prefix = lengthPrefixed ? Self.prefixSize : 0
        let bound = ZSTD_compressBound(source.count)
        let output = try OutputBuffer(capacity: bound + prefix)
        let size = ZSTD_compress2(context, output.base + prefix, bound, source.baseAddress, source.count)
        input.trim()
        // The bound rules out a full buffer, so what can fail is the allocation of the tables.
        guard ZSTD_isError(size) == 0 else { throw .outOfMemory }
        if lengthPrefixed {
            guard let length = UInt32(exactly: size) else { throw .tooLarge(limit: Int(UInt32.max)) }
            output.base.storeBytes(of: length.bigEndian, as: UInt32.self)
        }
        return output.finish(count: size + prefix)
    }
}
