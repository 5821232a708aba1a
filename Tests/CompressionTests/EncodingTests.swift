import Compression
import Testing

@Suite struct EncodingTests {
    @Test(arguments: [
        ("", ContentEncoding.identity), ("identity", .identity), (" GZip\t", .gzip), ("x-gzip", .gzip),
        ("deflate", .deflate), ("zlib", .deflate), ("ZSTD", .zstd),
    ])
    func tokens(token: String, expected: ContentEncoding) throws {
        #expect(try ContentEncoding(token: token) == expected)
    }

    @Test func foreignTokensAreNamedButCutAndCleaned() {
        #expect(throws: CompressionError.unsupported("br")) { try ContentEncoding(token: "br") }
        #expect(throws: CompressionError.unsupported("gzip, gzip")) { try ContentEncoding(token: "gzip, gzip") }
        let long = "\r\n" + String(repeating: "a", count: 100)
        #expect(throws: CompressionError.unsupported("??" + String(repeating: "a", count: 30))) {
            try ContentEncoding(token: long)
        }
    }

    @Test(arguments: ContentEncoding.allCases, [0, 1, 17, 1000, 70_000, 1_000_000])
    func roundTrip(encoding: ContentEncoding, size: Int) throws {
        let input = sampleBytes(size)
        for pieces in [1, 2, 16] {
            let encoded = try encode(input, encoding, pieces: pieces)
            #expect(try decompress(encoded, encoding, limit: size) == input)
            if encoding != .identity, size > 1000 { #expect(encoded.count < size * 2 / 3) }
        }
    }

    @Test func everyLevel() throws {
        let input = sampleBytes(5000)
        for encoding in [ContentEncoding.gzip, .deflate, .zstd] {
            for level in encoding.levels {
                #expect(try decompress(encode(input, encoding, level: level), encoding) == input)
            }
        }
    }

    @Test func levelsOutOfRange() {
        for (encoding, level) in [(ContentEncoding.gzip, 0), (.gzip, 13), (.deflate, 0), (.zstd, 20), (.identity, 1)] {
            #expect(throws: CompressionError.levelOutOfRange(level, encoding: encoding)) {
                _ = try BodyEncoder(encoding, level: level)
            }
        }
    }

    @Test func encodersAreReusable() throws {
        for encoding in ContentEncoding.allCases {
            var encoder = try BodyEncoder(encoding)
            for size in [100, 9_000_000, 0, 5000] {
                let input = sampleBytes(size, seed: UInt64(size))
                let encoded = try input.withUnsafeBytes { raw in
                    let output = try encoder.encode(slices(of: raw, 3))
                    return Array(output.bytes)
                }
                #expect(try decompress(encoded, encoding) == input)
            }
        }
    }

    @Test func lengthPrefixedFrames() throws {
        var encoder = try ZstdEncoder()
        var file: [UInt8] = []
        let messages = [sampleBytes(3000), [], sampleBytes(10, seed: 2)]
        for message in messages {
            try message.withUnsafeBytes { raw in
                let output = try encoder.encode([raw], lengthPrefixed: true)
                file += Array(output.bytes)
            }
        }
        var found: [[UInt8]] = []
        var rest = file[...]
        while !rest.isEmpty {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            found.append(try decompress(Array(rest.dropFirst(4).prefix(length)), .zstd))
            rest = rest.dropFirst(4 + length)
        }
        #expect(found == messages)
    }

    @Test func takenBytesOutliveTheirOwner() throws {
        let input = sampleBytes(100)
        var encoder = try BodyEncoder(.identity)
        let (base, count) = try input.withUnsafeBytes { raw in try encoder.encode([raw]).release() }
        let again = OwnedBytes(adopting: base, count: count)
        #expect(Array(again.bytes) == input)
    }
}
