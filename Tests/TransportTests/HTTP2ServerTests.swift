import NIOCore
import Pipeline
import TestSupport
import Testing

@testable import Transport

@Suite struct HTTP2ServerTests {
    private typealias Client = HTTP2Client

    @Test func settingsAndWindowsFirst() throws {
        let harness = try HTTP2Harness(preface: false) { $0.http2.maximumConcurrentStreams = 7 }
        let first = try harness.frames()
        #expect(first.map(\.type) == [4, 8])
        #expect(first[0].payload.starts(with: [0, 3, 0, 0, 0, 7, 0, 4, 0, 0x10, 0, 0]))
        #expect(Int(first[1].number()) == (4 << 20) - 65_535)
        try harness.send(Client.preface + Client.settings())
        #expect(try harness.frames() == [HTTP2TestFrame(type: 4, flags: 1)])
    }

    @Test func bodiesOnSeveralStreams() throws {
        let harness = try HTTP2Harness()
        _ = try harness.frames()
        try harness.send(Client.head(1) + Client.head(3) + Client.data(3, Array("c".utf8)))
        try harness.send(Client.data(1, Array("ab".utf8)) + Client.data(3, Array("d".utf8), ends: true))
        try harness.send(Client.data(1, [], ends: true))
        #expect(harness.service.requests.map { String(decoding: $0.body, as: UTF8.self) } == ["cd", "ab"])
        #expect(harness.service.requests.map(\.head.path) == ["/x", "/x"])
        let frames = try harness.frames()
        #expect(
            frames.map { [UInt32($0.type), UInt32($0.flags), $0.stream] } == [
                [1, 4, 3], [0, 1, 3], [1, 4, 1], [0, 1, 1],
            ])
        #expect(frames[1].payload == Array("POST /x?y|cd".utf8))
    }

    /// However the bytes are cut, the same requests are seen.
    @Test func dripFed() throws {
        let whole =
            Client.preface + Client.settings() + Client.head(1) + Client.data(1, Array("hello".utf8))
            + HTTP2TestFrame(type: 0, flags: 9, stream: 1, payload: [2, 33, 0, 0]).bytes
        for step in [1, 2, 7, 30] {
            let harness = try HTTP2Harness(preface: false)
            for start in stride(from: 0, to: whole.count, by: step) {
                try harness.send(Array(whole[start..<min(start + step, whole.count)]))
            }
            #expect(harness.service.requests.map(\.body) == [Array("hello!".utf8)])
        }
    }

    @Test func headsInPieces() throws {
        let harness = try HTTP2Harness()
        let block = Client.block(Client.request)
        try harness.send(
            HTTP2TestFrame(type: 1, flags: 0x29, stream: 1, payload: [3, 0, 0, 0, 0, 9] + block.prefix(5) + [0, 0, 0])
                .bytes + HTTP2TestFrame(type: 9, stream: 1, payload: Array(block[5..<9])).bytes
                + HTTP2TestFrame(type: 9, flags: 4, stream: 1, payload: Array(block[9...])).bytes)
        #expect(harness.service.requests.count == 1)
        // Nothing may come in between.
        try harness.send(HTTP2TestFrame(type: 1, stream: 3, payload: block).bytes + Client.ping())
        #expect(try harness.endCode() == 1)
    }

    @Test(
        arguments: [
            [(":method", "POST"), (":scheme", "http")], [(":scheme", "http"), (":path", "/")],
            HTTP2Client.request + [(":path", "/")], HTTP2Client.request + [("x", "1"), (":authority", "a")],
            HTTP2Client.request + [(":status", "200")], HTTP2Client.request + [("Upper", "1")],
            HTTP2Client.request + [("connection", "close")], HTTP2Client.request + [("te", "gzip")],
            HTTP2Client.request + [("a b", "1")], HTTP2Client.request + [("x", "a\r\nb")],
            HTTP2Client.request + [("content-length", "-1")],
            HTTP2Client.request + [("content-length", "1"), ("content-length", "2")],
            [(":method", "POST"), (":scheme", "http"), (":path", "")],
        ] as [[(String, String)]])
    func malformedHeadsEndTheirStream(_ fields: [(String, String)]) throws {
        let harness = try HTTP2Harness()
        _ = try harness.frames()
        try harness.send(Client.head(1, fields))
        #expect(try harness.frames() == [HTTP2TestFrame(type: 3, stream: 1, payload: [0, 0, 0, 1])])
        #expect(harness.service.methods.isEmpty)
        // What the client had sent already does no harm.
        try harness.send(Client.data(1, [1], ends: true) + Client.head(3, ends: true))
        #expect(harness.service.requests.count == 1)
    }

    @Test func lengthsMustBeTrue() throws {
        let harness = try HTTP2Harness()
        let fields = Client.request + [("content-length", "3")]
        try harness.send(Client.head(1, fields) + Client.data(1, [1, 2], ends: true))
        try harness.send(Client.head(3, fields) + Client.data(3, [1, 2, 3, 4]))
        try harness.send(Client.head(5, fields, ends: true))
        let resets = try harness.frames().filter { $0.type == 3 }
        #expect(resets.map(\.stream) == [1, 3, 5] && resets.allSatisfy { $0.number() == 1 })
        try harness.send(Client.head(7, fields) + Client.data(7, [1, 2, 3], ends: true))
        #expect(harness.service.requests.map(\.body) == [[1, 2, 3]])
    }

    @Test func whatEndsTheConnection() throws {
        let block = Client.block(Client.request)
        let cases: [(name: String, bytes: [UInt8], code: UInt32)] = [
            ("data of no stream", Client.data(1), 1), ("data of stream 0", Client.data(0), 1),
            ("an even stream", Client.head(2), 1),
            ("a stream that is over", Client.head(3, ends: true) + Client.head(1, ends: true), 5),
            ("a push", HTTP2TestFrame(type: 5, stream: 1, payload: [0, 0, 0, 2]).bytes, 1),
            ("settings of a stream", HTTP2TestFrame(type: 4, stream: 1).bytes, 1),
            ("settings of 5 bytes", HTTP2TestFrame(type: 4, payload: [0, 1, 0, 0, 0]).bytes, 6),
            ("a window of 2^31", Client.settings([(4, 1 << 31)]), 3),
            ("a push setting", Client.settings([(2, 2)]), 1), ("a tiny frame size", Client.settings([(5, 5)]), 1),
            ("a ping of 7 bytes", HTTP2TestFrame(type: 6, payload: [0, 0, 0, 0, 0, 0, 0]).bytes, 6),
            (
                "a ping of a stream",
                HTTP2TestFrame(type: 6, stream: 1, payload: [UInt8](repeating: 0, count: 8)).bytes, 1
            ),
            ("a reset of no stream", Client.reset(1), 1), ("a window of no stream", Client.window(1, 1), 1),
            ("a window update of 0", Client.window(0, 0), 1),
            ("a window beyond 2^31", Client.window(0, 0x7FFF_FFFF), 3),
            ("a continuation of nothing", HTTP2TestFrame(type: 9, stream: 1, payload: block).bytes, 1),
            ("a block that is none", HTTP2TestFrame(type: 1, flags: 4, stream: 1, payload: [0x80]).bytes, 9),
            ("padding beyond the head", HTTP2TestFrame(type: 1, flags: 0xC, stream: 1, payload: [9, 1]).bytes, 1),
        ]
        for (name, bytes, code) in cases {
            let harness = try HTTP2Harness()
            try harness.send(bytes)
            #expect(try harness.endCode() == code, "\(name)")
            #expect(harness.registry.isFinished == false)
        }
        let harness = try HTTP2Harness(preface: false)
        try harness.send(Client.preface + Client.ping())
        #expect(try harness.endCode() == 1, "no settings")
    }

    @Test func windowsFollowWhatIsRead() throws {
        let service = ScriptedService { _, _ in .body(limit: 64 << 20, lease: nil) }
        let harness = try HTTP2Harness(service)
        _ = try harness.frames()
        try harness.send(Client.head(1))
        let chunk = [UInt8](repeating: 1, count: 64 << 10)
        var onStream = 1 << 20
        var onConnection = 4 << 20
        for _ in 0..<256 {
            try harness.send(Client.data(1, chunk))
            onStream -= chunk.count
            onConnection -= chunk.count
            for frame in try harness.frames() {
                #expect(frame.type == 8)
                if frame.stream == 1 { onStream += Int(frame.number()) } else { onConnection += Int(frame.number()) }
            }
            // At least half of each is there at any time.
            #expect(onStream > 1 << 19 && onStream <= 1 << 20)
            #expect(onConnection > 2 << 20 && onConnection <= 4 << 20)
        }
        try harness.send(Client.data(1, [], ends: true))
        #expect(service.requests.first?.body.count == 16 << 20)
    }

    @Test func moreThanTheWindow() throws {
        // Nothing is read on while credentials are checked.
        let harness = try HTTP2Harness { $0.authenticator = UndecidedAuthenticator() }
        _ = try harness.frames()
        try harness.send(Client.head(1) + Client.data(1, [UInt8](repeating: 1, count: 1 << 20)))
        #expect(try harness.frames().isEmpty)
        try harness.send(Client.data(1, [1]))
        #expect(try harness.frames() == [HTTP2TestFrame(type: 3, stream: 1, payload: [0, 0, 0, 3])])
        for stream in [3, 5, 7] as [UInt32] {
            try harness.send(Client.head(stream) + Client.data(stream, [UInt8](repeating: 1, count: 1 << 20)))
        }
        #expect(try harness.endCode() == 3)
    }

    @Test func refusedBodiesLeaveTheWindowAsItWas() throws {
        let harness = try HTTP2Harness(ScriptedService { _, _ in .answer(.text(404, "no")) })
        let chunk = [UInt8](repeating: 1, count: 100_000)
        var room = 4 << 20
        for index in 0..<200 as Range<UInt32> {
            try harness.send(
                Client.head(1 + 2 * index) + Client.data(1 + 2 * index, chunk) + Client.reset(1 + 2 * index))
            room -= chunk.count
            for frame in try harness.frames() where frame.type == 8 { room += Int(frame.number()) }
        }
        #expect(harness.isOpen)
        #expect(room > 2 << 20)
    }

    @Test func answersWaitForWindows() throws {
        let body = [UInt8](repeating: 7, count: 100_000)
        let service = ScriptedService(answer: { _, _ in
            var answer = HTTPAnswer(status: 200, body: body)
            answer.trailers = [("grpc-status", "0")]
            return answer
        })
        let harness = try HTTP2Harness(service, settings: [(4, 10)])
        _ = try harness.frames()
        try harness.send(Client.head(1, ends: true))
        var frames = try harness.frames()
        #expect(frames.map(\.type) == [1, 0] && frames[1].payload.count == 10)
        try harness.send(Client.settings([(4, 30_010)]))
        frames = try harness.frames().filter { $0.type == 0 }
        #expect(frames.map(\.payload.count) == [16 << 10, 30_000 - (16 << 10)])
        try harness.send(Client.window(1, 60_000))
        // The connection's window of 65,535 is used up.
        #expect(try harness.frames().map(\.payload.count).reduce(0, +) == 65_535 - 30_010)
        try harness.send(Client.window(0, 1 << 20))
        #expect(try harness.frames().map(\.payload.count).reduce(0, +) == 90_010 - 65_535)
        // The client resets the window to less than it has used, then gives it what is missing.
        try harness.send(Client.settings([(4, 0)]) + Client.window(1, 30_010 + 9_990))
        frames = try harness.frames().filter { $0.type != 4 }
        #expect(frames.map(\.type) == [0, 1] && frames[0].payload.count == 9_990)
        #expect(frames.last?.flags == 5)
        #expect(harness.connection.isIdle)
    }

    @Test func streamsBeyondTheLimitAreRefused() throws {
        let harness = try HTTP2Harness { $0.http2.maximumConcurrentStreams = 2 }
        _ = try harness.frames()
        try harness.send(Client.head(1) + Client.head(3) + Client.head(5) + Client.data(5, [1]))
        #expect(try harness.frames() == [HTTP2TestFrame(type: 3, stream: 5, payload: [0, 0, 0, 7])])
        try harness.send(Client.data(1, [], ends: true) + Client.head(7, ends: true))
        #expect(harness.service.requests.count == 2)
    }

    @Test func gracefulEnd() throws {
        let service = ScriptedService(answer: nil)
        let harness = try HTTP2Harness(service)
        _ = try harness.frames()
        try harness.send(Client.head(1, ends: true))
        harness.connection.drain()
        var frames = try harness.frames()
        #expect(frames.map(\.type) == [7, 6] && frames[0].number() == 0x7FFF_FFFF && frames[0].number(at: 4) == 0)
        // What was on its way is taken, up to the answer to the ping.
        try harness.send(Client.head(3, ends: true))
        #expect(service.requests.count == 2)
        try harness.send(
            HTTP2TestFrame(type: 6, flags: 1, payload: frames[1].payload).bytes + Client.head(5, ends: true))
        frames = try harness.frames()
        #expect(frames.map(\.type) == [7, 3] && frames[0].number() == 3 && frames[1].number() == 7)
        for request in service.requests {
            #expect(harness.isOpen)
            request.responder.send(.text(200, "done"))
            harness.run()
        }
        #expect(!harness.isOpen)
        #expect(try harness.frames().filter { $0.type == 0 }.map(\.stream) == [1, 3])
    }

    @Test func clientsThatReset() throws {
        let service = ScriptedService(answer: nil)
        let harness = try HTTP2Harness(service)
        try harness.send(Client.head(1, ends: true) + Client.reset(1))
        _ = try harness.frames()
        // Nobody waits for it any more.
        service.requests.first?.responder.send(.text(200, "late"))
        harness.run()
        #expect(try harness.frames().isEmpty && harness.connection.isIdle)
    }

    /// Whatever comes, nothing traps, and what is taken stays within its bounds.
    @Test(arguments: 0..<300) func anything(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let harness = try HTTP2Harness(ScriptedService { _, _ in .body(limit: 10_000, lease: nil) }) {
            $0.http2.maximumConcurrentStreams = 5
        }
        for _ in 0..<200 {
            let stream = UInt32.random(in: 0...9, using: &random)
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            switch Int.random(in: 0...7, using: &random) {
            case 0, 1: try harness.send(Client.head(stream | 1, ends: Bool.random(using: &random)))
            case 2, 3: try harness.send(Client.data(stream, bytes, ends: Bool.random(using: &random)))
            case 4: try harness.send(Client.window(stream, UInt32.random(in: 0...UInt32.max, using: &random)))
            case 5:
                try harness.send(
                    Client.settings([
                        (UInt16.random(in: 0...7, using: &random), UInt32.random(in: 0...70_000, using: &random))
                    ]))
            case 6: try harness.send(Client.reset(stream))
            default:
                try harness.send(
                    HTTP2TestFrame(
                        type: UInt8.random(in: 0...10, using: &random),
                        flags: UInt8.random(in: 0...255, using: &random),
                        stream: stream, payload: bytes
                    ).bytes)
            }
            if !harness.isOpen { break }
        }
        #expect(harness.connection.streams.count <= 5)
    }
}

/// Never comes to a decision.
private final class UndecidedAuthenticator: ServerAuthenticator {
    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult { .later { _ in } }
}
