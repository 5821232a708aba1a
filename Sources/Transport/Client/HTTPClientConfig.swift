package import Compression
package import Config
internal import Pipeline

/// The options of an HTTP client as otelcol's components write them (`confighttp`'s client): decoded, checked, with
/// their defaults.
package struct HTTPClientConfig: Sendable {
    /// `endpoint`; nil when missing. The component decides whether it must be there.
    package var endpoint: ConfigURL?
    /// `headers`, for every request.
    package var headers: [(name: String, value: SecretString)]
    /// `timeout` of one attempt; `HTTPClientRequest.noTimeout` when configured as 0.
    package var timeout: Duration
    /// `compression` of the request bodies.
    package var encoding: ContentEncoding
    /// `compression_params::level`, within the encoding's range; nil for the encoding's default.
    package var compressionLevel: Int?
    /// `auth`: the extension that adds credentials to every request; nil for none.
    package var authenticator: ComponentID?
    /// What the client itself is made with.
    package var settings: HTTPClientSettings

    /// Names that the client sets itself.
    private static let reservedHeaders = ["content-length", "transfer-encoding", "connection", "expect", "te"]

    /// Decodes the options that lie in `section` beside the component's own. Errors are recorded in the section, whose
    /// `finish` throws them.
    ///
    /// - Parameters:
    ///   - section: the component's section.
    ///   - timeout: when `timeout` is missing.
    ///   - encoding: when `compression` is missing.
    ///   - ownCompression: the only name that `compression` may have, for a component that compresses its bodies
    ///     itself. `encoding` is then `identity`.
    package init(
        _ section: ConfigSection, timeout defaultTimeout: Duration = .seconds(30),
        encoding defaultEncoding: ContentEncoding = .gzip, ownCompression: String? = nil
    ) {
        endpoint = section.url("endpoint")
        headers = Self.headers(section)
        let written = section.duration("timeout")
        timeout = written == .zero ? HTTPClientRequest.noTimeout : written ?? defaultTimeout
        if let ownCompression {
            _ = section.choice("compression", [ownCompression])
            section.refuse("compression_params", because: "\(ownCompression) has no levels")
            encoding = .identity
            compressionLevel = nil
        } else {
            encoding = Self.encoding(section) ?? defaultEncoding
            compressionLevel = Self.level(section.section("compression_params"), encoding)
        }
        settings = HTTPClientSettings(section, isTLS: endpoint.map { $0.scheme == "https" })
        for key in ["http2_read_idle_timeout", "http2_ping_timeout", "force_attempt_http2"] {
            section.refuse(key, because: "requests are sent over HTTP/1.1")
        }
        authenticator = section.authenticator(.clientAuthenticator)
        section.refuse("middlewares", because: "client middlewares do not exist")
        if section.section("cookies").bool("enabled") == true {
            section.section("cookies").error("enabled", "must be false: cookies are not supported")
        }
    }

    /// The headers of a request: `own`, except where the configuration has one of that name, then `Content-Encoding`
    /// as configured, then the configured ones.
    package func requestHeaders(_ own: [(name: String, value: String)]) -> [(name: String, value: String)] {
        var result = own
        if encoding != .identity { result.append(("Content-Encoding", encoding.token)) }
        result.removeAll { entry in headers.contains { $0.name.lowercased() == entry.name.lowercased() } }
        return result + headers.map { ($0.name, $0.value.reveal()) }
    }

    private static func headers(_ section: ConfigSection) -> [(name: String, value: SecretString)] {
        guard let map = section.secretMap("headers") else { return [] }
        return map.map { name, value in
            if !isHeaderName(name) {
                section.error("headers", "has a name that is no HTTP header name")
            } else if reservedHeaders.contains(name.lowercased()) || name.lowercased() == "content-encoding" {
                section.error("headers", "must not hold \(name), which the client sets itself")
            } else if !isHeaderValue(value.reveal()) {
                section.error("headers", "has control characters in the value of \(name)")
            }
            return (name, value)
        }
    }

    private static func encoding(_ section: ConfigSection) -> ContentEncoding? {
        guard let name = section.string("compression") else { return nil }
        switch name {
        case "", "none": return .identity
        case "gzip": return .gzip
        case "zlib", "deflate": return .deflate
        case "zstd": return .zstd
        case "snappy", "x-snappy-framed", "lz4":
            section.error("compression", "\(name) is not supported: use gzip, zstd, zlib, deflate or none")
        default: section.error("compression", "must be gzip, zstd, zlib, deflate or none")
        }
        return nil
    }

    private static func level(_ params: ConfigSection, _ encoding: ContentEncoding) -> Int? {
        guard let level = params.integer("level", in: Int(Int8.min)...Int(Int8.max)) else { return nil }
        // otelcol's name for the default of gzip, zlib and deflate.
        if level == -1, encoding == .gzip || encoding == .deflate { return nil }
        if encoding == .identity {
            params.error("level", "must not be set without compression")
            return nil
        }
        guard encoding.levels.contains(level) else {
            let range = encoding.levels
            params.error("level", "must be from \(range.lowerBound) to \(range.upperBound) for \(encoding.token)")
            return nil
        }
        return level
    }
}

