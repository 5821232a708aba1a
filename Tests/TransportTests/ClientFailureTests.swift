import Config
import Glibc
import Synchronization
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct ClientFailureTests {
    /// What every failure owes: the peer by name, and nothing of the request.
    private func check(_ error: HTTPClientError, _ port: UInt16) {
        #expect(error.description.contains("127.0.0.1:\(port)"))
        for secret in ["hush", "secret", "v1/traces"] { #expect(!error.description.contains(secret)) }
    }

    @Test func refusedConnection() async throws {
        let (socket, port) = listenOnLoopback()
        close(socket)
        let error = try #require(failure(try await HTTPClient().send(post("http://127.0.0.1:\(port)/v1/traces"))))
        #expect(error.code == .connect)
        #expect(error.isRetryable)
        #expect(!error.maybeReceived)
        #expect(error.detail == "Connection refused")
        check(error, port)
    }

    @Test func unknownHost() async throws {
        let url = "http://no-such-host.invalid:4318/v1/traces"
        let error = try #require(failure(try await HTTPClient().send(post(url))))
        #expect(error.code == .resolve)
        #expect(error.isRetryable)
        #expect(error.origin == "no-such-host.invalid:4318")
    }

    @Test func lostConnections() async throws {
        let answers: [(String, Bool)] = [
            ("", false), ("", true), ("HTTP/1.1 200 OK\r\nContent-Le", false),
            ("HTTP/1.1 200 OK\r\n", false), ("HTTP/1.1 200 OK", false), ("HTTP/1.1 100 Continue\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nX: 1\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false),
        ]
        for (answer, reset) in answers {
            let server = ClientTestServer { connection in
                guard connection.readRequest() != nil else { return }
                if reset { connection.resetOnClose() }
                connection.write(answer)
            }
            defer { server.stop() }
            let error = try #require(failure(try await HTTPClient().send(post(server.url))), "\(answer)")
            #expect(error.code == .reset, "\(answer)")
            #expect(error.isRetryable)
            #expect(error.maybeReceived)
            check(error, server.port)
        }
    }

    @Test func resetInTheMiddleOfTheUpload() async throws {
        let server = ClientTestServer { connection in
            guard connection.readHead() != nil, connection.read(1000) != nil else { return }
            connection.resetOnClose()
        }
        defer { server.stop() }
        let body = try HTTPRequestBody([UInt8](repeating: 1, count: 8_000_000))
        let error = try #require(failure(try await HTTPClient().send(post(server.url, body: body))))
        #expect(error.code == .reset)
        #expect(error.maybeReceived)
        check(error, server.port)
    }

    @Test func somethingElseThanHTTP() async throws {
        let server = ClientTestServer.answering("220 mail.example.com ESMTP hush\r\n")
        defer { server.stop() }
        let error = try #require(failure(try await HTTPClient().send(post(server.url))))
        #expect(error.code == .malformedResponse)
        check(error, server.port)
    }

    @Test func timeouts() async throws {
        let server = ClientTestServer { connection in
            _ = connection.readHead()
            connection.waitForEnd()
        }
        defer { server.stop() }
        let client = try HTTPClient()
        let before = monotonicNanoseconds()
        let error = try #require(failure(await client.send(post(server.url, timeout: .milliseconds(80)))))
        let elapsed = monotonicNanoseconds() - before
        #expect(error.code == .timeout)
        #expect(error.isRetryable)
        #expect(error.maybeReceived)
        #expect(error.detail == "waiting for the answer")
        #expect(elapsed >= 80_000_000 && elapsed < 60_000_000_000)
        check(error, server.port)
        let expired = try #require(failure(await client.send(post(server.url, timeout: .zero))))
        #expect(expired.code == .timeout)
        let negative = try #require(failure(await client.send(post(server.url, timeout: .seconds(-1)))))
        #expect(negative.code == .timeout)
    }

    /// Waiting for a connection counts, too.
    @Test func timeoutBehindABusyConnection() async throws {
        let server = ClientTestServer { connection in
            _ = connection.readHead()
            connection.waitForEnd()
        }
        defer { server.stop() }
        var settings = HTTPClientSettings()
        settings.maxConnectionsPerHost = 1
        let client = try HTTPClient(settings)
        async let first = client.send(post(server.url, timeout: .milliseconds(400)))
        let second = try #require(failure(await client.send(post(server.url, timeout: .milliseconds(50)))))
        #expect(second.code == .timeout)
        #expect(failure(await first)?.code == .timeout)
    }

    @Test func shutdownCancels() async throws {
        let server = ClientTestServer { connection in
            _ = connection.readHead()
            connection.waitForEnd()
        }
        defer { server.stop() }
        let client = try HTTPClient()
        let outcomes = Mutex<[HTTPClientError.Code?]>([])
        for _ in 0..<20 {
            client.send(post(server.url)) { result in outcomes.withLock { $0.append(failure(result)?.code) } }
        }
        client.shutdown()
        #expect(outcomes.withLock { $0 } == Array(repeating: .shutdown, count: 20))
        client.shutdown()
        client.send(post(server.url)) { result in outcomes.withLock { $0.append(failure(result)?.code) } }
        #expect(outcomes.withLock { $0.count } == 21)
        #expect(outcomes.withLock { $0.last } == .shutdown)
    }

    @Test func shutdownFromACompletion() async throws {
        let server = ClientTestServer.answering(ok)
        defer { server.stop() }
        let client = try HTTPClient()
        let url = server.url
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            client.send(post(url)) { _ in
                client.shutdown()
                continuation.resume()
            }
        }
    }

    /// Many clients come and go, each with a request under way: no thread and no socket stays.
    @Test func lettingGoShutsDown() async throws {
        let server = ClientTestServer { connection in connection.waitForEnd() }
        defer { server.stop() }
        let outcomes = Mutex(0)
        for _ in 0..<50 {
            let client = try HTTPClient()
            client.send(post(server.url)) { result in
                if failure(result)?.code == .shutdown { outcomes.withLock { $0 += 1 } }
            }
        }
        #expect(outcomes.withLock { $0 } == 50)
    }

    @Test func tooManyUnderWay() async throws {
        let server = ClientTestServer { connection in
            _ = connection.readHead()
            connection.waitForEnd()
        }
        defer { server.stop() }
        var settings = HTTPClientSettings()
        settings.maxInFlight = 3
        let client = try HTTPClient(settings)
        for _ in 0..<3 { client.send(post(server.url)) { _ in } }
        let error = try #require(failure(await client.send(post(server.url))))
        #expect(error.code == .overloaded)
        #expect(error.isRetryable)
        check(error, server.port)
    }

    @Test(arguments: [
        "", "127.0.0.1:4318", "ftp://127.0.0.1/", "http://", "http://[::1", "http://127.0.0.1:99999/", "/v1/traces",
        "unix:///tmp/x",
    ])
    func badURLs(url: String) async throws {
        let error = try #require(failure(try await HTTPClient().send(post(url))))
        #expect(error.code == .invalidRequest)
        #expect(!error.isRetryable)
    }

    @Test func badHeaders() async throws {
        let server = ClientTestServer.answering(ok)
        defer { server.stop() }
        let client = try HTTPClient()
        for (name, value) in [
            ("X-Key", "hush\r\nX-Other: 1"), ("X-Key", "hush\u{0}"), ("", "hush"), ("X Key", "hush"), ("X:", "hush"),
        ] {
            var request = post(server.url)
            request.headers.append((name, value))
            let error = try #require(failure(await client.send(request)))
            #expect(error.code == .invalidRequest)
            check(error, server.port)
        }
        #expect(server.connections == 0)
        #expect(try await client.send(post(server.url)).get().status == 200)
    }

    @Test func badSettings() {
        let changes: [(inout HTTPClientSettings) -> Void] = [
            { $0.uploadBufferBytes = 100 }, { $0.receiveBufferBytes = 3 << 20 }, { $0.maxInFlight = 0 },
            { $0.maxIdleConnections = -1 }, { $0.idleConnectionTimeout = .seconds(-1) },
            { $0.tls.caFile = "/does/not/exist" }, { $0.tls.certPEM = "x" }, { $0.tls.keyPEM = SecretString("x") },
            {
                $0.tls.caFile = "/dev/null"
                $0.tls.caPEM = "x"
            },
            {
                $0.tls.minVersion = .tls13
                $0.tls.maxVersion = .tls12
            },
        ]
        for change in changes {
            var settings = HTTPClientSettings()
            change(&settings)
            do throws(HTTPClientError) {
                _ = try HTTPClient(settings)
                Issue.record("accepted: \(settings)")
            } catch {
                #expect(error.code == .invalidSettings)
                #expect(!error.detail.isEmpty)
            }
        }
    }
}
