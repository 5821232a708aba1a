internal import Compression
internal import Synchronization

/// Compressors to borrow: at most one for each delivery thread is ever in use, and their tables are kept.
final class BodyEncoderPool: Sendable {
    private final class Slot: @unchecked Sendable {
        // Sendable: a slot is in the pool or with one borrower, never both.
        var encoder: BodyEncoder

        init(_ encoding: ContentEncoding, level: Int?) throws(CompressionError) {
            encoder = try BodyEncoder(encoding, level: level)
        }
    }

    private let encoding: ContentEncoding
    private let level: Int?
    private let idle = Mutex<[Slot]>([])

    /// - Throws: `.levelOutOfRange`, `.outOfMemory`.
    init(_ encoding: ContentEncoding, level: Int?) throws(CompressionError) {
        self.encoding = encoding
        self.level = level
        let first = try Slot(encoding, level: level)
        idle.withLock { $0.append(first) }
    }

    /// Compresses the bytes of all slices as one body.
    func encode(_ slices: [UnsafeRawBufferPointer]) throws(CompressionError) -> OwnedBytes {
        let borrowed = idle.withLock { $0.popLast() }
        let slot: Slot
        if let borrowed { slot = borrowed } else { slot = try Slot(encoding, level: level) }
        defer { idle.withLock { $0.append(slot) } }
        return try slot.encoder.encode(slices)
    }
}
