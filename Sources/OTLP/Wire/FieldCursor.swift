/// A position in wire bytes that someone else owns, and their end. Every read is checked against the end; a malformed field
/// ends the walk. The bytes have been scanned before they come here, but memory safety does not rest on that.
///
/// Valid as long as the bytes are. A value: a copy walks by itself. Any thread that may read the bytes.
package struct FieldCursor: BitwiseCopyable {
    /// Where a byte lies.
    package typealias Address = UnsafePointer<UInt8>

    /// The next byte.
    package var at: Address
    /// One past the last byte.
    package var end: Address

    /// From `at` to `end`, which is not before it.
    @inlinable @inline(__always)
    package init(_ at: Address, _ end: Address) {
        self.at = at
        self.end = end
    }

    /// Nil for an empty slice.
    @inlinable @inline(__always)
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, let base = bytes.baseAddress else { return nil }
        at = base.assumingMemoryBound(to: UInt8.self)
        end = at + bytes.count
    }

    /// From some place in `bytes` to their end; nil without one.
    @inlinable @inline(__always)
    package init?(from at: Address?, to bytes: UnsafeRawBufferPointer) {
        guard let at, let base = bytes.baseAddress else { return nil }
        self.at = at
        end = base.assumingMemoryBound(to: UInt8.self) + bytes.count
    }

    /// Whether nothing is left.
    @inlinable @inline(__always)
    package var isAtEnd: Bool { at >= end }

    /// Bytes that are left.
    @inlinable @inline(__always)
    package var count: Int { end - at }

    /// What is left, as bytes.
    @inlinable @inline(__always)
    package var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: at, count: end - at) }

    /// The next key, field number and wire type; nil at the end.
    @inlinable @inline(__always)
    package mutating func key() -> UInt64? { at < end ? varint() : nil }

    /// A base-128 varint; nil when the bytes end inside it or when it is longer than ten bytes.
    @inlinable @inline(__always)
    package mutating func varint() -> UInt64? {
        guard at < end else { return nil }
        let first = at.pointee
        at += 1
        return first < 0x80 ? UInt64(first) : longVarint(first)
    }

    @inlinable @inline(__always)
    mutating func longVarint(_ first: UInt8) -> UInt64? {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while at < end, shift < 64 {
            let byte = at.pointee
            at += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }

    /// A fixed64; nil when the bytes end inside it.
    @inlinable @inline(__always)
    package mutating func fixed64() -> UInt64? {
        guard end - at >= 8 else { return nil }
        defer { at += 8 }
        return UInt64(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt64.self))
    }

    /// A fixed32; nil when the bytes end inside it.
    @inlinable @inline(__always)
    package mutating func fixed32() -> UInt32? {
        guard end - at >= 4 else { return nil }
        defer { at += 4 }
        return UInt32(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt32.self))
    }

    /// The payload of a length-delimited field, which is then behind the cursor.
    @inlinable @inline(__always)
    package mutating func payload() -> FieldCursor? {
        guard let length = varint(), length <= UInt64(end - at) else { return nil }
        let start = at
        at += Int(length)
        return FieldCursor(start, at)
    }

    /// The same as bytes.
    @inlinable @inline(__always)
    package mutating func bytes() -> UnsafeRawBufferPointer? {
        guard let length = varint(), length <= UInt64(end - at) else { return nil }
        let start = at
        at += Int(length)
        return UnsafeRawBufferPointer(start: start, count: Int(length))
    }

    /// Moves over a value of the given wire type. False when it is malformed.
    @inlinable @inline(__always)
    package mutating func skip(_ wireType: UInt64) -> Bool {
        // Tests in order of frequency: a jump table is mispredicted more often.
        if wireType == 2 { return payload() != nil }
        if wireType == 0 { return varint() != nil }
        if wireType == 1 { return fixed64() != nil }
        return wireType == 5 && fixed32() != nil
    }

    /// Moves over the value of a field that nobody wants, given its key; at the end when it is malformed.
    @inlinable @inline(__always)
    package mutating func skipField(_ key: UInt64) {
        if !skip(key & 7) { at = end }
    }
}
