/// What stands before each record, 32 bytes: magic u32 · length of the content u32 · sequence u64 · items u32 ·
/// length of the context (low 24 bits) and kind (high 8) u32 · CRC-32C of the content u32 · CRC-32C of the salt and
/// the 28 bytes before u32; numbers little-endian. Records begin at multiples of 8.
///
/// The header has a check sum of its own: with a damaged content its length still leads to the next record.
package struct RecordHeader: Equatable, Sendable {
    /// Bytes of context and body together.
    package var length: Int
    /// Position in the log; grows by one from record to record and is never used twice.
    package var sequence: UInt64
    /// What the record counts as; the owner's own unit.
    package var items: UInt32
    /// Bytes at the start of the content that are the owner's, not the body's.
    package var contextLength: Int
    /// What the body is; the owner's own word, from 1 to 239.
    package var kind: UInt8
    var contentSum: UInt32

    static let size = 32
    static let alignment = 8
    /// The end of a full segment: sums of its records, items u64 · bytes of bodies u64; its sequence is one past the last.
    static let footerKind: UInt8 = 240
    static let footerLength = 16
    private static let magic: UInt32 = 0x4345_524D
    /// Sequences of files are not above this, so that sums of them never overflow; a million records a second reach it in
    /// a hundred thousand years.
    static let maximumSequence: UInt64 = 1 << 62
    /// No log goes on from above this: its next records must be below `maximumSequence`, or they could not be read.
    static let highestUse = maximumSequence / 2
    /// Longest context: 16 MiB - 1.
    static let maximumContext = 0xFF_FFFF

    /// Bytes that a record takes in a segment.
    static func footprint(_ length: Int) -> Int { (size + length + alignment - 1) & ~(alignment - 1) }

    var footprint: Int { Self.footprint(length) }

    func encode(into bytes: UnsafeMutableRawBufferPointer, salt: UInt64) {
        bytes.put(Self.magic, at: 0)
        bytes.put(UInt32(truncatingIfNeeded: length), at: 4)
        bytes.put(sequence, at: 8)
        bytes.put(items, at: 16)
        bytes.put(UInt32(kind) << 24 | UInt32(contextLength & Self.maximumContext), at: 20)
        bytes.put(contentSum, at: 24)
        bytes.put(Self.sum(UnsafeRawBufferPointer(bytes), salt), at: 28)
    }

    /// Nil when the bytes are no header of this log, or a damaged one.
    init?(_ bytes: UnsafeRawBufferPointer, salt: UInt64) {
        guard bytes.count >= Self.size, bytes.number(at: 0, as: UInt32.self) == Self.magic,
            bytes.number(at: 28, as: UInt32.self) == Self.sum(bytes, salt)
        else { return nil }
        let word: UInt32 = bytes.number(at: 20)
        length = Int(bytes.number(at: 4, as: UInt32.self))
        sequence = bytes.number(at: 8)
        items = bytes.number(at: 16)
        contextLength = Int(word) & Self.maximumContext
        kind = UInt8(word >> 24)
        contentSum = bytes.number(at: 24)
        guard contextLength <= length, kind > 0, sequence <= Self.maximumSequence else { return nil }
    }

    init(length: Int, sequence: UInt64, items: UInt32, contextLength: Int, kind: UInt8, contentSum: UInt32) {
        self.length = length
        self.sequence = sequence
        self.items = items
        self.contextLength = contextLength
        self.kind = kind
        self.contentSum = contentSum
    }

    private static func sum(_ bytes: UnsafeRawBufferPointer, _ salt: UInt64) -> UInt32 {
        var sum = CRC32C()
        sum.add(salt)
        sum.add(UnsafeRawBufferPointer(rebasing: bytes[0..<28]))
        return sum.value
    }
}

/// An entry of a segment's `.ack` file, 24 bytes: these records are done with. First sequence u64 · number u64 ·
/// zero u32 · CRC-32C of the salt and the 20 bytes before u32.
struct ReleaseEntry: Equatable {
    var first: UInt64
    var count: UInt64

    static let size = 24

    func encode(into bytes: UnsafeMutableRawBufferPointer, salt: UInt64) {
        bytes.put(first, at: 0)
        bytes.put(count, at: 8)
        bytes.put(UInt32(0), at: 16)
        bytes.put(Self.sum(UnsafeRawBufferPointer(bytes), salt), at: 20)
    }

    init(first: UInt64, count: UInt64) {
        self.first = first
        self.count = count
    }

    init?(_ bytes: UnsafeRawBufferPointer, salt: UInt64) {
        guard bytes.count >= Self.size, bytes.number(at: 20, as: UInt32.self) == Self.sum(bytes, salt) else {
            return nil
        }
        first = bytes.number(at: 0)
        count = bytes.number(at: 8)
        guard first <= RecordHeader.highestUse, count <= RecordHeader.highestUse - first else { return nil }
    }

    private static func sum(_ bytes: UnsafeRawBufferPointer, _ salt: UInt64) -> UInt32 {
        var sum = CRC32C()
        sum.add(salt)
        sum.add(UnsafeRawBufferPointer(rebasing: bytes[0..<20]))
        return sum.value
    }
}
