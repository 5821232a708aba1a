internal import CCurl
internal import Glibc

/// Why a request got no answer. The text names the host and port, never the path, headers or bodies.
package struct HTTPClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong; the raw value begins the text.
    package enum Code: String, Sendable {
        /// The name of the host, or of the proxy, has no address.
        case resolve = "cannot resolve"
        /// No connection: refused, unreachable, or the proxy would not tunnel.
        case connect = "cannot connect to"
        /// The time for the whole attempt ran out.
        case timeout = "timeout at"
        /// The peer closed or reset the connection before the answer was complete.
        case reset = "connection lost to"
        /// The TLS handshake failed: certificate, version, or no TLS at all on the other side.
        case tls = "TLS failure with"
        /// The answer's body passes the request's `maxResponseBytes`. The status arrived: see `status`.
        case responseTooLarge = "answer too large from"
        /// What came back is not HTTP.
        case malformedResponse = "no valid HTTP answer from"
        /// The client was shut down before the answer came.
        case shutdown = "client shut down, request cancelled to"
        /// `HTTPClientSettings.maxInFlight` requests are under way already.
        case overloaded = "too many requests under way to"
        /// The request cannot be sent: bad URL, scheme, header name or value.
        case invalidRequest = "invalid request to"
        /// The client cannot be made with these settings.
        case invalidSettings = "invalid HTTP client settings for"
        /// libcurl is not installed, or is too old. The detail says what to install.
        case unavailable = "no HTTP client"
        /// libcurl or the allocator failed.
        case failed = "HTTP client failure with"
    }

    /// The class of the failure.
    package let code: Code
    /// `host:port`, as far as it is known; empty otherwise.
    package let origin: String
    /// More about the cause; may be empty.
    package let detail: String
    /// HTTP status, when the answer's head had arrived; 0 otherwise.
    package let status: Int
    /// False when the peer certainly got nothing of the request.
    package let maybeReceived: Bool

    /// `detail` must hold nothing of the request or the answer.
    package init(_ code: Code, origin: String, detail: String = "", status: Int = 0, maybeReceived: Bool = false) {
        self.code = code
        self.origin = origin
        self.detail = detail
        self.status = status
        self.maybeReceived = maybeReceived
    }

    /// Whether sending the same request again can help. TLS failures count: certificates get renewed.
    package var isRetryable: Bool {
        switch code {
        case .resolve, .connect, .timeout, .reset, .tls, .malformedResponse, .shutdown, .overloaded, .failed: true
        case .responseTooLarge, .invalidRequest, .invalidSettings, .unavailable: false
        }
    }

    /// The class, the origin and the detail, such as `cannot connect to localhost:4318: Connection refused`.
    package var description: String {
        if code == .unavailable { return "\(code.rawValue): \(detail)" }
        return "\(code.rawValue) \(origin.isEmpty ? "(unknown host)" : origin)" + (detail.isEmpty ? "" : ": \(detail)")
    }
}

extension HTTPClientError {
    /// The failure of a libcurl handle.
    ///
    /// - Parameter errorText: what its `CURLOPT_ERRORBUFFER` points to.
    init(
        _ code: CURLcode, of easy: UnsafeMutableRawPointer, errorText: UnsafePointer<CChar>, origin: String,
        status: Int = 0, maybeReceived: Bool
    ) {
        let kind = Code(code)
        let systemError = Int32(truncatingIfNeeded: martlet_curl_getinfo_long(easy, CURLINFO_OS_ERRNO))
        let detail =
            switch kind {
            // The text of other failures may quote what the peer sent.
            case .tls where errorText[0] != 0: String(cString: errorText)
            case .connect where systemError != 0, .reset where systemError != 0: errnoText(systemError)
            default: String(cString: martlet_curl_easy_strerror(code))
            }
        self.init(kind, origin: origin, detail: detail, status: status, maybeReceived: maybeReceived)
    }
}

extension HTTPClientError.Code {
    /// The class of a failed transfer.
    init(_ code: CURLcode) {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self = .resolve
        case CURLE_COULDNT_CONNECT, CURLE_PROXY, CURLE_INTERFACE_FAILED, CURLE_NO_CONNECTION_AVAILABLE: self = .connect
        case CURLE_OPERATION_TIMEDOUT: self = .timeout
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_SEND_FAIL_REWIND:
            self = .reset
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_INITFAILED,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            self = .tls
        case CURLE_URL_MALFORMAT: self = .invalidRequest
        // Schemes are checked before, so this is an answer of HTTP/0.9 or none.
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING: self = .malformedResponse
        default: self = .failed
        }
    }
}

/// The C library's text for an `errno`.
func errnoText(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "errno \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
