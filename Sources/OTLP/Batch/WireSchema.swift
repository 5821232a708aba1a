/// What the scanner checks about one field of an OTLP message.
enum FieldKind: UInt8 {
    /// Not in the schema: skipped, kept on the wire.
    case unknown
    case varint
    case fixed64
    case fixed32
    /// Length-delimited, must be UTF-8.
    case string
    case bytes
    case message
    /// `KeyValue`: scanned by a fast path.
    case keyValue
    case packedFixed64
    case packedVarint
    /// 16 bytes, not all zero.
    case traceID
    /// 8 bytes, not all zero.
    case spanID
    /// Empty or 16 bytes.
    case optionalTraceID
    /// Empty or 8 bytes.
    case optionalSpanID
    /// Repeated `ResourceX` of a request.
    case resourceEnvelope
    /// Repeated `ScopeX` of a `ResourceX`.
    case scopeEnvelope
    /// Repeated span, metric or log record of a `ScopeX`.
    case item
    /// A data point of a metric.
    case point
}

/// The messages that the scanner knows, as row numbers of its table.
enum WireMessage: UInt8, CaseIterable {
    case none
    case request
    case resourceEnvelope
    case scopeEnvelope
    case resource
    case entityRef
    case scope
    case keyValue
    case anyValue
    case arrayValue
    case keyValueList
    case span
    case event
    case link
    case status
    case metric
    case gauge
    case sum
    case histogram
    case exponentialHistogram
    case summary
    case numberPoint
    case histogramPoint
    case exponentialPoint
    case buckets
    case summaryPoint
    case quantile
    case exemplar
    case logRecord
}

struct FieldSpec {
    var kind: FieldKind = .unknown
    var child: WireMessage = .none
}

/// The OTLP schema as the scanner needs it: for each message, what its fields 1…31 are, which belong to a oneof, and
/// which must be present. Source: the OTLP proto files, version 1.
///
/// The tables are written once, before the first scan, and live as long as the process.
struct WireSchema: @unchecked Sendable {
    // Sendable: the pointed-to tables never change after `init`.

    /// Row `message * fieldsPerMessage + field number`.
    let fields: UnsafePointer<FieldSpec>
    /// For each message a bit mask of the fields of which at most one may be present.
    let oneofs: UnsafePointer<UInt32>

    static let fieldsPerMessage = 32
    static let traces = WireSchema(item: .span)
    static let metrics = WireSchema(item: .metric)
    static let logs = WireSchema(item: .logRecord)

    static func of(_ signal: Signal) -> WireSchema {
        switch signal {
        case .traces: traces
        case .metrics: metrics
        case .logs: logs
        }
    }

    private init(item: WireMessage) {
        let messages = WireMessage.allCases.count
        let fields = UnsafeMutablePointer<FieldSpec>.allocate(capacity: messages * Self.fieldsPerMessage)
        fields.initialize(repeating: FieldSpec(), count: messages * Self.fieldsPerMessage)
        let oneofs = UnsafeMutablePointer<UInt32>.allocate(capacity: messages)
        oneofs.initialize(repeating: 0, count: messages)
        func define(_ message: WireMessage, _ oneof: [Int], _ rows: [(Int, FieldKind, WireMessage)]) {
            for (number, kind, child) in rows {
                fields[Int(message.rawValue) * Self.fieldsPerMessage + number] = FieldSpec(kind: kind, child: child)
            }
            oneofs[Int(message.rawValue)] = oneof.reduce(0) { $0 | 1 << UInt32($1) }
        }
        Self.defineEnvelope(item: item, define)
        Self.defineCommon(define)
        Self.defineTrace(define)
        Self.defineMetrics(define)
        Self.definePoints(define)
        Self.defineLogs(define)
        self.fields = UnsafePointer(fields)
        self.oneofs = UnsafePointer(oneofs)
    }

    private typealias Define = (WireMessage, [Int], [(Int, FieldKind, WireMessage)]) -> Void

    private static func defineEnvelope(item: WireMessage, _ define: Define) {
        define(.request, [], [(1, .resourceEnvelope, .resourceEnvelope)])
        define(
            .resourceEnvelope, [],
            [(1, .message, .resource), (2, .scopeEnvelope, .scopeEnvelope), (3, .string, .none)])
        define(.scopeEnvelope, [], [(1, .message, .scope), (2, .item, item), (3, .string, .none)])
    }

