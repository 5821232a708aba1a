import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// What holding traces costs, and that it is given back.
@Suite struct TailMemoryTests {
    @Test func chunksAreUsedAgainAndGivenBack() throws {
        var arena = SegmentArena()
        var random = SeededRandom(4)
        var held: [UnsafeMutablePointer<Segment>] = []
        for _ in 0..<4000 {
            let size = Int.random(in: 0...3000, using: &random)
            let allocated = arena.allocate(size)
            let segment = try #require(allocated)
            segment.initialize(to: Segment(bytes: size, items: 1, areLogs: false, record: 0))
            segment.pointee.trace = 0
            segment.payload.initializeMemory(as: UInt8.self, repeating: UInt8(held.count & 0xFF), count: size)
            held.append(segment)
        }
        var live = arena.liveBytes
        #expect(live >= held.reduce(0) { $0 + Int($1.pointee.bytes) + Segment.headerBytes })
        #expect(arena.mappedBytes <= live + live / 20 + 2 * SegmentArena.chunkBytes)
        for segment in held { arena.release(segment) }
        live = arena.liveBytes
        #expect(live == 0)
        #expect(arena.chunkCount == 1)
        // Half of what was not needed goes with each call.
        arena.trim()
        var calls = 0
        while arena.spareCount > 0, calls < 20 {
            arena.trim()
            calls += 1
        }
        #expect(calls < 8)
        #expect(arena.mappedBytes == SegmentArena.chunkBytes)
    }

    @Test func aLargeRunHasAMappingOfItsOwn() throws {
        var arena = SegmentArena()
        let allocated = arena.allocate(1 << 20)
        let segment = try #require(allocated)
        segment.initialize(to: Segment(bytes: 1 << 20, items: 1, areLogs: false, record: 0))
        segment.payload.initializeMemory(as: UInt8.self, repeating: 7, count: 1 << 20)
        #expect(arena.mappedBytes >= 1 << 20)
        arena.release(segment)
        #expect(arena.mappedBytes == 0)
    }

    private func span(_ trace: UInt64, _ id: UInt64, text: String) -> TestSpan {
        var span = TestSpan(trace: (trace, trace &* 0xD134_2543_DE82_EF95), id: id)
        span.resource = [("service.name", .text("shop"))]
        span.attributes = [("text", .text(text))]
        return span
    }

    /// One trace in fifty lasts; its neighbours go. What it leaves behind must not keep whole chunks.
    @Test func longLivedTracesAreMovedTogether() throws {
        var settings = TailSettings()
        settings.decisionWait = 100 * second
        settings.waitAfterRoot = second
        settings.writesThreshold = false
        let box = ShardBox(settings, try PolicyProgram([PolicySpec("all", .always)]))
        let text = String(repeating: "x", count: 400)
        for round in 0..<200 {
            let spans = (0..<100).map { index -> TestSpan in
                let number = UInt64(round * 100 + index + 1)
                var one = span(number, number, text: text)
                if index % 50 == 0 { one.parent = 1 }
                return one
            }
            let now = Int64(round) * second / 10
            try box.send(spans, now: now)
            _ = box.value.decideDue(now: now, limit: .max)
            _ = box.value.takeKept()
            if round % 10 == 0 { box.value.maintain() }
        }
        for _ in 0..<40 { box.value.maintain() }
        let (live, held, count) = (box.value.liveBytes, box.value.heldBytes, box.value.traceCount)
        #expect(count > 400)
        #expect(held < live * 3 / 2 + 8 * SegmentArena.chunkBytes, "\(held) bytes for \(live)")
        _ = box.value.decideDue(now: 1000 * second, limit: .max)
        let kept = try box.kept()
        #expect(kept.count == count)
        #expect(kept.allSatisfy { $0.attributes["text"] == text })
    }

    @Test func theTableFindsWhatItHolds() {
        var table = TraceTable(seeds: (3, 9))
        var random = SeededRandom(8)
        var model: [UInt64: UInt32] = [:]
        var order: [UInt64] = []
        for step in 0..<60_000 {
            // Grows, then shrinks.
            let grows = step < 20_000 ? 7 : 3
            if Int.random(in: 0..<10, using: &random) < grows {
                let id = random.next()
                model[id] = table.insert(id, id ^ 5, now: Int64(step))
                order.append(id)
            } else if let id = order.first {
                order.removeFirst()
                if let slot = model.removeValue(forKey: id) { table.remove(slot) }
            }
            if step % 5000 == 4999 {
                table.shrink()
                for id in model.keys { model[id] = table.find(id, id ^ 5) }
                let lost = model.values.contains(TraceTable.none)
                #expect(!lost)
            }
        }
        let count = table.count
        #expect(count == model.count)
        for (id, slot) in model {
            let found = table.find(id, id ^ 5)
            #expect(found == slot)
        }
        var oldest = table.first(.age)
        for id in order {
            let high = table.records?[Int(oldest)].high
            #expect(high == id)
            oldest = table.records?[Int(oldest)].links[0].next ?? TraceTable.none
        }
        let missing = table.find(1, 2)
        #expect(missing == TraceTable.none)
    }

    @Test func envelopesAreKeptOnceAndForgotten() {
        var table = EnvelopeTable()
        let texts = (0..<50).map { Array("resource \($0 % 10)".utf8) }
        var slots: [UInt32] = []
        for text in texts {
            text.withUnsafeBytes { bytes in
                // All of one hash: the bytes are what counts.
                let slot = table.find(bytes, bytes, hash: 1)
                table.retain(slot)
                slots.append(slot)
            }
        }
        var count = table.count
        #expect(count == 10)
        #expect(Set(slots).count == 10)
        for (index, slot) in slots.enumerated() {
            let bytes = Array(table[slot].resource)
            #expect(bytes == texts[index])
            table.release(slot)
        }
        count = table.count
        #expect(count == 0)
    }
}
