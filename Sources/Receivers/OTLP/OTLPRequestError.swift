internal import Compression
internal import OTLP

/// A request that is refused before any pipeline sees it, with what the client is told.
struct OTLPRequestError: Error {
    /// HTTP status.
    var status: Int
    var code: StatusCode
    /// Names the fault; holds no telemetry.
    var message: String
    /// Set when the same request may succeed later.
    var retryAfter: Duration?

    init(status: Int, code: StatusCode, message: String, retryAfter: Duration? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
    }

    init(_ error: CompressionError, limit: Int) {
        switch error {
        case .tooLarge:
            self.init(
                status: 413, code: .resourceExhausted, message: "inflated request body larger than \(limit) bytes")
        case .outOfMemory:
            self.init(status: 503, code: .unavailable, message: error.description, retryAfter: .seconds(1))
        case .corrupt, .unsupported, .levelOutOfRange:
            self.init(status: 400, code: .invalidArgument, message: error.description)
        }
    }

    init(_ error: OTLPDecodeError) {
        self.init(status: 400, code: .invalidArgument, message: error.description)
    }
}
