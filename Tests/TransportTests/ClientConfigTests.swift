import Compression
import Testing

@testable import Config
@testable import Transport

@Suite struct ClientConfigTests {
    private func decode(_ yaml: String) throws(ConfigError) -> HTTPClientConfig {
        let node = try YAMLDocument.parse(Array(yaml.utf8), origin: .source("test.yaml"))
        let section = ConfigSection(node, path: "exporters::otlp_http")
        let config = HTTPClientConfig(section)
        try section.finish()
        return config
    }

    private func errors(_ yaml: String) -> [String] {
        do throws(ConfigError) {
            _ = try decode(yaml)
            return []
        } catch {
            return error.diagnostics.errors.map(\.description)
        }
    }

    @Test func defaults() throws {
        for yaml in ["", "{}", "endpoint:\nheaders:\ntls:\ncompression_params:\ntimeout:\n"] {
            let config = try decode(yaml)
            #expect(config.endpoint == nil)
            #expect(config.headers.isEmpty)
            #expect(config.timeout == .seconds(30))
            #expect(config.encoding == .gzip)
            #expect(config.compressionLevel == nil)
            #expect(config.settings == HTTPClientSettings())
            #expect(config.settings.tls.minVersion == .tls12)
            #expect(!config.settings.tls.insecureSkipVerify)
            #expect(config.settings.idleConnectionTimeout == .seconds(90))
        }
    }

    @Test func everything() throws {
        let config = try decode(
            """
            endpoint: https://collector.example.com:4318/base
            headers: {Authorization: Bearer hush, content-type: text/plain}
            timeout: 5s
            compression: zstd
            compression_params: {level: 3}
            proxy_url: http://user:hush@proxy:3128
            max_idle_conns: 10
            max_idle_conns_per_host: 4
            max_conns_per_host: 8
            idle_conn_timeout: 10s
            disable_keep_alives: true
            read_buffer_size: 512
            write_buffer_size: 65536
            cookies: {enabled: false}
            tls:
              insecure: false
              insecure_skip_verify: true
              include_system_ca_certs_pool: true
              ca_file: /dev/null
              cert_pem: certificate
              key_pem: hush
              min_version: "1.3"
              max_version: "1.3"
              server_name_override: other.example.com
              reload_interval: 1m
            """)
        #expect(config.endpoint?.description == "https://collector.example.com:4318/base")
        #expect(config.timeout == .seconds(5))
        #expect(config.encoding == .zstd)
        #expect(config.compressionLevel == 3)
        let settings = config.settings
        #expect(settings.proxyURL?.reveal() == "http://user:hush@proxy:3128")
        #expect(settings.maxIdleConnections == 4)
        #expect(settings.maxConnectionsPerHost == 8)
        #expect(settings.idleConnectionTimeout == .seconds(10))
        #expect(settings.disableKeepAlives)
        #expect(settings.receiveBufferBytes == 1024)
        #expect(settings.uploadBufferBytes == 65536)
        #expect(settings.tls.insecureSkipVerify)
        #expect(settings.tls.includeSystemCAs)
        #expect(settings.tls.caFile == "/dev/null")
        #expect(settings.tls.certPEM == "certificate")
        #expect(settings.tls.keyPEM?.reveal() == "hush")
        #expect(settings.tls.minVersion == .tls13)
        #expect(settings.tls.serverNameOverride == "other.example.com")
        #expect(settings.tls.caReload == .seconds(60))
        #expect(!"\(config)".contains("hush"))
        let headers = config.requestHeaders([("Content-Type", "application/x-protobuf"), ("User-Agent", "Martlet")])
        #expect(
            headers.map { "\($0.name): \($0.value)" } == [
                "User-Agent: Martlet", "Content-Encoding: zstd", "Authorization: Bearer hush",
                "content-type: text/plain",
            ])
    }

    @Test(arguments: [
        ("none", ContentEncoding.identity), ("\"\"", .identity), ("gzip", .gzip), ("zlib", .deflate),
        ("deflate", .deflate), ("zstd", .zstd),
    ])
    func compressions(name: String, encoding: ContentEncoding) throws {
        #expect(try decode("compression: \(name)").encoding == encoding)
    }

    @Test func specialValues() throws {
        #expect(try decode("timeout: 0s").timeout == HTTPClientRequest.noTimeout)
        #expect(try decode("compression_params: {level: -1}").compressionLevel == nil)
        #expect(try decode("max_idle_conns: 0\nmax_idle_conns_per_host: 7").settings.maxIdleConnections == 7)
        #expect(try decode("max_idle_conns: 0").settings.maxIdleConnections == 0)
        #expect(try decode("proxy_url: \"\"").settings.proxyURL == nil)
        #expect(
            try decode("endpoint: http://localhost:4318\ntls: {insecure: true}").settings.tls == TLSClientSettings())
    }

    @Test(arguments: [
        ("endpont: http://a", "unknown key \"endpont\" (did you mean \"endpoint\"?)"),
        ("endpoint: localhost:4318", "http://"),
        ("compression: snappy", "snappy is not supported"), ("compression: brotli", "must be gzip"),
        ("compression_params: {level: 0}", "must be from 1 to 12 for gzip"),
        ("compression: zstd\ncompression_params: {level: 20}", "must be from -7 to 19 for zstd"),
        ("compression: none\ncompression_params: {level: 1}", "without compression"),
        ("headers: {\"a b\": hush}", "no HTTP header name"), ("headers: {Content-Length: \"1\"}", "Content-Length"),
        ("headers: {A: \"hush\\r\\nB: 1\"}", "control characters in the value of A"),
        ("timeout: -1s", "timeout"), ("idle_conn_timeout: 10ms", "at least 1s"),
        ("proxy_url: ftp://user:hush@x", "must start with http://"),
        ("write_buffer_size: 3000000", "write_buffer_size"),
        ("cookies: {enabled: true}", "cookies are not supported"),
        ("http2_ping_timeout: 1s", "HTTP/1.1"), ("tls: {ca_file: /does/not/exist}", "cannot be read: No such file"),
        ("tls: {ca_file: /dev/null, ca_pem: x}", "beside ca_file"), ("tls: {cert_file: /dev/null}", "key_file"),
        ("tls: {key_pem: hush}", "cert_file"), ("tls: {min_version: \"1.3\", max_version: \"1.2\"}", "max_version"),
        ("tls: {min_version: \"2.0\"}", "min_version"), ("tls: {cipher_suites: [x]}", "not supported"),
    ])
    func mistakes(yaml: String, expected: String) {
        let found = errors(yaml)
        #expect(found.count == 1)
        #expect(found.first?.contains(expected) == true, "\(found)")
        #expect(found.first?.contains("hush") == false)
        #expect(found.first?.hasPrefix("test.yaml:") == true)
    }

    @Test func insecureWithHTTPSIsWarnedAbout() throws {
        let node = try YAMLDocument.parse(
            Array("endpoint: https://a\ntls: {insecure: true}".utf8), origin: .source("test.yaml"))
        let section = ConfigSection(node, path: "x")
        _ = HTTPClientConfig(section)
        #expect(section.diagnostics.warnings.count == 1)
        #expect(!section.diagnostics.hasErrors)
    }
}
