import OTLP

/// Writes OTLP metrics field by field, so that tests can say anything, valid or not.
struct Wire {
    var bytes: [UInt8] = []

    func text(_ field: UInt32, _ value: String) -> Wire { message(field, Wire(bytes: Array(value.utf8))) }
    func message(_ field: UInt32, _ content: Wire) -> Wire {
        with { writer in content.bytes.withUnsafeBytes { writer.append(field: field, bytes: $0) } }
    }
    func fixed(_ field: UInt32, _ value: UInt64) -> Wire {
        with { writer in
            writer.append(tag: field, .fixed64)
            writer.append(fixed64: value)
        }
    }
    func double(_ field: UInt32, _ value: Double) -> Wire { fixed(field, value.bitPattern) }
    func varint(_ field: UInt32, _ value: UInt64) -> Wire {
        with { writer in
            writer.append(tag: field, .varint)
            writer.append(varint: value)
        }
    }
    func messages(_ field: UInt32, _ contents: [Wire]) -> Wire { contents.reduce(self) { $0.message(field, $1) } }
    func packed(_ field: UInt32, doubles: [Double]) -> Wire { packed(field, fixed: doubles.map(\.bitPattern)) }
    func packed(_ field: UInt32, fixed: [UInt64]) -> Wire {
        var content = WireWriter()
        for value in fixed { content.append(fixed64: value) }
        return message(field, Wire(bytes: Array(content.bytes)))
    }
    func packed(_ field: UInt32, varints: [UInt64]) -> Wire {
        var content = WireWriter()
        for value in varints { content.append(varint: value) }
        return message(field, Wire(bytes: Array(content.bytes)))
    }

    private func with(_ write: (inout WireWriter) -> Void) -> Wire {
        var writer = WireWriter()
        write(&writer)
        return Wire(bytes: bytes + Array(writer.bytes))
    }
}

/// The value of an attribute.
enum Value {
    case text(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case bytes([UInt8])
    case array([Value])
    case map([(String, Value)])
    case none

    var wire: Wire {
        switch self {
        case .text(let text): Wire().text(1, text)
        case .bool(let flag): Wire().varint(2, flag ? 1 : 0)
        case .int(let number): Wire().varint(3, UInt64(bitPattern: number))
        case .double(let number): Wire().double(4, number)
        case .array(let values): Wire().message(5, Wire().messages(1, values.map(\.wire)))
        case .map(let pairs): Wire().message(6, attributes(1, pairs))
        case .bytes(let bytes): Wire().message(7, Wire(bytes: bytes))
        case .none: Wire()
        }
    }
}

func attributes(_ field: UInt32, _ pairs: [(String, Value)]) -> Wire {
    Wire().messages(field, pairs.map { Wire().text(1, $0.0).message(2, $0.1.wire) })
}

/// 2023-11-14 22:13:20 UTC and a bit, in milliseconds; points are at this time unless they say otherwise.
let someTime: UInt64 = 1_700_000_000_123

enum Point {
    static func number(
        _ value: Double, _ pairs: [(String, Value)] = [], time: UInt64 = someTime * 1_000_000, start: UInt64 = 0,
        flags: UInt64 = 0, exemplars: [Wire] = []
    ) -> Wire {
        Wire().fixed(2, start).fixed(3, time).double(4, value).messages(5, exemplars)
            .adding(attributes(7, pairs)).varint(8, flags)
    }

    static func int(_ value: Int64, _ pairs: [(String, Value)] = []) -> Wire {
        Wire().fixed(3, someTime * 1_000_000).fixed(6, UInt64(bitPattern: value)).adding(attributes(7, pairs))
    }

    static func histogram(
        bounds: [Double], counts: [UInt64], count: UInt64? = nil, sum: Double? = 1,
        _ pairs: [(String, Value)] = [], start: UInt64 = 0, flags: UInt64 = 0, exemplars: [Wire] = []
    ) -> Wire {
        let head = Wire().fixed(2, start).fixed(3, someTime * 1_000_000).fixed(4, count ?? counts.reduce(0, +))
        let body = sum.map { head.double(5, $0) } ?? head
        return body.packed(6, fixed: counts).packed(7, doubles: bounds).messages(8, exemplars)
            .adding(attributes(9, pairs)).varint(10, flags)
    }

    static func exemplar(_ value: Double, time: UInt64 = someTime, _ pairs: [(String, Value)] = [], ids: Bool = true)
        -> Wire
    {
        let plain = Wire().fixed(2, time * 1_000_000).double(3, value).adding(attributes(7, pairs))
        guard ids else { return plain }
        return plain.message(4, Wire(bytes: [UInt8](repeating: 0xAB, count: 8)))
            .message(5, Wire(bytes: [UInt8](repeating: 0x1F, count: 16)))
    }
}

extension Wire {
    func adding(_ other: Wire) -> Wire { Wire(bytes: bytes + other.bytes) }
}

enum Metric {
    static func gauge(_ name: String, unit: String = "", _ points: [Wire]) -> Wire {
        Wire().text(1, name).text(3, unit).message(5, Wire().messages(1, points))
    }

    /// - Parameter temporality: 1 delta, 2 cumulative.
    static func sum(
        _ name: String, unit: String = "", help: String = "", monotonic: Bool = true, temporality: UInt64 = 2,
        _ points: [Wire]
    ) -> Wire {
        Wire().text(1, name).text(2, help).text(3, unit)
            .message(7, Wire().messages(1, points).varint(2, temporality).varint(3, monotonic ? 1 : 0))
    }

    static func histogram(_ name: String, unit: String = "", temporality: UInt64 = 2, _ points: [Wire]) -> Wire {
        Wire().text(1, name).text(3, unit).message(9, Wire().messages(1, points).varint(2, temporality))
    }

    static func exponential(_ name: String, temporality: UInt64 = 2, _ points: [Wire]) -> Wire {
        Wire().text(1, name).message(10, Wire().messages(1, points).varint(2, temporality))
    }

    static func summary(_ name: String, _ points: [Wire]) -> Wire {
        Wire().text(1, name).message(11, Wire().messages(1, points))
    }
}

/// A request of one resource with one scope.
struct Request {
    var resource: [(String, Value)] = []
    var scope = Wire()
    var schemaURL = ""
    var metrics: [Wire]

    init(_ metrics: [Wire], resource: [(String, Value)] = [], scope: Wire = Wire(), schemaURL: String = "") {
        self.metrics = metrics
        self.resource = resource
        self.scope = scope
        self.schemaURL = schemaURL
    }

    var wire: Wire {
        let scopeMetrics = Wire().message(1, scope).messages(2, metrics).text(3, schemaURL)
        return Wire().message(1, attributes(1, resource)).message(2, scopeMetrics)
    }
}

func batch(_ requests: [Request]) throws -> TelemetryBatch {
    let bytes = Wire().messages(1, requests.map(\.wire)).bytes
    return try TelemetryBatch(bytes.withUnsafeBytes { WireBytes(copying: $0) }, signal: .metrics)
}

func batch(_ metrics: [Wire], resource: [(String, Value)] = []) throws -> TelemetryBatch {
    try batch([Request(metrics, resource: resource)])
}
