internal import Compression
internal import Glibc
internal import OTLP
package import Pipeline
internal import Transport

/// Sends batches to an OTLP/HTTP endpoint, protobuf or JSON.
package final class OTLPHTTPExporter: Exporter {
    private let settings: OTLPHTTPExporterSettings
    private let headers: [(name: String, value: String)]
    private let client: HTTPClient
    private let encoders: BodyEncoderPool

    /// - Throws: `HTTPClientError` or `CompressionError` when the settings cannot work.
    package init(_ settings: OTLPHTTPExporterSettings) throws {
        self.settings = settings
        client = try HTTPClient(settings.client.settings)
        headers = settings.requestHeaders
        encoders = try BodyEncoderPool(settings.client.encoding, level: settings.client.compressionLevel)
    }

    package func start() throws {}

    package func shutdown() { client.shutdown() }

    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        guard let url = settings.urls[request.signal] else {
            completion(.permanent("no endpoint is configured for \(request.signal.rawValue)"))
            return
        }
        let body: HTTPRequestBody
        do {
            body = try makeBody(request)
        } catch {
            completion(.retryable("cannot encode the request: \(error)", after: nil))
            return
        }
        let message = HTTPClientRequest(
            url: url, headers: headers, body: body, timeout: request.timeout)
        let signal = request.signal
        client.send(message) { result in
            completion(Self.outcome(result, signal))
        }
    }

    // MARK: Bodies

    private func makeBody(_ request: ExportRequest) throws -> HTTPRequestBody {
        if settings.encoding == .json { return try makeJSONBody(request) }
        if let whole = WholeBatches(request) {
            if settings.client.encoding == .identity { return HTTPRequestBody(gathering: whole.slices, owner: whole) }
            return HTTPRequestBody(try encoders.encode(whole.slices))
        }
        var writer = WireWriter(capacity: request.slices.reduce(0) { $0 + $1.byteCount + 1024 })
        request.encode(into: &writer)
        return try finish(&writer)
    }

    private func makeJSONBody(_ request: ExportRequest) throws -> HTTPRequestBody {
        var wire = WireWriter(capacity: request.slices.reduce(0) { $0 + $1.byteCount + 1024 })
        request.encode(into: &wire)
        guard !wire.overflowed else { throw CompressionError.outOfMemory }
        var text = WireWriter(capacity: wire.count * 2)
        try OTLPJSONEncoder.encode(wire.bytes, as: .request(of: request.signal), into: &text)
        return try finish(&text)
    }

    private func finish(_ writer: inout WireWriter) throws -> HTTPRequestBody {
        guard !writer.overflowed else { throw CompressionError.outOfMemory }
        if settings.client.encoding == .identity {
            let (base, count) = writer.takeStorage()
            return HTTPRequestBody(OwnedBytes(adopting: base, count: count))
        }
        return HTTPRequestBody(try encoders.encode([writer.bytes]))
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

    // MARK: Answers

    private static func outcome(
        _ result: Result<HTTPClientResponse, HTTPClientError>, _ signal: Signal
    ) -> ExportOutcome {
        switch result {
        case .failure(let error):
            return error.isRetryable ? .retryable(error.description, after: nil) : .permanent(error.description)
        case .success(let response):
            switch OTLPHTTPStatus(status: response.status, retryAfter: response.retryAfter, now: Int64(time(nil))) {
            case .success: return delivered(response, signal)
            case .retryable(let delay):
                // `Retry-After` is HTTP's own word; RetryInfo in the body serves where it is missing.
                return .retryable(reason(response), after: delay ?? status(response)?.retryDelay)
            case .permanent: return .permanent(reason(response))
            case .tooLarge: return .tooLarge(reason(response))
            }
        }
    }

    private static func isJSON(_ response: HTTPClientResponse) -> Bool {
        response.contentType?.lowercased().hasPrefix("application/json") ?? false
    }

    /// What a 2xx answer says about the items. A body that is no OTLP answer says nothing: some backends send text.
    private static func delivered(_ response: HTTPClientResponse, _ signal: Signal) -> ExportOutcome {
        let answer = try? response.body.withUnsafeBytes {
            try ExportResponse(decoding: $0, signal, as: isJSON(response) ? .json : .protobuf)
        }
        guard let answer else { return .delivered }
        return .delivered(rejected: Int(clamping: answer.rejectedItems), message: answer.errorMessage)
    }

    private static func reason(_ response: HTTPClientResponse) -> String {
        let message = status(response).map { $0.message.isEmpty ? "" : ": \($0.message)" } ?? ""
        return "the destination answered HTTP \(response.status)\(message)"
    }

    /// The `google.rpc.Status` of an error answer; nil when its body is something else.
    private static func status(_ response: HTTPClientResponse) -> RPCStatus? {
        try? response.body.withUnsafeBytes {
            try RPCStatus(decoding: $0, as: isJSON(response) ? .json : .protobuf)
        }
    }
}
