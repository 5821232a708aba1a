internal import OTLP
internal import Pipeline
internal import Transport

/// gRPC status codes that Martlet's answers use.
enum StatusCode: Int32 {
    case invalidArgument = 3
    case resourceExhausted = 8
    case internalError = 13
    case unavailable = 14
}

/// The two encodings of OTLP/HTTP bodies. An answer has the encoding of its request.
enum OTLPFormat: Sendable {
    case protobuf
    case json

    /// - Returns: nil for any other media type, or none. Parameters such as `charset` are ignored.
    init?(contentType: String?) {
        guard let contentType else { return nil }
        let end = contentType.utf8.firstIndex { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: " ") }
        let mediaType = end.map { String(contentType[..<$0]) } ?? contentType
        if equalIgnoringCase(mediaType, "application/x-protobuf") {
            self = .protobuf
        } else if equalIgnoringCase(mediaType, "application/json") {
            self = .json
        } else {
            return nil
        }
    }

    private var contentType: (name: String, value: String) {
        switch self {
        case .protobuf: ("Content-Type", "application/x-protobuf")
        case .json: ("Content-Type", "application/json")
        }
    }

    /// The request in protobuf's wire format. JSON is transcoded; the memory lease goes along.
    ///
    /// - Parameter limit: most bytes of the result.
    func wireBytes(of body: WireBytes, signal: Signal, limit: Int) throws(OTLPRequestError) -> WireBytes {
        guard self == .json else { return body }
        var writer = WireWriter(capacity: body.count / 2, limit: limit)
        do throws(OTLPJSONError) {
            try OTLPJSONDecoder.decode(body.buffer, as: .request(of: signal), into: &writer)
        } catch {
            throw OTLPRequestError(status: 400, code: .invalidArgument, message: error.description)
        }
        return WireBytes(taking: &writer, accounting: body.accounting)
    }

    func success(_ signal: Signal, rejected: Int) -> HTTPAnswer {
        HTTPAnswer(status: 200, headers: [contentType], body: [])
    }

    func failure(_ status: Int, _ code: StatusCode, _ message: String) -> HTTPAnswer {
        HTTPAnswer(status: status, headers: [contentType], body: [])
    }

    func failure(_ error: ConsumeError) -> HTTPAnswer {
        failure(error.isRetryable ? 503 : 500, error.isRetryable ? .unavailable : .internalError, error.message)
    }
}
