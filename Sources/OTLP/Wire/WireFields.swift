/// One field of an encoded message. The slices are of the message, and valid as long as it.
package struct WireField {
    /// Field number.
    package var number: UInt32
    /// Wire type; groups do not occur.
    package var type: WireType
    /// The whole field, key included.
    package var whole: UnsafeRawBufferPointer
    /// The payload of a length-delimited field; empty for the other types.
    package var payload: UnsafeRawBufferPointer
    /// The value of a varint, or the bits of a fixed64 or fixed32; 0 for a length-delimited field.
    package var bits: UInt64
}

/// The fields of an encoded message, in the order of the wire. Every read is checked against the end.
package struct WireFields {
    private var cursor: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    /// True when the walk ended at a fault, not at the message's end.
    package private(set) var isMalformed = false

    /// - Parameter message: must stay as it is as long as this value and its fields are used.
    @inline(__always)
    package init(_ message: UnsafeRawBufferPointer) {
        guard message.count > 0, let base = message.baseAddress else {
            cursor = Self.nowhere
            end = cursor
            return
        }
        cursor = base.assumingMemoryBound(to: UInt8.self)
        end = cursor + message.count
    }

    /// An address for messages without bytes; never read.
    private static var nowhere: UnsafePointer<UInt8> {
        UnsafeRawPointer(WireSchema.metrics.oneofs).assumingMemoryBound(to: UInt8.self)
    }

    /// The next field; nil at the end and at a fault.
    @inline(__always)
    package mutating func next() -> WireField? {
        guard cursor < end, !isMalformed else { return nil }
        let start = cursor
        guard let key = readVarint(&cursor, end), let type = WireType(rawValue: UInt8(truncatingIfNeeded: key & 7))
        else { return fault() }
        var payload = UnsafeRawBufferPointer(start: nil, count: 0)
        var bits: UInt64 = 0
        switch type {
        case .lengthDelimited:
            guard let length = readVarint(&cursor, end), length <= UInt64(end - cursor) else { return fault() }
            payload = UnsafeRawBufferPointer(start: cursor, count: Int(length))
            cursor += Int(length)
        case .varint:
            guard let value = readVarint(&cursor, end) else { return fault() }
            bits = value
        case .fixed64:
            guard end - cursor >= 8 else { return fault() }
            bits = UInt64(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
            cursor += 8
        case .fixed32:
            guard end - cursor >= 4 else { return fault() }
            bits = UInt64(UInt32(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt32.self)))
            cursor += 4
        case .startGroup, .endGroup:
            return fault()
        }
        return WireField(
            number: UInt32(truncatingIfNeeded: key >> 3), type: type,
            whole: UnsafeRawBufferPointer(start: start, count: cursor - start), payload: payload, bits: bits)
    }

    @inline(never)
    private mutating func fault() -> WireField? {
        isMalformed = true
        return nil
    }
}

/// The varints of a packed field, in order. Every read is checked against the end.
package struct PackedVarints {
    private var cursor: UnsafePointer<UInt8>?
    private let end: UnsafePointer<UInt8>?

    /// - Parameter payload: must stay as it is as long as this value is used.
    @inline(__always)
    package init(_ payload: UnsafeRawBufferPointer) {
        cursor = payload.baseAddress?.assumingMemoryBound(to: UInt8.self)
        end = cursor.map { $0 + payload.count }
    }

    /// The next value; nil at the end and at a fault.
    @inline(__always)
    package mutating func next() -> UInt64? {
        guard var position = cursor, let end, position < end, let value = readVarint(&position, end) else {
            return nil
        }
        cursor = position
        return value
    }
}
