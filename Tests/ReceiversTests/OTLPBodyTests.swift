import Compression
import OTLP
import Pipeline
import TestSupport
import Testing

@testable import Receivers

/// Sizes, encodings and memory.
@Suite struct OTLPBodyTests {
    private static let encodings = [ContentEncoding.gzip, .deflate, .zstd]

    @Test(arguments: ["gzip", "deflate", "zlib", "zstd", "x-gzip", "GZIP", "identity"])
    func compressedBodiesAreTaken(_ token: String) throws {
        let harness = OTLPHarness()
        let encoding = try ContentEncoding(token: token)
        let plain = SampleRequests.bytes(.traces, items: 5)
        let body = encoding == .identity ? plain : try compressed(plain, encoding)
        #expect(try harness.post(body, fields: "Content-Encoding: \(token)\r\n").status == 200)
        #expect(harness.consumer.batches.first.map { Array($0.bytes.buffer) } == plain)
    }

    @Test func compressedJSONIsTaken() throws {
        let harness = OTLPHarness()
        let body = try compressed(JSONSamples.of(.metrics), .gzip)
        let reply = try harness.post(
            body, "/v1/metrics", type: "application/json", fields: "Content-Encoding: gzip\r\n")
        #expect(reply.status == 200)
        #expect(harness.consumer.itemCount == 2)
    }

    @Test(arguments: ["br", "snappy", "gzip, gzip", "*"])
    func otherEncodingsAre400(_ token: String) throws {
        let harness = OTLPHarness()
        let reply = try harness.post(SampleRequests.bytes(.traces), fields: "Content-Encoding: \(token)\r\n")
        #expect(reply.status == 400)
        #expect(try reply.status().code == 3)
        #expect(try reply.status().message.contains("gzip"))
        #expect(harness.requests("failure") == 1)
    }

    @Test(arguments: encodings)
    func corruptBodiesAre400(_ encoding: ContentEncoding) throws {
        let harness = OTLPHarness()
        let whole = try compressed(SampleRequests.bytes(.traces, items: 20), encoding)
        for body in [Array(whole.dropLast()), Array(whole.prefix(3)), [1, 2, 3, 4, 5], whole.map { ~$0 }] {
            let reply = try harness.post(body, fields: "Content-Encoding: \(encoding.token)\r\n")
            #expect(reply.status == 400)
            #expect(try reply.status().code == 3)
        }
        #expect(harness.consumer.batches.isEmpty)
        #expect(harness.budget.heldBytes == 0)
    }

    @Test(arguments: encodings, OTLPEncoding.allCases)
    func bombsAre413(_ encoding: ContentEncoding, _ format: OTLPEncoding) throws {
        let harness = OTLPHarness { $0.maximumBodySize = 100_000 }
        let bomb = try compressed([UInt8](repeating: 0x20, count: 20_000_000), encoding)
        #expect(bomb.count < 100_000)
        let type = format == .json ? "application/json" : "application/x-protobuf"
        let reply = try harness.post(bomb, type: type, fields: "Content-Encoding: \(encoding.token)\r\n")
        #expect(reply.status == 413)
        #expect(reply["content-type"] == type)
        #expect(try reply.status().code == 8)
        #expect(harness.requests("failure") == 1)
        #expect(harness.budget.heldBytes == 0)
    }

    @Test func largeBodiesAre413() throws {
        let harness = OTLPHarness { $0.maximumBodySize = 1000 }
        let body = SampleRequests.bytes(.traces, items: 1, padding: 2000)
        let announced = try harness.post(body)
        #expect(announced.status == 413)
        #expect(try announced.status().code == 8)
        let chunk = "\(String(body.count, radix: 16))\r\n"
        let head =
            "POST /v1/traces HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-protobuf\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n" + chunk
        let chunked = try #require(try harness.send(Array(head.utf8) + body))
        #expect(chunked.status == 413)
        #expect(harness.requests("failure") == 2)
        let fits = SampleRequests.bytes(.traces, items: 1, padding: 900)
        #expect(fits.count <= 1000)
        #expect(try harness.post(fits).status == 200)
    }

