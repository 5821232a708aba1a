internal import OTLP

/// One field of an encoded message that someone else owns.
struct WireField {
    typealias Address = UnsafePointer<UInt8>

    var number: UInt32
    var wireType: UInt8
    /// Where its key begins.
    var start: Address
    /// Where its value begins; of a length-delimited field, its payload.
    var value: Address
    var end: Address

    @inline(__always)
    var payload: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: value, count: end - value) }
    @inline(__always)
    var whole: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: end - start) }
    /// The value of a varint field.
    var varint: UInt64 {
        var at = value
        return WireFields.varint(&at, end) ?? 0
    }
    /// The value of a 64-bit field.
    var fixed64: UInt64 {
        end - value == 8 ? UInt64(littleEndian: UnsafeRawPointer(value).loadUnaligned(as: UInt64.self)) : 0
    }
}

/// The fields of an encoded message, in order. Every read is checked against the end; a malformed field ends the walk.
/// The bytes have been scanned before they come here, but memory safety does not rest on that.
struct WireFields {
    typealias Address = UnsafePointer<UInt8>

    private var at: Address
    private let end: Address

    /// Nil for an empty slice.
    @inline(__always)
    init?(_ message: UnsafeRawBufferPointer) {
        guard message.count > 0, let base = message.baseAddress else { return nil }
        at = base.assumingMemoryBound(to: UInt8.self)
        end = at + message.count
    }

    @inline(__always)
    mutating func next() -> WireField? {
        guard at < end else { return nil }
        let start = at
        guard let key = Self.varint(&at, end) else { return stop() }
        var value = at
        switch key & 7 {
        case 2:
            guard let length = Self.varint(&at, end), length <= UInt64(end - at) else { return stop() }
            value = at
            at += Int(length)
        case 0:
            guard Self.varint(&at, end) != nil else { return stop() }
        case 1:
            guard end - at >= 8 else { return stop() }
            at += 8
        case 5:
            guard end - at >= 4 else { return stop() }
            at += 4
        default:
            return stop()
        }
        return WireField(
            number: UInt32(truncatingIfNeeded: key >> 3), wireType: UInt8(truncatingIfNeeded: key & 7), start: start,
            value: value, end: at)
    }

    private mutating func stop() -> WireField? {
        at = end
        return nil
    }

    @inline(__always)
    static func varint(_ at: inout Address, _ end: Address) -> UInt64? {
        guard at < end else { return nil }
        let first = at.pointee
        at += 1
        if first < 0x80 { return UInt64(first) }
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
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// Whether the bytes are those of a literal.
    @inline(__always)
    func equals(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount
            && elementsEqual(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
