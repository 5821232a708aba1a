/// Finds the values of a few attributes by name. One owner, one thread at a time; the values point into the messages
/// that were looked at.
package final class AttributeLookup {
    private let names: [[UInt8]]
    private let values: UnsafeMutablePointer<UnsafeRawBufferPointer>

    /// - Parameter names: UTF-8; at most one place each.
    package init(_ names: [String]) {
        self.names = names.map { Array($0.utf8) }
        values = .allocate(capacity: max(1, names.count))
        values.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: max(1, names.count))
    }

    deinit { values.deallocate() }

    package var count: Int { names.count }

    /// The encoded AnyValue of the name at `index`; without an address when it was not found.
    package func value(_ index: Int) -> UnsafeRawBufferPointer {
        index >= 0 && index < names.count ? values[index] : UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Forgets what was found.
    package func clear() {
        for index in names.indices { values[index] = UnsafeRawBufferPointer(start: nil, count: 0) }
    }

    /// Looks at the attributes of a message; of a name that is there twice the last value counts.
    ///
    /// - Parameters:
    ///   - key: field number and wire type of the attributes in that message, as on the wire: 0x4A in a span, 0x0A in a
    ///     resource.
    ///   - keepsFound: values from before are not replaced.
    package func find(in message: UnsafeRawBufferPointer, key: UInt64, keepsFound: Bool = false) {
        guard !names.isEmpty else { return }
        var walk = WireFields(message)
        while let field = walk.next() {
            guard field.key == key else { continue }
            let name = WireFields.payload(of: 0x0A, in: field.payload)
            for index in names.indices
            where names[index].count == name.count && names[index].elementsEqual(name) {
                if keepsFound, values[index].baseAddress != nil { continue }
                let value = WireFields.payload(of: 0x12, in: field.payload)
                // An attribute without a value is there all the same.
                values[index] =
                    value.baseAddress == nil ? UnsafeRawBufferPointer(rebasing: field.payload.prefix(0)) : value
            }
        }
    }
}