extension HTTPClientSettings {
    /// Decodes the options of connections. Buffer sizes below what libcurl takes are raised to that; 0 is the default.
    ///
    /// - Parameter isTLS: whether the endpoint is https; nil when that is not known yet.
    package init(_ section: ConfigSection, isTLS: Bool?) {
        self.init()
        tls = TLSClientSettings(section.section("tls"), isTLS: isTLS)
        maxIdleConnections = section.integer("max_idle_conns", in: 0...100_000) ?? maxIdleConnections
        // A client mostly speaks to one host, so the limit for a host is one for all.
        if let perHost = section.integer("max_idle_conns_per_host", in: 0...100_000), perHost > 0 {
            maxIdleConnections = maxIdleConnections == 0 ? perHost : min(maxIdleConnections, perHost)
        }
        maxConnectionsPerHost = section.integer("max_conns_per_host", in: 0...100_000) ?? maxConnectionsPerHost
        idleConnectionTimeout = section.duration("idle_conn_timeout") ?? idleConnectionTimeout
        if idleConnectionTimeout > .zero, idleConnectionTimeout < .seconds(1) {
            section.error("idle_conn_timeout", "must be 0 (no limit) or at least 1s")
        }
        disableKeepAlives = section.bool("disable_keep_alives") ?? disableKeepAlives
        let upload = section.integer("write_buffer_size", in: 0...Self.uploadBufferRange.upperBound) ?? 0
        if upload > 0 { uploadBufferBytes = max(upload, Self.uploadBufferRange.lowerBound) }
        let receive = section.integer("read_buffer_size", in: 0...Self.receiveBufferRange.upperBound) ?? 0
        if receive > 0 { receiveBufferBytes = max(receive, Self.receiveBufferRange.lowerBound) }
        if let proxy = section.secret("proxy_url"), !proxy.isEmpty {
            if ["http://", "https://", "socks5://", "socks5h://"].contains(where: { proxy.reveal().hasPrefix($0) }) {
                proxyURL = proxy
            } else {
                section.error("proxy_url", "must start with http://, https://, socks5:// or socks5h://")
            }
        }
    }
}

extension TLSClientSettings {
    /// Decodes a `tls` section of a client, and checks that its files can be read.
    ///
    /// - Parameter isTLS: whether the client will speak TLS; nil when that is not known yet.
    package init(_ section: ConfigSection, isTLS: Bool?) {
        self.init()
        if section.bool("insecure") == true, isTLS == true {
            section.warn(
                "insecure", "has no effect on an https endpoint: use http://, or \"insecure_skip_verify\"")
        }
        insecureSkipVerify = section.bool("insecure_skip_verify") ?? insecureSkipVerify
        includeSystemCAs = section.bool("include_system_ca_certs_pool") ?? includeSystemCAs
        caFile = section.nonEmptyString("ca_file")
        caPEM = section.nonEmptyString("ca_pem")
        certFile = section.nonEmptyString("cert_file")
        certPEM = section.nonEmptyString("cert_pem")
        keyFile = section.nonEmptyString("key_file")
        keyPEM = section.secret("key_pem")
        minVersion = section.choice("min_version", as: TLSVersion.self) ?? minVersion
        maxVersion = section.choice("max_version", as: TLSVersion.self) ?? maxVersion
        serverNameOverride = section.nonEmptyString("server_name_override")
        caReload = section.duration("reload_interval", in: .seconds(1) ... .seconds(1 << 30)) ?? caReload
        for key in ["cipher_suites", "curve_preferences"] {
            section.refuse(key, because: "the TLS library's own choice is used; \"min_version\" bounds it")
        }
        section.refuse("tpm", because: "keys come from files or the configuration")
        if let problem { section.error(problem.option, problem.text) }
    }
}
