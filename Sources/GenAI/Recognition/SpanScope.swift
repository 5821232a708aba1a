internal import Glibc

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

    /// The same as `known`, in other memory.
    fileprivate init(_ known: SpanScope, name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer) {
        self.name = name
        self.version = version
        source = known.source
        usageLines = known.usageLines
        hasNamedSpans = known.hasNamedSpans
        hash = known.hash
    }

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
        self.init(scope: Self.firstField(of: scopeSpans), mapping: mapping)
    }

    fileprivate init(scope: UnsafeRawBufferPointer, mapping: GenAIMapping) {
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
    fileprivate static func firstField(of message: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if var cursor = WireCursor(message) {
            while let tag = cursor.varint() {
                if tag == 0x0A, let payload = cursor.payload() { return payload.rest }
                cursor.skipField(tag)
            }
        }
        return UnsafeRawBufferPointer.nothing
    }
}

/// The last scope that was worked out: most batches are of one and the same. One owner.
struct ScopeMemo: ~Copyable {
    /// Bytes of the longest scope that is remembered.
    private static var maximumSize: Int { 256 }

    private let bytes: UnsafeMutableRawPointer
    /// 0: there is none.
    private var size = 0
    /// Without its slices.
    private var known: SpanScope?
    private var name = 0..<0
    private var version = 0..<0

    init() { bytes = .allocate(byteCount: Self.maximumSize, alignment: 8) }

    deinit { bytes.deallocate() }

    /// As `SpanScope.init` has it.
    mutating func scope(of scopeSpans: UnsafeRawBufferPointer, _ mapping: GenAIMapping) -> SpanScope {
        let scope = SpanScope.firstField(of: scopeSpans)
        guard let base = scope.baseAddress, scope.count > 0 else { return SpanScope(scope: scope, mapping: mapping) }
        if let known, scope.count == size, memcmp(base, bytes, size) == 0 {
            return SpanScope(
                known, name: UnsafeRawBufferPointer(rebasing: scope[name]),
                version: UnsafeRawBufferPointer(rebasing: scope[version]))
        }
        let fresh = SpanScope(scope: scope, mapping: mapping)
        guard scope.count <= Self.maximumSize else { return fresh }
        memcpy(bytes, base, scope.count)
        size = scope.count
        known = SpanScope(fresh, name: .nothing, version: .nothing)
        name = Self.range(of: fresh.name, base)
        version = Self.range(of: fresh.version, base)
        return fresh
    }

    private static func range(of slice: UnsafeRawBufferPointer, _ base: UnsafeRawPointer) -> Range<Int> {
        guard let start = slice.baseAddress else { return 0..<0 }
        return start - base..<start - base + slice.count
    }
}
