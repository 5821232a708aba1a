internal import CZstd

/// Decodes zstd bodies that are whole in memory. Reusable, for one thread at a time.
struct ZstdDecoder: ~Copyable {
    /// Largest window of a frame that does not tell its size: 8 MiB, as RFC 9659 §3 asks. Such a frame needs that
    /// much memory beside the output; a frame that tells its size needs none.
    static let maxWindowLog: Int32 = 23
    /// `ZSTD_CONTENTSIZE_UNKNOWN` and `ZSTD_CONTENTSIZE_ERROR`, macros that Swift does not see.
    private static let unknownSize = UInt64.max
    private static let invalidFrame = UInt64.max - 1

    private var context: OpaquePointer?

    init() {}

    deinit { ZSTD_freeDCtx(context) }

    mutating func decode(_ input: UnsafeRawBufferPointer, limit: Int) throws(CompressionError) -> OwnedBytes {
        let context = try readyContext()
        let size = ZSTD_getFrameContentSize(input.baseAddress, input.count)
        guard size != Self.invalidFrame, !input.isEmpty else { throw .corrupt(.zstd) }
        guard size != Self.unknownSize, ZSTD_findFrameCompressedSize(input.baseAddress, input.count) == input.count
        else { return try decodeStream(input, context: context, limit: limit) }
        guard size <= UInt64(max(limit, 0)) else { throw .tooLarge(limit: limit) }
        let output = try OutputBuffer(capacity: Int(size))
        let produced = ZSTD_decompressDCtx(context, output.base, output.capacity, input.baseAddress, input.count)
        if ZSTD_isError(produced) != 0 { throw Self.error(produced) }
        return output.finish(count: produced)
    }

    private func decodeStream(_ input: UnsafeRawBufferPointer, context: OpaquePointer, limit: Int)
        throws(CompressionError) -> OwnedBytes
    {
        // Pages are only committed as they are written, so a generous buffer costs address space, not memory.
        let output = try OutputBuffer(capacity: max(limit, 0))
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: output.base, size: output.capacity, pos: 0)
        // Receives what does not fit any more: its first byte proves that the limit is passed.
        var overflow: UInt8 = 0
        while true {
            let before = source.pos + target.pos
            let full = target.pos == target.size
            let (hint, spilled) = withUnsafeMutablePointer(to: &overflow) { spill in
                guard full else { return (ZSTD_decompressStream(context, &target, &source), 0) }
                var rest = ZSTD_outBuffer(dst: spill, size: 1, pos: 0)
                let hint = ZSTD_decompressStream(context, &rest, &source)
                return (hint, rest.pos)
            }
            if ZSTD_isError(hint) != 0 { throw Self.error(hint) }
            if spilled > 0 { throw .tooLarge(limit: limit) }
            // 0 is the end of a frame; frames follow each other (RFC 8878 §3).
            if hint == 0, source.pos == source.size { return output.finish(count: target.pos) }
            guard source.pos + target.pos > before else { throw .corrupt(.zstd) }
        }
    }

    private mutating func readyContext() throws(CompressionError) -> OpaquePointer {
        if let context {
            ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
            return context
        }
        guard let created = ZSTD_createDCtx() else { throw .outOfMemory }
        ZSTD_DCtx_setParameter(created, ZSTD_d_windowLogMax, Self.maxWindowLog)
        context = created
        return created
    }

    private static func error(_ code: Int) -> CompressionError {
        switch ZSTD_getErrorCode(code) {
        case ZSTD_error_memory_allocation: .outOfMemory
        case ZSTD_error_frameParameter_windowTooLarge: .unsupported("zstd, window over 8 MiB")
        default: .corrupt(.zstd)
        }
    }
}
