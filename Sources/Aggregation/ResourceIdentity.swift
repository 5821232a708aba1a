internal import OTLP

/// What a Resource message is known by, and what is written of it.
struct ResourceIdentity {
    /// The attributes that tell it from others, in the order of their names.
    let key: [UInt8]
    /// All attributes, as fields of number 1.
    let fields: [UInt8]

    /// - Parameter keys: names of the attributes that count; empty for all.
    init(_ message: UnsafeRawBufferPointer, keys: [String]) {
        var attributes: [(name: UnsafeRawBufferPointer, whole: UnsafeRawBufferPointer)] = []
        var fields: [UInt8] = []
        var walk = WireFields(message)
        while let field = walk.next() {
            guard field.number == 1 else { continue }
            fields += field.whole
            let name = WireFields.payload(of: 1, in: field.payload)
            attributes.append((name, field.whole))
        }
        if !keys.isEmpty {
            attributes = attributes.filter { attribute in
                keys.contains { $0.utf8.elementsEqual(attribute.name) }
            }
        }
        attributes.sort {
            $0.name.elementsEqual($1.name)
                ? $0.whole.lexicographicallyPrecedes($1.whole) : $0.name.lexicographicallyPrecedes($1.name)
        }
        key = attributes.flatMap { Array($0.whole) }
        self.fields = fields
    }
}
