import Generator
import OTLP
import Testing

/// A span as the tests look at it.
struct ReadSpan: Equatable {
    var trace: [UInt8]
    var id: [UInt8]
    var parent: [UInt8]
    var name: String
    var kind: Int32
    var start: UInt64
    var end: UInt64
    var status: Int32
    var service: String
    var strings: [String: String] = [:]
    var numbers: [String: Int64] = [:]
    /// Keys, in order.
    var keys: [String] = []

    /// Tokens of a model call; 0 where nothing is said.
    func usage(_ kind: String) -> Int { Int(numbers["gen_ai.usage." + kind] ?? 0) }

    var operation: String? { strings["gen_ai.operation.name"] }
}

/// All spans of one encoded request, which must be valid to the last span.
func readSpans(_ bytes: [UInt8]) throws -> [ReadSpan] {
    let batch = try bytes.withUnsafeBytes { try TelemetryBatch(WireBytes(copying: $0), signal: .traces) }
    #expect(batch.rejectedItems == 0)
    let arena = WireArena(limit: 64 << 20)
    var result: [ReadSpan] = []
    for resource in batch.resources {
        let group = try #require(ResourceGroupView(batch.message(of: resource), arena: arena))
        let fields = try #require(ResourceView(group.resource, arena: arena))
        var service = ""
        for bytes in fields.attributes {
            let pair = try #require(KeyValueView(bytes, arena: arena))
            guard text(pair.key) == "service.name" else { continue }
            if case .string(let value) = AnyValueView(pair.value, arena: arena)?.value { service = text(value) }
        }
        for scope in batch.scopes[resource.scopes] {
            for item in batch.items[scope.items] {
                result.append(try readSpan(batch.payload(of: item), service: service, arena: arena))
            }
        }
    }
    #expect(result.count == batch.items.count)
    return result
}

private func readSpan(_ bytes: UnsafeRawBufferPointer, service: String, arena: WireArena) throws -> ReadSpan {
    let view = try #require(SpanView(bytes, arena: arena))
    var span = ReadSpan(
        trace: Array(view.traceID), id: Array(view.spanID), parent: Array(view.parentSpanID), name: text(view.name),
        kind: view.kind, start: view.startTime, end: view.endTime, status: 0, service: service)
    if !view.status.isEmpty { span.status = try #require(StatusView(view.status, arena: arena)).code }
    for bytes in view.attributes {
        let pair = try #require(KeyValueView(bytes, arena: arena))
        let key = text(pair.key)
        span.keys.append(key)
        switch try #require(AnyValueView(pair.value, arena: arena)).value {
        case .string(let value): span.strings[key] = text(value)
        case .int(let value): span.numbers[key] = value
        case .array(let value):
            let array = try #require(ArrayValueView(value, arena: arena))
            let first = try #require(array.values.first)
            if case .string(let value) = AnyValueView(first, arena: arena)?.value { span.strings[key] = text(value) }
        case .empty: Issue.record("\(key) has no value")
        default: break
        }
    }
    for bytes in view.events {
        let event = try #require(EventView(bytes, arena: arena))
        #expect(text(event.name) == "exception" && event.time >= view.startTime && event.time <= view.endTime)
    }
    return span
}

private func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }

/// Requests of a producer that never waits, and its totals.
func produce(_ plan: GeneratorPlan, time: UInt64 = 1_700_000_000_000_000_000) throws -> ([[UInt8]], TraceTotals) {
    var producer = TraceProducer(plan, start: 0)
    var requests: [[UInt8]] = []
    while true {
        switch producer.next(now: 0, time: time) {
        case .request(let request): requests.append(Array(request.bytes.bytes))
        case .exhausted: return (requests, producer.totals)
        case .wait: throw UnexpectedStep()
        case .outOfMemory: throw UnexpectedStep()
        }
    }
}

struct UnexpectedStep: Error {}
