internal import OTLP

/// What a mapping knows about a scope and its resource, worked out once for all of their spans.
///
/// Holds slices of both messages; valid as long as they are and the mapping lives.
package struct SpanScope {
    package let name: UnsafeRawBufferPointer
    package let version: UnsafeRawBufferPointer
    /// `service.name` of the resource.
    package private(set) var service: UnsafeRawBufferPointer?
    /// `deployment.environment.name`, or the older `deployment.environment`, of the resource.
    package private(set) var environment: UnsafeRawBufferPointer?
    /// The source that the scope's name gives away.
    let source: UInt8?
    /// Lines of the mapping's `usage` that the scope's name and version do not rule out.
    let usageLines: UInt64
    /// Some spans of this scope are known by name.
    let hasNamedSpans: Bool
    /// As `CallRecord.scope` has it.
    let hash: UInt64

    /// - Parameters:
    ///   - resource: the encoded Resource message; may be empty.
    package init(
        name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer, resource: UnsafeRawBufferPointer,
        mapping: GenAIMapping
    ) {
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
        readResource(resource)
    }

    /// - Parameters:
    ///   - scopeSpans: the `ScopeSpans` message as it came, spans included.
    ///   - resourceSpans: the `ResourceSpans` message as it came, scopes included.
    package init(
        scopeSpans: UnsafeRawBufferPointer, resourceSpans: UnsafeRawBufferPointer, mapping: GenAIMapping
    ) {
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
        self.init(
            name: name, version: version, resource: Self.firstField(of: resourceSpans), mapping: mapping)
    }

    /// Field 1 of either envelope: the scope, the resource.
    private static func firstField(of message: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if var cursor = WireCursor(message) {
            while let tag = cursor.varint() {
                if tag == 0x0A, let payload = cursor.payload() { return payload.rest }
                cursor.skipField(tag)
            }
        }
        return UnsafeRawBufferPointer.nothing
    }

    private mutating func readResource(_ resource: UnsafeRawBufferPointer) {
        guard var cursor = WireCursor(resource) else { return }
        var oldEnvironment: UnsafeRawBufferPointer?
        while let tag = cursor.varint() {
            guard tag == 0x0A, let message = cursor.payload() else {
                cursor.skipField(tag)
                continue
            }
            guard let attribute = WireAttribute(message) else { continue }
            let key = UnsafeRawBufferPointer(start: attribute.key, count: attribute.keyCount)
            guard key.count >= 12, key.count <= 27 else { continue }
            let value = AttributeValue(attribute.value)
            guard value.form == .text, value.content.count > 0 else { continue }
            if equalsFolded(key, "service.name") {
                service = value.content
            } else if equalsFolded(key, "deployment.environment.name") {
                environment = value.content
            } else if equalsFolded(key, "deployment.environment") {
                oldEnvironment = value.content
            }
        }
        environment = environment ?? oldEnvironment
    }
}
