import Compression
import Testing

@Suite struct SnappyBlockTests {
    private func encode(_ bytes: [UInt8]) throws -> [UInt8] {
        try bytes.withUnsafeBytes { raw in
            let output = try SnappyBlock.encode(raw)
            return Array(output.bytes)
        }
    }

    private func decode(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> [UInt8] {
        try bytes.withUnsafeBytes { raw in
            let output = try SnappyBlock.decode(raw, limit: limit)
            return Array(output.bytes)
        }
    }

    @Test func roundTrips() throws {
        for count in [0, 1, 59, 60, 61, 255, 256, 65_535, 65_536, 65_537, 500_000] {
            let bytes = sampleBytes(count)
            let block = try encode(bytes)
            #expect(try decode(block) == bytes)
            if count > 1000 { #expect(block.count < count * 3 / 4) }
        }
    }

    /// Written by hand from the format: "abc", a copy of 6 at offset 3, a literal of 2.
    @Test func readsTheFormat() throws {
        let block: [UInt8] = [11, 0b000010_00, 97, 98, 99, 0b000_010_01, 3, 0b000001_00, 120, 121]
        #expect(try decode(block) == Array("abcabcabcxy".utf8))
    }

    @Test func damage() throws {
        let bytes = sampleBytes(3000)
        let block = try encode(bytes)
        for length in 0..<block.count {
            #expect(throws: SnappyBlock.Failure.corrupt) { try decode(Array(block.prefix(length))) }
        }
        #expect(throws: SnappyBlock.Failure.tooLarge(limit: 2999)) { try decode(block, limit: 2999) }
        var generator = SplitMix(state: 3)
        for _ in 0..<2000 {
            var damaged = block
            damaged[Int(generator.next() % UInt64(block.count))] = UInt8(truncatingIfNeeded: generator.next())
            _ = try? decode(damaged, limit: 1 << 16)
        }
    }
}
