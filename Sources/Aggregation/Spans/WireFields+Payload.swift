package import OTLP

extension WireFields {
    typealias Address = UnsafePointer<UInt8>

    /// The payload of the last length-delimited field of that number; without an address when there is none.
    package static func payload(of number: UInt32, in message: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var found = UnsafeRawBufferPointer(start: nil, count: 0)
        var walk = WireFields(message)
        while let field = walk.next() {
            if field.number == number, field.type == .lengthDelimited { found = field.payload }
        }
        return found
    }

    /// Moves over the value of a field that is not length-delimited. False when it is malformed.
    @inline(__always)
    static func skip(_ key: UInt64, _ cursor: inout Address, _ end: Address) -> Bool {
        switch key & 7 {
        case 0: return varint(&cursor, end) != nil
        case 1:
            guard end - cursor >= 8 else { return false }
            cursor += 8
        case 5:
            guard end - cursor >= 4 else { return false }
            cursor += 4
        default: return false
        }
        return true
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
