/// The encoder for one configured encoding. One owner; not thread-safe.
package struct BodyEncoder: ~Copyable {
    /// What `encode` makes.
    package let encoding: ContentEncoding
    private var gzip: GzipEncoder?
    private var zstd: ZstdEncoder?

    /// - Parameter level: nil for the encoding's default; nothing else is taken for `identity`.
    /// - Throws: `.levelOutOfRange`, `.outOfMemory`.
    package init(_ encoding: ContentEncoding, level: Int? = nil) throws(CompressionError) {
        self.encoding = encoding
        gzip = nil
        zstd = nil
        switch encoding {
        case .identity:
            if let level { throw .levelOutOfRange(level, encoding: .identity) }
        case .gzip, .deflate: gzip = try GzipEncoder(level: level ?? GzipEncoder.defaultLevel, encoding: encoding)
        case .zstd: zstd = try ZstdEncoder(level: level ?? ZstdEncoder.defaultLevel)
        }
    }

    /// Encodes the bytes of all `slices`, in order, which are only read during the call; `identity` copies them into
    /// one piece.
    /// - Returns: bytes that the caller owns.
    /// - Throws: `.outOfMemory`.
    package mutating func encode(_ slices: [UnsafeRawBufferPointer]) throws(CompressionError) -> OwnedBytes {
        if let output = try gzip?.encode(slices) { return output }
        if let output = try zstd?.encode(slices) { return output }
        return try OwnedBytes(gathering: slices)
    }
}
