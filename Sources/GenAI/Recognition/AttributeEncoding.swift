internal import OTLP

/// What an attribute is written with. Slices are read at once and not kept.
package enum AttributeContent {
    case text(UnsafeRawBufferPointer)
    case literal(StaticString)
    case int(Int64)
    case double(Double)
    case bool(Bool)
}

extension WireWriter {
    /// Field number of attributes in Span.
    package static var spanAttributes: UInt32 { 9 }

    /// Appends a KeyValue as field `field` of the message that is being written: by protobuf concatenation, an
    /// attribute more of the span when the writer's bytes go to its tail. Keys and texts must be UTF-8.
    package mutating func append(
        attribute key: UnsafeRawBufferPointer, _ content: AttributeContent, field: UInt32 = WireWriter.spanAttributes
    ) {
        let size: Int
        switch content {
        case .text(let text): size = 1 + varintSize(UInt64(text.count)) + text.count
        case .literal(let text): size = 1 + varintSize(UInt64(text.utf8CodeUnitCount)) + text.utf8CodeUnitCount
        case .int(let value): size = 1 + varintSize(UInt64(bitPattern: value))
        case .double: size = 9
        case .bool: size = 2
        }
        beginAttribute(key, valueSize: size, field: field)
        switch content {
        case .text(let text): append(field: 1, bytes: text)
        case .literal(let text):
            append(field: 1, bytes: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        case .int(let value):
            append(tag: 3, .varint)
            append(varint: UInt64(bitPattern: value))
        case .double(let value):
            append(tag: 4, .fixed64)
            append(fixed64: value.bitPattern)
        case .bool(let value):
            append(tag: 2, .varint)
            append(byte: value ? 1 : 0)
        }
    }

    /// Appends a KeyValue with a constant key.
    package mutating func append(
        attribute key: StaticString, _ content: AttributeContent, field: UInt32 = WireWriter.spanAttributes
    ) {
        append(
            attribute: UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount), content,
            field: field)
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
