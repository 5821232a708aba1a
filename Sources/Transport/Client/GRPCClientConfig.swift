package import Compression
package import Config
internal import Pipeline

/// The options of a gRPC client as otelcol's components write them (`configgrpc`'s client): decoded, checked, with
/// their defaults.
package struct GRPCClientConfig: Sendable {
    /// `http` or `https` with host and port, without a path; nil when `endpoint` is missing or wrong.
    package var baseURL: String?
    /// `headers`, as metadata of every call.
    package var headers: [(name: String, value: SecretString)]
    /// `timeout` of one attempt; `HTTPClientRequest.noTimeout` when configured as 0.
    package var timeout: Duration
    /// `compression` of the messages.
    package var encoding: ContentEncoding
    /// `auth`: the extension that adds credentials to every call; nil for none.
    package var authenticator: ComponentID?
    /// What the client itself is made with.
    package var settings: HTTPClientSettings

    /// otelcol's time-out of an attempt for gRPC exporters.
    package static let defaultTimeout = Duration.seconds(5)
    /// Names of metadata that gRPC or the client sets itself.
    private static let reservedNames = [
        "content-type", "te", "user-agent", "host", "connection", "content-length", "transfer-encoding",
        "content-encoding", "keep-alive", "upgrade", "proxy-connection",
    ]

    /// Decodes the options that lie in `section` beside the component's own. Errors are recorded in the section, whose
    /// `finish` throws them.
    package init(_ section: ConfigSection) {
        let endpoint = Self.endpoint(section)
        headers = Self.headers(section)
        let written = section.duration("timeout")
        timeout = written == .zero ? HTTPClientRequest.noTimeout : written ?? Self.defaultTimeout
        encoding = Self.encoding(section)
        let tls = section.section("tls")
        let isTLS = endpoint?.scheme == "https" || tls.bool("insecure") != true
        if let endpoint { baseURL = "\(isTLS ? "https" : "http")://\(endpoint.target)" }
        settings = HTTPClientSettings()
        settings.version = .http2
        settings.tls = TLSClientSettings(tls, isTLS: endpoint?.scheme == "https")
        if endpoint?.scheme == "http", isTLS {
            section.warn("endpoint", "is used with TLS, as in otelcol: set \"tls: {insecure: true}\" for none")
        }
        settings.rotatesAddresses = section.choice("balancer_name", ["round_robin", "pick_first"]) != "pick_first"
        if let authority = section.nonEmptyString("authority") {
            if !isHeaderValue(authority) { section.error("authority", "has control characters") }
            settings.authority = authority
        }
        Self.connections(section, &settings)
        if section.bool("wait_for_ready") == true {
            section.error("wait_for_ready", "must be false: \"retry_on_failure\" waits for the server")
        }
        authenticator = section.authenticator(.clientAuthenticator)
        section.refuse("middlewares", because: "client middlewares do not exist")
    }

    private static func connections(_ section: ConfigSection, _ settings: inout HTTPClientSettings) {
        let upload = section.integer("write_buffer_size", in: 0...HTTPClientSettings.uploadBufferRange.upperBound) ?? 0
        if upload > 0 { settings.uploadBufferBytes = max(upload, HTTPClientSettings.uploadBufferRange.lowerBound) }
        let receive = section.integer("read_buffer_size", in: 0...HTTPClientSettings.receiveBufferRange.upperBound) ?? 0
        if receive > 0 { settings.receiveBufferBytes = max(receive, HTTPClientSettings.receiveBufferRange.lowerBound) }
        let keepAlive = section.section("keepalive")
        let bounds = Duration.seconds(1) ... .seconds(32767)
        settings.keepAliveIdle = keepAlive.duration("time", in: bounds)
        settings.keepAliveInterval = keepAlive.duration("timeout", in: bounds)
        if keepAlive.bool("permit_without_stream") == false {
            keepAlive.warn("permit_without_stream", "has no effect: TCP asks whether the peer is there, calls or not")
        }
    }

    /// `host:port`, `http://host:port`, `https://host:port` or `dns:///host:port`.
    private static func endpoint(_ section: ConfigSection) -> (scheme: String, target: ConfigEndpoint)? {
        guard let text = section.nonEmptyString("endpoint") else {
            if section.node("endpoint") == nil { section.require("endpoint") }
            return nil
        }
        var scheme = ""
        var rest = Substring(text)
        for prefix in ["http://", "https://", "dns:///", "passthrough:///"] where text.hasPrefix(prefix) {
            rest = rest.dropFirst(prefix.utf8.count)
            if prefix.hasPrefix("http") { scheme = String(prefix.dropLast(3)) }
        }
        if rest.utf8.contains(UInt8(ascii: "@")) {
            // Not shown: it may be a password.
            section.error("endpoint", "must not hold a user or password; use the options for authentication")
            return nil
        }
        do throws(ConfigEndpoint.Malformed) {
            let target = try ConfigEndpoint.parse(String(rest))
            if target.host.isEmpty || target.port == 0 {
                section.error("endpoint", "\"\(text)\" must name a host and a port")
                return nil
            }
            return (scheme, target)
        } catch {
            section.error("endpoint", "\"\(text)\" \(error.description)")
            return nil
        }
    }

    private static func headers(_ section: ConfigSection) -> [(name: String, value: SecretString)] {
        guard let map = section.secretMap("headers") else { return [] }
        return map.map { name, value in
            let lower = name.lowercased()
            if !isHeaderName(name) {
                section.error("headers", "has a name that is no HTTP header name")
            } else if reservedNames.contains(lower) || lower.hasPrefix("grpc-") {
                section.error("headers", "must not hold \(name), which the client sets itself")
            } else if !value.reveal().utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
                section.error("headers", "has characters other than printable ASCII in the value of \(name)")
            }
            return (lower, value)
        }
    }

    private static func encoding(_ section: ConfigSection) -> ContentEncoding {
        switch section.string("compression") {
        case nil, "gzip": return .gzip
        case "", "none": return .identity
        case "zstd": return .zstd
        case "snappy": section.error("compression", "snappy is not supported: use gzip, zstd or none")
        default: section.error("compression", "must be gzip, zstd or none")
        }
        return .gzip
    }
}
