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

    /// The same for a text. An empty one is no key.
    package func contains(_ key: String) -> Bool {
        !key.isEmpty && Array(key.utf8).withUnsafeBytes { contains($0) }
    }
}
