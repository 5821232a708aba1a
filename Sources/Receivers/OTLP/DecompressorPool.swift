internal import Compression
internal import Synchronization

/// Decompressors to borrow: at most one for each event loop is ever in use, and their tables are kept.
final class DecompressorPool: Sendable {
    private final class Slot: @unchecked Sendable {
        // Sendable: a slot is in the pool or with one borrower, never both.
        var decompressor = BodyDecompressor()
    }

    private let idle = Mutex<[Slot]>([])

    /// Decompresses a whole body. See `BodyDecompressor.decompress`.
    func decompress(
        _ input: UnsafeRawBufferPointer, _ encoding: ContentEncoding, limit: Int
    ) throws(CompressionError) -> OwnedBytes {
        let slot = idle.withLock { $0.popLast() } ?? Slot()
        defer { idle.withLock { $0.append(slot) } }
        return try slot.decompressor.decompress(input, encoding: encoding, limit: limit)
    }
}
