/// The keys of the attributes in encoded fields of a span. Holds a slice of them; valid as long as they are.
package struct AttributeKeys {
    private let fields: UnsafeRawBufferPointer

    /// - Parameter fields: fields of a Span message; those that are no attributes are passed over.
    package init(of fields: UnsafeRawBufferPointer) { self.fields = fields }

    /// Whether some attribute has this key. Linear in the fields.
    package func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        guard var cursor = WireCursor(fields) else { return false }
        while let tag = cursor.varint() {
            guard tag == 0x4A, let message = cursor.payload() else {
                cursor.skipField(tag)
                continue
            }
            guard let attribute = WireAttribute(message) else { continue }
            if sameBytes(UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount), key) { return true }
        }
        return false
    }

    /// The same for a constant key.
    package func contains(_ key: StaticString) -> Bool {
        contains(UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
    }

    /// Whether a key names a cost that Martlet might add.
    package static func isCost(_ key: UnsafeRawBufferPointer) -> Bool {
        let names = [
            AddedAttribute.cost, AddedAttribute.inputCost, AddedAttribute.outputCost, AddedAttribute.cacheReadCost,
            AddedAttribute.cacheWriteCost, AddedAttribute.currency, AddedAttribute.source, AddedAttribute.priceVersion,
        ]
        return names.contains { name in
            sameBytes(key, UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
    }
}