    @Test func withoutMemoryRequestsAre503() throws {
        let harness = OTLPHarness(memory: 4000, answer: .nothing)
        let body = SampleRequests.bytes(.traces, items: 1, padding: 2000)
        let head =
            "POST /v1/traces HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-protobuf\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        // Held by a stage that has not settled yet.
        #expect(try harness.send(Array(head.utf8) + body) == nil)
        let reply = try harness.post(body)
        #expect(reply.status == 503)
        #expect(reply["retry-after"] == "1")
        #expect(try reply.status().code == 14)
        #expect(harness.requests("refused") == 1)
        let inflated = try compressed(body, .gzip)
        #expect(inflated.count < 1000)
        let second = try harness.post(inflated, fields: "Content-Encoding: gzip\r\n")
        #expect(second.status == 503)
        #expect(second["retry-after"] == "1")
        #expect(harness.requests("refused") == 2)
        #expect(harness.budget.heldBytes == harness.consumer.batches.first?.heldBytes)
    }

    @Test func aBodyThatCanNeverFitIsTooLarge() throws {
        let harness = OTLPHarness(memory: 1000)
        let reply = try harness.post(SampleRequests.bytes(.traces, items: 1, padding: 2000))
        #expect(reply.status == 413)
        #expect(reply["retry-after"] == nil)
        #expect(try reply.status().message.contains("memory limit of 1000"))
        #expect(harness.budget.heldBytes == 0)
    }

    @Test func bytesAreCountedAsLongAsTheBatchLives() throws {
        let harness = OTLPHarness(answer: .nothing)
        let plain = SampleRequests.bytes(.traces, items: 1, padding: 5000)
        // No answer comes before the receipt is settled.
        let body = try compressed(plain, .gzip)
        let head =
            "POST /v1/traces HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-protobuf\r\n"
            + "Content-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n"
        #expect(try harness.send(Array(head.utf8) + body) == nil)
        #expect(harness.budget.heldBytes == harness.consumer.batches.first?.heldBytes)
        #expect(harness.budget.heldBytes > plain.count)
        #expect(harness.requests("success") == 0)
        harness.consumer.calls.first?.receipt?.accept()
        #expect(harness.requests("success") == 1)
    }

    @Test(arguments: 0..<4)
    func anyBodyIsAnsweredAndItsMemoryGivenBack(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let harness = OTLPHarness { $0.maximumBodySize = 10_000 }
        let tokens = ["", "", "gzip", "deflate", "zstd", "identity", "br"]
        for _ in 0..<400 {
            let signal = Signal.allCases[generator.below(3)]
            let isJSON = generator.below(2) == 0
            var body = isJSON ? JSONSamples.of(signal) : SampleRequests.bytes(signal, items: 1 + generator.below(5))
            func damage() {
                for _ in 0..<generator.below(4) where !body.isEmpty {
                    let at = generator.below(body.count)
                    switch generator.below(3) {
                    case 0: body[at] = UInt8(truncatingIfNeeded: generator.next())
                    case 1: body.removeSubrange(at..<min(body.count, at + 3))
                    default: body.insert(contentsOf: body.prefix(at), at: at)
                    }
                }
            }
            damage()
            let token = tokens[generator.below(tokens.count)]
            if let encoding = try? ContentEncoding(token: token), encoding != .identity {
                body = try compressed(body, encoding)
                damage()
            }
            let reply = try harness.post(
                body, "/v1/\(signal.rawValue)", type: isJSON ? "application/json" : "application/x-protobuf",
                fields: token.isEmpty ? "" : "Content-Encoding: \(token)\r\n")
            #expect([200, 400, 413].contains(reply.status))
            if reply.status != 200 { _ = try reply.status() }
        }
        let answered = harness.requests("success") + harness.requests("failure") + harness.requests("refused")
        #expect(answered == 400)
        #expect(harness.consumer.itemCount == harness.metric("otelcol_receiver_accepted_"))
        #expect(harness.consumer.itemCount > 0)
    }
}
