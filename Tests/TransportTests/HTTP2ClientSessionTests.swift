import TestSupport
import Testing

@testable import Transport

@Suite struct HTTP2ClientSessionTests {
    private typealias Server = HTTP2Client

    @Test func nothingBeginsBeforeTheServerHasSpoken() throws {
        let harness = try HTTP2ClientHarness(peer: nil)
        #expect(harness.session.room == 0)
        let bytes = harness.written()
        #expect(bytes.starts(with: Server.preface))
        let settings = HTTP2TestFrame.all(in: Array(bytes.dropFirst(Server.preface.count)))
        #expect(settings.map(\.type) == [4])
        // No pushes, and heads of a bounded size.
        #expect(settings[0].payload.starts(with: [0, 2, 0, 0, 0, 0, 0, 6]))
        try harness.receive(Server.settings([(3, 2)]))
        #expect(harness.session.room == 2)
        #expect(HTTP2TestFrame.all(in: harness.written()) == [HTTP2TestFrame(type: 4, flags: 1)])
    }

    @Test func aCallAndItsAnswer() throws {
        let harness = try HTTP2ClientHarness()
        try harness.begin(body: 5, wanted: ["grpc-status", "grpc-message", "missing"])
        let frames = try harness.frames()
        #expect(frames.map(\.type) == [1, 0])
        #expect(frames.map(\.stream) == [1, 1])
        #expect(frames.map(\.flags) == [4, 1])
        #expect(frames[1].payload == [0, 31, 62, 93, 124])
        try harness.receive(HTTP2ClientHarness.answer(1))
        #expect(harness.outcomes() == ["200 grpc-status=0,grpc-message=fine body"])
        #expect(harness.session.calls == 0)
        // The next has a number of its own, and a head that is smaller by what the peer remembers.
        try harness.begin()
        let next = try harness.frames()
        #expect(next.map(\.stream) == [3])
        #expect(next.map(\.flags) == [5])
        #expect(next[0].payload.count < frames[0].payload.count / 2)
    }

    @Test func interimHeadsAndPaddingAreLeftOut() throws {
        let harness = try HTTP2ClientHarness()
        try harness.begin()
        let padded = HTTP2TestFrame(type: 0, flags: 8 | 1, stream: 1, payload: [3, 0x68, 0x69, 0, 0, 0])
        try harness.receive(Server.head(1, [(":status", "103")]) + Server.head(1, HTTP2ClientHarness.head))
        try harness.receive(padded.bytes)
        #expect(harness.outcomes() == ["200  hi"])
    }

    @Test func answersMayComeInAnyPieces() throws {
        let bytes = HTTP2ClientHarness.answer(1)
        for cut in 1..<bytes.count {
            let harness = try HTTP2ClientHarness()
            try harness.begin(wanted: ["grpc-status"])
            try harness.receive(Array(bytes[..<cut]))
            try harness.receive(Array(bytes[cut...]))
            #expect(harness.outcomes() == ["200 grpc-status=0 body"])
        }
    }

    @Test func windowsAreKept() throws {
        let harness = try HTTP2ClientHarness()
        try harness.begin(body: 200_000)
        func sent() throws -> [Int] { try harness.frames().filter { $0.type == 0 }.map(\.payload.count) }
        #expect(try sent() == [16384, 16384, 16384, 16383])
        try harness.receive(Server.window(1, 100_000))
        #expect(try sent() == [], "the connection's window is closed")
        try harness.receive(Server.window(0, 20_000))
        #expect(try sent() == [16384, 3616])
        // Every stream's window changes with the setting, below zero too.
        try harness.receive(Server.window(0, 1_000_000) + Server.settings([(4, 0), (5, 60_000)]))
        #expect(try sent() == [14_465])
        try harness.receive(Server.settings([(4, 65_535)]))
        #expect(try sent() == [60_000, 5_535])
        try harness.receive(Server.window(1, 1_000_000))
        #expect(try sent() == [34_465 - 0])
        try harness.receive(HTTP2ClientHarness.answer(1))
        #expect(harness.outcomes() == ["200  body"])
    }

