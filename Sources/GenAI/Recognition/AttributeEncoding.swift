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
