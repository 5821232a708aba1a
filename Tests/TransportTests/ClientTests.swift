import Compression
import Glibc
import Synchronization
import Testing

@testable import Transport

extension HTTPClient {
    func send(_ request: HTTPClientRequest) async -> Result<HTTPClientResponse, HTTPClientError> {
        await withCheckedContinuation { continuation in send(request) { continuation.resume(returning: $0) } }
    }
}

extension HTTPRequestBody {
    convenience init(_ bytes: [UInt8]) throws {
        self.init(try OwnedBytes(copying: bytes))
    }
}

func post(_ url: String, body: HTTPRequestBody? = nil, timeout: Duration = .seconds(10)) -> HTTPClientRequest {
    HTTPClientRequest(
        url: url, headers: [("Content-Type", "application/x-protobuf"), ("X-Key", "hush")], body: body,
        timeout: timeout)
}

func failure(_ result: Result<HTTPClientResponse, HTTPClientError>) -> HTTPClientError? {
    if case .failure(let error) = result { return error }
    return nil
}

let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n\u{8}\u{1}"

@Suite(.timeLimit(.minutes(1))) struct ClientTests {
    @Test func sendsHeadAndBody() async throws {
        let seen = Mutex<[TestConnection.Request]>([])
        let server = ClientTestServer { connection in
            while let request = connection.readRequest() {
                seen.withLock { $0.append(request) }
                connection.write(ok)
            }
        }
        defer { server.stop() }
        let client = try HTTPClient()
        let body: [UInt8] = [0, 1, 2, 255]
        let answer = try await client.send(post(server.url, body: HTTPRequestBody(body))).get()
        #expect(answer.status == 200)
        #expect(answer.contentType == "application/x-protobuf")
        #expect(answer.retryAfter == nil)
        #expect(answer.body == [8, 1])
        let request = try #require(seen.withLock { $0.first })
        #expect(request.body == body)
        let lines = request.head.split(separator: "\r\n")
        #expect(lines.first == "POST /v1/traces?secret=1 HTTP/1.1")
        #expect(lines.contains("Content-Type: application/x-protobuf"))
        #expect(lines.contains("X-Key: hush"))
        #expect(lines.contains("Content-Length: 4"))
        #expect(!request.head.contains("Expect"))
        #expect(!request.head.contains("Transfer-Encoding"))
    }

    @Test func methodsWithAndWithoutBody() async throws {
        let heads = Mutex<[String]>([])
        let server = ClientTestServer { connection in
            while let request = connection.readRequest() {
                heads.withLock { $0.append(request.head) }
                connection.write(ok)
            }
        }
        defer { server.stop() }
        let client = try HTTPClient()
        for (method, bytes) in [
            (HTTPMethod.get, nil), (.post, []), (.put, [1]), (.delete, nil), (.delete, [1]), (.get, nil),
        ] as [(HTTPMethod, [UInt8]?)] {
            let request = HTTPClientRequest(
                url: server.url, method: method, headers: [("X-Empty", "")],
                body: try bytes.map { try HTTPRequestBody($0) },
                timeout: .seconds(10))
            #expect(try await client.send(request).get().status == 200)
        }
        let seen = heads.withLock { $0 }
        let expected = [("GET", nil), ("POST", "0"), ("PUT", "1"), ("DELETE", nil), ("DELETE", "1"), ("GET", nil)]
        for ((method, length), head) in zip(expected, seen) {
            #expect(head.hasPrefix("\(method) /v1/traces"))
            #expect(head.contains("X-Empty:\r\n"))
            #expect(!head.contains("Content-Type"))
            #expect(head.contains("Content-Length") == (length != nil))
            if let length { #expect(head.contains("Content-Length: \(length)\r\n")) }
        }
        #expect(seen.count == expected.count)
    }

    @Test func keepsConnections() async throws {
        let server = ClientTestServer.answering(ok)
        defer { server.stop() }
        let client = try HTTPClient()
        for _ in 0..<20 { #expect(try await client.send(post(server.url)).get().status == 200) }
        #expect(server.connections == 1)
        var settings = HTTPClientSettings()
        settings.disableKeepAlives = true
        let single = try HTTPClient(settings)
        for _ in 0..<3 { #expect(try await single.send(post(server.url)).get().status == 200) }
        #expect(server.connections == 4)
    }

    /// The server closes a kept connection just when it is used again: the client tries once more on a new one, and
    /// a large body is read again from its start.
    @Test func retriesOnAStaleConnection() async throws {
        let received = Mutex<[Int]>([])
        let server = ClientTestServer { connection in
            guard let request = connection.readRequest() else { return }
            received.withLock { $0.append(request.body.count) }
            connection.write(ok)
        }
        defer { server.stop() }
        let client = try HTTPClient()
        let body = try HTTPRequestBody([UInt8](repeating: 7, count: 300_000))
        for _ in 0..<5 { #expect(try await client.send(post(server.url, body: body)).get().status == 200) }
        #expect(received.withLock { $0 } == [300_000, 300_000, 300_000, 300_000, 300_000])
    }

    @Test(arguments: [1, 1000, 65_534, 65_535, 65_536, 3_000_000]) func gatheredBodies(size: Int) async throws {
        let server = ClientTestServer { connection in
            while let request = connection.readRequest() {
                var sum = UInt64(5381)
                for byte in request.body { sum = sum &* 33 &+ UInt64(byte) }
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(String(sum).utf8.count)\r\n\r\n\(sum)")
            }
        }
        defer { server.stop() }
        let owner = OwnedSlices(count: size)
        var sum = UInt64(5381)
        for byte in UnsafeRawBufferPointer(owner.buffer) { sum = sum &* 33 &+ UInt64(byte) }
        let client = try HTTPClient()
        for pieces in [1, 2, 7] {
            let body = HTTPRequestBody(gathering: owner.slices(pieces), owner: owner)
            #expect(body.count == size)
            // Twice: a body may be sent again.
            for _ in 0..<2 {
                let answer = try await client.send(post(server.url, body: body)).get()
                #expect(String(decoding: answer.body, as: UTF8.self) == String(sum))
            }
        }
        #expect(server.connections == 1)
    }

    @Test func chunkedAnswerAndHeaders() async throws {
        let server = ClientTestServer.answering(
            "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-Written: 12\r\ncontent-type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        defer { server.stop() }
        let client = try HTTPClient()
        var request = post(server.url)
        request.wantedHeaders = ["X-Written", "X-Missing"]
        let answer = try await client.send(request).get()
        #expect(answer.status == 503)
        #expect(answer.retryAfter == "7")
        #expect(answer.contentType == "application/json")
        #expect(answer.headers.map { "\($0.name)=\($0.value)" } == ["X-Written=12"])
        #expect(answer.body == Array("abcde".utf8))
        #expect(
            OTLPHTTPStatus(status: answer.status, retryAfter: answer.retryAfter, now: 0)
                == .retryable(after: .seconds(7)))
    }

    @Test func interimAnswersAndTrailers() async throws {
        let server = ClientTestServer.answering(
            "HTTP/1.1 100 Continue\r\nRetry-After: 1\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "1\r\nx\r\n0\r\nX-Trailer: 1\r\nRetry-After: 9\r\n\r\n")
        defer { server.stop() }
        let client = try HTTPClient()
        for _ in 0..<2 {
            let answer = try await client.send(post(server.url)).get()
            #expect(answer.status == 200)
            #expect(answer.retryAfter == nil)
            #expect(answer.body == Array("x".utf8))
        }
        #expect(server.connections == 1)
    }

    @Test func redirectsAreNotFollowed() async throws {
        let server = ClientTestServer.answering(
            "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        defer { server.stop() }
        #expect(try await HTTPClient().send(post(server.url)).get().status == 307)
    }

    @Test func answerTooLarge() async throws {
        let text = String(repeating: "x", count: 1000)
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n\(text)\r\n0\r\n\r\n"
        for response in ["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n\(text)", chunked] {
            let server = ClientTestServer.answering(response)
            defer { server.stop() }
            let client = try HTTPClient()
            var request = post(server.url)
            request.maxResponseBytes = 1000
            #expect(try await client.send(request).get().body.count == 1000)
            request.maxResponseBytes = 999
            let error = try #require(failure(await client.send(request)))
            #expect(error.code == .responseTooLarge)
            #expect(error.status == 200)
            #expect(!error.isRetryable)
            // The handle works again afterwards.
            #expect(try await client.send(post(server.url)).get().body.count == 1000)
        }
    }

    @Test func manyInParallel() async throws {
        let server = ClientTestServer { connection in
            while let request = connection.readRequest() {
                let text = String(decoding: request.body, as: UTF8.self)
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
            }
        }
        defer { server.stop() }
        var settings = HTTPClientSettings()
        settings.maxConnectionsPerHost = 10
        let client = try HTTPClient(settings)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let body = Array("request \(number)".utf8)
                    return try await client.send(post(server.url, body: HTTPRequestBody(body))).get().body == body
                }
            }
            for try await same in group { #expect(same) }
        }
        #expect(server.connections <= 10)
    }

    @Test func completionsMaySendAgain() async throws {
        let server = ClientTestServer.answering(ok)
        defer { server.stop() }
        let client = try HTTPClient()
        let url = server.url
        let status: Int = await withCheckedContinuation { continuation in
            client.send(post(url)) { _ in
                client.send(post(url)) { second in continuation.resume(returning: (try? second.get().status) ?? 0) }
            }
        }
        #expect(status == 200)
    }
}

/// Counting bytes, in pieces.
final class OwnedSlices: @unchecked Sendable {
    // Sendable is unchecked because of the pointer; the bytes are not written after init.
    let buffer: UnsafeMutableRawBufferPointer

    init(count: Int) {
        buffer = .allocate(byteCount: count, alignment: 8)
        for index in 0..<count { buffer[index] = UInt8(truncatingIfNeeded: index &* 31 >> 3) }
    }

    deinit { buffer.deallocate() }

    func slices(_ pieces: Int) -> [UnsafeRawBufferPointer] {
        (0..<pieces).map { piece in
            UnsafeRawBufferPointer(
                rebasing: UnsafeRawBufferPointer(buffer)[
                    buffer.count * piece / pieces..<buffer.count * (piece + 1) / pieces])
        }
    }
}