    @Test func aStreamThatWaitsHoldsUpNoOther() throws {
        let harness = try HTTP2ClientHarness(peer: [(4, 10)])
        try harness.begin(body: 30)
        try harness.begin(body: 10)
        let frames = try harness.frames().filter { $0.type == 0 }
        #expect(frames.map(\.stream) == [1, 3])
        #expect(frames.map(\.flags) == [0, 1])
        try harness.receive(HTTP2ClientHarness.answer(3) + Server.window(1, 20))
        #expect(harness.outcomes() == ["200  body"])
        #expect(try harness.frames().map(\.payload.count) == [20])
    }

    @Test func largeBodiesAreSentWholeAndInOrder() throws {
        let harness = try HTTP2ClientHarness(outputBytes: 10_000, peer: [(4, 1 << 20), (5, 1 << 20)])
        try harness.receive(Server.window(0, 1 << 20))
        let call = try harness.begin(body: 300_001)
        let frames = try harness.frames().filter { $0.type == 0 }
        let body = try #require(call.submission.request.body)
        #expect(frames.flatMap(\.payload).elementsEqual(body.slices.joined()))
        #expect(frames.allSatisfy { $0.payload.count <= 10_000 })
        #expect(frames.map(\.flags).filter { $0 == 1 }.count == 1)
        #expect(frames.last?.flags == 1)
    }

    @Test func theServerSaysHowManyCalls() throws {
        let harness = try HTTP2ClientHarness(peer: [(3, 2)])
        try harness.begin()
        try harness.begin()
        #expect(harness.session.room == 0)
        try harness.receive(HTTP2ClientHarness.answer(3))
        #expect(harness.session.room == 1)
        try harness.receive(Server.settings([(3, 0)]))
        #expect(harness.session.room == 0)
    }

    @Test func aRefusedCallWaitsForAnAnswer() throws {
        let harness = try HTTP2ClientHarness(peer: [(3, 3)])
        for _ in 0..<3 { try harness.begin() }
        try harness.receive(HTTP2ClientHarness.reset(5, 7))
        #expect(harness.outcomes() == ["reset again untouched"])
        #expect(harness.session.room == 0)
        try harness.receive(HTTP2ClientHarness.answer(1))
        #expect(harness.session.room == 2)
        // With none under way, one may be tried.
        try harness.receive(HTTP2ClientHarness.answer(3))
        try harness.begin()
        try harness.receive(HTTP2ClientHarness.reset(7, 7))
        #expect(harness.session.room == 1)
    }

    @Test func whatTheServerDidNotTouchMayBeSentAgain() throws {
        let harness = try HTTP2ClientHarness()
        for _ in 0..<4 { try harness.begin(body: 10) }
        try harness.receive(HTTP2ClientHarness.reset(1, 7) + HTTP2ClientHarness.reset(3, 2))
        #expect(harness.outcomes() == ["reset again untouched", "reset"])
        try harness.receive(HTTP2ClientHarness.goAway(5))
        #expect(harness.outcomes() == ["reset again untouched"])
        #expect(harness.session.isClosing)
        #expect(harness.session.room == 0)
        try harness.receive(HTTP2ClientHarness.answer(5))
        #expect(harness.outcomes() == ["200  body"])
        #expect(harness.session.calls == 0)
    }

    @Test func aLostConnectionEndsItsCalls() throws {
        let lost: (HTTP2ClientCall, Int) -> HTTPClientError = { call, status in
            HTTPClientError(.reset, origin: call.origin, status: status, maybeReceived: true)
        }
        let fresh = try HTTP2ClientHarness()
        try fresh.begin()
        fresh.session.close(lost)
        #expect(fresh.outcomes() == ["reset"])
        let kept = try HTTP2ClientHarness()
        try kept.begin()
        try kept.receive(HTTP2ClientHarness.answer(1))
        try kept.begin()
        try kept.begin()
        try kept.receive(Server.head(5, HTTP2ClientHarness.head))
        kept.session.close(lost)
        // One of the two has half an answer: the server has worked on it.
        #expect(Set(kept.outcomes()) == ["200  body", "reset again", "reset"])
    }

