internal import Compression
internal import Glibc
internal import OTLP
package import Pipeline
internal import Transport

/// Sends batches to an OTLP/HTTP endpoint, protobuf or JSON.
package final class OTLPHTTPExporter: Exporter {
    private let settings: OTLPHTTPExporterSettings
    private let headers: [(name: String, value: String)]
    private let authorization: RequestAuthorization
    private let client: HTTPClient
    private let bodies: ExportBodyEncoder

    /// - Throws: `HTTPClientError` or `CompressionError` when the settings cannot work.
    package init(_ settings: OTLPHTTPExporterSettings, _ environment: ComponentEnvironment) throws {
        self.settings = settings
        authorization = RequestAuthorization(settings.client.authenticator, environment)
        client = try HTTPClient(settings.client.settings)
        headers = settings.requestHeaders
        bodies = try ExportBodyEncoder(settings.client.encoding, level: settings.client.compressionLevel)
    }

    package func start() throws { try authorization.check() }

    package func shutdown() { client.shutdown() }

    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        guard let url = settings.urls[request.signal] else {
            completion(.permanent("no endpoint is configured for \(request.signal.rawValue)"))
            return
        }
        let message: HTTPClientRequest
        do {
            message = HTTPClientRequest(
                url: url, headers: authorization.authorized(headers, metadata: request.metadata),
                body: try makeBody(request),
                timeout: request.timeout)
        } catch {
            completion(.retryable("cannot make the request: \(error)", after: nil))
            return
        }
        let signal = request.signal
        client.send(message) { result in
            completion(Self.outcome(result, signal))
        }
    }

    // MARK: Bodies

    private func makeBody(_ request: ExportRequest) throws -> HTTPRequestBody {
        settings.encoding == .json ? try bodies.json(request) : try bodies.protobuf(request)
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
