import Compression
import Testing

@Suite struct DecompressionTests {
    static let encodings: [ContentEncoding] = [.gzip, .deflate, .zstd]

    @Test func severalGzipMembers() throws {
        let parts = [sampleBytes(50_000), [], sampleBytes(10, seed: 3), sampleBytes(70_000, seed: 4)]
        for order in [parts, Array(parts.reversed())] {
            let body = order.flatMap { zlibDeflate($0, windowBits: 31) }
            #expect(try decompress(body, .gzip, limit: 120_010) == order.flatMap { $0 })
            #expect(throws: CompressionError.tooLarge(limit: 120_009)) {
                try decompress(body, .gzip, limit: 120_009)
            }
        }
    }

    @Test func deflateWithAndWithoutFraming() throws {
        for size in [0, 1, 100_000] {
            let input = sampleBytes(size)
            for level in [0, 1, 9] as [Int32] {
                #expect(try decompress(zlibDeflate(input, windowBits: 15, level: level), .deflate) == input)
                #expect(try decompress(zlibDeflate(input, windowBits: -15, level: level), .deflate) == input)
            }
        }
    }

    @Test func zstdWithoutContentSize() throws {
        let input = sampleBytes(300_000)
        let body = zstdStream(input)
        #expect(try decompress(body, .zstd, limit: 300_000) == input)
        #expect(throws: CompressionError.tooLarge(limit: 299_999)) { try decompress(body, .zstd, limit: 299_999) }
    }

    @Test func severalZstdFrames() throws {
        let parts = [sampleBytes(1000), sampleBytes(2000, seed: 2), []]
        let body = try encode(parts[0], .zstd) + zstdStream(parts[1]) + encode(parts[2], .zstd)
        #expect(try decompress(body, .zstd, limit: 3000) == parts[0] + parts[1])
        #expect(throws: CompressionError.tooLarge(limit: 2999)) { try decompress(body, .zstd, limit: 2999) }
    }

    @Test func zstdWindowIsBounded() {
        let body = zstdStream(sampleBytes(1000), windowLog: 24)
        #expect(throws: CompressionError.unsupported("zstd, window over 8 MiB")) { try decompress(body, .zstd) }
    }

    @Test(arguments: encodings) func limitIsExact(encoding: ContentEncoding) throws {
        let input = sampleBytes(5000)
        let body = try encode(input, encoding)
        #expect(try decompress(body, encoding, limit: 5000) == input)
        for limit in [4999, 1, 0] {
            #expect(throws: CompressionError.tooLarge(limit: limit)) { try decompress(body, encoding, limit: limit) }
        }
        let empty = try encode([], encoding)
        #expect(try decompress(empty, encoding, limit: 0) == [])
        #expect(throws: CompressionError.tooLarge(limit: 4)) { try decompress([1, 2, 3, 4, 5], .identity, limit: 4) }
    }

    @Test func bombsStopAtTheLimit() throws {
        let zeros = [UInt8](repeating: 0, count: 20_000_000)
        for body in [(zlibDeflate(zeros, windowBits: 31), ContentEncoding.gzip), (zstdStream(zeros), .zstd)] {
            #expect(body.0.count < 25_000)
            #expect(throws: CompressionError.tooLarge(limit: 1_000_000)) {
                try decompress(body.0, body.1, limit: 1_000_000)
            }
        }
        // The trailer claims a size within the limit; the content passes it.
        var lying = zlibDeflate(zeros, windowBits: 31)
        lying.replaceSubrange(lying.count - 4..<lying.count, with: [100, 0, 0, 0])
        #expect(throws: CompressionError.tooLarge(limit: 1_000_000)) { try decompress(lying, .gzip, limit: 1_000_000) }
    }

    @Test func wrongGzipTrailer() throws {
        let input = sampleBytes(5000)
        let body = zlibDeflate(input, windowBits: 31)
        for size in [0, 1, 4999, 5001, 1_000_000, 0xFFFF_FFFF] as [UInt32] {
            var changed = body
            changed.replaceSubrange(
                body.count - 4..<body.count, with: withUnsafeBytes(of: size.littleEndian) { Array($0) })
            #expect(throws: CompressionError.corrupt(.gzip)) { try decompress(changed, .gzip, limit: 100_000) }
        }
        var checksum = body
        checksum[body.count - 5] ^= 1
        #expect(throws: CompressionError.corrupt(.gzip)) { try decompress(checksum, .gzip) }
    }

    @Test(arguments: encodings) func truncatedAtEveryByte(encoding: ContentEncoding) throws {
        var decompressor = BodyDecompressor()
        for streamed in [false, true] {
            let input = sampleBytes(2000)
            let body = encoding == .zstd && streamed ? zstdStream(input) : try encode(input, encoding)
            for length in 0..<body.count {
                #expect(throws: CompressionError.corrupt(encoding)) {
                    try decompress(Array(body.prefix(length)), encoding, limit: 2000, with: &decompressor)
                }
            }
            #expect(try decompress(body, encoding, limit: 2000, with: &decompressor) == input)
        }
    }

    @Test(arguments: encodings) func trailingBytesAreRefused(encoding: ContentEncoding) throws {
        let body = try encode(sampleBytes(2000), encoding)
        for tail in [[0], [0, 0, 0, 0, 0, 0, 0, 0], Array("trailing".utf8)] as [[UInt8]] {
            #expect(throws: CompressionError.corrupt(encoding)) { try decompress(body + tail, encoding) }
        }
    }

    /// Flipped, removed and repeated bytes: an error or an output within the limit, and a decoder that still works.
    @Test(arguments: encodings) func mutatedBodies(encoding: ContentEncoding) throws {
        var generator = SplitMix(state: 0xC0FFEE)
        var decompressor = BodyDecompressor()
        let input = sampleBytes(1500)
        let bodies = [try encode(input, encoding), encoding == .zstd ? zstdStream(input) : try encode([], encoding)]
        for round in 0..<4000 {
            var body = bodies[round % 2]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: body.indices, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: body[at] ^= UInt8.random(in: 1...255, using: &generator)
                case 1 where body.count > 1: body.remove(at: at)
                default: body.insert(contentsOf: body[at...].prefix(9), at: at)
                }
            }
            do throws(CompressionError) {
                #expect(try decompress(body, encoding, limit: 3000, with: &decompressor).count <= 3000)
            } catch {
                #expect(error != .outOfMemory)
            }
        }
        #expect(try decompress(bodies[0], encoding, limit: 3000, with: &decompressor) == input)
    }

    @Test(arguments: encodings) func noise(encoding: ContentEncoding) {
        var generator = SplitMix(state: 7)
        for _ in 0..<2000 {
            let body = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if let output = try? decompress(body, encoding, limit: 1000) { #expect(output.count <= 1000) }
        }
    }
}
