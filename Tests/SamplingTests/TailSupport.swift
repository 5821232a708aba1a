import OTLP

@testable import Sampling

/// A generator whose numbers depend on the seed alone.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// A span as tests write it.
struct TestSpan {
    enum Value: Equatable {
        case text(String)
        case bool(Bool)
        case int(Int64)
        case double(Double)
    }

    var trace: (high: UInt64, low: UInt64)
    var id: UInt64
    var parent: UInt64 = 0
    var start: UInt64 = 1_000_000_000
    var end: UInt64 = 1_001_000_000
    var status = 0
    var flags: UInt32 = 0
    var state = ""
    var attributes: [(key: String, value: Value)] = []
    var resource: [(key: String, value: Value)] = []

    func encode(into writer: inout WireWriter) {
        func id(_ field: UInt32, _ halves: [UInt64]) {
            writer.append(tag: field, .lengthDelimited)
            writer.append(varint: UInt64(8 * halves.count))
            for half in halves { writer.append(fixed64: half.byteSwapped) }
        }
        id(1, [trace.high, trace.low])
        id(2, [self.id])
        if !state.isEmpty { Array(state.utf8).withUnsafeBytes { writer.append(field: 3, bytes: $0) } }
        if parent != 0 { id(4, [parent]) }
        writer.append(tag: 7, .fixed64)
        writer.append(fixed64: start)
        writer.append(tag: 8, .fixed64)
        writer.append(fixed64: end)
        for (key, value) in attributes { Self.append(key, value, field: 9, to: &writer) }
        if status != 0 {
            let status = writer.count
            writer.append(tag: 3, .varint)
            writer.append(varint: UInt64(self.status))
            writer.wrap(since: status, field: 15)
        }
        if flags != 0 {
            writer.append(tag: 16, .fixed32)
            writer.append(fixed32: flags)
        }
    }

    static func append(_ key: String, _ value: Value, field: UInt32, to writer: inout WireWriter) {
        Array(key.utf8).withUnsafeBytes { key in
            switch value {
            case .text(let text):
                Array(text.utf8).withUnsafeBytes { writer.append(field: field, key: key, .text($0)) }
            case .bool(let flag): writer.append(field: field, key: key, .bool(flag))
            case .int(let number): writer.append(field: field, key: key, .int(number))
            case .double(let number): writer.append(field: field, key: key, .double(number))
            }
        }
    }

    static func resourceKey(_ span: TestSpan) -> String {
        span.resource.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    /// A request: spans in their order, neighbours of one resource in one `ResourceSpans`.
    static func request(_ spans: [TestSpan]) throws -> TelemetryBatch {
        var writer = WireWriter()
        var index = 0
        while index < spans.count {
            let first = spans[index]
            let resourceStart = writer.count
            let attributes = writer.count
            for (key, value) in first.resource { append(key, value, field: 1, to: &writer) }
            writer.wrap(since: attributes, field: 1)
            let scopeStart = writer.count
            while index < spans.count, resourceKey(spans[index]) == resourceKey(first) {
                let start = writer.count
                spans[index].encode(into: &writer)
                writer.wrap(since: start, field: 2)
                index += 1
            }
            writer.wrap(since: scopeStart, field: 2)
            writer.wrap(since: resourceStart, field: 1)
        }
        return try TelemetryBatch(WireBytes(taking: &writer), signal: .traces)
    }
}

/// A request said to hold another number of spans than it does.
struct Miscounted: Error {}

/// A span that came out.
struct KeptSpan: Hashable {
    var trace: UInt64
    var id: UInt64
    var state = ""
    var attributes: [String: String] = [:]
    var resource: [UInt8] = []

    static func all(in requests: [KeptRequest]) throws -> [KeptSpan] {
        var spans: [KeptSpan] = []
        let arena = WireArena(limit: 64 << 20)
        for request in requests {
            let batch = try TelemetryBatch(request.bytes, signal: .traces)
            guard batch.items.count == request.items else { throw Miscounted() }
            for resource in batch.resources {
                let message = batch.message(of: resource)
                guard let view = ResourceGroupView(message, arena: arena) else { continue }
                let bytes = Array(view.resource)
                for scope in batch.scopes[resource.scopes] {
                    for item in batch.items[scope.items] {
                        spans.append(span(Array(batch.payload(of: item)), bytes, arena))
                    }
                }
            }
            arena.reset()
        }
        return spans
    }

    private static func span(_ payload: [UInt8], _ resource: [UInt8], _ arena: WireArena) -> KeptSpan {
        var kept = KeptSpan(trace: 0, id: 0, resource: resource)
        payload.withUnsafeBytes { bytes in
            guard let view = SpanView(bytes, arena: arena), view.traceID.count == 16 else { return }
            kept.trace = UInt64(bigEndian: view.traceID.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            kept.id = UInt64(bigEndian: view.spanID.loadUnaligned(as: UInt64.self))
            kept.state = String(decoding: view.traceState, as: UTF8.self)
            for attribute in view.attributes {
                guard let pair = KeyValueView(attribute, arena: arena) else { continue }
                let text: String
                switch AnyValueView(pair.value, arena: arena)?.value {
                case .string(let value): text = String(decoding: value, as: UTF8.self)
                case .bool(let flag): text = "\(flag)"
                case .int(let number): text = "\(number)"
                case .double(let number): text = "\(number)"
                default: text = "?"
                }
                kept.attributes[String(decoding: pair.key, as: UTF8.self)] = text
            }
        }
        return kept
    }
}
