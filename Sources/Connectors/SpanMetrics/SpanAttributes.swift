internal import Aggregation
internal import OTLP

/// The attributes that every span's metrics have: service, name, kind, status, scope and how it was sampled. Immutable.
struct SpanAttributes: Sendable {
    let hasName: Bool
    private let hasService: Bool
    private let hasKind: Bool
    private let hasStatus: Bool
    private let namesSamplingMethod: Bool
    private let scopes: [[UInt8]]

    init(_ settings: SpanMetricsSettings) {
        let excluded = settings.excludedDimensions
        hasService = !excluded.contains("service.name")
        hasName = !excluded.contains("span.name")
        hasKind = !excluded.contains("span.kind")
        hasStatus = !excluded.contains("status.code")
        namesSamplingMethod = settings.namesSamplingMethod
        scopes = settings.includedScopes.map { Array($0.utf8) }
    }

    // MARK: The tag of a series

    private static let kindMask: UInt32 = 7
    private static let statusShift: UInt32 = 3
    private static let adjusted: UInt32 = 1 << 5

    /// Kind and status, as far as they count. Numbers that OTLP does not know are one.
    @inline(__always)
    func tag(_ span: SpanFields) -> UInt32 {
        let kind = hasKind ? UInt32(truncatingIfNeeded: min(span.kind, 6)) : 0
        let status = hasStatus ? UInt32(truncatingIfNeeded: min(span.statusCode, 3)) : 0
        return kind | status &<< Self.statusShift
    }

    /// The same for a span that stands for others.
    func tag(_ tag: UInt32, isAdjusted: Bool) -> UInt32 {
        isAdjusted && namesSamplingMethod ? tag | Self.adjusted : tag
    }

    // MARK: Texts

    private static let kinds: [StaticString] = [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER", "",
    ]
    private static let statuses: [StaticString] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR", ""]

    private static let unknownService: [UInt8] = {
        var writer = WireWriter()
        writer.append(field: 1, bytes: bytes("unknown_service"))
        return Array(writer.bytes)
    }()

    private static func bytes(_ text: StaticString) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// Appends the attributes, as fields of number 1.
    func append(
        _ tag: UInt32, _ span: SpanFields, service: UnsafeRawBufferPointer,
        scope: (name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer)?, to writer: inout WireWriter
    ) {
        if hasService {
            let start = writer.count
            writer.append(field: 1, bytes: Self.bytes("service.name"))
            if service.baseAddress != nil {
                writer.append(field: 2, bytes: service)
            } else {
                Self.unknownService.withUnsafeBytes { writer.append(field: 2, bytes: $0) }
            }
            writer.wrap(since: start, field: 1)
        }
        func text(_ key: StaticString, _ value: UnsafeRawBufferPointer, _ writer: inout WireWriter) {
            writer.append(field: 1, key: Self.bytes(key), .text(value))
        }
        if hasName { text("span.name", span.name, &writer) }
        let kind = Int(tag & Self.kindMask)
        if hasKind { text("span.kind", Self.bytes(Self.kinds[min(kind, 6)]), &writer) }
        let status = Int(tag >> Self.statusShift & 3)
        if hasStatus { text("status.code", Self.bytes(Self.statuses[status]), &writer) }
        if let scope {
            text("span.instrumentation.scope.name", scope.name, &writer)
            if scope.version.count > 0 { text("span.instrumentation.scope.version", scope.version, &writer) }
        }
        if namesSamplingMethod {
            text(
                "sampling.method", Self.bytes(tag & Self.adjusted != 0 ? "extrapolated" : "counted"), &writer)
        }
    }

    // MARK: Of the envelopes

    /// The AnyValue of `service.name` in a Resource message; without an address when there is none.
    func service(_ resource: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var found = UnsafeRawBufferPointer(start: nil, count: 0)
        var walk = WireFields(resource)
        while let field = walk.next() {
            guard field.number == 1 else { continue }
            let key = WireFields.payload(of: 1, in: field.payload)
            if key.elementsEqual(Self.bytes("service.name")) { found = WireFields.payload(of: 2, in: field.payload) }
        }
        return found
    }

    /// Name and version of an InstrumentationScope that the settings name; nil for others.
    func included(
        _ scope: UnsafeRawBufferPointer
    ) -> (name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer)? {
        let name = WireFields.payload(of: 1, in: scope)
        guard name.count > 0, scopes.contains(where: { $0.elementsEqual(name) }) else { return nil }
        return (name, WireFields.payload(of: 2, in: scope))
    }
}
