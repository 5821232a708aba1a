internal import Compression
internal import Glibc
internal import OTLP
internal import Pipeline

/// Makes the bytes of one message in the file from a request. Keeps its buffers from one to the next. One owner; not
/// thread-safe.
struct RecordEncoder: ~Copyable {
    /// Takes the two pieces of a message, which are valid during the call.
    typealias Body = (_ prefix: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) throws(FileError) -> Void

    /// Largest message, encoded and uncompressed: 2 GiB, as in protobuf.
    static let maximumBytes = Int(Int32.max)
    /// Nesting that the JSON writer follows, counted in messages. Above any that the receivers' `decode_limits` allow.
    static let maximumDepth = 256
    /// A buffer that grew beyond this many bytes for one message is given back after it.
    static let retainedBytes = 8 << 20
    /// Input bytes of one piece of JSON: half of a common second-level cache, together with the text made of it.
    static let pieceBytes = 160 << 10

    private let format: FileExporterSettings.Format
    private let path: String
    private var zstd: ZstdEncoder?
    private var wire = WireWriter(limit: Self.maximumBytes)
    private var text = WireWriter(limit: Self.maximumBytes)

    /// - Throws: when zstd has no memory.
    init(_ settings: FileExporterSettings) throws(CompressionError) {
        format = settings.format
        path = settings.path
        zstd = nil
        if let level = settings.compressionLevel { zstd = try ZstdEncoder(level: level) }
    }

    /// Hands the slices, as one message, to `body`; not for a request without any content.
    mutating func encode(_ request: ExportRequest, _ body: Body) throws(FileError) {
        defer { trim() }
        if request.slices.count == 1, request.slices[0].isWholeBatch, request.slices[0].batch.isPristine {
            let batch = request.slices[0].batch
            // The bytes are the batch's, which must outlive their use.
            defer { withExtendedLifetime(batch) {} }
            try encode(message: batch.bytes.buffer, request.signal, body)
        } else {
            request.encode(into: &wire)
            try encodeWire(request.signal, body)
        }
    }

    /// Whether messages of this format can be made piece by piece.
    var makesPieces: Bool { format == .json && zstd == nil }

    /// Makes one line of JSON from the slices and hands it to `write` in pieces of about `pieceBytes`, so that each is
    /// written while it is in the processor's cache, and no copy of the whole message is made.
    mutating func encodePieces(
        _ request: ExportRequest, _ write: (UnsafeRawBufferPointer) throws(FileError) -> Void
    ) throws(FileError) {
        defer { trim() }
        var isFirst = true
        var unwrittenStart = 0
        for slice in request.slices {
            if text.count > 0, text.count + slice.byteCount > Self.pieceBytes {
                try write(UnsafeRawBufferPointer(rebasing: text.bytes[unwrittenStart...]))
                text.removeAll()
                unwrittenStart = 0
            }
            let start = text.count
            try encodeText(of: slice, request.signal)
            // `{"resourceSpans":[…]}`, or `{}` without any content.
            guard let list = text.bytes[start...].firstIndex(of: UInt8(ascii: "[")), let base = text.base else {
                text.truncate(to: start)
                continue
            }
            text.truncate(to: text.count - 2)
            defer { isFirst = false }
            if isFirst { continue }
            base.storeBytes(of: UInt8(ascii: ","), toByteOffset: list, as: UInt8.self)
            if start == 0 {
                unwrittenStart = list
            } else {
                memmove(base + start, base + list, text.count - list)
                text.truncate(to: text.count - (list - start))
            }
        }
        if isFirst { return }
        text.append("]}\n")
        if text.overflowed { throw tooLarge }
        try write(UnsafeRawBufferPointer(rebasing: text.bytes[unwrittenStart...]))
    }

    /// Appends the slice as one JSON object.
    private mutating func encodeText(of slice: BatchSlice, _ signal: Signal) throws(FileError) {
        let message: UnsafeRawBufferPointer
        if slice.isWholeBatch, slice.batch.isPristine {
            message = slice.batch.bytes.buffer
        } else {
            wire.removeAll()
            slice.batch.encode(slice.items, into: &wire)
            if wire.overflowed { throw tooLarge }
            message = wire.bytes
        }
        defer { withExtendedLifetime(slice.batch) {} }
        do throws(OTLPJSONEncodingError) {
            try OTLPJSONEncoder.encode(
                message, as: Self.root(of: signal), into: &text, maximumDepth: Self.maximumDepth)
        } catch {
            if error == .outputLimit { throw tooLarge }
            throw FileError(.content, "write JSON to", path, reason: "\(error)")
        }
    }

    /// The same for ResourceSpans, ResourceMetrics or ResourceLogs messages, put together as one request.
    mutating func encode(
        resources: [UnsafeRawBufferPointer], _ signal: Signal, _ body: Body
    ) throws(FileError) {
        defer { trim() }
        for resource in resources { wire.append(field: 1, bytes: resource) }
        try encodeWire(signal, body)
    }

    private mutating func encodeWire(_ signal: Signal, _ body: Body) throws(FileError) {
        if wire.overflowed { throw tooLarge }
        try encode(message: wire.bytes, signal, body)
    }

    private mutating func encode(
        message: UnsafeRawBufferPointer, _ signal: Signal, _ body: Body
    ) throws(FileError) {
        if message.isEmpty { return }
        if format == .proto { return try frame(message, body) }
        do throws(OTLPJSONEncodingError) {
            try OTLPJSONEncoder.encode(
                message, as: Self.root(of: signal), into: &text, maximumDepth: Self.maximumDepth)
        } catch {
            if error == .outputLimit { throw tooLarge }
            throw FileError(.content, "write JSON to", path, reason: "\(error)")
        }
        if zstd != nil { return try frame(text.bytes, body) }
        text.append("\n")
        if text.overflowed { throw tooLarge }
        try body(.empty, text.bytes)
    }

    /// Puts the length before a message, which is compressed when that is set.
    private mutating func frame(_ message: UnsafeRawBufferPointer, _ body: Body) throws(FileError) {
        if zstd != nil { return try compress(message, body) }
        guard let length = UInt32(exactly: message.count) else { throw tooLarge }
        var prefix = length.bigEndian
        var failure: FileError?
        withUnsafeBytes(of: &prefix) { prefix in
            do throws(FileError) { try body(prefix, message) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private mutating func compress(_ message: UnsafeRawBufferPointer, _ body: Body) throws(FileError) {
        let frame: OwnedBytes
        do throws(CompressionError) {
            guard let encoded = try zstd?.encode([message], lengthPrefixed: true) else { return }
            frame = encoded
        } catch {
            if case .tooLarge = error { throw tooLarge }
            throw FileError(.transient, "compress a message for", path, reason: "\(error)")
        }
        try Self.hand(frame, to: body)
    }

    /// Borrows the frame, so that it outlives the use of its bytes.
    private static func hand(_ frame: borrowing OwnedBytes, to body: Body) throws(FileError) {
        try body(.empty, frame.bytes)
    }

    private var tooLarge: FileError {
        FileError(.tooLarge, "write to", path, reason: "the message is larger than \(Self.maximumBytes) bytes")
    }

    private mutating func trim() {
        if wire.count > Self.retainedBytes { wire = WireWriter(limit: Self.maximumBytes) } else { wire.removeAll() }
        if text.count > Self.retainedBytes { text = WireWriter(limit: Self.maximumBytes) } else { text.removeAll() }
    }

    private static func root(of signal: Signal) -> OTLPMessage {
        switch signal {
        case .traces: .traceRequest
        case .metrics: .metricsRequest
        case .logs: .logsRequest
        }
    }
}
