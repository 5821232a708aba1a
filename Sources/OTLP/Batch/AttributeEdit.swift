/// A value to write as an attribute.
package enum AttributeContent {
    /// UTF-8, which the caller vouches for; read during the call only.
    case text(UnsafeRawBufferPointer)
    case bool(Bool)
    case int(Int64)
    case double(Double)
}

extension WireWriter {
    /// Appends a `KeyValue` as field `field`. `key` is UTF-8, which the caller vouches for.
    package mutating func append(field: UInt32, key: UnsafeRawBufferPointer, _ value: AttributeContent) {
        let valueSize: Int
        switch value {
        case .text(let text): valueSize = 1 + varintSize(UInt64(text.count)) + text.count
        case .bool: valueSize = 2
        case .int(let number): valueSize = 1 + varintSize(UInt64(bitPattern: number))
        case .double: valueSize = 9
        }
        let size =
            1 + varintSize(UInt64(key.count)) + key.count + 1 + varintSize(UInt64(valueSize)) + valueSize
        guard reserve(size + 15) else { return }
        append(tag: field, .lengthDelimited)
        append(varint: UInt64(size))
        append(field: 1, bytes: key)
        append(tag: 2, .lengthDelimited)
        append(varint: UInt64(valueSize))
        switch value {
        case .text(let text):
            append(field: 1, bytes: text)
        case .bool(let flag):
            append(tag: 2, .varint)
            append(varint: flag ? 1 : 0)
        case .int(let number):
            append(tag: 3, .varint)
            append(varint: UInt64(bitPattern: number))
        case .double(let number):
            append(tag: 4, .fixed64)
            append(fixed64: number.bitPattern)
        }
    }
}

extension TelemetryBatch {
    /// Number of the attributes field of an item; nil for metrics, whose attributes belong to their data points.
    package var attributesField: UInt32? {
        switch signal {
        case .traces: 9
        case .logs: 6
        case .metrics: nil
        }
    }

    /// Appends an attribute to an item, without a look at those it has: the item is not rewritten.
    ///
    /// - Returns: false when there is no such item, the signal's items have no attributes, or the batch cannot grow.
    @discardableResult
    package func appendAttribute(
        _ key: UnsafeRawBufferPointer, _ value: AttributeContent, toItem index: Int
    ) -> Bool {
        guard let field = attributesField else { return false }
        var writer = WireWriter(capacity: 64)
        writer.append(field: field, key: key, value)
        return !writer.overflowed && append(writer.bytes, toItem: index)
    }

    /// Gives an item's attribute a value: replaces what it has under that key, wherever it stands, or appends.
    ///
    /// - Returns: false as `appendAttribute` does; the item is then unchanged.
    @discardableResult
    package func setAttribute(_ key: UnsafeRawBufferPointer, _ value: AttributeContent, ofItem index: Int) -> Bool {
        rewriteAttributes(ofItem: index, except: { $0.elementsEqual(key) }, adding: (key, value))
    }

    /// Removes the attributes of an item whose keys `matches` names. Every other field stays as it is, in its order.
    ///
    /// - Returns: false when there is no such item, its items have no attributes, or the batch cannot grow.
    @discardableResult
    package func removeAttributes(
        ofItem index: Int, where matches: (_ key: UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        rewriteAttributes(ofItem: index, except: matches, adding: nil)
    }

    private func rewriteAttributes(
        ofItem index: Int, except matches: (UnsafeRawBufferPointer) -> Bool,
        adding new: (key: UnsafeRawBufferPointer, value: AttributeContent)?
    ) -> Bool {
        guard let field = attributesField, items.indices.contains(index) else { return false }
        let item = items[index]
        var writer = WireWriter(capacity: item.size + 64)
        var removed = false
        for part in [payload(of: item), tail(of: item)] {
            forEachField(of: part) { number, whole, value in
                if number == field, let key = attributeKey(value), matches(key) {
                    removed = true
                } else {
                    writer.append(whole)
                }
            }
        }
        if let new {
            guard removed else { return appendAttribute(new.key, new.value, toItem: index) }
            writer.append(field: field, key: new.key, new.value)
        } else if !removed {
            return true
        }
        return !writer.overflowed && replaceItem(index, with: writer.bytes)
    }

    /// The key of an encoded `KeyValue`; nil when it has none. The last one counts, as protobuf has it.
    private func attributeKey(_ attribute: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var key: UnsafeRawBufferPointer?
        forEachField(of: attribute) { number, _, value in
            if number == 1 { key = value }
        }
        return key
    }

    /// Calls `body` with each field of a scanned message: its number, the whole field, and its value (of
    /// length-delimited fields the payload).
    private func forEachField(
        of message: UnsafeRawBufferPointer,
        _ body: (_ number: UInt32, _ whole: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        guard let start = message.bindMemory(to: UInt8.self).baseAddress else { return }
        let end = start + message.count
        var cursor = start
        while cursor < end {
            let fieldStart = cursor
            guard let key = readVarint(&cursor, end) else { return }
            var valueStart = cursor
            if key & 7 == 2 {
                guard let length = readVarint(&cursor, end), length <= UInt64(end - cursor) else { return }
                valueStart = cursor
                cursor += Int(length)
            } else if !skipValue(key & 7, &cursor, end) {
                return
            }
            body(
                UInt32(truncatingIfNeeded: key >> 3),
                UnsafeRawBufferPointer(start: fieldStart, count: cursor - fieldStart),
                UnsafeRawBufferPointer(start: valueStart, count: cursor - valueStart))
        }
    }
}
