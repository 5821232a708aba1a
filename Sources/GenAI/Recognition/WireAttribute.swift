internal import OTLP

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
