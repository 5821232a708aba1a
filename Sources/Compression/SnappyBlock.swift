internal import CSnappy

/// Snappy's block format, as Prometheus remote write uses it: the length, then elements, without frames or checksums.
/// Not a content encoding of `BodyEncoder`: HTTP's `snappy` elsewhere means the framed format.
package enum SnappyBlock {
    /// Why bytes are no block, or none that may be decoded.
    package enum Failure: Error, Equatable, Sendable {
        /// Not a whole, valid block.
        case corrupt
        /// The block says that it is longer than `limit` bytes.
        case tooLarge(limit: Int)
        /// The allocator refused.
        case outOfMemory
    }

    /// Compresses `source`, which is only read during the call. Any thread.
    /// - Returns: bytes that the caller owns.
    /// - Throws: `.outOfMemory`; `.tooLarge` for more than 4 GiB.
    package static func encode(_ source: UnsafeRawBufferPointer) throws(Failure) -> OwnedBytes {
        guard source.count <= Int(UInt32.max) else { throw .tooLarge(limit: Int(UInt32.max)) }
        var size = snappy_max_compressed_length(source.count)
        let output = try buffer(size)
        // The library wants addresses even for nothing.
        let base = source.baseAddress ?? UnsafeRawPointer(output.base)
        let status = snappy_compress(
            base.assumingMemoryBound(to: CChar.self), source.count, output.base.assumingMemoryBound(to: CChar.self),
            &size)
        guard status == SNAPPY_OK else { throw .outOfMemory }
        return output.finish(count: size)
    }

    /// Decodes a whole block. Any thread.
    /// - Parameter limit: most bytes of the result; checked before anything is allocated.
    /// - Throws: `.corrupt`, `.tooLarge`, `.outOfMemory`.
    package static func decode(_ block: UnsafeRawBufferPointer, limit: Int) throws(Failure) -> OwnedBytes {
        guard let base = block.baseAddress?.assumingMemoryBound(to: CChar.self), block.count > 0 else {
            throw .corrupt
        }
        var size = 0
        guard snappy_uncompressed_length(base, block.count, &size) == SNAPPY_OK else { throw .corrupt }
        guard size <= max(limit, 0) else { throw .tooLarge(limit: limit) }
        let output = try buffer(size)
        let target = output.base.assumingMemoryBound(to: CChar.self)
        guard snappy_uncompress(base, block.count, target, &size) == SNAPPY_OK else { throw .corrupt }
        return output.finish(count: size)
    }

    private static func buffer(_ capacity: Int) throws(Failure) -> OutputBuffer {
        do {
            return try OutputBuffer(capacity: capacity)
        } catch {
            throw .outOfMemory
        }
    }
}
