internal import Glibc

extension JSONToWire {
    /// Reads one value of a field and writes it: with its tag, unless it is an element of a packed row.
    mutating func decodeValue(_ field: UnsafePointer<JSONField>, _ number: UInt32, depth: Int) -> Bool {
        switch field.pointee.kind {
        case .message: decodeMessage(field, number, depth: depth)
        case .string: decodeString(field, number)
        case .identifier: decodeIdentifier(field, number)
        case .bytes: decodeBase64(field, number)
        case .bool: decodeBool(field, number)
        case .double: decodeDouble(field, number)
        case .enumeration, .int32, .sint32, .uint32, .fixed32, .int64, .uint64, .fixed64, .sfixed64:
            decodeInteger(field, number)
        }
    }

    /// The content of a string with its escapes replaced; valid until the next write. Nil when an escape is invalid or
    /// there is no room.
    mutating func plainContent(of text: JSONStringToken) -> UnsafeRawBufferPointer? {
        guard text.hasEscapes else { return UnsafeRawBufferPointer(start: text.start, count: text.count) }
        let mark = writer.pointee.count
        guard let room = writer.pointee.appendUninitialized(text.count) else { return nil }
        writer.pointee.truncate(to: mark)
        var length = 0
        let problem = text.unescape { piece, count in
            memcpy(room + length, piece, count)
            length += count
        }
        if let problem {
            _ = reader.fail(problem)
            return nil
        }
        return UnsafeRawBufferPointer(start: room, count: length)
    }

    // MARK: - Strings and bytes

    private mutating func decodeString(_ field: UnsafePointer<JSONField>, _ number: UInt32) -> Bool {
        guard let text = reader.takeString() else { return false }
        guard text.hasEscapes else {
            if text.count == 0, !field.pointee.hasPresence { return true }
            writer.pointee.append(field: number, bytes: UnsafeRawBufferPointer(start: text.start, count: text.count))
            return true
        }
        let size = varintSize(UInt64(text.count))
        let start = openLength(number, size: size)
        let mark = writer.pointee.count
        guard let room = writer.pointee.appendUninitialized(text.count) else { return false }
        var length = 0
        let problem = text.unescape { piece, count in
            memcpy(room + length, piece, count)
            length += count
        }
        if let problem { return reader.fail(problem) }
        writer.pointee.truncate(to: mark + length)
        closeLength(start, size: size)
        return true
    }

    private mutating func decodeIdentifier(_ field: UnsafePointer<JSONField>, _ number: UInt32) -> Bool {
        guard let text = reader.takeString() else { return false }
        if text.count == 0 { return true }
        guard text.count % 2 == 0, !text.hasEscapes else { return reader.fail(.invalidHex) }
        writer.pointee.append(tag: number, .lengthDelimited)
        writer.pointee.append(varint: UInt64(text.count / 2))
        guard let room = writer.pointee.appendUninitialized(text.count / 2) else { return false }
        let bytes = room.assumingMemoryBound(to: UInt8.self)
        for position in 0..<text.count / 2 {
            guard let high = hexValue(text.start[position &* 2]), let low = hexValue(text.start[position &* 2 &+ 1])
            else { return reader.fail(.invalidHex) }
            bytes[position] = high << 4 | low
        }
        return true
    }

    private mutating func decodeBase64(_ field: UnsafePointer<JSONField>, _ number: UInt32) -> Bool {
        guard let text = reader.takeString() else { return false }
        if text.count == 0, !field.pointee.hasPresence { return true }
        let size = varintSize(UInt64(text.count / 4 * 3))
        let start = openLength(number, size: size)
        let mark = writer.pointee.count
        // Four digits become three bytes; the whole length is room to spare.
        guard let room = writer.pointee.appendUninitialized(text.count) else { return false }
        var decoding = Base64Decoding(target: room.assumingMemoryBound(to: UInt8.self))
        let problem = text.unescape { piece, count in
            for position in 0..<count { decoding.take(piece[position]) }
        }
        if let problem { return reader.fail(problem) }
        guard let length = decoding.finish() else { return reader.fail(.invalidBase64) }
        writer.pointee.truncate(to: mark + length)
        closeLength(start, size: size)
        return true
    }

    // MARK: - Numbers

    private mutating func decodeBool(_ field: UnsafePointer<JSONField>, _ number: UInt32) -> Bool {
        switch reader.peek() {
        case UInt8(ascii: "t"):
            guard reader.take(name: "true") else { return false }
            put(field, number, 1)
        case UInt8(ascii: "f"):
            guard reader.take(name: "false") else { return false }
            put(field, number, 0)
        default: return reader.fail(reader.cursor < reader.end ? .wrongType : .unexpectedEnd)
        }
        return true
    }

    private mutating func decodeDouble(_ field: UnsafePointer<JSONField>, _ number: UInt32) -> Bool {
        let value: Double?
        if reader.peek() == UInt8(ascii: "\"") {
            guard let text = reader.takeString() else { return false }
            if text.equals("NaN") {
                value = .nan
            } else if text.equals("Infinity") {
                value = .infinity
            } else if text.equals("-Infinity") {
                value = -.infinity
            } else {
                guard let token = numberToken(in: text) else { return false }
                value = token.double
            }
        } else {
            guard let token = bareNumber() else { return false }
            value = token.double
        }
        guard let value else { return reader.fail(.numberOutOfRange) }
        put(field, number, value.bitPattern)
        return true
    }

