package import Compression
package import Config

/// Limits and habits of one `HTTPClient`.
package struct HTTPClientSettings: Sendable, Equatable {
    /// Requests that may be under way, waiting ones included; more are refused as `.overloaded`.
    package var maxInFlight = 1024
    /// Connections of HTTP/1.1 to keep open while unused, over all hosts; 0 is no limit.
    package var maxIdleConnections = 100
    /// Connections of HTTP/1.1 to one host at a time; requests beyond wait for one. 0 is no limit.
    package var maxConnectionsPerHost = 0
    /// A connection that was unused for longer is not used again. Whole seconds; 0 is no limit.
    package var idleConnectionTimeout = Duration.seconds(90)
    /// One connection per request, over HTTP/1.1.
    package var disableKeepAlives = false
    /// URL of a proxy (http, https, socks5), possibly with a password; nil for that of the environment (`http_proxy`, `https_proxy`, `no_proxy`),
    /// which does not count for loopback hosts.
    package var proxyURL: SecretString?
    /// Bytes handed to one `send` of a large body, within `uploadBufferRange`.
    package var uploadBufferBytes = 512 << 10
    /// Bytes taken by one `recv`, within `receiveBufferRange`.
    package var receiveBufferBytes = 16 << 10
    /// For https URLs.
    package var tls = TLSClientSettings()
    /// What the requests are sent over.
    package var version = HTTPClientVersion.http1
    /// Takes the addresses of the host in turn, one for each request, and passes over those that do not connect; each
    /// has a connection. False for the first that connects. Over HTTP/2, not through a proxy.
    package var rotatesAddresses = false
    /// Silence on a connection after which the system asks whether the peer is there, whole seconds; nil for
    /// libcurl's (60 s).
    package var keepAliveIdle: Duration?
    /// Time between two such questions without an answer, whole seconds; nil for libcurl's (60 s).
    package var keepAliveInterval: Duration?
    /// `Host`, or `:authority`, in place of that of the URL.
    package var authority: String?

    /// What libcurl takes, in bytes.
    package static let uploadBufferRange = 16 << 10...2 << 20
    /// What libcurl takes, in bytes.
    package static let receiveBufferRange = 1 << 10...2 << 20

    /// The defaults of otelcol, except where a property says otherwise.
    package init() {}
}

/// A version of HTTP that a client sends.
package enum HTTPClientVersion: Sendable {
    case http1
    /// Requests share connections. Over TLS it is negotiated, without TLS it is known beforehand ("prior knowledge",
    /// RFC 9113 §3.3). A server without it is a failure.
    case http2
}

/// A request body: immutable bytes in one or more pieces, which may be sent any number of times.
package final class HTTPRequestBody: @unchecked Sendable {
    // Sendable is unchecked because of the pointers: nobody writes to the bytes while this object lives.

    let slices: [UnsafeRawBufferPointer]
    /// Bytes in all pieces.
    package let count: Int
    private let bytes: OwnedBytes?
    private let owner: (any AnyObject & Sendable)?

    /// One piece; the bytes are freed with this object.
    package init(_ bytes: consuming OwnedBytes) {
        slices = [bytes.bytes]
        count = bytes.count
        owner = nil
        self.bytes = consume bytes
    }

    /// `prefix`, then what `body` holds, which is kept and not copied. `prefix` must not be empty.
    package init(prefix: consuming OwnedBytes, of body: HTTPRequestBody) {
        slices = [prefix.bytes] + body.slices
        count = prefix.count + body.count
        bytes = consume prefix
        owner = body
    }

    /// Several pieces, sent in order without being copied together first.
    ///
    /// - Parameters:
    ///   - slices: bytes that stay valid and unchanged as long as `owner` lives.
    ///   - owner: kept until this object goes away.
    package init(gathering slices: [UnsafeRawBufferPointer], owner: any AnyObject & Sendable) {
        self.slices = slices.filter { !$0.isEmpty }
        count = self.slices.reduce(0) { $0 + $1.count }
        bytes = nil
        self.owner = owner
    }
}

/// Request methods. `get` and `delete` send a body only when there is one.
package enum HTTPMethod: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
}

/// One request. Headers and body must not change the meaning when sent twice: a request on a kept connection that
/// turns out to be closed is sent again on a new one.
package struct HTTPClientRequest: Sendable {
    /// Absolute, http or https. A user and password in it become basic authentication.
    package var url: String
    /// The method.
    package var method: HTTPMethod
    /// Sent as they are, `Content-Type` included; `Host`, `Content-Length` and `Accept: */*` are added. Names are
    /// tokens and values have no control characters (RFC 9110 §5), else the request fails as `.invalidRequest`.
    package var headers: [(name: String, value: String)]
    /// Kept until the completion has been called.
    package var body: HTTPRequestBody?
    /// For the whole attempt, from `send` to the last byte of the answer, waiting for a connection included.
    package var timeout: Duration
    /// Most bytes of the answer's body.
    package var maxResponseBytes: Int
    /// Response headers and trailers to hand over, beside `Content-Type` and `Retry-After`.
    package var wantedHeaders: [String] = []

    /// As good as no time limit: a thousand years.
    package static let noTimeout = Duration.seconds(31_557_600_000)
    /// 4 MiB, which OTLP recommends.
    package static let defaultMaxResponseBytes = 4 << 20

    /// A request without `wantedHeaders`.
    package init(
        url: String, method: HTTPMethod = .post, headers: [(name: String, value: String)] = [],
        body: HTTPRequestBody? = nil, timeout: Duration, maxResponseBytes: Int = defaultMaxResponseBytes
    ) {
        self.url = url
        self.method = method
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.maxResponseBytes = maxResponseBytes
    }
}

/// An answer, of any status.
package struct HTTPClientResponse: Sendable {
    /// HTTP status, 200 and above.
    package var status: Int
    /// `Content-Type` as it came.
    package var contentType: String?
    /// `Retry-After`, a date as seconds from the answer's own `Date` where it has one; see `RetryAfter`.
    package var retryAfter: String?
    /// Those of `wantedHeaders` that came, first value each.
    package var headers: [(name: String, value: String)] = []
    /// At most the request's `maxResponseBytes`.
    package var body: [UInt8]

    /// Every part as above.
    package init(
        status: Int, contentType: String?, retryAfter: String?, headers: [(name: String, value: String)] = [],
        body: [UInt8]
    ) {
        self.status = status
        self.contentType = contentType
        self.retryAfter = retryAfter
        self.headers = headers
        self.body = body
    }
}
