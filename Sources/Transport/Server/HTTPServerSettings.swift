package import Config
internal import Pipeline

/// The versions of HTTP that a server takes.
package enum HTTPVersions: Sendable {
    /// HTTP/1.1 and HTTP/2, told apart by the first bytes.
    case http1AndHTTP2
    /// HTTP/2 only, for gRPC.
    case http2
}

/// Bounds and time-outs of an HTTP server; names as in otelcol's confighttp where it has them.
package struct HTTPServerSettings: Sendable {
    package var host: String
    package var port: Int
    /// Most connections at once; further ones are answered 503 and closed. Key `max_connections`.
    package var maximumConnections = 4096
    /// Longest time from the first byte of a head to its last. Key `read_header_timeout`.
    package var readHeaderTimeout: Duration = .seconds(60)
    /// Longest time from the head's end to the body's end; zero turns it off. Key `read_timeout`.
    package var readTimeout: Duration = .seconds(60)
    /// Longest time without a request on an open connection. Key `idle_timeout`.
    package var idleTimeout: Duration = .seconds(60)
    /// False answers `Connection: close` to every request. Key `keep_alives_enabled`.
    package var keepAlive = true
    /// Fields added to every answer. Key `response_headers`.
    package var responseHeaders: [(name: String, value: String)] = []

    /// The extension that checks the credentials of clients; nil for none. Key `auth::authenticator`.
    package var authenticatorID: ComponentID?
    /// That extension, once the server starts.
    var authenticator: (any ServerAuthenticator)?
    /// How to speak TLS; nil for plain TCP. Key `tls`.
    package var tls: TLSServerSettings?

    /// What clients may speak.
    package var versions = HTTPVersions.http1AndHTTP2
    package var http2 = HTTP2ServerSettings()

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}
