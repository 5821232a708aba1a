internal import Glibc

/// The content of a string in a JSON text: UTF-8, escapes not yet replaced nor checked.
struct JSONStringToken {
    var start: UnsafePointer<UInt8>
    var count: Int
    var hasEscapes: Bool

    /// Whether the content is exactly `text`; false with escapes.
    func equals(_ text: StaticString) -> Bool {
        !hasEscapes && count == text.utf8CodeUnitCount && memcmp(start, text.utf8Start, count) == 0
    }

    /// Gives the unescaped content piece by piece to `receive`, never more bytes in all than `count`. Pieces are valid
    /// during the call only.
    ///
    /// - Returns: nil, or what is wrong with an escape.
    @inline(__always)
    func unescape(_ receive: (UnsafePointer<UInt8>, Int) -> Void) -> OTLPJSONError.Reason? {
        var cursor = start
        let end = start + count
        while cursor < end {
            guard let found = memchr(cursor, 0x5C, end - cursor) else {
                receive(cursor, end - cursor)
                break
            }
            let backslash = UnsafePointer(found.assumingMemoryBound(to: UInt8.self))
            if backslash > cursor { receive(cursor, backslash - cursor) }
            cursor = backslash + 1
            guard cursor < end else { return .invalidString }
            let letter = cursor.pointee
            cursor += 1
            if letter == UInt8(ascii: "u") {
                var scalar: UInt32 = 0
                if let problem = Self.scalar(&cursor, end, &scalar) { return problem }
                Self.emit(scalar, receive)
            } else {
                guard var byte = Self.simpleEscape(letter) else { return .invalidString }
                receive(&byte, 1)
            }
        }
        return nil
    }

    private static func simpleEscape(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): letter
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// Reads what follows `\u`, with the second half of a surrogate pair.
    private static func scalar(
        _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ scalar: inout UInt32
    ) -> OTLPJSONError.Reason? {
        guard let unit = hexUnit(&cursor, end) else { return .invalidString }
        scalar = unit
        guard unit >= 0xD800, unit < 0xE000 else { return nil }
        guard unit < 0xDC00, end - cursor >= 6, cursor[0] == 0x5C, cursor[1] == UInt8(ascii: "u") else {
            return .loneSurrogate
        }
        cursor += 2
        guard let low = hexUnit(&cursor, end) else { return .invalidString }
        guard low >= 0xDC00, low < 0xE000 else { return .loneSurrogate }
        scalar = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        return nil
    }

    private static func hexUnit(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UInt32? {
        guard end - cursor >= 4 else { return nil }
        var unit: UInt32 = 0
        for position in 0..<4 {
            guard let digit = hexValue(cursor[position]) else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        cursor += 4
        return unit
    }

    @inline(__always)
    private static func emit(_ scalar: UInt32, _ receive: (UnsafePointer<UInt8>, Int) -> Void) {
        var bytes: (UInt8, UInt8, UInt8, UInt8)
        let tail = { (shift: UInt32) in UInt8(truncatingIfNeeded: scalar >> shift) & 0x3F | 0x80 }
        let count: Int
        switch scalar {
        case 0..<0x80:
            bytes = (UInt8(truncatingIfNeeded: scalar), 0, 0, 0)
            count = 1
        case 0x80..<0x800:
            bytes = (0xC0 | UInt8(truncatingIfNeeded: scalar >> 6), tail(0), 0, 0)
            count = 2
        case 0x800..<0x10000:
            bytes = (0xE0 | UInt8(truncatingIfNeeded: scalar >> 12), tail(6), tail(0), 0)
            count = 3
        default:
            bytes = (0xF0 | UInt8(truncatingIfNeeded: scalar >> 18), tail(12), tail(6), tail(0))
            count = 4
        }
        withUnsafeBytes(of: &bytes) { raw in
            if let base = raw.baseAddress { receive(base.assumingMemoryBound(to: UInt8.self), count) }
        }
    }
}

/// The value of a hex digit of either case.
@inline(__always)
func hexValue(_ digit: UInt8) -> UInt8? {
    let number = digit &- UInt8(ascii: "0")
    if number < 10 { return number }
    let letter = (digit | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter + 10 : nil
}
