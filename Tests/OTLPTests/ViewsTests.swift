import Testing

@testable import OTLP

@Suite struct ViewsTests {
    @Test func spanFieldsArrive() throws {
        let writer = Self.spanBytes(attributes: 3)
        let arena = WireArena(limit: 1 << 20)
        let span = try #require(SpanView(writer.bytes, arena: arena))
        #expect(Array(span.traceID) == Array(1...16))
        #expect(Array(span.name) == Array("chat\0x".utf8))
        #expect(span.kind == 3)
        #expect(span.startTime == 1_700_000_000_000_000_001)
        #expect(span.flags == 0x301)
        #expect(span.parentSpanID.count == 0)
        #expect(span.attributes.count == 3)
        let attribute = try #require(KeyValueView(span.attributes[2], arena: arena))
        #expect(Array(attribute.key) == Array("key".utf8))
        let value = try #require(AnyValueView(attribute.value, arena: arena))
        guard case .int(let number) = value.value else {
            Issue.record("not an int")
            return
        }
        #expect(number == -2)
    }

    @Test func everyTruncationIsRefusedOrRead() {
        let writer = Self.spanBytes(attributes: 2)
        let arena = WireArena(limit: 1 << 20)
        for length in 0..<writer.count {
            let part = UnsafeRawBufferPointer(rebasing: writer.bytes[0..<length])
            if let span = SpanView(part, arena: arena) { #expect(span.attributes.count <= 2) }
            arena.reset()
        }
    }

    @Test func arenaRefusesPastItsLimitAndRecovers() {
        let writer = Self.spanBytes(attributes: 4000)
        let arena = WireArena(limit: 16 << 10)
        #expect(SpanView(writer.bytes, arena: arena) == nil)
        #expect(arena.isExhausted)
        #expect(arena.reservedBytes <= arena.limit)
        arena.reset()
        #expect(!arena.isExhausted)
        let small = Self.spanBytes(attributes: 1)
        #expect(SpanView(small.bytes, arena: arena) != nil)
        #expect(arena.allocate(-1) == nil)
        #expect(arena.allocate(.max) == nil)
    }

    @Test func arenaGrowsInChunksAndKeepsOneWhenReset() throws {
        let arena = WireArena(limit: 8 << 20)
        var starts: [UnsafeMutableRawPointer] = []
        for index in 0..<3000 {
            let start = try #require(arena.allocate(1001))
            #expect(Int(bitPattern: start) % 8 == 0)
            start.storeBytes(of: index, as: Int.self)
            starts.append(start)
        }
        for (index, start) in starts.enumerated() { #expect(start.load(as: Int.self) == index) }
        arena.reset()
        #expect(arena.reservedBytes <= WireArena.retainedBytes)
        #expect(arena.allocate(8 << 20) == nil || arena.reservedBytes == 8 << 20)
    }

    @Test func optionalNumbersKeepTheirPresence() throws {
        var writer = WireWriter()
        writer.append(tag: 5, .fixed64)
        writer.append(fixed64: 0)
        writer.append(tag: 6, .lengthDelimited)
        writer.append(varint: 16)
        writer.append(fixed64: 7)
        writer.append(fixed64: 8)
        let arena = WireArena(limit: 1 << 20)
        let point = try #require(HistogramDataPointView(writer.bytes, arena: arena))
        #expect(point.sum == 0)
        #expect(point.minimum == nil)
        #expect(Array(point.bucketCounts) == [7, 8])
    }

    static func spanBytes(attributes: Int) -> WireWriter {
        var writer = WireWriter()
        let identifier = Array(UInt8(1)...16)
        identifier.withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        Array("chat\0x".utf8).withUnsafeBytes { writer.append(field: 5, bytes: $0) }
        writer.append(tag: 6, .varint)
        writer.append(varint: 3)
        writer.append(tag: 7, .fixed64)
        writer.append(fixed64: 1_700_000_000_000_000_001)
        for _ in 0..<attributes {
            let start = writer.count
            Array("key".utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
            let value = writer.count
            writer.append(tag: 3, .varint)
            writer.append(varint: UInt64(bitPattern: -2))
            writer.wrap(since: value, field: 2)
            writer.wrap(since: start, field: 9)
        }
        writer.append(tag: 16, .fixed32)
        writer.append(fixed32: 0x301)
        return writer
    }
}
