extension WireToJSON {
    /// Writes the single value at `cursor` with its name, or without it as an array element, and a comma; nothing for
    /// a default. Needs `JSONTextWriter.fieldRoom`.
    @inline(__always)
    mutating func encodeValue(
        _ field: UnsafePointer<JSONField>, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        depth: Int
    ) -> Bool {
        let kind = field.pointee.kind
        switch field.pointee.wireType {
        case .lengthDelimited:
            guard let length = readVarint(&cursor, end), length <= UInt64(end - cursor) else {
                return fail(.malformedMessage)
            }
            let start = cursor
            cursor += Int(length)
            return kind == .message
                ? encodeMessage(field, start, cursor, depth: depth)
                : encodeBytes(field, start, Int(length))
        case .fixed64:
            guard end - cursor >= 8 else { return fail(.malformedMessage) }
            let bits = UInt64(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
            cursor += 8
            putNumber(field, bits)
        case .fixed32:
            guard end - cursor >= 4 else { return fail(.malformedMessage) }
            let bits = UInt32(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt32.self))
            cursor += 4
            putNumber(field, UInt64(bits))
        default:
            guard let bits = readVarint(&cursor, end) else { return fail(.malformedMessage) }
            putNumber(field, bits)
        }
        return true
    }

    /// Number fields that stand alone. Repeated numbers go through `encodeScattered`.
    @inline(__always)
    private mutating func putNumber(_ field: UnsafePointer<JSONField>, _ bits: UInt64) {
        guard bits != 0 || field.pointee.hasPresence else { return }
        text.put(field.pointee.prefix, length: field.pointee.prefixLength)
        putDigits(field.pointee.kind, bits)
        if field.pointee.isQuoted { text.put(UInt8(ascii: "\"")) }
        text.put(UInt8(ascii: ","))
    }

    /// The number alone. `bits` is the varint or the fixed value, zero-extended.
    @inline(__always)
    mutating func putDigits(_ kind: JSONFieldKind, _ bits: UInt64) {
        switch kind {
        case .fixed64, .uint64: text.put(unsigned: bits)
        case .int64, .sfixed64: text.put(signed: Int64(bitPattern: bits))
        case .uint32, .fixed32: text.put(unsigned: bits & 0xFFFF_FFFF)
        case .int32, .enumeration: text.put(signed: Int64(Int32(truncatingIfNeeded: bits)))
        case .sint32:
            let folded = UInt32(truncatingIfNeeded: bits)
            text.put(signed: Int64(Int32(bitPattern: folded >> 1) ^ -Int32(bitPattern: folded & 1)))
        case .bool: text.put(bits != 0 ? "true" : "false")
        case .double: text.put(double: Double(bitPattern: bits))
        case .string, .bytes, .identifier, .message: break
        }
    }

    @inline(__always)
    private mutating func encodeBytes(
        _ field: UnsafePointer<JSONField>, _ start: UnsafePointer<UInt8>, _ count: Int
    ) -> Bool {
        if field.pointee.isRepeated {
            text.put(UInt8(ascii: "\""))
        } else {
            if count == 0, !field.pointee.hasPresence { return true }
            text.put(field.pointee.prefix, length: field.pointee.prefixLength)
        }
        switch field.pointee.kind {
        case .identifier:
            guard text.ensure(count &* 2 &+ JSONTextWriter.fieldRoom) else { return fail(.outputLimit) }
            text.put(hex: start, count: count)
        case .bytes:
            guard text.append(base64: start, count: count), text.ensure(2) else { return fail(.outputLimit) }
        default:
            guard text.append(string: start, count: count, readableEnd: readableEnd) else {
                return fail(.outputLimit)
            }
        }
        text.put(UInt8(ascii: "\""), UInt8(ascii: ","))
        return true
    }

    @inline(__always)
    private mutating func encodeMessage(
        _ field: UnsafePointer<JSONField>, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, depth: Int
    ) -> Bool {
        if !field.pointee.isRepeated { text.put(field.pointee.prefix, length: field.pointee.prefixLength) }
        if field.pointee.message == .keyValue { return encodeKeyValue(start, end, depth: depth + 1) }
        return encode(schema[field.pointee.message], start, end, depth: depth + 1)
    }

    /// A KeyValue. The usual shape, a short key and then a value with one string or number and nothing else, is
    /// written directly; any other shape goes the general way.
    private mutating func encodeKeyValue(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, depth: Int
    ) -> Bool {
        let size = end - start
        if depth < maximumDepth, size >= 6, start[0] == 0x0A {
            let keyLength = Int(start[1])
            let key = start + 2
            var cursor = key + keyLength
            if keyLength > 0, keyLength < 0x80, keyLength &+ 6 <= size, cursor[0] == 0x12 {
                cursor += 1
                if let length = readVarint(&cursor, end), length == UInt64(end - cursor), length >= 2,
                    let result = encodePlainKeyValue(key, keyLength, cursor, end)
                {
                    return result
                }
            }
        }
        return encode(schema[.keyValue], start, end, depth: depth)
    }

    /// Nil, and nothing written, when the value is not one string or number.
    @inline(__always)
    private mutating func encodePlainKeyValue(
        _ key: UnsafePointer<UInt8>, _ keyLength: Int, _ value: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> Bool? {
        var cursor = value + 1
        switch value[0] {
        case 0x0A:
            guard let length = readVarint(&cursor, end), length == UInt64(end - cursor) else { return nil }
            guard putKey(key, keyLength) else { return fail(.outputLimit) }
            text.put("\"stringValue\":\"")
            guard text.append(string: cursor, count: Int(length), readableEnd: readableEnd) else {
                return fail(.outputLimit)
            }
            text.put("\"}},")
        case 0x18:
            guard let bits = readVarint(&cursor, end), cursor == end else { return nil }
            guard putKey(key, keyLength) else { return fail(.outputLimit) }
            text.put("\"intValue\":\"")
            text.put(signed: Int64(bitPattern: bits))
            text.put("\"}},")
        case 0x10:
            guard let bits = readVarint(&cursor, end), cursor == end else { return nil }
            guard putKey(key, keyLength) else { return fail(.outputLimit) }
            text.put(bits != 0 ? "\"boolValue\":true}}," : "\"boolValue\":false}},")
        case 0x21:
            guard end - cursor == 8 else { return nil }
            let bits = UInt64(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
            guard putKey(key, keyLength) else { return fail(.outputLimit) }
            text.put("\"doubleValue\":")
            text.put(double: Double(bitPattern: bits))
            text.put("}},")
        default: return nil
        }
        return true
    }

    /// Writes up to the opening of the value's object; leaves room for a number.
    @inline(__always)
    private mutating func putKey(_ key: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        text.put("{\"key\":\"")
        guard text.append(string: key, count: length, readableEnd: readableEnd),
            text.ensure(JSONTextWriter.fieldRoom)
        else { return false }
        text.put("\",\"value\":{")
        return true
    }
}
