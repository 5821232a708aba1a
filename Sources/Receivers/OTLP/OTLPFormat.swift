internal import OTLP
internal import Pipeline
internal import Transport

/// gRPC status codes that Martlet's answers use (google.rpc.Code).
enum StatusCode: Int32 {
    case ok = 0
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case resourceExhausted = 8
    case unimplemented = 12
    case internalError = 13
    case unavailable = 14
    case unauthenticated = 16
}

/// The two encodings of OTLP/HTTP bodies. An answer has the encoding of its request.
struct OTLPFormat: Sendable {
    static let protobuf = OTLPFormat(encoding: .protobuf)
    private let encoding: OTLPEncoding

    private init(encoding: OTLPEncoding) { self.encoding = encoding }

    /// - Returns: nil for any other media type, or none. Parameters such as `charset` are ignored.
    init?(contentType: String?) {
        guard let contentType else { return nil }
        let end = contentType.utf8.firstIndex { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: " ") }
        let mediaType = end.map { String(contentType[..<$0]) } ?? contentType
        if equalIgnoringCase(mediaType, "application/x-protobuf") {
            encoding = .protobuf
        } else if equalIgnoringCase(mediaType, "application/json") {
            encoding = .json
        } else {
            return nil
        }
    }

    private var contentType: (name: String, value: String) {
        switch encoding {
        case .protobuf: ("Content-Type", "application/x-protobuf")
        case .json: ("Content-Type", "application/json")
        }
    }

    /// The request in protobuf's wire format. JSON is transcoded; the memory lease goes along.
    ///
    /// - Parameter limit: most bytes of the result.
    func wireBytes(of body: WireBytes, signal: Signal, limit: Int) throws(OTLPRequestError) -> WireBytes {
        guard encoding == .json else { return body }
        var writer = WireWriter(capacity: body.count / 2, limit: limit)
        do throws(OTLPJSONError) {
            try OTLPJSONDecoder.decode(body.buffer, as: .request(of: signal), into: &writer)
        } catch {
            if case .outputLimit = error.reason {
                throw OTLPRequestError(
                    status: 413, code: .resourceExhausted, message: "request larger than \(limit) bytes as protobuf")
            }
            throw OTLPRequestError(status: 400, code: .invalidArgument, message: error.description)
        }
        return WireBytes(taking: &writer, accounting: body.accounting)
    }

    /// 200, with a partial success when items were refused.
    ///
    /// - Parameter reason: why, when it is not the items' ids.
    func success(_ signal: Signal, rejected: Int, _ reason: String? = nil) -> HTTPAnswer {
        guard rejected > 0 else {
            return HTTPAnswer(status: 200, headers: [contentType], body: encoding == .json ? Self.emptyObject : [])
        }
        let body = Self.response(signal, rejected: rejected, reason).encoded(signal, as: encoding)
        return HTTPAnswer(status: 200, headers: [contentType], body: body)
    }

    /// What an accepted request is told: nothing, or what was left out and why.
    static func response(_ signal: Signal, rejected: Int, _ why: String? = nil) -> ExportResponse {
        guard rejected > 0 else { return .accepted }
        return ExportResponse(
            rejectedItems: Int64(rejected),
            errorMessage: "\(rejected) \(signal.itemWords) refused: \(why ?? reason(signal))")
    }

    private static let emptyObject = Array("{}".utf8)

    private static func reason(_ signal: Signal) -> String {
        switch signal {
        case .traces: "a trace id must be 16 bytes and a span id 8, neither all zero"
        case .metrics, .logs: "a trace id must be empty or 16 bytes, a span id empty or 8"
        }
    }

    /// An error with a `google.rpc.Status` body.
    ///
    /// - Parameter retryAfter: written as a `Retry-After` field, in whole seconds, and as RetryInfo.
    func failure(_ status: Int, _ code: StatusCode, _ message: String, retryAfter: Duration? = nil) -> HTTPAnswer {
        let body = RPCStatus(code: code.rawValue, message: message, retryDelay: retryAfter).encoded(as: encoding)
        var headers = [contentType]
        if let retryAfter {
            let (seconds, attoseconds) = retryAfter.components
            headers.append((name: "Retry-After", value: String(max(1, seconds + (attoseconds > 0 ? 1 : 0)))))
        }
        return HTTPAnswer(status: status, headers: headers, body: body)
    }

    /// The answer to a batch that the pipeline did not take.
    func failure(_ error: ConsumeError) -> HTTPAnswer {
        guard error.isRetryable else { return failure(500, .internalError, error.message) }
        return failure(503, .unavailable, error.message, retryAfter: error.retryAfter ?? .seconds(1))
    }
}
