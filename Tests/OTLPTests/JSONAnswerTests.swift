import Testing

@testable import OTLP

@Suite struct JSONAnswerTests {
    @Test func fullSuccessIsAnEmptyMessage() {
        for signal in Signal.allCases {
            #expect(ExportResponse.accepted.encoded(signal, as: .protobuf) == [])
            #expect(ExportResponse.accepted.encoded(signal, as: .json) == Array("{}".utf8))
        }
    }

    @Test(arguments: [
        (Signal.traces, "rejectedSpans"), (.metrics, "rejectedDataPoints"), (.logs, "rejectedLogRecords"),
    ])
    func partialSuccess(_ signal: Signal, _ name: String) throws {
        let response = ExportResponse(rejectedItems: 3, errorMessage: "bad \"id\"")
        #expect(response.encoded(signal, as: .protobuf) == field(1, [0x08, 3] + field(2, "bad \"id\"")))
        let expected = "{\"partialSuccess\":{\"\(name)\":\"3\",\"errorMessage\":\"bad \\\"id\\\"\"}}"
        #expect(String(decoding: response.encoded(signal, as: .json), as: UTF8.self) == expected)
        for encoding in OTLPEncoding.allCases {
            #expect(try decoded(response.encoded(signal, as: encoding), signal, encoding) == response)
        }
    }

    @Test func whatPeersSendForSuccess() throws {
        #expect(try decoded([], .traces, .protobuf) == .accepted)
        #expect(try decoded(Array("{}".utf8), .traces, .json) == .accepted)
        #expect(try decoded(Array(#"{"partialSuccess":{}}"#.utf8), .traces, .json) == .accepted)
        #expect(try decoded(Array(#"{"partialSuccess":{"rejectedSpans":2}}"#.utf8), .traces, .json).rejectedItems == 2)
        #expect(throws: OTLPAnswerError.malformed) { try decoded([], .traces, .json) }
        #expect(throws: OTLPAnswerError.malformed) { try decoded([0x0A, 9], .traces, .protobuf) }
        #expect(throws: OTLPAnswerError.tooLarge(bytes: (4 << 20) + 1)) {
            try decoded(.init(repeating: 0, count: (4 << 20) + 1), .traces, .protobuf)
        }
    }

    @Test func status() throws {
        let status = RPCStatus(code: 14, message: "queue is full", retryDelay: .milliseconds(1500))
        let text = String(decoding: status.encoded(as: .json), as: UTF8.self)
        #expect(
            text == #"{"code":14,"message":"queue is full","details":[{"@type":"#
                + #""type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500s"}]}"#)
        for encoding in OTLPEncoding.allCases {
            #expect(try decodedStatus(status.encoded(as: encoding), encoding) == status)
            let plain = RPCStatus(code: 3, message: "")
            #expect(try decodedStatus(plain.encoded(as: encoding), encoding) == plain)
        }
        // Any { type_url, value: RetryInfo { Duration { 1 s, 500,000,000 ns } } }
        let duration: [UInt8] = [0x08, 1, 0x10, 0x80, 0xCA, 0xB5, 0xEE, 0x01]
        let detail = field(1, "type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, duration))
        #expect(status.encoded(as: .protobuf) == [0x08, 14] + field(2, "queue is full") + field(3, detail))
    }

    @Test func statusOfPeers() throws {
        let text = #"""
            {"code":"8","message":"slow down","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations":[{"field":"x"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}
            """#
        let status = try decodedStatus(Array(text.utf8), .json)
        #expect(status == RPCStatus(code: 8, message: "slow down", retryDelay: .seconds(7)))
        // Delays that are none, or not believable.
        let minimum: [UInt8] = [0x08] + .init(repeating: 0x80, count: 9) + [1]
        let type = field(1, "type.googleapis.com/google.rpc.RetryInfo")
        #expect(try decodedStatus(field(3, type + field(2, field(1, minimum))), .protobuf).retryDelay == nil)
        #expect(try decodedStatus(field(3, type + field(2, [])), .protobuf).retryDelay == nil)
        #expect(try decodedStatus(field(3, type + field(2, [0xFF])), .protobuf).retryDelay == nil)
        let century = field(3, type + field(2, field(1, [0x08, 0x80, 0xBC, 0xC1, 0x96, 0x0B])))
        #expect(try decodedStatus(century, .protobuf).retryDelay == RPCStatus.maximumRetryDelay)
    }

    @Test(
        arguments: [
            ("0s", .zero), ("1.5s", .milliseconds(1500)), ("0.000000001s", .nanoseconds(1)),
            ("315576000000s", .seconds(315_576_000_000)), ("315576000001s", nil), ("-1s", nil),
            ("1", nil), ("s", nil), (".5s", nil), ("1.s", nil), ("1.0000000001s", nil), ("1..2s", nil),
            ("99999999999999999999s", nil), ("", nil),
        ] as [(String, Duration?)])
    func durations(_ text: String, _ expected: Duration?) {
        #expect(Array(text.utf8).withUnsafeBytes { DurationText.duration(of: $0) } == expected)
        if let expected, text != "0s" {
            let again = DurationText.text(of: expected)
            #expect(Array(again.utf8).withUnsafeBytes { DurationText.duration(of: $0) } == expected)
        }
    }

    @Test func messagesAreCut() {
        let long = String(repeating: "é", count: 4096)
        #expect(RPCStatus(code: 1, message: long).message == String(repeating: "é", count: 2048))
        #expect(ExportResponse(errorMessage: "x" + long).errorMessage.utf8.count == 4095)
        #expect("abc".cut(toUTF8: 0) == "")
    }

    @Test func changedAnswersNeverTrap() {
        var random = SeededGenerator(state: 21)
        let status = RPCStatus(code: 14, message: "m", retryDelay: .milliseconds(1500))
        let response = ExportResponse(rejectedItems: 3, errorMessage: "e")
        var accepted = 0
        for _ in 0..<20_000 {
            for encoding in OTLPEncoding.allCases {
                var bodies = [status.encoded(as: encoding), response.encoded(.logs, as: encoding)]
                for index in bodies.indices {
                    for _ in 0..<Int.random(in: 1...3, using: &random) {
                        let position = Int.random(in: 0..<bodies[index].count, using: &random)
                        bodies[index][position] = UInt8.random(in: 0...255, using: &random)
                    }
                }
                if (try? decodedStatus(bodies[0], encoding)) != nil { accepted += 1 }
                if (try? decoded(bodies[1], .logs, encoding)) != nil { accepted += 1 }
            }
        }
        #expect(accepted > 1000)
    }

    private func decoded(_ body: [UInt8], _ signal: Signal, _ encoding: OTLPEncoding) throws -> ExportResponse {
        try body.withUnsafeBytes { try ExportResponse(decoding: $0, signal, as: encoding) }
    }

    private func decodedStatus(_ body: [UInt8], _ encoding: OTLPEncoding) throws -> RPCStatus {
        try body.withUnsafeBytes { try RPCStatus(decoding: $0, as: encoding) }
    }
}
