import NIOCore
import NIOEmbedded
import NIOPosix
import Pipeline
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Time, ends and odd orders of events.
@Suite struct ServerLifeTests {
    private func later(_ seconds: Int64) -> NIODeadline { .now() + .seconds(seconds) }

    // MARK: Deadlines

    @Test func aSlowHeadEndsTheConnection() throws {
        let harness = try ServerHarness { $0.readHeaderTimeout = .seconds(30) }
        try harness.send("GET / HTTP/1.1\r\nHos")
        harness.connection.checkDeadline(later(29))
        #expect(harness.connection.deadline != nil)
        harness.connection.checkDeadline(later(31))
        #expect(harness.connection.deadline == nil)
        #expect(try harness.output().isEmpty)
        #expect(try harness.exchange("t: h\r\n\r\n") == nil)
    }

    @Test func aSlowBodyIsAnswered408() throws {
        let budget = MemoryBudget(limit: 1000, spike: 0)
        let service = ScriptedService { _, length in .body(limit: 100, lease: budget.lease(length ?? 0)) }
        let harness = try ServerHarness(service) { $0.readTimeout = .seconds(20) }
        try harness.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345")
        harness.connection.checkDeadline(later(19))
        #expect(try harness.output().isEmpty)
        #expect(budget.heldBytes == 10)
        harness.connection.checkDeadline(later(21))
        let reply = try harness.replies().last
        #expect(reply?.status == 408)
        #expect(reply?["connection"] == "close")
        #expect(budget.heldBytes == 0)
        #expect(try harness.exchange("67890") == nil)
        #expect(service.requests.isEmpty)
    }

    @Test func readTimeoutZeroWaitsForEver() throws {
        let harness = try ServerHarness { $0.readTimeout = .zero }
        try harness.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1")
        #expect(harness.connection.deadline == nil)
        harness.connection.checkDeadline(later(1_000_000))
        #expect(try harness.exchange("2")?.text == "POST /?|12")
    }

