/// What an event named `exception` says. Slices of the event.
package struct ExceptionEvent {
    /// `exception.type`; may be empty.
    package private(set) var type = UnsafeRawBufferPointer.nothing
    /// `exception.message`; may be empty.
    package private(set) var message = UnsafeRawBufferPointer.nothing

    /// Nil for another event.
    ///
    /// - Parameter event: an encoded Event message.
    package init?(_ event: UnsafeRawBufferPointer) {
        guard var cursor = WireCursor(event) else { return nil }
        var isException = false
        while let tag = cursor.varint() {
            if tag == 0x12, let name = cursor.payload() {
                isException = Self.equals(name.rest, "exception")
                if !isException { return nil }
            } else if tag == 0x1A, let payload = cursor.payload() {
                guard let attribute = WireAttribute(payload) else { continue }
                let value = AttributeValue(attribute.value)
                guard value.form == .text else { continue }
                let key = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
                if Self.equals(key, "exception.type") {
                    type = value.content
                } else if Self.equals(key, "exception.message") {
                    message = value.content
                }
            } else {
                cursor.skipField(tag)
            }
        }
        guard isException else { return nil }
    }

    private static func equals(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        sameBytes(text, UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }
}
