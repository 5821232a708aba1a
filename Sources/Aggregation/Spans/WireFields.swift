/// The fields of one encoded message, one after the other. Every read is checked against the end; at a malformed field
/// the walk ends. The bytes belong to somebody else, who keeps them while they are walked.
package struct WireFields {
    typealias Address = UnsafePointer<UInt8>

    /// One field. `payload` is the content of a length-delimited field, else empty.
    package struct Field {
        /// Number and wire type, as on the wire.
        package let key: UInt64
        package let whole: UnsafeRawBufferPointer
        package let payload: UnsafeRawBufferPointer
        /// The value of a varint or fixed-width field, else 0.
        package let number: UInt64
    }

    private var at: Address?
    private var left: Int

    package init(_ message: UnsafeRawBufferPointer) {
        at = message.count > 0 ? message.baseAddress?.assumingMemoryBound(to: UInt8.self) : nil
        left = at == nil ? 0 : message.count
    }

    /// The next field; nil at the end.
    package mutating func next() -> Field? {
        guard let start = at, left > 0 else { return nil }
        let end = start + left
        var cursor = start
        guard let key = Self.varint(&cursor, end) else { return stop() }
        var number: UInt64 = 0
        var payload = UnsafeRawBufferPointer(start: nil, count: 0)
        switch key & 7 {
        case 0:
            guard let value = Self.varint(&cursor, end) else { return stop() }
            number = value
        case 1:
            guard end - cursor >= 8 else { return stop() }
            number = UInt64(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
            cursor += 8
        case 2:
            guard let count = Self.varint(&cursor, end), count <= UInt64(end - cursor) else { return stop() }
            payload = UnsafeRawBufferPointer(start: cursor, count: Int(count))
            cursor += Int(count)
        case 5:
            guard end - cursor >= 4 else { return stop() }
            number = UInt64(UInt32(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt32.self)))
            cursor += 4
        default:
            return stop()
        }
        at = cursor
        left = end - cursor
        return Field(
            key: key, whole: UnsafeRawBufferPointer(start: start, count: cursor - start), payload: payload,
            number: number)
    }

    private mutating func stop() -> Field? {
        left = 0
        return nil
    }

    /// The payload of the last field with that key; empty when there is none.
    package static func payload(of key: UInt64, in message: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var found = UnsafeRawBufferPointer(start: nil, count: 0)
        var walk = WireFields(message)
        while let field = walk.next() {
            if field.key == key { found = field.payload }
        }
        return found
    }

    /// A base-128 varint; nil when the bytes end inside it or when it is longer than ten bytes.
    @inline(__always)
    static func varint(_ cursor: inout Address, _ end: Address) -> UInt64? {
        guard cursor < end else { return nil }
        let first = cursor.pointee
        cursor += 1
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while cursor < end, shift < 64 {
            let byte = cursor.pointee
            cursor += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }
}
