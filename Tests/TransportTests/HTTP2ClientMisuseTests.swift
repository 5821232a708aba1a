import TestSupport
import Testing

@testable import Transport

/// Servers that do not keep to RFC 9113.
@Suite struct HTTP2ClientMisuseTests {
    private typealias Server = HTTP2Client

    @Test func connectionErrors() throws {
        let frame: (UInt8, UInt32, [UInt8]) -> [UInt8] = { HTTP2TestFrame(type: $0, stream: $1, payload: $2).bytes }
        let cases: [(String, [UInt8], HTTP2ErrorCode)] = [
            ("a push", frame(5, 1, [0, 0, 0, 2]), .protocolError),
            ("an even stream", Server.head(2, HTTP2ClientHarness.head), .protocolError),
            ("a stream nobody began", Server.head(7, HTTP2ClientHarness.head), .protocolError),
            ("data of no stream", Server.data(0, [1]), .protocolError),
            ("a reset of no stream", HTTP2ClientHarness.reset(0, 0), .protocolError),
            ("half a setting", frame(4, 0, [0, 1, 0]), .frameSizeError),
            ("settings of a stream", frame(4, 1, []), .protocolError),
            ("a window setting out of range", Server.settings([(4, 0x8000_0000)]), .flowControlError),
            ("a frame size out of range", Server.settings([(5, 100)]), .protocolError),
            ("a window that overflows", Server.window(0, 0x7FFF_FFFF), .flowControlError),
            ("a stream's window that overflows", Server.window(1, 0x7FFF_FFFF), .flowControlError),
            ("a window update of nothing", Server.window(0, 0), .protocolError),
            ("half a ping", frame(6, 0, [1, 2, 3]), .frameSizeError),
            ("half a window update", frame(8, 0, [1]), .frameSizeError),
            ("half a goodbye", frame(7, 0, [1]), .frameSizeError),
            ("half a reset", frame(3, 1, [1]), .frameSizeError),
            ("a continuation of nothing", frame(9, 1, []), .protocolError),
            ("a head cut by another frame", frame(1, 1, []) + Server.ping(), .protocolError),
            (
                "a head that cannot be decoded", HTTP2TestFrame(type: 1, flags: 4, stream: 1, payload: [0xFF]).bytes,
                .compressionError
            ),
            ("a frame larger than agreed", Server.data(1, [UInt8](repeating: 1, count: 16_385)), .frameSizeError),
        ]
        for (name, bytes, code) in cases {
            let harness = try HTTP2ClientHarness()
            try harness.begin()
            let error = #expect(throws: HTTP2ConnectionError.self, "\(name)") { try harness.receive(bytes) }
            #expect(error?.code == code, "\(name)")
        }
    }

    @Test func anythingButSettingsAtFirst() throws {
        for bytes in [
            Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), Server.ping(), Server.data(1, [1]),
            HTTP2TestFrame(type: 4, flags: 1).bytes, [UInt8](repeating: 0, count: 100),
        ] {
            let harness = try HTTP2ClientHarness(peer: nil)
            #expect(throws: HTTP2ConnectionError.self) { try harness.receive(bytes) }
            #expect(!harness.session.isReady)
        }
    }

    @Test func aFloodOfPingsEnds() throws {
        let harness = try HTTP2ClientHarness()
        #expect(throws: HTTP2ConnectionError.self) { for _ in 0..<1001 { try harness.receive(Server.ping()) } }
        // Answered in between, they may go on.
        let patient = try HTTP2ClientHarness()
        for _ in 0..<3000 {
            try patient.receive(Server.ping(7))
            let answers = try patient.frames()
            #expect(answers.last == HTTP2TestFrame(type: 6, flags: 1, payload: [UInt8](repeating: 7, count: 8)))
        }
    }

    /// Whatever comes, each call ends once.
    @Test(arguments: 0..<300) func anything(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let harness = try HTTP2ClientHarness()
        var begun = 0
        var ended = 0
        do {
            for _ in 0..<200 {
                if harness.session.room > 0, Int.random(in: 0..<4, using: &random) == 0 {
                    try harness.begin(body: Int.random(in: 0...5000, using: &random), maxResponseBytes: 1000)
                    begun += 1
                }
                let stream = UInt32.random(in: 0...UInt32(begun * 2 + 1), using: &random) | 1
                switch Int.random(in: 0..<12, using: &random) {
                case 0...2: try harness.receive(Server.head(stream, HTTP2ClientHarness.head))
                case 3...4: try harness.receive(Server.data(stream, [UInt8](repeating: 1, count: 300)))
                case 5: try harness.receive(HTTP2ClientHarness.answer(stream))
                case 6: try harness.receive(HTTP2ClientHarness.reset(stream, UInt32.random(in: 0...9, using: &random)))
                case 7: try harness.receive(Server.window(stream & ~1, 1000))
                case 8: try harness.receive(Server.settings([(UInt16.random(in: 1...6, using: &random), 20_000)]))
                case 9: try harness.receive(Server.ping())
                case 10: _ = harness.written()
                default:
                    let bytes = (0..<Int.random(in: 9...60, using: &random)).map { _ in
                        UInt8.random(in: 0...12, using: &random)
                    }
                    if Int.random(in: 0..<30, using: &random) == 0 { try harness.receive(bytes) }
                }
                ended += harness.outcomes().count
            }
        } catch is HTTP2ConnectionError {
            // As good an end as any.
        }
        ended += harness.outcomes().count
        harness.session.close { call, status in HTTPClientError(.reset, origin: call.origin, status: status) }
        ended += harness.outcomes().count
        #expect(begun == ended)
        #expect(harness.session.calls == 0)
    }
}

@Suite struct HTTP2OutputTests {
    /// However little the peer takes at a time, it gets the same bytes.
    @Test(arguments: 0..<30) func anyPieces(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var output = HTTP2Output(blockSize: 128)
        var expected: [UInt8] = []
        var got: [UInt8] = []
        for _ in 0..<40 {
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                let count =
                    Int.random(in: 0..<3, using: &random) == 0 ? 5_000 : Int.random(in: 1...300, using: &random)
                let bytes = [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: count)
                let body = try HTTPRequestBody(bytes)
                output.appendDataHead(7, length: count, ends: false)
                expected += HTTP2TestFrame(type: 0, stream: 7, payload: bytes).bytes
                output.append(body.slices[0], of: body)
            }
            let waiting = output.count
            #expect(waiting == expected.count - got.count)
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let most = Int.random(in: 0...10_000, using: &random)
                _ = output.write { pieces in
                    let before = got.count
                    for piece in pieces { got += piece.prefix(most - (got.count - before)) }
                    return most == 0 ? nil : got.count - before
                }
            }
        }
        while output.write({ pieces in
            for piece in pieces { got += piece }
            return pieces.reduce(0) { $0 + $1.count }
        }) {}
        #expect(got == expected)
    }
}
