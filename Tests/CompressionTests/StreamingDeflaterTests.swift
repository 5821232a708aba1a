import CZlib
import Compression
import Testing

/// Gzip and deflate at level 1, whose encoder works slice after slice.
@Suite struct StreamingDeflaterTests {
    static let encodings: [ContentEncoding] = [.gzip, .deflate]

    /// Decodes with zlib alone, and expects the stream to end with the input.
    private func zlibInflate(_ input: [UInt8], size: Int) -> [UInt8]? {
        var stream = z_stream()
        // 32: gzip or zlib, whichever the header says.
        inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        defer { inflateEnd(&stream) }
        var source = input
        var output = [UInt8](repeating: 0, count: size + 1)
        let (code, count, left) = source.withUnsafeMutableBufferPointer { from in
            output.withUnsafeMutableBufferPointer { to in
                stream.next_in = from.baseAddress
                stream.avail_in = UInt32(from.count)
                stream.next_out = to.baseAddress
                stream.avail_out = UInt32(to.count)
                let code = inflate(&stream, Z_FINISH)
                return (code, to.count - Int(stream.avail_out), stream.avail_in)
            }
        }
        return code == Z_STREAM_END && left == 0 ? Array(output.prefix(count)) : nil
    }

    private func encode(_ input: [UInt8], cuts: [Int], with encoder: inout BodyEncoder) throws -> [UInt8] {
        let bounds = [0] + cuts.sorted() + [input.count]
        return try input.withUnsafeBytes { raw in
            let slices = zip(bounds, bounds.dropFirst()).map { UnsafeRawBufferPointer(rebasing: raw[$0..<$1]) }
            let output = try encoder.encode(slices)
            return Array(output.bytes)
        }
    }

    private func check(_ input: [UInt8], cuts: [Int], _ encoding: ContentEncoding, with encoder: inout BodyEncoder)
        throws
    {
        let encoded = try encode(input, cuts: cuts, with: &encoder)
        // The decompressor takes gzip of one member through libdeflate.
        let own = try decompress(encoded, encoding, limit: input.count)
        #expect(own == input, "\(input.count) bytes, cut at \(cuts)")
        #expect(zlibInflate(encoded, size: input.count) == input, "\(input.count) bytes, cut at \(cuts)")
    }

    @Test(arguments: encodings) func randomSlices(encoding: ContentEncoding) throws {
        var random = SplitMix(state: 11)
        var encoder = try BodyEncoder(encoding)
        for round in 0..<200 {
            let size = Int.random(in: 0...(1 << (round % 19)), using: &random)
            let input = sampleBytes(size, seed: random.next())
            let cuts = (0..<Int.random(in: 0...20, using: &random)).map { _ in Int.random(in: 0...size, using: &random)
            }
            try check(input, cuts: cuts, encoding, with: &encoder)
        }
    }

    @Test(arguments: encodings) func everyByteASlice(encoding: ContentEncoding) throws {
        var encoder = try BodyEncoder(encoding)
        let input = sampleBytes(70_000)
        try check(input, cuts: Array(1..<input.count), encoding, with: &encoder)
    }

    @Test(arguments: encodings) func nothing(encoding: ContentEncoding) throws {
        var encoder = try BodyEncoder(encoding)
        for cuts in [[], [0], [0, 0]] { try check([], cuts: cuts, encoding, with: &encoder) }
        let encoded = try encoder.encode([])
        #expect(try decompress(Array(encoded.bytes), encoding, limit: 0).isEmpty)
    }

    @Test(arguments: encodings) func incompressible(encoding: ContentEncoding) throws {
        var random = SplitMix(state: 5)
        var encoder = try BodyEncoder(encoding)
        for size in [1, 1000, 65_535, 65_536, 300_001, 5_000_000] {
            let input = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
            let cuts = (0..<7).map { _ in Int.random(in: 0...size, using: &random) }
            for cuts in [[], cuts] {
                try check(input, cuts: cuts, encoding, with: &encoder)
                #expect(try encode(input, cuts: cuts, with: &encoder).count < size + size / 64 + 1024)
            }
        }
    }

    @Test(arguments: encodings) func large(encoding: ContentEncoding) throws {
        var encoder = try BodyEncoder(encoding)
        let input = sampleBytes(9_000_000)
        for cuts in [[], [1, 4_000_000, 8_999_999]] { try check(input, cuts: cuts, encoding, with: &encoder) }
        // One byte only: the longest matches there are.
        try check([UInt8](repeating: 7, count: 5_000_000), cuts: [3], encoding, with: &encoder)
    }
}
