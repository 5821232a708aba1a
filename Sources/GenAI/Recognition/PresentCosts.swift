/// What stands on a span under the names of costs, before anything is added.
package struct PresentCosts: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Some attribute that Martlet might add is there.
    package static let anything = PresentCosts(rawValue: 1 << 0)
    /// The status is `aggregate`: who wrote it saw that the call is counted on another span.
    package static let aggregate = PresentCosts(rawValue: 1 << 1)
    /// The source is `collector`: a Martlet has priced the span before.
    package static let ofCollector = PresentCosts(rawValue: 1 << 2)

    /// A Martlet has seen that the span came before.
    package static let resent = PresentCosts(rawValue: 1 << 3)

    /// Looks at an encoded Span message, or a part of one, whatever its length. Never fails: what cannot be read is not
    /// there. For spans with more attributes than the recogniser reads; it fills `ModelCall.presentCosts` itself.
    package init(_ span: UnsafeRawBufferPointer, _ names: CostAttributeNames) {
        self = []
        guard var cursor = WireCursor(span) else { return }
        while let tag = cursor.varint() {
            guard tag == 0x4A else {
                cursor.skipField(tag)
                continue
            }
            guard let message = cursor.payload() else { return }
            guard let attribute = WireAttribute(message) else { continue }
            let key = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
            if let name = names.attribute(named: key) { note(name, AttributeValue(attribute.value)) }
        }
    }

    /// Takes note of an attribute with one of the names.
    mutating func note(_ attribute: CostAttribute?, _ value: AttributeValue) {
        insert(.anything)
        if attribute == .resent { insert(.resent) }
        guard value.form == .text else { return }
        if attribute == .status, equalsFolded(value.content, "aggregate") { insert(.aggregate) }
        if attribute == .source, equalsFolded(value.content, "collector") { insert(.ofCollector) }
    }
}
