/// The first 64 bytes of a segment, and the whole of the `log` file that holds the salt a second time.
///
/// `MARTLOG\n` · version u32 · size of this header u32 · salt u64 · first sequence u64 · zeros · CRC-32C u32; numbers
/// little-endian.
struct SegmentHeader: Equatable {
    /// Enters the check sums of the log's records, so that bytes of a client never look like a record.
    var salt: UInt64
    /// Sequence of the first record; 0 in the `log` file.
    var first: UInt64

    static let size = 64
    /// Format version of this build. Another one is refused, never guessed at.
    static let version: UInt32 = 1
    private static let magic: UInt64 = 0x0A47_4F4C_5452_414D

    enum Reading: Equatable {
        case header(SegmentHeader)
        case otherVersion(UInt32)
        /// No header, or one with a wrong check sum.
        case damaged
    }

    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { buffer in
            buffer.put(Self.magic, at: 0)
            buffer.put(Self.version, at: 8)
            buffer.put(UInt32(Self.size), at: 12)
            buffer.put(salt, at: 16)
            buffer.put(first, at: 24)
            buffer.put(Self.sum(UnsafeRawBufferPointer(buffer)), at: 60)
        }
        return bytes
    }

    static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count >= size, bytes.number(at: 0, as: UInt64.self) == magic,
            bytes.number(at: 60, as: UInt32.self) == sum(bytes)
        else { return .damaged }
        let version: UInt32 = bytes.number(at: 8)
        guard version == Self.version else { return .otherVersion(version) }
        return .header(SegmentHeader(salt: bytes.number(at: 16), first: bytes.number(at: 24)))
    }

    private static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var sum = CRC32C()
        sum.add(UnsafeRawBufferPointer(rebasing: bytes[0..<60]))
        return sum.value
    }
}
