import Testing

@testable import OTLP

@Suite struct ItemTailTests {
    private func batch(_ count: Int) throws -> TelemetryBatch {
        let spans = (1...count).map { number in
            "{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b1\(number + 10)\",\"name\":\"n\"}"
        }
        let json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        var writer = WireWriter()
        try Array(json.utf8).withUnsafeBytes { try OTLPJSONDecoder.decode($0, as: .traceRequest, into: &writer) }
        return try TelemetryBatch(WireBytes(taking: &writer), signal: .traces)
    }

    private func attribute(_ key: String, _ writer: inout WireWriter) -> Range<Int> {
        let start = writer.count
        Array(key.utf8).withUnsafeBytes { writer.append(field: 9, key: $0, .int(1)) }
        return start..<writer.count
    }

    private func keys(_ batch: TelemetryBatch, _ item: Int) throws -> [String] {
        var writer = WireWriter()
        batch.encode(into: &writer)
        let again = try TelemetryBatch(writer.bytes.withUnsafeBytesCopy(), signal: .traces)
        let arena = WireArena(limit: 1 << 20)
        let view = try #require(SpanView(again.payload(of: again.items[item]), arena: arena))
        return view.attributes.compactMap {
            KeyValueView($0, arena: arena).map { String(decoding: $0.key, as: UTF8.self) }
        }
    }

    private func tail(_ item: Int, _ range: Range<Int>) -> ItemTail {
        ItemTail(item: UInt32(item), start: UInt32(range.lowerBound), count: UInt32(range.count))
    }

    @Test func tailsAreHandedOverAndJoined() throws {
        let batch = try batch(3)
        var writer = WireWriter()
        let first = attribute("a", &writer)
        let gap = attribute("unused", &writer)
        let second = attribute("b", &writer)
        #expect(gap.count > 0)
        let isTaken = batch.append([tail(0, first), tail(2, second)], from: &writer)
        let isEmpty = writer.count == 0
        #expect(isTaken && isEmpty && !batch.isPristine)
        #expect(try keys(batch, 0) == ["a"] && keys(batch, 1) == [] && keys(batch, 2) == ["b"])

        // Now there are edits, and some items have tails.
        var more = WireWriter()
        let third = attribute("c", &more)
        let isJoined = batch.append([tail(0, third), tail(1, third), tail(9, third)], from: &more)
        #expect(isJoined)
        #expect(try keys(batch, 0) == ["a", "c"] && keys(batch, 1) == ["c"] && keys(batch, 2) == ["b"])
        let fork = batch.fork()
        #expect(try keys(fork, 0) == ["a", "c"])
    }

    @Test func whatDoesNotFitChangesNothing() throws {
        let batch = try batch(1)
        var writer = WireWriter()
        let range = attribute("a", &writer)
        let outside = ItemTail(item: 0, start: UInt32(range.count), count: 5)
        batch.append([outside], from: &writer)
        #expect(try keys(batch, 0) == [])
        var small = WireWriter(limit: 4)
        _ = attribute("a", &small)
        let isTaken = batch.append([tail(0, range)], from: &small)
        #expect(!isTaken)
        #expect(try keys(batch, 0) == [])
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func withUnsafeBytesCopy() -> WireBytes { WireBytes(copying: self) }
}
