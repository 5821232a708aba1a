internal import Glibc

/// One AnyValue, not decoded further than asked for. Its slice is valid as long as the span's bytes.
package struct AttributeValue {
    /// Which member of AnyValue's oneof is set.
    package enum Form: UInt8, Sendable {
        case absent, text, bool, int, double, array, list, bytes
    }

    package let form: Form
    /// The bits of a bool, an int or a double.
    let bits: UInt64
    /// The content of a text, of bytes, or of an ArrayValue or KeyValueList message.
    package let content: UnsafeRawBufferPointer

    init() {
        form = .absent
        bits = 0
        content = UnsafeRawBufferPointer.nothing
    }

    /// Text that stands somewhere else than in an AnyValue, such as a JSON token.
    @inline(__always)
    init(text: UnsafeRawBufferPointer) {
        form = .text
        bits = 0
        content = text
    }

    /// Reads an AnyValue message. Of several members the last counts, as protobuf has it.
    @inline(__always)
    init(_ message: WireCursor) {
        // Mostly a text of less than 128 bytes.
        let size = message.end - message.at
        if size >= 2, message.at[0] == 0x0A, Int(message.at[1]) &+ 2 == size, message.at[1] < 0x80 {
            self.init(text: UnsafeRawBufferPointer(start: message.at + 2, count: size &- 2))
            return
        }
        self.init(anyShape: message)
    }

    private init(anyShape message: WireCursor) {
        var cursor = message
        var form = Form.absent
        var bits: UInt64 = 0
        var content = UnsafeRawBufferPointer.nothing
        while let tag = cursor.varint() {
            switch tag {
            case 0x0A, 0x2A, 0x32, 0x3A:
                guard let payload = cursor.payload() else { break }
                content = payload.rest
                form = tag == 0x0A ? .text : tag == 0x2A ? .array : tag == 0x32 ? .list : .bytes
                continue
            case 0x10, 0x18:
                guard let value = cursor.varint() else { break }
                bits = value
                form = tag == 0x10 ? .bool : .int
                continue
            case 0x21:
                guard let value = cursor.fixed64() else { break }
                bits = value
                form = .double
                continue
            default:
                cursor.skipField(tag)
                continue
            }
            cursor.at = cursor.end
        }
        self.form = form
        self.bits = bits
        self.content = content
    }

    /// A number of things: an int, an integral double or a numeric text, in 0...`TokenUsage.maximumCount`. Nil for
    /// anything else: negative, fractional, NaN, a bool, text that is no number.
    package var count: Int64? {
        let value: Int64
        switch form {
        case .int: value = Int64(bitPattern: bits)
        case .double:
            guard let integral = Self.integral(Double(bitPattern: bits)) else { return nil }
            value = integral
        case .text:
            guard let parsed = Self.count(of: content) else { return nil }
            value = parsed
        default: return nil
        }
        return value >= 0 && value <= TokenUsage.maximumCount ? value : nil
    }

    /// A finite number: a double, an int or a numeric text. Nil for anything else.
    package var number: Double? {
        switch form {
        case .int: return Double(Int64(bitPattern: bits))
        case .double:
            let value = Double(bitPattern: bits)
            return value.isFinite ? value : nil
        case .text: return Self.number(of: content)
        default: return nil
        }
    }

    /// A bool, or the text `true` or `false` in any case.
    package var flag: Bool? {
        switch form {
        case .bool: return bits != 0
        case .text:
            if content.count == 4, equalsFolded(content, "true") { return true }
            if content.count == 5, equalsFolded(content, "false") { return false }
            return nil
        default: return nil
        }
    }

    private static func integral(_ value: Double) -> Int64? {
        guard value >= 0, value <= Double(TokenUsage.maximumCount), value.rounded(.towardZero) == value else {
            return nil
        }
        return Int64(value)
    }

    /// Digits; `12.0` and `1.2e1` by way of a double.
    private static func count(of text: UnsafeRawBufferPointer) -> Int64? {
        guard text.count > 0, text.count <= longestNumber else { return nil }
        var value: Int64 = 0
        for byte in text {
            guard byte >= 0x30, byte <= 0x39 else { return number(of: text).flatMap(integral) }
            guard value <= TokenUsage.maximumCount else { return nil }
            value = value &* 10 &+ Int64(byte &- 0x30)
        }
        return value
    }

    /// Bytes of the longest text that is taken for a number.
    private static let longestNumber = 40

    private static func number(of text: UnsafeRawBufferPointer) -> Double? {
        guard text.count > 0, text.count <= longestNumber else { return nil }
        for byte in text {
            switch byte {
            case 0x30...0x39, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                continue
            default: return nil
            }
        }
        // Rare: costs and scores that came as text.
        guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else { return nil }
        return value
    }
}

/// Whether `text` is `word` when ASCII letters are compared in lower case. `word` is in lower case.
func equalsFolded(_ text: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
    guard text.count == word.utf8CodeUnitCount else { return false }
    for position in 0..<text.count where foldASCII(text[position]) != word.utf8Start[position] { return false }
    return true
}

@inline(__always)
func foldASCII(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

/// Without a pair of quotes around it, if there is one.
@inline(__always)
func unquoted(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard text.count >= 2, text[0] == UInt8(ascii: "\""), text[text.count - 1] == UInt8(ascii: "\"") else {
        return text
    }
    return UnsafeRawBufferPointer(rebasing: text[1..<(text.count - 1)])
}

@inline(__always)
func sameBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let first = left.baseAddress, let second = right.baseAddress else { return true }
    return memcmp(first, second, left.count) == 0
}

/// Where `byte` stands first.
@inline(__always)
func position(of byte: UInt8, in text: UnsafeRawBufferPointer) -> Int? {
    guard text.count > 0, let base = text.baseAddress, let found = memchr(base, Int32(byte), text.count) else {
        return nil
    }
    return UnsafeRawPointer(found) - base
}
