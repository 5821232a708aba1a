internal import OTLP

/// What one walk over a span's top-level fields finds: about 50 ns for 450 bytes. Attributes, events and links are
/// passed over; walk them with `WireFields` where they are wanted (fields 9, 11 and 13).
///
/// The slices point into the span's bytes and are valid as long as those. A span that is malformed reads as far as it
/// goes; the receiver has checked spans before.
package struct SpanFields {
    private static var none: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// 16 and 8 bytes in valid data; any length here.
    package var traceID = none
    package var spanID = none
    /// Empty for a root span.
    package var parentSpanID = none
    /// W3C's tracestate; mostly empty.
    package var traceState = none
    package var name = none
    /// Encoded Status; empty when there is none.
    package var status = none
    /// A SpanKind number.
    package var kind: UInt64 = 0
    /// Nanoseconds since 1970; 0 when not set.
    package var startTime: UInt64 = 0
    package var endTime: UInt64 = 0

    /// - Parameters:
    ///   - payload: the encoded Span message, or its first part.
    ///   - tail: fields that were appended to it.
    package init(_ payload: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer) {
        read(payload)
        if tail.count > 0 { read(tail) }
    }

    /// The time that the span took, in nanoseconds; 0 when it ends before it starts.
    package var duration: UInt64 { endTime > startTime ? endTime &- startTime : 0 }

    /// A StatusCode number: 0 unset, 1 ok, 2 error.
    package var statusCode: UInt64 {
        guard status.count > 0 else { return 0 }
        var code: UInt64 = 0
        var walk = WireFields(status)
        while let field = walk.next() {
            if field.number == 3 { code = field.bits }
        }
        return code
    }

    @inline(__always)
    private mutating func read(_ message: UnsafeRawBufferPointer) {
        guard message.count > 0, let base = message.baseAddress else { return }
        var at = base.assumingMemoryBound(to: UInt8.self)
        let end = at + message.count
        while at < end {
            let key = at.pointee
            // Most fields: a number below 16, a length below 128.
            if key & 0x87 == 2, end - at >= 2, at[1] < 0x80 {
                let count = Int(at[1])
                let payload = at + 2
                guard count <= end - payload else { return }
                at = payload + count
                if key != 0x4A { take(key, UnsafeRawBufferPointer(start: payload, count: count)) }
                continue
            }
            guard other(&at, end) else { return }
        }
    }

    @inline(__always)
    private mutating func take(_ key: UInt8, _ payload: UnsafeRawBufferPointer) {
        switch key {
        case 0x0A: traceID = payload
        case 0x12: spanID = payload
        case 0x1A: traceState = payload
        case 0x22: parentSpanID = payload
        case 0x2A: name = payload
        case 0x7A: status = payload
        default: break
        }
    }

    /// A field of any other shape. False when it is malformed.
    @inline(__always)
    private mutating func other(_ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
        guard let key = WireFields.varint(&at, end) else { return false }
        switch key & 7 {
        case 2:
            guard let count = WireFields.varint(&at, end), count <= UInt64(end - at) else { return false }
            if key < 0x80 {
                take(UInt8(truncatingIfNeeded: key), UnsafeRawBufferPointer(start: at, count: Int(count)))
            }
            at += Int(count)
        case 1:
            guard end - at >= 8 else { return false }
            let value = UInt64(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt64.self))
            if key == 0x39 { startTime = value } else if key == 0x41 { endTime = value }
            at += 8
        case 0:
            guard let value = WireFields.varint(&at, end) else { return false }
            if key == 0x30 { kind = value }
        case 5:
            guard end - at >= 4 else { return false }
            at += 4
        default:
            return false
        }
        return true
    }
}
