internal import Compression
internal import OTLP
internal import Pipeline
internal import Transport

/// Makes the bodies of OTLP requests. Any thread may call.
final class ExportBodyEncoder: Sendable {
    private let encoding: ContentEncoding
    private let encoders: BodyEncoderPool

    /// - Throws: `CompressionError` for a level that the encoding does not have, or without memory.
    init(_ encoding: ContentEncoding, level: Int?) throws(CompressionError) {
        self.encoding = encoding
        encoders = try BodyEncoderPool(encoding, level: level)
    }

    /// The request as protobuf, compressed. Without compression, the bytes of batches that nobody changed are not
    /// copied.
    /// - Throws: `CompressionError.outOfMemory`.
    func protobuf(_ request: ExportRequest) throws -> HTTPRequestBody {
        if let whole = WholeBatches(request) {
            if encoding == .identity { return HTTPRequestBody(gathering: whole.slices, owner: whole) }
            return HTTPRequestBody(try encoders.encode(whole.slices))
        }
        var writer = WireWriter(capacity: request.slices.reduce(0) { $0 + $1.byteCount + 1024 })
        request.encode(into: &writer)
        return try finish(&writer)
    }

    /// The request as OTLP JSON, compressed.
    /// - Throws: `CompressionError.outOfMemory`, or what the JSON encoder throws for bytes it cannot read.
    func json(_ request: ExportRequest) throws -> HTTPRequestBody {
        var wire = WireWriter(capacity: request.slices.reduce(0) { $0 + $1.byteCount + 1024 })
        request.encode(into: &wire)
        guard !wire.overflowed else { throw CompressionError.outOfMemory }
        var text = WireWriter(capacity: wire.count * 2)
        try OTLPJSONEncoder.encode(wire.bytes, as: .request(of: request.signal), into: &text)
        return try finish(&text)
    }

    private func finish(_ writer: inout WireWriter) throws -> HTTPRequestBody {
        guard !writer.overflowed else { throw CompressionError.outOfMemory }
        if encoding == .identity {
            let (base, count) = writer.takeStorage()
            return HTTPRequestBody(OwnedBytes(adopting: base, count: count))
        }
        return HTTPRequestBody(try encoders.encode([writer.bytes]))
    }
}

/// A request of whole, unchanged batches: its bytes are theirs, one after the other.
private final class WholeBatches: Sendable {
    private let batches: [TelemetryBatch]

    init?(_ request: ExportRequest) {
        guard request.slices.allSatisfy({ $0.isWholeBatch && $0.batch.isPristine }) else { return nil }
        batches = request.slices.map(\.batch)
    }

    /// Valid as long as this object lives.
    var slices: [UnsafeRawBufferPointer] { batches.map(\.bytes.buffer) }
}