    @Test func anEarlyAnswerEndsTheBody() throws {
        let harness = try HTTP2ClientHarness()
        try harness.begin(body: 100_000)
        _ = try harness.frames()
        try harness.receive(HTTP2ClientHarness.answer(1) + Server.window(0, 100_000))
        #expect(harness.outcomes() == ["200  body"])
        let frames = try harness.frames()
        #expect(frames.map(\.type) == [3])
        #expect(frames[0].number() == 8)
    }

    @Test func calledOff() throws {
        let harness = try HTTP2ClientHarness()
        let first = try harness.begin(body: 100_000, deadline: 5)
        try harness.begin(deadline: 9)
        #expect(harness.session.nextDeadline == 5)
        let over = harness.session.cancel { $0.submission.deadline <= 5 }
        #expect(over.map { $0.phase } == ["while sending"])
        #expect(over.first?.call === first)
        let frames = try harness.frames()
        #expect(frames.filter { $0.stream == 1 }.map(\.type) == [1, 3])
        // What still comes of it is nobody's.
        try harness.receive(HTTP2ClientHarness.answer(1) + HTTP2ClientHarness.answer(3))
        #expect(harness.outcomes() == ["200  body"])
    }

    @Test func malformedAnswersFailTheirCallOnly() throws {
        let cases: [[UInt8]] = [
            Server.head(1, [("content-type", "x")], ends: true),
            Server.head(1, [(":status", "2000")], ends: true),
            Server.head(1, [(":status", "abc")], ends: true),
            Server.head(1, [(":status", "100")], ends: true),
            Server.head(1, [(":status", "200"), ("Upper", "x")], ends: true),
            Server.head(1, [(":status", "200"), (":status", "200")], ends: true),
            Server.head(1, HTTP2ClientHarness.head) + Server.head(1, [("late", "x")]),
            Server.data(1, [1], ends: true),
        ]
        for bytes in cases {
            let harness = try HTTP2ClientHarness()
            try harness.begin()
            try harness.begin()
            try harness.receive(bytes + HTTP2ClientHarness.answer(3))
            #expect(harness.outcomes() == ["malformedResponse", "200  body"])
            #expect(try harness.frames().filter { $0.type == 3 }.map(\.stream) == [1])
        }
    }

    @Test func answersAreBounded() throws {
        let harness = try HTTP2ClientHarness()
        try harness.begin(maxResponseBytes: 100)
        try harness.receive(Server.head(1, HTTP2ClientHarness.head) + Server.data(1, [UInt8](repeating: 1, count: 100)))
        #expect(harness.outcomes() == [])
        try harness.receive(Server.data(1, [1]))
        #expect(harness.outcomes() == ["responseTooLarge"])
    }

    @Test func longAnswersGetNewWindows() throws {
        let harness = try HTTP2ClientHarness()
        try harness.begin()
        _ = try harness.frames()
        try harness.receive(Server.head(1, HTTP2ClientHarness.head))
        var updates: [HTTP2TestFrame] = []
        for _ in 0..<20 {
            try harness.receive(Server.data(1, [UInt8](repeating: 1, count: 16_000)))
            updates += try harness.frames()
        }
        #expect(updates.allSatisfy { $0.type == 8 })
        // A window of 65,535 bytes and what came on top hold what was sent, and no more than one window beyond.
        for stream in [0, 1] as [UInt32] {
            let granted = updates.filter { $0.stream == stream }.reduce(65_535) { $0 + Int($1.number()) }
            #expect((320_000...320_000 + 65_535).contains(granted))
        }
    }
}
