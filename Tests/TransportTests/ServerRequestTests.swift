import NIOCore
import Pipeline
import TestSupport
import Testing

@testable import Transport

/// What a client gets for each shape of request.
@Suite struct ServerRequestTests {
    @Test func aConnectionServesRequestAfterRequest() throws {
        let harness = try ServerHarness()
        for index in 0..<3 {
            let reply = try harness.exchange(httpPost("body\(index)", path: "/a?x=\(index)"))
            #expect(reply?.status == 200)
            #expect(reply?.text == "POST /a?x=\(index)|body\(index)")
            #expect(reply?["connection"] == nil)
        }
        #expect(harness.isOpen)
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        try harness.send(httpPost("1") + httpPost("2") + chunked(["3"]))
        #expect(harness.service.requests.map(\.body) == [[0x31]])
        for index in 0..<3 {
            #expect(harness.service.requests.count == index + 1)
            harness.service.requests[index].responder.send(.text(200, "answer \(index + 1)"))
            #expect(try harness.replies().map(\.text) == ["answer \(index + 1)"])
        }
        #expect(harness.service.requests.map(\.body) == [[0x31], [0x32], [0x33]])
        #expect(harness.isOpen)
    }

    @Test func nothingIsReadWhileARequestWaits() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        harness.channel.read()
        let before = harness.readCount
        try harness.send(httpPost("1"))
        harness.channel.read()
        harness.channel.read()
        #expect(harness.readCount == before)
        harness.service.requests[0].responder.send(.text(200, ""))
        #expect(harness.readCount == before + 1)
        harness.channel.read()
        #expect(harness.readCount == before + 2)
    }

    @Test func heldBackReadsWaitForTheLastPipelinedAnswer() throws {
        let harness = try ServerHarness(ScriptedService(answer: nil))
        let before = harness.readCount
        try harness.send(httpPost("1") + httpPost("2"))
        harness.channel.read()
        harness.service.requests[0].responder.send(.text(200, ""))
        #expect(harness.readCount == before)
        harness.service.requests[1].responder.send(.text(200, ""))
        #expect(harness.readCount == before + 1)
    }

    @Test func expectContinueIsAnsweredBeforeTheBody() throws {
        let harness = try ServerHarness()
        try harness.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        #expect(try harness.replies().map(\.status) == [100])
        #expect(try harness.exchange("ok")?.text == "POST /p?|ok")
        #expect(harness.isOpen)
    }

    /// A length that is not understood would be one of 0, and pass every limit until its bytes come.
    @Test(arguments: [("3 ", 3), ("3  ", 3), ("003", 3), ("9223372036854775808", Int.max)])
    func lengthsAreUnderstood(_ text: String, _ length: Int) throws {
        let harness = try ServerHarness(
            ScriptedService { head, length in .answer(.text(200, "\(length ?? -1) \(head.headers["x-a"] ?? "")|")) })
        try harness.send("POST /p HTTP/1.1\r\nHost: h\r\nX-A: b c\u{e4} \t\r\nContent-Length: \(text)\r\n\r\n")
        #expect(try harness.replies().map(\.text) == ["\(length) b c\u{e4}|"])
    }

    @Test func http10ClientsGetNoInterimAnswer() throws {
        let harness = try ServerHarness()
        try harness.send("POST /p HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        #expect(try harness.output() == [])
        try harness.send("ok")
        #expect(try harness.replies().map(\.text) == ["POST /p?|ok"])
    }

    /// Whether a client that expected 100 sends its body after another answer is its own choice: what comes next on
    /// the connection cannot be told apart.
    @Test func aRefusedExpectationEndsTheConnection() throws {
        let refusing = ScriptedService { _, _ in .answer(.text(415, "no")) }
        let harness = try ServerHarness(refusing)
        try harness.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        let replies = try harness.replies()
        #expect(replies.map(\.status) == [415])
        #expect(replies[0]["connection"] == "close")
        let limited = try ServerHarness(ScriptedService { _, _ in .body(limit: 1, lease: nil) })
        try limited.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        #expect(try limited.replies().map { [$0.status == 413, $0["connection"] == "close"] } == [[true, true]])
    }

    @Test func chunkedBodiesAreJoined() throws {
        let harness = try ServerHarness()
        let trailers = "X-Checksum: 1\r\n"
        #expect(try harness.exchange(chunked(["ab", "c", "def"], trailers: trailers))?.text == "POST /c?|abcdef")
        #expect(try harness.exchange(chunked([]))?.text == "POST /c?|")
        #expect(harness.isOpen)
    }

    @Test func http10ConnectionsEndAfterTheAnswer() throws {
        for field in ["", "Connection: keep-alive\r\n"] {
            let harness = try ServerHarness()
            let reply = try harness.exchange("GET /old HTTP/1.0\r\n\(field)\r\n")
            #expect(reply?.text == "GET /old?|")
            #expect(reply?["connection"] == "close")
            #expect(try harness.exchange("GET /old HTTP/1.0\r\n\r\n") == nil)
        }
    }

    @Test func answersToHEADHaveNoBody() throws {
        let harness = try ServerHarness()
        try harness.send("HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n" + httpPost("next"))
        let replies = try harness.replies()
        #expect(replies.map(\.status) == [200, 200])
        #expect(replies.first?["content-length"] == "\("HEAD /h?|".utf8.count)")
        #expect(replies.last?.text == "POST /p?|next")
        let refusing = try ServerHarness(ScriptedService { _, _ in .answer(.text(405, "not that")) })
        #expect(try refusing.exchange("HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n")?.status == 405)
    }

    @Test func noContentHasNoLength() throws {
        let harness = try ServerHarness(ScriptedService { _, _ in .answer(HTTPAnswer(status: 204)) })
        // The reader refuses a 204 with Content-Length.
        #expect(try harness.exchange("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n")?.status == 204)
        #expect(harness.isOpen)
    }

    @Test func requestsToCloseAreHonoured() throws {
        let harness = try ServerHarness()
        #expect(try harness.exchange(httpPost("1", fields: "Connection: close\r\n"))?["connection"] == "close")
        let without = try ServerHarness { $0.keepAlive = false }
        #expect(try without.exchange(httpPost("1"))?["connection"] == "close")
        #expect(try without.exchange(httpPost("2")) == nil)
        let answered = try ServerHarness(
            ScriptedService(answer: { _, _ in HTTPAnswer(status: 200, closes: true) }))
        #expect(try answered.exchange(httpPost("1"))?["connection"] == "close")
    }

    /// An upgrade that is not taken is an ordinary request; nothing after it would be read.
    @Test func offersToUpgradeAreAnsweredInHTTP1() throws {
        let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        let harness = try ServerHarness()
        let reply = try harness.exchange(httpPost("body", fields: offer))
        #expect(reply?.text == "POST /p?|body")
        #expect(reply?["connection"] == "close")
        let get = try ServerHarness()
        #expect(try get.exchange("GET / HTTP/1.1\r\nHost: h\r\n\(offer)\r\n")?["connection"] == "close")
    }

    // MARK: Limits

    @Test func announcedBodiesOverTheLimitAreRefused() throws {
        let service = ScriptedService { _, _ in .body(limit: 4, lease: nil) }
        let harness = try ServerHarness(service)
        #expect(try harness.exchange(httpPost("12345"))?.status == 413)
        // The small body was read past.
        #expect(try harness.exchange(httpPost("1234"))?.text == "POST /p?|1234")
        try harness.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
        let reply = try harness.replies().last
        #expect(reply?.status == 413)
        #expect(reply?["connection"] == "close")
        #expect(service.requests.count == 1)
    }

    @Test func chunkedBodiesOverTheLimitAreRefusedWhileTheyCome() throws {
        let service = ScriptedService { _, _ in .body(limit: 4, lease: nil) }
        let harness = try ServerHarness(service)
        try harness.send("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n")
        #expect(try harness.replies().isEmpty)
        let reply = try harness.exchange("1\r\n5\r\n")
        #expect(reply?.status == 413)
        #expect(reply?["connection"] == "close")
        #expect(try harness.exchange("0\r\n\r\n") == nil)
        #expect(service.requests.isEmpty)
    }

    @Test func unwantedBodiesAreReadPastOrCutOff() throws {
        let service = ScriptedService { head, _ in
            head.path == "/no" ? .answer(.text(404, "no")) : .body(limit: 10, lease: nil)
        }
        let harness = try ServerHarness(service)
        #expect(try harness.exchange(httpPost("unwanted", path: "/no"))?["connection"] == nil)
        #expect(try harness.exchange(httpPost("1"))?.status == 200)
        let endless = try ServerHarness(service)
        try endless.send("POST /no HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(try endless.replies().first?["connection"] == "close")
    }

    @Test func bodiesOfUnknownSizeNeedRoomInTheBudget() throws {
        let budget = MemoryBudget(limit: 100, spike: 0)
        let service = ScriptedService(answer: nil) { _, length in .body(limit: 1000, lease: budget.lease(length ?? 10))
        }
        let harness = try ServerHarness(service)
        try harness.send(chunked([String(repeating: "x", count: 40)]))
        #expect(service.requests.count == 1)
        #expect(budget.heldBytes == 0, "the body's bytes are gone, and their lease with them")
        service.requests[0].responder.send(.text(200, ""))
        _ = try harness.output()
        try harness.send("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n")
        try harness.send(String(repeating: "x", count: 40))
        #expect(budget.heldBytes == 80)
        let reply = try harness.exchange("\r\n28\r\n" + String(repeating: "y", count: 40))
        #expect(reply == nil, "80 bytes fit in the 80 that are leased")
        let refused = try harness.exchange("\r\n28\r\n" + String(repeating: "z", count: 40))
        #expect(refused?.status == 503)
        #expect(refused?["retry-after"] == "1")
        #expect(refused?["connection"] == "close")
        #expect(budget.heldBytes == 0)
    }

    @Test(arguments: [
        "GARBAGE\r\n\r\n", "GET / HTTP/3.7\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nHost h\r\n\r\n", "GET / HTTP/1.1\r\nA\0B: c\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ])
    func malformedHeadsAreRefused(_ head: String) throws {
        let harness = try ServerHarness()
        let reply = try harness.exchange(head)
        #expect(reply?.status == 400)
        #expect(reply?["connection"] == "close")
        #expect(try harness.exchange(httpPost("x")) == nil)
        #expect(harness.service.requests.isEmpty)
    }

    @Test func largeHeadsAreRefused() throws {
        let long = try ServerHarness()
        let value = String(repeating: "a", count: 100_000)
        #expect(try long.exchange("GET / HTTP/1.1\r\nHost: h\r\nX: \(value)\r\n\r\n")?.status == 431)
        let many = try ServerHarness()
        let fields = (0..<300).map { "X\($0): 1\r\n" }.joined()
        #expect(try many.exchange("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")?.status == 431)
        let total = try ServerHarness()
        let part = String(repeating: "a", count: 10_000)
        let sum = (0..<20).map { "X\($0): \(part)\r\n" }.joined()
        #expect(try total.exchange("GET / HTTP/1.1\r\nHost: h\r\n\(sum)\r\n")?.status == 431)
    }

    @Test func aBrokenBodyIsRefusedAndItsMemoryGivenBack() throws {
        let budget = MemoryBudget(limit: 1000, spike: 0)
        let harness = try ServerHarness(ScriptedService { _, _ in .body(limit: 100, lease: budget.lease(100)) })
        try harness.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        #expect(budget.heldBytes == 100)
        #expect(try harness.exchange("zz\r\n")?.status == 400)
        #expect(budget.heldBytes == 0)
    }

    @Test func aBrokenUnwantedBodyGetsNoSecondAnswer() throws {
        let harness = try ServerHarness(ScriptedService { _, _ in .answer(.text(404, "no")) })
        // Small enough to be read past, and one request.
        try harness.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
        #expect(try harness.replies().map(\.status) == [404])
        let next = try harness.exchange("abcBROKEN\r\n\r\n")
        #expect(next?.status == 400, "the broken request after it gets its own")
    }
}
