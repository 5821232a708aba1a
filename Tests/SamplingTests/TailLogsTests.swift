import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// Log records that follow the decision about their trace.
@Suite struct TailLogsTests {
    /// A log record as tests write it; its event name says which it is.
    private struct Record {
        var trace: UInt64
        var name: String
        var service = "shop"
        var hasTrace = true

        func encode(into writer: inout WireWriter) {
            writer.append(tag: 1, .fixed64)
            writer.append(fixed64: 77)
            Array(name.utf8).withUnsafeBytes { writer.append(field: 12, bytes: $0) }
            guard hasTrace else { return }
            let (high, low) = TailLogsTests.id(trace)
            writer.append(tag: 9, .lengthDelimited)
            writer.append(varint: 16)
            writer.append(fixed64: high.byteSwapped)
            writer.append(fixed64: low.byteSwapped)
        }

        static func request(_ records: [Record]) throws -> TelemetryBatch {
            var writer = WireWriter()
            for record in records {
                let resource = writer.count
                TestSpan.append("service.name", .text(record.service), field: 1, to: &writer)
                writer.wrap(since: resource, field: 1)
                let scope = writer.count
                record.encode(into: &writer)
                writer.wrap(since: scope, field: 2)
                writer.wrap(since: scope, field: 2)
                writer.wrap(since: resource, field: 1)
            }
            return try TelemetryBatch(WireBytes(taking: &writer), signal: .logs)
        }
    }

    /// What came out: name, service, attributes.
    private struct Kept: Equatable {
        var name: String
        var service: String
        var attributes: [String: String] = [:]
    }

    fileprivate static func id(_ trace: UInt64) -> (high: UInt64, low: UInt64) {
        (trace << 32 | 1, trace &* 0x9E37_79B9_7F4A_7C15)
    }

    private func send(_ records: [Record], to box: ShardBox, now: Int64) throws {
        let batch = try Record.request(records)
        let isComplete = box.value.take(TraceRuns(batch), of: batch, now: now) { _ in true }
        #expect(isComplete)
    }

    private func span(_ trace: UInt64, _ id: UInt64, status: Int = 0) -> TestSpan {
        var span = TestSpan(trace: Self.id(trace), id: trace << 8 | id)
        span.status = status
        span.resource = [("service.name", .text("shop"))]
        return span
    }

    private func kept(_ box: ShardBox) throws -> [Kept] {
        let arena = WireArena(limit: 16 << 20)
        var all: [Kept] = []
        for request in box.value.takeKeptLogs() {
            let batch = try TelemetryBatch(request.bytes, signal: .logs)
            #expect(batch.items.count == request.items)
            for resource in batch.resources {
                let group = try #require(ResourceGroupView(batch.message(of: resource), arena: arena))
                let service = text(group.resource.dropFirst(2 + 2 + 12 + 2 + 2))
                for item in batch.items[batch.scopes[resource.scopes.lowerBound].items] {
                    let view = try #require(LogRecordView(batch.payload(of: item), arena: arena))
                    var kept = Kept(name: text(view.eventName[...]), service: service)
                    for attribute in view.attributes {
                        guard let pair = KeyValueView(attribute, arena: arena) else { continue }
                        if case .string(let value) = AnyValueView(pair.value, arena: arena)?.value {
                            kept.attributes[text(pair.key[...])] = text(value[...])
                        }
                    }
                    all.append(kept)
                }
            }
        }
        return all
    }

    private func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String { String(decoding: bytes, as: UTF8.self) }

    private func box(_ change: (inout TailSettings) -> Void = { _ in }) throws -> ShardBox {
        var settings = TailSettings()
        settings.decisionWait = 10 * second
        change(&settings)
        return ShardBox(settings, try PolicyProgram([PolicySpec("errors", .statusCode(.error))]))
    }

    @Test func recordsFollowTheDecision() throws {
        let box = try box()
        try box.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        try send(
            [
                Record(trace: 1, name: "a"), Record(trace: 2, name: "b"), Record(trace: 1, name: "c", service: "desk"),
                Record(trace: 0, name: "free", hasTrace: false),
            ], to: box, now: second)
        #expect(try kept(box) == [Kept(name: "free", service: "shop")], "without a trace there is nothing to wait for")
        _ = box.value.decideDue(now: 10 * second, limit: .max)
        #expect(try box.kept().count == 1)
        #expect(try kept(box) == [Kept(name: "a", service: "shop"), Kept(name: "c", service: "desk")])
        // Late ones follow too.
        try send([Record(trace: 1, name: "d"), Record(trace: 2, name: "e")], to: box, now: 11 * second)
        #expect(try kept(box).map(\.name) == ["d"])
        let counts = box.value.takeCounts()
        #expect((counts.keptLogs, counts.discardedLogs, counts.unmatchedLogs, counts.tracelessLogs) == (3, 2, 0, 1))
        #expect(counts.newTraces == 2)
        #expect((box.value.liveBytes, box.value.traceCount, box.value.envelopes.count) == (0, 0, 0))
    }

