internal import Glibc
internal import OTLP

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
                guard let payload = fields.bytes() else { return nil }
                key = payload
            } else if tag == 0x12 {
                guard let payload = fields.bytes() else { return nil }
                value = payload
            } else if !fields.skip(tag & 7) {
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
                guard let text = fields.bytes() else { return }
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
                if !fields.skip(tag & 7) { return }
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
