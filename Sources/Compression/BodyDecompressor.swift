/// Decompresses whole bodies that are in memory. One owner, usually an event loop: it keeps the decoders' tables
/// (tens of KB for gzip, 160 KB for zstd) from one body to the next and creates each at its first use.
/// Not thread-safe.
package struct BodyDecompressor: ~Copyable {
    private var inflater = Inflater()
    private var zstd = ZstdDecoder()

    /// Allocates nothing yet.
    package init() {}

    /// Decompresses `input`, which is only read during the call.
    ///
    /// The limit holds while the output is produced: the buffer for it never passes `limit` bytes. The only other
    /// memory is the window of a zstd frame that does not tell its size, 8 MiB at most.
    ///
    /// - Parameters:
    ///   - input: a whole body: every member of a gzip body, every frame of a zstd one. No bytes may follow.
    ///   - encoding: `identity` copies.
    ///   - limit: most bytes of output, at least 0.
    /// - Returns: bytes that the caller owns.
    /// - Throws: `.corrupt`, `.tooLarge`, `.unsupported` (a zstd window over 8 MiB) or `.outOfMemory`. The
    ///   decompressor stays usable.
    package mutating func decompress(_ input: UnsafeRawBufferPointer, encoding: ContentEncoding, limit: Int)
        throws(CompressionError) -> OwnedBytes
    {
        switch encoding {
        case .identity:
            guard input.count <= limit else { throw .tooLarge(limit: limit) }
            return try OwnedBytes(gathering: [input])
        case .gzip: return try inflater.gunzip(input, limit: limit)
        case .deflate: return try inflater.inflate(input, limit: limit)
        case .zstd: return try zstd.decode(input, limit: limit)
        }
    }
}
