/// What stands on a span under the names of costs, before anything is added.
package struct PresentCosts: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Some attribute that Martlet might add is there: `gen_ai.usage.cost` or `gen_ai.cost.…`.
    package static let anything = PresentCosts(rawValue: 1 << 0)
    /// `gen_ai.cost.status` is `aggregate`: who wrote it saw that the call is counted on another span.
    package static let aggregate = PresentCosts(rawValue: 1 << 1)
    /// `gen_ai.cost.source` is `collector`: a Martlet has priced the span before.
    package static let ofCollector = PresentCosts(rawValue: 1 << 2)

    /// Looks at an encoded Span message, or a part of one. Never fails: what cannot be read is not there.
    package init(_ span: UnsafeRawBufferPointer) {
        self = []
        guard var cursor = WireCursor(span) else { return }
        while let tag = cursor.varint() {
            guard tag == 0x4A else {
                cursor.skipField(tag)
                continue
            }
            guard let message = cursor.payload() else { return }
            // The shortest key of interest has 17 bytes, and most keys are ruled out by their first eight.
            guard message.end - message.at >= 19 else { continue }
            if message.at[0] == 0x0A, message.at[1] < 0x80,
                UnsafeRawPointer(message.at + 2).loadUnaligned(as: UInt64.self) | Self.eighth != Self.prefix
            {
                continue
            }
            look(at: message)
        }
    }

    /// `gen_ai.`, whatever the eighth byte.
    private static var prefix: UInt64 { UInt64(littleEndian: 0xFF2E_6961_5F6E_6567) }
    private static var eighth: UInt64 { UInt64(littleEndian: 0xFF00_0000_0000_0000) }

    private mutating func look(at message: WireCursor) {
        guard let attribute = WireAttribute(message) else { return }
        let key = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
        if equals(key, AddedAttribute.cost) {
            insert(.anything)
        } else if equals(key, AddedAttribute.status) {
            insert(.anything)
            let value = AttributeValue(attribute.value)
            if value.form == .text, equals(value.content, "aggregate") { insert(.aggregate) }
        } else if equals(key, AddedAttribute.source) {
            insert(.anything)
            let value = AttributeValue(attribute.value)
            if value.form == .text, equals(value.content, "collector") { insert(.ofCollector) }
        } else if key.count > 12, equals(UnsafeRawBufferPointer(rebasing: key[..<12]), "gen_ai.cost.") {
            insert(.anything)
        }
    }

    private func equals(_ text: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        sameBytes(text, UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }
}
