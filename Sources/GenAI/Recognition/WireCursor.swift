/// A position in wire bytes that someone else owns. Every read is checked against the end; a malformed field ends the
/// walk. The bytes have been scanned before they come here, but memory safety does not rest on that.
///
/// Not `FieldCursor` of OTLP, which is much the same: a cursor of another module made recognition a quarter slower.
struct WireCursor {
    typealias Address = UnsafePointer<UInt8>

    var at: Address
    let end: Address

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

    /// From some place in `bytes` to their end.
    @inline(__always)
    init?(from at: Address?, to bytes: UnsafeRawBufferPointer) {
        guard let at, let base = bytes.baseAddress else { return nil }
        self.at = at
        end = base.assumingMemoryBound(to: UInt8.self) + bytes.count
    }

    @inline(__always)
    var isAtEnd: Bool { at >= end }

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
        // Tests in order of frequency: a jump table is mispredicted more often.
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

    @inline(__always)
    var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: at, count: end - at) }
}

/// A KeyValue taken apart: its key, and the AnyValue that belongs to it.
struct WireAttribute {
    var key: WireCursor.Address
    var keyCount: Int
    var value: WireCursor

    /// Nil when the message is malformed or has no value.
    @inline(__always)
    init?(_ message: WireCursor) {
        let size = message.end - message.at
        // The common shape: a key of less than 128 bytes, then the value, then nothing.
        if size >= 4, message.at[0] == 0x0A, message.at[1] < 0x80 {
            let count = Int(message.at[1])
            if count &+ 4 <= size, message.at[2 &+ count] == 0x12 {
                var rest = WireCursor(message.at + (3 &+ count), message.end)
                if let value = rest.payload(), rest.isAtEnd {
                    key = message.at + 2
                    keyCount = count
                    self.value = value
                    return
                }
            }
        }
        guard let found = Self.ofAnyShape(message) else { return nil }
        self = found
    }

    @inline(__always)
    private init(key: WireCursor, value: WireCursor) {
        self.key = key.at
        keyCount = key.end - key.at
        self.value = value
    }

    @inline(never)
    private static func ofAnyShape(_ message: WireCursor) -> WireAttribute? {
        var cursor = message
        var key: WireCursor?
        var value: WireCursor?
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return nil }
            switch tag {
            case 0x0A: key = cursor.payload()
            case 0x12: value = cursor.payload()
            default: cursor.skipField(tag)
            }
            if tag == 0x0A && key == nil || tag == 0x12 && value == nil { return nil }
        }
        guard let key, let value else { return nil }
        return WireAttribute(key: key, value: value)
    }
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    @inline(__always)
    static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
