import Testing

@testable import OTLP

@Suite struct CompactionTests {
    private final class Lease: Sendable {}

    /// A request of spans of 1 KiB each.
    private func batch(_ count: Int) throws -> TelemetryBatch {
        var writer = WireWriter()
        let name = [UInt8](repeating: 0x61, count: 1000)
        for index in 0..<count {
            let start = writer.count
            [UInt8](repeating: UInt8(truncatingIfNeeded: index) | 1, count: 16).withUnsafeBytes {
                writer.append(field: 1, bytes: $0)
                writer.append(field: 2, bytes: UnsafeRawBufferPointer(rebasing: $0[..<8]))
            }
            name.withUnsafeBytes { writer.append(field: 5, bytes: $0) }
            writer.wrap(since: start, field: 2)
        }
        writer.wrap(since: 0, field: 2)
        writer.wrap(since: 0, field: 1)
        return try TelemetryBatch(WireBytes(taking: &writer), signal: .traces)
    }

    private func encoded(_ batch: TelemetryBatch) -> [UInt8] {
        var writer = WireWriter()
        batch.encode(into: &writer)
        return Array(writer.bytes)
    }

    @Test func holdsLessAndSaysTheSame() throws {
        let batch = try batch(100)
        batch.filterItems { $0 % 10 == 3 }
        #expect(([0x2A, 0x01, 0x61] as [UInt8]).withUnsafeBytes { batch.append($0, toItem: 2) })
        var asked = 0
        let compact = try #require(
            batch.compacted { bytes in
                asked = bytes
                return Lease()
            })
        #expect(compact.items.count == 10)
        #expect(encoded(compact) == encoded(batch))
        #expect(compact.bytes.count == asked)
        #expect(compact.heldBytes * 5 < batch.heldBytes)
        #expect(compact.bytes.accounting is Lease)
        #expect(compact.isPristine)
    }

    @Test func isLeftWhereItSavesLittle() throws {
        let whole = try batch(100)
        #expect(whole.compacted { _ in Lease() } == nil)
        whole.filterItems { $0 % 10 < 6 }
        #expect(whole.compacted { _ in Lease() } == nil)
        let small = try batch(8)
        small.filterItems { $0 == 0 }
        #expect(small.compacted { _ in Lease() } == nil)
    }

    @Test func isLeftWhereMemoryIsRefused() throws {
        let batch = try batch(100)
        batch.filterItems { $0 == 7 }
        #expect(batch.compacted { _ in nil } == nil)
        #expect(batch.items.count == 1)
    }
}