    private mutating func decodeInteger(_ field: UnsafePointer<JSONField>, _ number: UInt32) -> Bool {
        var token: JSONNumberToken?
        if reader.peek() == UInt8(ascii: "\"") {
            guard let text = reader.takeString() else { return false }
            if field.pointee.kind == .enumeration, let value = field.pointee.enumeration.number(named: text) {
                put(field, number, UInt64(value))
                return true
            }
            token = numberToken(in: text)
            if token == nil, field.pointee.kind == .enumeration, reader.failure == .invalidNumber {
                return reader.fail(.unknownEnumName)
            }
        } else {
            token = bareNumber()
        }
        guard let token else { return false }
        guard let value = token.integer else { return reader.fail(.numberOutOfRange) }
        guard let bits = Self.wireBits(field.pointee.kind, value.isNegative, value.magnitude) else {
            return reader.fail(.numberOutOfRange)
        }
        put(field, number, bits)
        return true
    }

    private mutating func bareNumber() -> JSONNumberToken? {
        let next = reader.peek()
        guard next == UInt8(ascii: "-") || next &- UInt8(ascii: "0") < 10 else {
            _ = reader.fail(reader.cursor < reader.end ? .wrongType : .unexpectedEnd)
            return nil
        }
        return reader.takeNumber()
    }

    /// The number that is the whole content of a string.
    private mutating func numberToken(in text: JSONStringToken) -> JSONNumberToken? {
        guard let plain = plainContent(of: text) else { return nil }
        var cursor = plain.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? text.start
        let end = cursor + plain.count
        guard let token = JSONNumberToken(&cursor, end), cursor == end else {
            _ = reader.fail(.invalidNumber)
            return nil
        }
        return token
    }

    /// What stands on the wire for an integer: the varint's or fixed value's bits. Nil when out of range.
    private static func wireBits(_ kind: JSONFieldKind, _ isNegative: Bool, _ magnitude: UInt64) -> UInt64? {
        let signed: Int64?
        if magnitude <= UInt64(Int64.max) {
            signed = isNegative ? -Int64(magnitude) : Int64(magnitude)
        } else {
            signed = isNegative && magnitude == UInt64(Int64.max) + 1 ? Int64.min : nil
        }
        switch kind {
        case .uint64, .fixed64: return isNegative && magnitude != 0 ? nil : magnitude
        case .int64, .sfixed64: return signed.map { UInt64(bitPattern: $0) }
        case .uint32, .fixed32:
            return isNegative && magnitude != 0 || magnitude > UInt64(UInt32.max) ? nil : magnitude
        default:
            guard let signed, let value = Int32(exactly: signed) else { return nil }
            return kind == .sint32
                ? UInt64(UInt32(bitPattern: value << 1 ^ value >> 31)) : UInt64(bitPattern: Int64(value))
        }
    }

    /// Writes a number, unless it is an absent field's default.
    @inline(__always)
    private mutating func put(_ field: UnsafePointer<JSONField>, _ number: UInt32, _ bits: UInt64) {
        if !field.pointee.isRepeated {
            if bits == 0, !field.pointee.hasPresence { return }
            writer.pointee.append(tag: number, field.pointee.wireType)
        }
        switch field.pointee.wireType {
        case .fixed64: writer.pointee.append(fixed64: bits)
        case .fixed32: writer.pointee.append(fixed32: UInt32(truncatingIfNeeded: bits))
        default: writer.pointee.append(varint: bits)
        }
    }
}

/// Base64 digits of either alphabet to bytes.
private struct Base64Decoding {
    let target: UnsafeMutablePointer<UInt8>
    private var length = 0
    private var bits: UInt32 = 0
    private var digits = 0
    private var padding = 0
    private var isValid = true

    init(target: UnsafeMutablePointer<UInt8>) { self.target = target }

    @inline(__always)
    mutating func take(_ digit: UInt8) {
        let sextet: UInt8
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): sextet = digit - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): sextet = digit - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): sextet = digit + 4
        case UInt8(ascii: "+"), UInt8(ascii: "-"): sextet = 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): sextet = 63
        case UInt8(ascii: "="):
            padding += 1
            return
        default:
            isValid = false
            return
        }
        if padding > 0 { isValid = false }
        bits = bits << 6 | UInt32(sextet)
        digits &+= 1
        if digits & 3 != 1 {
            // 2, 4 or 6 bits of the next byte are in already.
            let extra = UInt32(truncatingIfNeeded: digits & 3 == 2 ? 4 : digits & 3 == 3 ? 2 : 0)
            target[length] = UInt8(truncatingIfNeeded: bits >> extra)
            length += 1
        }
    }

    /// Bytes written; nil when the digits were not base64. Padding may be missing, but not be wrong.
    func finish() -> Int? {
        let isWhole = padding == 0 || (digits + padding) % 4 == 0 && padding < 3
        return isValid && digits % 4 != 1 && isWhole ? length : nil
    }
}
