internal import Compression
internal import OTLP
package import Pipeline
internal import Transport

/// Sends batches as unary OTLP/gRPC calls. All calls share a connection to each address of the endpoint.
package final class OTLPGRPCExporter: Exporter {
    private let settings: OTLPGRPCExporterSettings
    private let headers: [(name: String, value: String)]
    private let authorization: RequestAuthorization
    private let client: HTTPClient
    private let bodies: ExportBodyEncoder

    /// - Throws: `HTTPClientError` or `CompressionError` when the settings cannot work.
    package init(_ settings: OTLPGRPCExporterSettings, _ environment: ComponentEnvironment) throws {
        self.settings = settings
        authorization = RequestAuthorization(settings.client.authenticator, environment)
        client = try HTTPClient(settings.client.settings)
        headers = settings.requestHeaders
        bodies = try ExportBodyEncoder(settings.client.encoding, level: nil)
    }

    package func start() throws { try authorization.check() }

    package func shutdown() { client.shutdown() }

    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        guard let base = settings.client.baseURL else {
            completion(.permanent("no endpoint is configured"))
            return
        }
        var message: HTTPClientRequest
        do {
            let fields = headers + [("grpc-timeout", GRPCAnswer.timeoutText(request.timeout))]
            message = HTTPClientRequest(
                url: base + Self.path(request.signal),
                headers: authorization.authorized(fields, metadata: request.metadata),
                body: try self.message(of: request), timeout: request.timeout)
        } catch {
            completion(.retryable("cannot make the request: \(error)", after: nil))
            return
        }
        message.wantedHeaders = GRPCAnswer.wantedHeaders
        let signal = request.signal
        client.send(message) { result in
            switch result {
            case .failure(let error):
                completion(
                    error.isRetryable ? .retryable(error.description, after: nil) : .permanent(error.description))
            case .success(let response): completion(GRPCAnswer(response).outcome(signal))
            }
        }
    }

    /// The request behind gRPC's prefix: whether it is compressed, and its length.
    private func message(of request: ExportRequest) throws -> HTTPRequestBody {
        let body = try bodies.protobuf(request)
        guard let length = UInt32(exactly: body.count) else { throw CompressionError.outOfMemory }
        var prefix: [UInt8] = [settings.client.encoding == .identity ? 0 : 1]
        for shift in [24, 16, 8, 0] as [UInt32] { prefix.append(UInt8(truncatingIfNeeded: length >> shift)) }
        return HTTPRequestBody(prefix: try OwnedBytes(copying: prefix), of: body)
    }

    private static func path(_ signal: Signal) -> String {
        let service =
            switch signal {
            case .traces: "trace.v1.TraceService"
            case .metrics: "metrics.v1.MetricsService"
            case .logs: "logs.v1.LogsService"
            }
        return "/opentelemetry.proto.collector.\(service)/Export"
    }
}