    @Test func idleConnectionsEndAndWaitingOnesDoNot() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil)) { $0.idleTimeout = .seconds(5) }
        try harness.send(httpPost("1"))
        harness.connection.checkDeadline(later(1_000_000))
        harness.service.requests[0].responder.send(.text(200, "late"))
        #expect(try harness.replies().map(\.text) == ["late"])
        harness.connection.checkDeadline(later(4))
        #expect(harness.connection.deadline != nil)
        harness.connection.checkDeadline(later(6))
        #expect(try harness.exchange(httpPost("2")) == nil)
        #expect(harness.service.requests.count == 1)
    }

    @Test func aPeerThatDoesNotCloseIsCutOff() throws {
        let harness = try ServerHarness()
        _ = try harness.exchange(httpPost("1", fields: "Connection: close\r\n"))
        #expect(harness.connection.deadline != nil)
        harness.connection.checkDeadline(later(11))
        #expect(harness.connection.deadline == nil)
    }

    // MARK: Drain

    @Test func aDrainEndsIdleConnectionsAtOnce() throws {
        let harness = try ServerHarness()
        _ = try harness.exchange(httpPost("1"))
        harness.registry.drain()
        #expect(try harness.exchange(httpPost("2")) == nil)
        #expect(harness.service.requests.count == 1)
    }

    @Test func aDrainLetsBusyConnectionsFinish() throws {
        let waiting = try ServerHarness(ScriptedService(answer: nil))
        try waiting.send(httpPost("1") + httpPost("2"))
        waiting.registry.drain()
        waiting.service.requests[0].responder.send(.text(200, "done"))
        let replies = try waiting.replies()
        #expect(replies.map(\.text) == ["done"])
        #expect(replies.first?["connection"] == "close")
        #expect(waiting.service.requests.count == 1, "the pipelined request is not begun")

        let reading = try ServerHarness()
        try reading.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1")
        reading.registry.drain()
        let reply = try reading.exchange("2")
        #expect(reply?.text == "POST /?|12")
        #expect(reply?["connection"] == "close")
    }

    @Test func theRegistryIsFinishedWhenTheLastConnectionIsGone() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        try harness.send(httpPost("1"))
        harness.registry.drain()
        #expect(!harness.registry.isFinished)
        harness.close()
        #expect(harness.registry.isFinished)
        #expect(!harness.isOpen)
    }

    // MARK: Answers

    @Test func aSecondAnswerIsIgnored() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        try harness.send(httpPost("1") + httpPost("2"))
        let first = harness.service.requests[0].responder
        first.send(.text(200, "one"))
        first.send(.text(500, "again"))
        #expect(try harness.replies().map(\.text) == ["one"])
        harness.service.requests[1].responder.send(.text(200, "two"))
        first.send(.text(500, "and again"))
        #expect(try harness.replies().map(\.text) == ["two"])
    }

    @Test func anAnswerForAClientThatIsGoneIsDropped() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        try harness.send(httpPost("1"))
        harness.close()
        harness.service.requests[0].responder.send(.text(200, "too late"))
        #expect(try harness.output().isEmpty)
        #expect(!harness.isOpen)
    }

    @Test func garbageBehindAWaitingRequestLetsItsAnswerOut() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        try harness.send(httpPost("1") + "BROKEN\r\n\r\n")
        #expect(try harness.output().isEmpty)
        harness.service.requests[0].responder.send(.text(200, "mine"))
        let replies = try harness.replies()
        #expect(replies.map(\.text) == ["mine"])
        #expect(replies.first?["connection"] == "close")
    }

    @Test func valuesCannotForgeFieldsOrAnswers() throws {
        let evil = "a\r\nX-Forged: 1\r\n\r\nHTTP/1.1 200 OK\r\n\0\n\u{b}"
        let service = ScriptedService(answer: { _, _ in
            HTTPAnswer(status: 200, headers: [("X-Value", evil), ("X-Next", "2")], body: [0x2A])
        })
        let harness = try ServerHarness(service) { $0.responseHeaders = [("X-Extra", "1\nX-Forged: 1")] }
        try harness.send(httpPost("1"))
        let replies = try harness.replies()
        #expect(replies.count == 1)
        #expect(replies.first?["x-forged"] == nil)
        #expect(replies.first?["x-value"] == "a  X-Forged: 1    HTTP/1.1 200 OK     ")
        #expect(replies.first?.fields.map(\.name) == ["x-value", "x-next", "x-extra", "content-length"])
    }

    // MARK: Hostile bytes

    @Test func oneByteAtATimeIsTheSame() throws {
        let stream =
            httpPost("first", path: "/1?q=1") + chunked(["ab", "", "c"].filter { !$0.isEmpty })
            + "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n" + "HEAD /3 HTTP/1.1\r\nHost: h\r\n\r\n"
            + httpPost("x", fields: "Expect: 100-continue\r\n") + httpPost("last", fields: "Connection: close\r\n")
        let whole = try ServerHarness()
        try whole.send(stream)
        let dripped = try ServerHarness()
        for byte in stream.utf8 { try dripped.send([byte]) }
        let expected = try whole.output()
        #expect(try dripped.output() == expected)
        #expect(whole.service.requests.count == 6)
    }

    /// As on a port for gRPC alone: each one that stayed counted would leave room for one less.
    @Test func clientsOfAVersionThatIsNotSpokenAreNotCountedForEver() throws {
        struct NotSpoken: Error {}
        let connections = HTTPServerConnections(limit: 1)
        let registry = HTTPConnectionRegistry(connections)
        for _ in 0..<2 {
            #expect(connections.admitOne())
            let channel = EmbeddedChannel()
            let detector = HTTPVersionDetector(registry: registry, timeout: .seconds(1)) { _, _ in throw NotSpoken() }
            try channel.pipeline.syncOperations.addHandler(detector)
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            try channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\n"))
            #expect(!channel.isActive)
            #expect(connections.count.load(ordering: .relaxed) == 0)
        }
    }

    @Test func bytesBehindMalformedOnesTakeNoAnswerAway() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        try harness.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\0\0\0")
        try harness.send("and more")
        #expect(harness.isOpen)
        harness.service.requests.first?.responder.send(.text(200, "late"))
        let replies = try harness.replies()
        #expect(replies.map(\.text) == ["late"])
        #expect(replies.first?["connection"] == "close")
    }

    @Test(arguments: 0..<8)
    func anyBytesAreAnsweredInOrderOrRefused(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let budget = MemoryBudget(limit: 4096, spike: 0)
        for _ in 0..<750 {
            let service = ScriptedService { head, length in
                if head.path == "/no" { return .answer(.text(404, "no")) }
                guard let lease = budget.lease(length ?? 16) else { return .answer(.text(503, "full")) }
                return .body(limit: 1024, lease: lease)
            }
            let harness = try ServerHarness(service)
            let bytes = Self.hostileRequest(&generator)
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = 1 + generator.below(rest.count)
                try harness.send(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let output = try harness.output()
            let methods = service.methods
            let replies = try HTTPReply.all(in: output) { methods.indices.contains($0) && methods[$0] == "HEAD" }
            let finals = replies.filter { $0.status != 100 }
            #expect(finals.count <= methods.count + 1)
            for reply in finals.dropLast() { #expect(reply["connection"] == nil) }
            for request in service.requests { #expect(request.body.count <= 1024) }
            harness.close()
            #expect(!harness.isOpen)
        }
        #expect(budget.heldBytes == 0)
    }

    /// One to three requests, damaged.
    private static func hostileRequest(_ generator: inout SeededGenerator) -> [UInt8] {
        let large = String(repeating: "l", count: 2000)
        let seeds = [
            httpPost("hello"), chunked(["abc", "defg"]), "GET /x?y HTTP/1.1\r\nHost: h\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", httpPost("n", path: "/no"), chunked([large]), httpPost(large),
            httpPost("e", fields: "Expect: 100-continue\r\n"), "GET / HTTP/1.0\r\n\r\n",
            httpPost("u", fields: "Connection: Upgrade\r\nUpgrade: h2c\r\n"), "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        ]
        let tokens = [
            "\r\n", "\r\n\r\n", "\0", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "HTTP/1.1",
            "ffffffffffffffff\r\n", "0\r\n\r\n", ":", " ", "\u{7f}", "Expect: 100-continue\r\n",
        ]
        var bytes = (0...generator.below(3)).flatMap { _ in Array(seeds[generator.below(seeds.count)].utf8) }
        for _ in 0..<generator.below(4) where !bytes.isEmpty {
            let at = generator.below(bytes.count)
            switch generator.below(5) {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: tokens[generator.below(tokens.count)].utf8, at: at)
            case 3: bytes.removeSubrange(at...)
            default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 9)], at: at)
            }
        }
        return bytes
    }
}
