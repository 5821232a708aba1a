package import OTLP

extension AttributeContent {
    /// A constant text.
    package static func literal(_ text: StaticString) -> AttributeContent {
        .text(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}

extension WireWriter {
    /// Field number of attributes in Span.
    package static var spanAttributes: UInt32 { 9 }

    /// Appends a KeyValue with a constant key to the span that is being written: by protobuf concatenation, an
    /// attribute more of the span when the writer's bytes go to its tail. Texts must be UTF-8.
    package mutating func append(attribute key: StaticString, _ content: AttributeContent) {
        append(
            field: Self.spanAttributes,
            key: UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount), content)
    }

    /// Appends a KeyValue with an array of texts, which `texts` gives one by one; it is called twice and must give the
    /// same texts both times.
    package mutating func append(
        attribute key: UnsafeRawBufferPointer, field: UInt32 = WireWriter.spanAttributes,
        texts: ((UnsafeRawBufferPointer) -> Void) -> Void
    ) {
        var size = 0
        texts { text in
            let value = 1 + varintSize(UInt64(text.count)) + text.count
            size += 1 + varintSize(UInt64(value)) + value
        }
        beginAttribute(key, valueSize: 1 + varintSize(UInt64(size)) + size, field: field)
        append(tag: 5, .lengthDelimited)
        append(varint: UInt64(size))
        withUnsafeMutablePointer(to: &self) { writer in
            texts { text in
                writer.pointee.append(tag: 1, .lengthDelimited)
                writer.pointee.append(varint: UInt64(1 + varintSize(UInt64(text.count)) + text.count))
                writer.pointee.append(field: 1, bytes: text)
            }
        }
    }

    /// Appends an attribute of a span whose key is encoded already, up to the tag of its value. Texts must be UTF-8.
    /// The encoded key has at most `GenAIMapping.longestWrittenName` bytes and 3 more.
    mutating func append(encodedKey key: UnsafeRawBufferPointer, _ content: AttributeContent) {
        if case .text(let text) = content { return append(encodedKey: key, text: text) }
        guard let value = appendShort(encodedKey: key, maximumValue: 11) else { return }
        let count: Int
        switch content {
        case .text: count = 0
        case .bool(let flag):
            value.storeBytes(of: flag ? 0x0110 : 0x0010, as: UInt16.self)
            count = 2
        case .int(let number):
            value.storeBytes(of: 0x18, as: UInt8.self)
            var rest = UInt64(bitPattern: number)
            var size = 1
            while rest >= 0x80 {
                value.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: size, as: UInt8.self)
                rest >>= 7
                size += 1
            }
            value.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: size, as: UInt8.self)
            count = size + 1
        case .double(let number):
            value.storeBytes(of: 0x21, as: UInt8.self)
            value.storeBytes(of: number.bitPattern.littleEndian, toByteOffset: 1, as: UInt64.self)
            count = 9
        }
        finishShort(value, key.count, count, maximumValue: 11)
    }

    /// The same for a text.
    mutating func append(encodedKey key: UnsafeRawBufferPointer, text: UnsafeRawBufferPointer) {
        let size = text.count
        if size <= 64, let value = appendShort(encodedKey: key, maximumValue: 66) {
            value.storeBytes(of: 0x0A, as: UInt8.self)
            value.storeBytes(of: UInt8(truncatingIfNeeded: size), toByteOffset: 1, as: UInt8.self)
            if let from = text.baseAddress { (value + 2).copyMemory(from: from, byteCount: size) }
            return finishShort(value, key.count, size + 2, maximumValue: 66)
        }
        let valueSize = 1 + varintSize(UInt64(size)) + size
        append(tag: Self.spanAttributes, .lengthDelimited)
        append(varint: UInt64(key.count + varintSize(UInt64(valueSize)) + valueSize))
        append(key)
        append(varint: UInt64(valueSize))
        append(field: 1, bytes: text)
    }

    /// The same for an array of one text. False, and nothing is written, when the text or the key is long.
    mutating func append(encodedKey key: UnsafeRawBufferPointer, list text: UnsafeRawBufferPointer) -> Bool {
        let size = text.count
        guard size <= 32, let value = appendShort(encodedKey: key, maximumValue: 38) else { return false }
        // AnyValue.array_value, ArrayValue.values, AnyValue.string_value, each with its length.
        value.storeBytes(of: 0x2A, as: UInt8.self)
        value.storeBytes(of: UInt8(truncatingIfNeeded: size + 4), toByteOffset: 1, as: UInt8.self)
        value.storeBytes(of: 0x0A, toByteOffset: 2, as: UInt8.self)
        value.storeBytes(of: UInt8(truncatingIfNeeded: size + 2), toByteOffset: 3, as: UInt8.self)
        value.storeBytes(of: 0x0A, toByteOffset: 4, as: UInt8.self)
        value.storeBytes(of: UInt8(truncatingIfNeeded: size), toByteOffset: 5, as: UInt8.self)
        if let from = text.baseAddress { (value + 6).copyMemory(from: from, byteCount: size) }
        finishShort(value, key.count, size + 6, maximumValue: 38)
        return true
    }

    /// Room for an attribute whose value has less than 128 bytes, with its key: where the value's content goes. Its
    /// lengths, of a byte each, are set by `finishShort`. Nil, and nothing is written, for a key that is too long.
    @inline(__always)
    private mutating func appendShort(
        encodedKey key: UnsafeRawBufferPointer, maximumValue: Int
    ) -> UnsafeMutableRawPointer? {
        guard key.count + 1 + maximumValue < 128, let from = key.baseAddress,
            let start = appendUninitialized(3 + key.count + maximumValue)
        else { return nil }
        start.storeBytes(of: 0x4A, as: UInt8.self)
        (start + 2).copyMemory(from: from, byteCount: key.count)
        return start + (3 + key.count)
    }

    @inline(__always)
    private mutating func finishShort(
        _ value: UnsafeMutableRawPointer, _ keySize: Int, _ size: Int, maximumValue: Int
    ) {
        value.storeBytes(of: UInt8(truncatingIfNeeded: size), toByteOffset: -1, as: UInt8.self)
        value.storeBytes(
            of: UInt8(truncatingIfNeeded: keySize + 1 + size), toByteOffset: -2 - keySize, as: UInt8.self)
        truncate(to: count - (maximumValue - size))
    }

    /// Everything before the content of the AnyValue, which takes `valueSize` bytes.
    private mutating func beginAttribute(_ key: UnsafeRawBufferPointer, valueSize: Int, field: UInt32) {
        let keySize = 1 + varintSize(UInt64(key.count)) + key.count
        append(tag: field, .lengthDelimited)
        append(varint: UInt64(keySize + 1 + varintSize(UInt64(valueSize)) + valueSize))
        append(field: 1, bytes: key)
        append(tag: 2, .lengthDelimited)
        append(varint: UInt64(valueSize))
    }
}
