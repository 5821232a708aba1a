/// What a mapping knows about a scope, worked out once for all of its spans.
///
/// Holds slices of its message; valid as long as that is and the mapping lives.
package struct SpanScope {
    package let name: UnsafeRawBufferPointer
    package let version: UnsafeRawBufferPointer
    /// The source that the scope's name gives away.
    let source: UInt8?
    /// Lines of the mapping's `usage` that the scope's name and version do not rule out.
    let usageLines: UInt64
    /// Some spans of this scope are known by name.
    let hasNamedSpans: Bool
    /// As `CallRecord.scope` has it.
    let hash: UInt64

    private init(name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer, mapping: GenAIMapping) {
        self.name = name
        self.version = version
        hash = CallRecord.hash(name)
        let source = mapping.scopeGlobs.first { $0.glob.matches(name) }?.source
        self.source = source
        var lines: UInt64 = 0
        for (index, line) in mapping.usage.enumerated() {
            guard line.scope?.matches(name) ?? true, line.version?.contains(version) ?? true else { continue }
            lines |= 1 << UInt64(index)
        }
        usageLines = lines
        hasNamedSpans = (0..<mapping.spanNameCount).contains { mapping.spanNameEntries[$0].source == source }
    }

    /// - Parameter scopeSpans: the `ScopeSpans` message as it came, spans included.
    package init(scopeSpans: UnsafeRawBufferPointer, mapping: GenAIMapping) {
        let scope = Self.firstField(of: scopeSpans)
        var name = UnsafeRawBufferPointer.nothing
        var version = name
        if var cursor = WireCursor(scope) {
            while let tag = cursor.varint() {
                switch tag {
                case 0x0A: name = cursor.payload()?.rest ?? name
                case 0x12: version = cursor.payload()?.rest ?? version
                default: cursor.skipField(tag)
                }
            }
        }
        self.init(name: name, version: version, mapping: mapping)
    }

    /// Field 1 of the envelope: the scope.
    private static func firstField(of message: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if var cursor = WireCursor(message) {
            while let tag = cursor.varint() {
                if tag == 0x0A, let payload = cursor.payload() { return payload.rest }
                cursor.skipField(tag)
            }
        }
        return UnsafeRawBufferPointer.nothing
    }
}
