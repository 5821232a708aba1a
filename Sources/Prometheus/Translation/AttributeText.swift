internal import Glibc
internal import OTLP

/// Attribute values as label values: strings as they are, numbers decimal, arrays and maps as JSON, bytes in base64.
enum AttributeText {
    /// Deepest nesting of arrays and maps that is followed; deeper values read as null.
    private static let maximumDepth = 64

    /// The text of an encoded AnyValue, in the request or in `store`. Nil when it is malformed.
    static func text(_ value: FieldCursor, _ store: inout ByteStore) -> TextSlice? {
        var cursor = value
        guard !cursor.isAtEnd else { return .empty }
        guard let tag = cursor.varint() else { return nil }
        switch tag {
        case 0x0A: return cursor.payload().map { TextSlice($0) }
        case 0x10: return cursor.varint().map { TextSlice($0 != 0 ? "true" : "false") }
        case 0x18: return cursor.varint().map { NumberText.integer(Int64(bitPattern: $0), &store) }
        case 0x21: return cursor.fixed64().map { NumberText.value(Double(bitPattern: $0), &store) }
        case 0x2A, 0x32, 0x3A:
            var writer = WireWriter()
            if tag == 0x3A {
                guard let payload = cursor.payload() else { return nil }
                base64(payload.rest, &writer)
            } else {
                guard json(value, 0, &writer) else { return nil }
            }
            return writer.overflowed ? nil : kept(writer.bytes, &store)
        default: return .empty
        }
    }

    private static func kept(_ bytes: UnsafeRawBufferPointer, _ store: inout ByteStore) -> TextSlice {
        TextSlice(store.copy(bytes), bytes.count)
    }

    /// Writes an AnyValue as JSON. False when it is malformed.
    private static func json(_ value: FieldCursor, _ depth: Int, _ writer: inout WireWriter) -> Bool {
        var cursor = value
        guard depth < maximumDepth, let tag = cursor.varint() else {
            writer.append("null")
            return true
        }
        switch tag {
        case 0x0A, 0x3A:
            guard let payload = cursor.payload() else { return false }
            writer.append(byte: UInt8(ascii: "\""))
            if tag == 0x0A { escaped(payload.rest, &writer) } else { base64(payload.rest, &writer) }
            writer.append(byte: UInt8(ascii: "\""))
        case 0x10:
            guard let flag = cursor.varint() else { return false }
            writer.append(flag != 0 ? "true" : "false" as StaticString)
        case 0x18, 0x21:
            var store = ByteStore()
            guard let bits = tag == 0x18 ? cursor.varint() : cursor.fixed64() else { return false }
            let isNumber = tag == 0x18 || Double(bitPattern: bits).isFinite
            let text =
                tag == 0x18
                ? NumberText.integer(Int64(bitPattern: bits), &store)
                : NumberText.value(Double(bitPattern: bits), &store)
            if !isNumber { writer.append(byte: UInt8(ascii: "\"")) }
            writer.append(text.bytes)
            if !isNumber { writer.append(byte: UInt8(ascii: "\"")) }
        case 0x2A, 0x32:
            guard let payload = cursor.payload() else { return false }
            return list(payload, isMap: tag == 0x32, depth, &writer)
        default:
            writer.append("null")
        }
        return true
    }

    /// The elements of an ArrayValue or KeyValueList.
    private static func list(_ list: FieldCursor, isMap: Bool, _ depth: Int, _ writer: inout WireWriter) -> Bool {
        var cursor = list
        var isFirst = true
        writer.append(byte: UInt8(ascii: isMap ? "{" : "["))
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return false }
            guard tag == 0x0A else {
                cursor.skipField(tag)
                continue
            }
            guard let element = cursor.payload() else { return false }
            if !isFirst { writer.append(byte: UInt8(ascii: ",")) }
            isFirst = false
            if isMap {
                guard let pair = KeyAndValue(element) else { return false }
                writer.append(byte: UInt8(ascii: "\""))
                escaped(pair.key.rest, &writer)
                writer.append("\":")
                guard json(pair.value, depth + 1, &writer) else { return false }
            } else {
                guard json(element, depth + 1, &writer) else { return false }
            }
        }
        writer.append(byte: UInt8(ascii: isMap ? "}" : "]"))
        return true
    }

    private static func escaped(_ text: UnsafeRawBufferPointer, _ writer: inout WireWriter) {
        let digits: StaticString = "0123456789abcdef"
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""): writer.append("\\\"")
            case UInt8(ascii: "\\"): writer.append("\\\\")
            case 0x0A: writer.append("\\n")
            case 0x0D: writer.append("\\r")
            case 0x09: writer.append("\\t")
            case 0..<0x20:
                writer.append("\\u00")
                writer.append(byte: digits.utf8Start[Int(byte >> 4)])
                writer.append(byte: digits.utf8Start[Int(byte & 15)])
            default: writer.append(byte: byte)
            }
        }
    }

    private static func base64(_ bytes: UnsafeRawBufferPointer, _ writer: inout WireWriter) {
        let letters: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let second = left > 1 ? bytes[index + 1] : 0
            let third = left > 2 ? bytes[index + 2] : 0
            let bits = UInt32(bytes[index]) << 16 | UInt32(second) << 8 | UInt32(third)
            for position in 0..<4 {
                let letter = letters.utf8Start[Int(bits >> UInt32(18 - 6 * position)) & 63]
                writer.append(byte: position > left ? UInt8(ascii: "=") : letter)
            }
            index += 3
        }
    }
}

/// A KeyValue taken apart; a missing value is empty.
struct KeyAndValue {
    var key: FieldCursor
    var value: FieldCursor

    /// Nil when the message is malformed.
    init?(_ message: FieldCursor) {
        var cursor = message
        key = FieldCursor(message.at, message.at)
        value = key
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return nil }
            switch tag {
            case 0x0A:
                guard let payload = cursor.payload() else { return nil }
                key = payload
            case 0x12:
                guard let payload = cursor.payload() else { return nil }
                value = payload
            default: cursor.skipField(tag)
            }
        }
    }
}
