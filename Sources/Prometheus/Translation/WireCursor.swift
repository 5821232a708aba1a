/// A position in wire bytes that someone else owns. Every read is checked against the end; a malformed field ends the
/// walk. The bytes have been scanned before they come here, but memory safety does not rest on that.
struct WireCursor: BitwiseCopyable {
    typealias Address = UnsafePointer<UInt8>

    var at: Address
    var end: Address

    @inline(__always)
    init(_ at: Address, _ end: Address) {
        self.at = at
        self.end = end
    }

    /// Nil for an empty slice.
    @inline(__always)
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, let base = bytes.baseAddress else { return nil }
        at = base.assumingMemoryBound(to: UInt8.self)
        end = at + bytes.count
    }

    @inline(__always)
    var isAtEnd: Bool { at >= end }

    @inline(__always)
    var count: Int { end - at }

    /// What is left, as bytes.
    @inline(__always)
    var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: at, count: end - at) }

    /// A base-128 varint; nil when the bytes end inside it or when it is longer than ten bytes.
    @inline(__always)
    mutating func varint() -> UInt64? {
        guard at < end else { return nil }
        let first = at.pointee
        at += 1
        return first < 0x80 ? UInt64(first) : longVarint(first)
    }

    @inline(__always)
    private mutating func longVarint(_ first: UInt8) -> UInt64? {
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

    @inline(__always)
    mutating func fixed64() -> UInt64? {
        guard end - at >= 8 else { return nil }
        defer { at += 8 }
        return UInt64(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt64.self))
    }

    /// The payload of a length-delimited field, which is then behind the cursor.
    @inline(__always)
    mutating func payload() -> WireCursor? {
        guard let length = varint(), length <= UInt64(end - at) else { return nil }
        let start = at
        at += Int(length)
        return WireCursor(start, at)
    }

    /// Moves over a value of the given wire type.
    @inline(__always)
    mutating func skip(_ wireType: UInt64) -> Bool {
        if wireType == 2 { return payload() != nil }
        if wireType == 0 { return varint() != nil }
        if wireType == 1 { return fixed64() != nil }
        guard wireType == 5, end - at >= 4 else { return false }
        at += 4
        return true
    }

    /// Moves over the value of a field that nobody wants, given its key; at the end when it is malformed.
    @inline(__always)
    mutating func skipField(_ key: UInt64) {
        if !skip(key & 7) { at = end }
    }
}
