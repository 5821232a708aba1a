import OTLP
import Pipeline
import TestSupport
import Testing
import Transport

@testable import Exporters

/// Answers of gRPC servers, proxies and others, without a socket.
struct GRPCAnswerTests {
    private func outcome(
        status: Int = 200, type: String? = "application/grpc", retryAfter: String? = nil, body: [UInt8] = [],
        _ fields: [(name: String, value: String)]
    ) -> ExportOutcome {
        GRPCAnswer(
            HTTPClientResponse(status: status, contentType: type, retryAfter: retryAfter, headers: fields, body: body)
        ).outcome(.traces)
    }

    private func isRetryable(_ outcome: ExportOutcome) -> Bool {
        if case .retryable = outcome { true } else { false }
    }

    private func isPermanent(_ outcome: ExportOutcome) -> Bool {
        if case .permanent = outcome { true } else { false }
    }

    @Test func codes() {
        for code in 1...16 where code != 8 {
            let outcome = outcome([("grpc-status", "\(code)")])
            #expect(isRetryable(outcome) == [1, 4, 10, 11, 14, 15].contains(code), "\(code)")
        }
        for text in ["17", "-1", "", "0x0", "99999999999999999999"] {
            #expect(isPermanent(outcome([("grpc-status", text)])), "\(text)")
        }
        guard case .tooLarge = outcome([("grpc-status", "8")]) else {
            Issue.record("RESOURCE_EXHAUSTED without a delay")
            return
        }
    }

    @Test func aMissingStatus() {
        #expect(isRetryable(outcome([])), "the connection broke before the trailers")
        #expect(isPermanent(outcome(type: "text/html", [])))
        for status in [429, 502, 503, 504] { #expect(isRetryable(outcome(status: status, type: nil, []))) }
        for status in [301, 400, 401, 404, 415, 500] { #expect(isPermanent(outcome(status: status, type: nil, []))) }
        guard case .retryable(_, let after) = outcome(status: 503, type: nil, retryAfter: "7", []) else {
            Issue.record("503")
            return
        }
        #expect(after == .seconds(7))
    }

    @Test func bodiesThatSayNothing() {
        // Too short, compressed, no message.
        for body in [[], [0, 0, 0], [1, 0, 0, 0, 1, 9], [0, 0, 0, 0, 9, 255, 255]] as [[UInt8]] {
            guard case .delivered(let rejected, _) = outcome(body: body, [("grpc-status", "0")]) else {
                Issue.record("\(body)")
                return
            }
            #expect(rejected == 0)
        }
    }

    @Test func randomFieldsNeverTrap() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random.next() % 24)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let text = String(decoding: bytes, as: UTF8.self)
            let code = String(random.next() % 20)
            _ = outcome(
                status: Int(random.next() % 600), retryAfter: text, body: bytes,
                [("grpc-status", code), ("grpc-message", text), ("grpc-status-details-bin", text)])
            _ = GRPCAnswer.base64Decoded(text)
        }
    }

    @Test(arguments: [
        ("", ""), ("plain text", "plain text"), ("100%25 %E2%9C%93", "100% ✓"), ("%", "%"), ("%4", "%4"),
        ("%zz", "%zz"),
        ("a%41", "aA"),
    ])
    func percentDecoding(_ text: String, _ expected: String) { #expect(GRPCAnswer.percentDecoded(text) == expected) }

    @Test(arguments: [("", ""), ("YQ", "a"), ("YQ==", "a"), ("YWI", "ab"), ("YWJj", "abc"), ("+/+/", nil)])
    func base64(_ text: String, _ expected: String?) throws {
        let bytes = try #require(GRPCAnswer.base64Decoded(text))
        #expect(bytes == expected.map { Array($0.utf8) } ?? [0xFB, 0xFF, 0xBF])
        #expect(GRPCAnswer.base64Decoded("a b") == nil)
    }

    @Test(arguments: [
        (Duration.seconds(5), "5000m"), (.milliseconds(1), "1m"), (.seconds(99_998), "99998000m"),
        (.seconds(100_000), "100000S"), (HTTPClientRequest.noTimeout, "99999999H"), (.zero, "0m"),
    ])
    func timeouts(_ duration: Duration, _ expected: String) { #expect(GRPCAnswer.timeoutText(duration) == expected) }
}
