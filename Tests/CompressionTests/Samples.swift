import CZlib
import CZstd
import Compression

/// Bytes that compress about as well as telemetry: a few words in random order.
func sampleBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    let words = ["gen_ai.request.model", "server.address", "session.id", "gpt-4o", "http", "\u{1}\u{12}\u{8}"]
    var generator = SplitMix(state: seed)
    var bytes: [UInt8] = []
    while bytes.count < count {
        bytes += Array(words[Int(generator.next() % UInt64(words.count))].utf8)
        bytes.append(UInt8(truncatingIfNeeded: generator.next()))
    }
    return Array(bytes.prefix(count))
}

/// SplitMix64: seeded, so that a failure repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

func decompress(_ input: [UInt8], _ encoding: ContentEncoding, limit: Int = 1 << 24) throws(CompressionError) -> [UInt8]
{
    var decompressor = BodyDecompressor()
    return try decompress(input, encoding, limit: limit, with: &decompressor)
}

func decompress(
    _ input: [UInt8], _ encoding: ContentEncoding, limit: Int = 1 << 24, with decompressor: inout BodyDecompressor
) throws(CompressionError) -> [UInt8] {
    var result: Result<[UInt8], CompressionError> = .success([])
    input.withUnsafeBytes { raw in
        do throws(CompressionError) {
            let output = try decompressor.decompress(raw, encoding: encoding, limit: limit)
            result = .success(Array(output.bytes))
        } catch {
            result = .failure(error)
        }
    }
    return try result.get()
}

/// Encodes `input` in `pieces` slices.
func encode(_ input: [UInt8], _ encoding: ContentEncoding, level: Int? = nil, pieces: Int = 1) throws -> [UInt8] {
    var encoder = try BodyEncoder(encoding, level: level)
    return try input.withUnsafeBytes { raw in
        let output = try encoder.encode(slices(of: raw, pieces))
        return Array(output.bytes)
    }
}

func slices(of raw: UnsafeRawBufferPointer, _ pieces: Int) -> [UnsafeRawBufferPointer] {
    (0..<pieces).map { UnsafeRawBufferPointer(rebasing: raw[raw.count * $0 / pieces..<raw.count * ($0 + 1) / pieces]) }
}

/// What another sender's zlib makes. Window bits: 31 gzip, 15 zlib, -15 bare deflate.
func zlibDeflate(_ input: [UInt8], windowBits: Int32, level: Int32 = 6) -> [UInt8] {
    var stream = z_stream()
    deflateInit2_(
        &stream, level, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
    var source = input
    var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(input.count))) + 64)
    let count = source.withUnsafeMutableBufferPointer { from in
        output.withUnsafeMutableBufferPointer { to in
            stream.next_in = from.baseAddress
            stream.avail_in = UInt32(from.count)
            stream.next_out = to.baseAddress
            stream.avail_out = UInt32(to.count)
            deflate(&stream, Z_FINISH)
            return to.count - Int(stream.avail_out)
        }
    }
    deflateEnd(&stream)
    return Array(output.prefix(count))
}

/// A zstd frame as a streaming sender makes it: without the content's size.
func zstdStream(_ input: [UInt8], windowLog: Int32 = 0) -> [UInt8] {
    let context = ZSTD_createCCtx()
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, windowLog)
    var output = [UInt8](repeating: 0, count: ZSTD_compressBound(input.count) + 64)
    let count = input.withUnsafeBytes { from in
        output.withUnsafeMutableBytes { to in
            var source = ZSTD_inBuffer(src: from.baseAddress, size: from.count, pos: 0)
            var target = ZSTD_outBuffer(dst: to.baseAddress, size: to.count, pos: 0)
            ZSTD_compressStream2(context, &target, &source, ZSTD_e_continue)
            while ZSTD_compressStream2(context, &target, &source, ZSTD_e_end) != 0 {}
            return target.pos
        }
    }
    return Array(output.prefix(count))
}
