package import Config
internal import Pipeline

extension HTTPServerSettings {
    /// Reads the keys of otelcol's confighttp.
    ///
    /// - Parameters:
    ///   - defaultPort: port of the endpoint `localhost:<port>` that is used when none is given.
    ///   - isHarmless: anybody may reach the server: no telemetry goes through it.
    package init(from section: ConfigSection, defaultPort: Int, isHarmless: Bool = false) {
        let endpoint = section.endpoint("endpoint") ?? ConfigEndpoint(host: "localhost", port: defaultPort)
        self.init(host: endpoint.host.isEmpty ? "0.0.0.0" : endpoint.host, port: endpoint.port)
        if let transport = section.string("transport"), transport != "tcp" {
            section.error("transport", "must be \"tcp\"")
        }
        maximumConnections = section.integer("max_connections", in: 1...1_000_000) ?? maximumConnections
        readHeaderTimeout =
            section.duration("read_header_timeout", in: .milliseconds(1) ... .seconds(86_400)) ?? readHeaderTimeout
        readTimeout = section.duration("read_timeout", in: .zero ... .seconds(86_400)) ?? readTimeout
        idleTimeout = section.duration("idle_timeout", in: .milliseconds(1) ... .seconds(86_400)) ?? idleTimeout
        keepAlive = section.bool("keep_alives_enabled") ?? keepAlive
        if let headers = section.secretMap("response_headers") {
            for (name, value) in headers {
                if !Self.isFieldName(name) {
                    section.error("response_headers", "has a name that is no HTTP header name")
                } else if Self.ownFields.contains(name.lowercased()) {
                    section.error("response_headers", "must not hold \(name), which the server sets itself")
                }
                responseHeaders.append((name, value.reveal()))
            }
        }
        if let tls = section.optionalSection("tls") { self.tls = TLSServerSettings(from: tls) }
        authenticatorID = section.authenticator(.serverAuthenticator)
        if !isHarmless { warnIfOpen(section, endpoint) }
        section.refuse("middlewares", because: "there are no middleware extensions")
        section.refuse("write_timeout", because: "answers wait for their receipt; see \"idle_timeout\"")
        section.refuse("compression_algorithms", because: "gzip, deflate, zlib and zstd are always accepted")
    }

    /// Reads the keys of otelcol's configgrpc.
    ///
    /// - Parameter defaultPort: port of the endpoint `localhost:<port>` that is used when none is given.
    package init(grpc section: ConfigSection, defaultPort: Int) {
        let endpoint = section.endpoint("endpoint") ?? ConfigEndpoint(host: "localhost", port: defaultPort)
        self.init(host: endpoint.host.isEmpty ? "0.0.0.0" : endpoint.host, port: endpoint.port)
        versions = .http2
        if let transport = section.string("transport"), transport != "tcp" {
            section.error("transport", "must be \"tcp\"")
        }
        maximumConnections = section.integer("max_connections", in: 1...1_000_000) ?? maximumConnections
        readTimeout = section.duration("read_timeout", in: .zero ... .seconds(86_400)) ?? readTimeout
        let streams = section.integer("max_concurrent_streams", in: 0...Self.mostStreams) ?? 0
        if streams > 0 { http2.maximumConcurrentStreams = streams }
        let keepalive = section.section("keepalive")
        let server = keepalive.section("server_parameters")
        let times = Duration.milliseconds(1) ... .seconds(365 * 86_400)
        http2.maximumIdle = server.duration("max_connection_idle", in: times)
        http2.maximumAge = server.duration("max_connection_age", in: times)
        http2.maximumGrace = server.duration("max_connection_age_grace", in: times)
        http2.pingInterval = server.duration("time", in: .seconds(1) ... .seconds(365 * 86_400)) ?? http2.pingInterval
        http2.pingTimeout = server.duration("timeout", in: times) ?? http2.pingTimeout
        let policy = keepalive.section("enforcement_policy")
        http2.minimumPingInterval =
            policy.duration("min_time", in: .zero ... .seconds(365 * 86_400)) ?? http2.minimumPingInterval
        http2.permitsPingWithoutStream = policy.bool("permit_without_stream") ?? http2.permitsPingWithoutStream
        if let tls = section.optionalSection("tls") { self.tls = TLSServerSettings(from: tls) }
        authenticatorID = section.authenticator(.serverAuthenticator)
        warnIfOpen(section, endpoint)
        section.refuse("middlewares", because: "there are no middleware extensions")
        section.refuse("read_buffer_size", because: "buffers grow with what comes")
        section.refuse("write_buffer_size", because: "answers are small")
    }

    /// Warns about a server that others than this machine reach, and that takes whatever comes.
    private func warnIfOpen(_ section: ConfigSection, _ endpoint: ConfigEndpoint) {
        guard !endpoint.isLoopback, tls == nil, authenticatorID == nil else { return }
        section.warn(
            "endpoint",
            "is open to everybody who reaches it: set \"tls\" or \"auth\", or listen on localhost")
    }

    /// Most requests under way on one connection that can be configured.
    private static let mostStreams = 10_000

    /// Fields on which the framing of answers depends, in lower case.
    private static let ownFields: Set<String> = ["connection", "content-length", "content-type", "transfer-encoding"]

    /// Whether `name` is a token of RFC 9110, 5.6.2.
    private static func isFieldName(_ name: String) -> Bool {
        let marks = "!#$%&'*+-.^_`|~".utf8
        return !name.isEmpty
            && name.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || marks.contains($0)
            }
    }
}
