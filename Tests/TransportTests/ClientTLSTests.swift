import Config
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct ClientTLSTests {
    private func fetch(_ url: String, _ change: (inout TLSClientSettings) -> Void) async throws
        -> Result<HTTPClientResponse, HTTPClientError>
    {
        var settings = HTTPClientSettings()
        change(&settings.tls)
        let client = try HTTPClient(settings)
        return await client.send(HTTPClientRequest(url: url, method: .get, timeout: .seconds(10)))
    }

    @Test func trust() async throws {
        let files = try #require(TLSFixture())
        let server = try #require(ClientTLSServer(files))
        defer { server.stop() }
        let unknown = try #require(failure(try await fetch(server.url) { _ in }))
        #expect(unknown.code == .tls)
        #expect(unknown.isRetryable)
        #expect(unknown.origin == "127.0.0.1:\(server.port)")
        #expect(unknown.detail.contains("certificate"))
        #expect(try await fetch(server.url) { $0.insecureSkipVerify = true }.get().status == 200)
        #expect(try await fetch(server.url) { $0.caFile = files.path("ca.crt") }.get().status == 200)
        #expect(try await fetch(server.url) { $0.caPEM = files.text("ca.crt") }.get().status == 200)
        let both = try await fetch(server.url) {
            $0.caPEM = files.text("ca.crt")
            $0.includeSystemCAs = true
        }
        #expect(try both.get().status == 200)
        let other = try await fetch(server.url) { $0.caFile = files.path("client.crt") }
        #expect(failure(other)?.code == .tls)
    }

    @Test func names() async throws {
        let files = try #require(TLSFixture())
        let server = try #require(ClientTLSServer(files))
        defer { server.stop() }
        let local = "https://localhost:\(server.port)/"
        #expect(failure(try await fetch(local) { $0.caFile = files.path("ca.crt") })?.code == .tls)
        let right = try await fetch(local) {
            $0.caFile = files.path("ca.crt")
            $0.serverNameOverride = "collector.test"
        }
        // The status page of s_server repeats the request's headers no further than TLS goes.
        #expect(try right.get().status == 200)
        let wrong = try await fetch(server.url) {
            $0.caFile = files.path("ca.crt")
            $0.serverNameOverride = "elsewhere.test"
        }
        #expect(failure(wrong)?.code == .tls)
    }

    @Test func versions() async throws {
        let files = try #require(TLSFixture())
        let server = try #require(ClientTLSServer(files, ["-tls1_2"]))
        defer { server.stop() }
        let wanted = try await fetch(server.url) {
            $0.caFile = files.path("ca.crt")
            $0.maxVersion = .tls12
        }
        #expect(try wanted.get().status == 200)
        let newer = try await fetch(server.url) {
            $0.caFile = files.path("ca.crt")
            $0.minVersion = .tls13
        }
        #expect(failure(newer)?.code == .tls)
    }

    @Test func clientCertificates() async throws {
        let files = try #require(TLSFixture())
        // -Verify: a client without a certificate is refused. TLS 1.2, where the handshake fails for it at once.
        let server = try #require(ClientTLSServer(files, ["-tls1_2", "-Verify", "1", "-CAfile", files.path("ca.crt")]))
        defer { server.stop() }
        let without = try await fetch(server.url) { $0.caFile = files.path("ca.crt") }
        #expect(failure(without)?.code == .tls)
        let asFiles = try await fetch(server.url) {
            $0.caFile = files.path("ca.crt")
            $0.certFile = files.path("client.crt")
            $0.keyFile = files.path("client.key")
        }
        #expect(try asFiles.get().status == 200)
        let asText = try await fetch(server.url) {
            $0.caFile = files.path("ca.crt")
            $0.certPEM = files.text("client.crt")
            $0.keyPEM = SecretString(files.text("client.key"))
        }
        #expect(try asText.get().status == 200)
        let broken = try await fetch(server.url) {
            $0.caFile = files.path("ca.crt")
            $0.certPEM = "no PEM"
            $0.keyPEM = SecretString(files.text("client.key"))
        }
        let error = try #require(failure(broken))
        #expect(error.code == .tls)
        #expect(!error.description.contains("no PEM"))
    }

    @Test func plainServerBehindHTTPS() async throws {
        let server = ClientTestServer { connection in
            _ = connection.read(8)
            connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        }
        defer { server.stop() }
        let result = try await fetch("https://127.0.0.1:\(server.port)/") { _ in }
        #expect(failure(result)?.code == .tls)
    }
}