    @Test func recordsMayComeFirst() throws {
        let box = try box()
        try send([Record(trace: 1, name: "a"), Record(trace: 2, name: "b")], to: box, now: 0)
        #expect(box.value.takeCounts().newTraces == 0)
        // The wait begins with the first span, in the order of the others.
        try box.send([span(3, 1)], now: second)
        try box.send([span(1, 1, status: 2)], now: 5 * second)
        _ = box.value.decideDue(now: 14 * second, limit: .max)
        #expect(try kept(box) == [Kept(name: "b", service: "shop")], "its trace never came")
        #expect(box.value.nextDue == 15 * second)
        _ = box.value.decideDue(now: 15 * second, limit: .max)
        #expect(try box.kept().count == 1)
        #expect(try kept(box).map(\.name) == ["a"])
        // Of the second trace nothing is decided: it may still come.
        try box.send([span(2, 1, status: 2)], now: 16 * second)
        _ = box.value.decideDue(now: 26 * second, limit: .max)
        #expect(try box.kept().count == 1)
        let counts = box.value.takeCounts()
        #expect((counts.keptLogs, counts.unmatchedLogs) == (1, 1))
        #expect(counts.removalAges == [13, 10, 10])
    }

    @Test func unmatchedRecordsMayGo() throws {
        let box = try box { $0.keepsUnmatchedLogs = false }
        try send([Record(trace: 1, name: "a"), Record(trace: 0, name: "b", hasTrace: false)], to: box, now: 0)
        _ = box.value.decideDue(now: 10 * second, limit: .max)
        #expect(try kept(box).map(\.name) == ["b"])
        #expect(box.value.takeCounts().unmatchedLogs == 1)
    }

    @Test func recordsCountInTheBufferAndLeaveAtItsBounds() throws {
        let box = try box()
        try send([Record(trace: 1, name: "a")], to: box, now: 0)
        #expect(box.value.liveBytes > 0 && box.value.traceCount == 1)
        box.value.decideOldest(.bufferBytes, now: 1)
        #expect(try kept(box).map(\.name) == ["a"])
        #expect(box.value.liveBytes == 0)
        try send([Record(trace: 2, name: "b")], to: box, now: 2)
        let isMore = box.value.shutDown(now: 3, limit: 100)
        #expect(!isMore)
        #expect(try kept(box).map(\.name) == ["b"])
    }

    @Test func reasonsAndDryRunMarkRecordsToo() throws {
        let box = try box { $0.isDryRun = true }
        try box.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        try send([Record(trace: 1, name: "a"), Record(trace: 2, name: "b")], to: box, now: 0)
        _ = box.value.decideDue(now: 10 * second, limit: .max)
        try send([Record(trace: 2, name: "c")], to: box, now: 11 * second)
        let records = try kept(box)
        #expect(records.map(\.name) == ["a", "b", "c"])
        #expect(
            records.map { $0.attributes["tailsampling.decision"] } == ["sampled", "not_sampled", "not_sampled"])
        #expect(records[0].attributes["tailsampling.policy"] == "errors")
    }

    /// Random spans and records, in any order: what comes out is what the traces' decisions say, each record once.
    @Test func recordsOfRandomTraces() throws {
        var random = SeededRandom(31)
        let box = try box { $0.waitAfterLastSpan = 3 * second }
        var names: [UInt64: [String]] = [:]
        var errors: Set<UInt64> = []
        var seen: Set<UInt64> = []
        var came: [String] = []
        for step in 0..<3000 {
            let now = Int64(step) * second / 100
            let trace = UInt64(step / 30 + 1) + UInt64.random(in: 0...8, using: &random)
            if Bool.random(using: &random) {
                let name = "r\(step)"
                names[trace, default: []].append(name)
                try send([Record(trace: trace, name: name)], to: box, now: now)
            } else if trace % 5 != 0 {
                // Errors are of whole traces, so that it does not matter when they are decided about.
                if trace % 3 == 0 { errors.insert(trace) }
                seen.insert(trace)
                try box.send([span(trace, UInt64(step), status: trace % 3 == 0 ? 2 : 0)], now: now)
            }
            _ = box.value.decideDue(now: now, limit: .max)
            if step % 100 == 0 { box.value.maintain() }
            came += try kept(box).map(\.name)
        }
        while box.value.shutDown(now: 60 * second, limit: 10) {}
        came += try kept(box).map(\.name)
        for (trace, records) in names {
            let out = records.filter(came.contains)
            if errors.contains(trace) || !seen.contains(trace) { #expect(out.count == records.count) }
        }
        #expect(Set(came).count == came.count)
        let counts = box.value.takeCounts()
        #expect(counts.keptLogs + counts.unmatchedLogs == came.count)
        #expect(
            counts.keptLogs + counts.unmatchedLogs + counts.discardedLogs == names.values.reduce(0) { $0 + $1.count })
        #expect(counts.discardedLogs > 100)
    }
}