    private static func defineCommon(_ define: Define) {
        define(
            .resource, [],
            [(1, .keyValue, .keyValue), (2, .varint, .none), (3, .message, .entityRef)])
        define(
            .entityRef, [],
            [(1, .string, .none), (2, .string, .none), (3, .string, .none), (4, .string, .none)])
        define(
            .scope, [],
            [(1, .string, .none), (2, .string, .none), (3, .keyValue, .keyValue), (4, .varint, .none)])
        define(.keyValue, [], [(1, .string, .none), (2, .message, .anyValue), (3, .varint, .none)])
        define(
            .anyValue, [1, 2, 3, 4, 5, 6, 7, 8],
            [
                (1, .string, .none), (2, .varint, .none), (3, .varint, .none), (4, .fixed64, .none),
                (5, .message, .arrayValue), (6, .message, .keyValueList), (7, .bytes, .none), (8, .varint, .none),
            ])
        define(.arrayValue, [], [(1, .message, .anyValue)])
        define(.keyValueList, [], [(1, .keyValue, .keyValue)])
    }

    private static func defineTrace(_ define: Define) {
        define(
            .span, [],
            [
                (1, .traceID, .none), (2, .spanID, .none), (3, .string, .none), (4, .optionalSpanID, .none),
                (5, .string, .none), (6, .varint, .none), (7, .fixed64, .none), (8, .fixed64, .none),
                (9, .keyValue, .keyValue), (10, .varint, .none), (11, .message, .event), (12, .varint, .none),
                (13, .message, .link), (14, .varint, .none), (15, .message, .status), (16, .fixed32, .none),
            ])
        define(
            .event, [],
            [(1, .fixed64, .none), (2, .string, .none), (3, .keyValue, .keyValue), (4, .varint, .none)])
        define(
            .link, [],
            [
                (1, .optionalTraceID, .none), (2, .optionalSpanID, .none), (3, .string, .none),
                (4, .keyValue, .keyValue), (5, .varint, .none), (6, .fixed32, .none),
            ])
        define(.status, [], [(2, .string, .none), (3, .varint, .none)])
    }

    private static func defineMetrics(_ define: Define) {
        define(
            .metric, [5, 7, 9, 10, 11],
            [
                (1, .string, .none), (2, .string, .none), (3, .string, .none), (5, .message, .gauge),
                (7, .message, .sum), (9, .message, .histogram), (10, .message, .exponentialHistogram),
                (11, .message, .summary), (12, .keyValue, .keyValue),
            ])
        define(.gauge, [], [(1, .point, .numberPoint)])
        define(.sum, [], [(1, .point, .numberPoint), (2, .varint, .none), (3, .varint, .none)])
        define(.histogram, [], [(1, .point, .histogramPoint), (2, .varint, .none)])
        define(.exponentialHistogram, [], [(1, .point, .exponentialPoint), (2, .varint, .none)])
        define(.summary, [], [(1, .point, .summaryPoint)])
    }

    private static func definePoints(_ define: Define) {
        define(
            .numberPoint, [4, 6],
            [
                (2, .fixed64, .none), (3, .fixed64, .none), (4, .fixed64, .none), (5, .message, .exemplar),
                (6, .fixed64, .none), (7, .keyValue, .keyValue), (8, .varint, .none),
            ])
        define(
            .histogramPoint, [],
            [
                (2, .fixed64, .none), (3, .fixed64, .none), (4, .fixed64, .none), (5, .fixed64, .none),
                (6, .packedFixed64, .none), (7, .packedFixed64, .none), (8, .message, .exemplar),
                (9, .keyValue, .keyValue), (10, .varint, .none), (11, .fixed64, .none), (12, .fixed64, .none),
            ])
        define(
            .exponentialPoint, [],
            [
                (1, .keyValue, .keyValue), (2, .fixed64, .none), (3, .fixed64, .none), (4, .fixed64, .none),
                (5, .fixed64, .none), (6, .varint, .none), (7, .fixed64, .none), (8, .message, .buckets),
                (9, .message, .buckets), (10, .varint, .none), (11, .message, .exemplar), (12, .fixed64, .none),
                (13, .fixed64, .none), (14, .fixed64, .none),
            ])
        define(.buckets, [], [(1, .varint, .none), (2, .packedVarint, .none)])
        define(
            .summaryPoint, [],
            [
                (2, .fixed64, .none), (3, .fixed64, .none), (4, .fixed64, .none), (5, .fixed64, .none),
                (6, .message, .quantile), (7, .keyValue, .keyValue), (8, .varint, .none),
            ])
        define(.quantile, [], [(1, .fixed64, .none), (2, .fixed64, .none)])
        define(
            .exemplar, [3, 6],
            [
                (2, .fixed64, .none), (3, .fixed64, .none), (4, .optionalSpanID, .none),
                (5, .optionalTraceID, .none), (6, .fixed64, .none), (7, .keyValue, .keyValue),
            ])
    }

    private static func defineLogs(_ define: Define) {
        define(
            .logRecord, [],
            [
                (1, .fixed64, .none), (2, .varint, .none), (3, .string, .none), (5, .message, .anyValue),
                (6, .keyValue, .keyValue), (7, .varint, .none), (8, .fixed32, .none), (9, .optionalTraceID, .none),
                (10, .optionalSpanID, .none), (11, .fixed64, .none), (12, .string, .none),
            ])
    }
}
