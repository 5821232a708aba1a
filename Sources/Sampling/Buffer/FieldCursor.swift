internal import Glibc

/// A walk over the fields of one encoded message that somebody else owns. Every read is checked against the end; a
/// malformed field ends the walk. The bytes were scanned when they came in, but memory safety does not rest on that.
struct FieldCursor {
    typealias Address = UnsafePointer<UInt8>

    private(set) var at: Address
    let end: Address

    @inline(__always)
    init(_ at: Address, _ end: Address) {
        self.at = at
        self.end = end
    }

    /// Nil for an empty message.
    @inline(__always)
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, let base = bytes.baseAddress else { return nil }
        at = base.assumingMemoryBound(to: UInt8.self)
        end = at + bytes.count
    }

    /// The next key: field number and wire type; nil at the end.
    @inline(__always)
    mutating func key() -> UInt64? { at < end ? varint() : nil }

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

    @inline(__always)
    mutating func fixed32() -> UInt32? {
        guard end - at >= 4 else { return nil }
        defer { at += 4 }
        return UInt32(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt32.self))
    }

    /// The payload of a length-delimited field, which is then behind the cursor.
    @inline(__always)
    mutating func payload() -> UnsafeRawBufferPointer? {
        guard let length = varint(), length <= UInt64(end - at) else { return nil }
        let start = at
        at += Int(length)
        return UnsafeRawBufferPointer(start: start, count: Int(length))
    }

    /// Moves over the value that belongs to `key`. False at malformed bytes.
    @inline(__always)
    mutating func skip(_ key: UInt64) -> Bool {
        switch key & 7 {
        case 2: return payload() != nil
        case 0: return varint() != nil
        case 1: return fixed64() != nil
        case 5: return fixed32() != nil
        default: return false
        }
    }
}

/// A KeyValue taken apart.
struct KeyValue {
    let key: UnsafeRawBufferPointer
    /// The encoded AnyValue; empty when there is none.
    let value: UnsafeRawBufferPointer

    /// Nil when the message is malformed. The last of repeated fields counts, as protobuf has it.
    @inline(__always)
    init?(_ message: UnsafeRawBufferPointer) {
        guard var fields = FieldCursor(message) else { return nil }
        var key = UnsafeRawBufferPointer(start: nil, count: 0)
        var value = key
        while let tag = fields.key() {
            if tag == 0x0A {
                guard let payload = fields.payload() else { return nil }
                key = payload
            } else if tag == 0x12 {
                guard let payload = fields.payload() else { return nil }
                value = payload
            } else if !fields.skip(tag) {
                return nil
            }
        }
        self.key = key
        self.value = value
    }
}

/// What an AnyValue holds, as far as policies look at it.
enum ScalarValue {
    case text(UnsafeRawBufferPointer)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    /// Empty, an array, a map, or bytes.
    case other

    init(_ value: UnsafeRawBufferPointer) {
        self = .other
        guard var fields = FieldCursor(value) else { return }
        while let tag = fields.key() {
            switch tag {
            case 0x0A:
                guard let text = fields.payload() else { return }
                self = .text(text)
            case 0x10:
                guard let flag = fields.varint() else { return }
                self = .bool(flag != 0)
            case 0x18:
                guard let number = fields.varint() else { return }
                self = .int(Int64(bitPattern: number))
            case 0x21:
                guard let bits = fields.fixed64() else { return }
                self = .double(Double(bitPattern: bits))
            default:
                if !fields.skip(tag) { return }
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are those of `other`.
    @inline(__always)
    func isEqual(to other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        return other.withUnsafeBytes { sameBytes(self, $0) }
    }
}

/// Whether two slices of the same length hold the same bytes.
@inline(__always)
func sameBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard left.count > 0, let a = left.baseAddress, let b = right.baseAddress else { return true }
    return memcmp(a, b, left.count) == 0
}
