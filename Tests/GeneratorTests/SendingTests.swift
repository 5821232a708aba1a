import Compression
import Generator
import NIOCore
import NIOPosix
import OTLP
import Synchronization
import Testing
import Transport

/// An OTLP endpoint that keeps what it is sent. `answer` decides on a request by its number, from 1; nil accepts.
private final class Endpoint: HTTPService {
    let received = Mutex<[[UInt8]]>([])
    let heads = Mutex<[HTTPHead]>([])
    private let answer: @Sendable (Int) -> HTTPAnswer?

    init(_ answer: @escaping @Sendable (Int) -> HTTPAnswer?) { self.answer = answer }

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission { .body(limit: 1 << 24, lease: nil) }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        let number = heads.withLock {
            $0.append(head)
            return $0.count
        }
        if let answer = answer(number) {
            responder.send(answer)
            return
        }
        var decompressor = BodyDecompressor()
        do {
            let encoding = try ContentEncoding(token: head.headers["content-encoding"] ?? "")
            let plain = try decompressor.decompress(body.buffer, encoding: encoding, limit: 1 << 24)
            let copy = Array(plain.bytes)
            received.withLock { $0.append(copy) }
            responder.send(HTTPAnswer(status: 200))
        } catch {
            responder.send(.text(400, "\(error)"))
        }
    }
}

@Suite struct SendingTests {
    /// Runs the plan against an endpoint on loopback.
    private func send(
        _ plan: GeneratorPlan, to endpoint: Endpoint, control: RunControl = RunControl(),
        _ change: (inout SendingSettings) -> Void = { _ in }
    ) throws -> GeneratorSummary {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let server = HTTPServer(settings: HTTPServerSettings(host: "127.0.0.1", port: 0), service: endpoint)
        let port = try server.start(on: group)
        defer { server.close() }
        var settings = SendingSettings(url: "http://127.0.0.1:\(port)/v1/traces")
        change(&settings)
        let sender = try TraceSender(settings, control: control)
        var producer = TraceProducer(plan, start: 0)
        let totals = try sender.run(&producer)
        var summary = GeneratorSummary(seed: plan.seed, generated: producer.totals, seconds: 1)
        summary.sending = totals
        return summary
    }

    private func plan(traces: Int?) -> GeneratorPlan {
        var plan = GeneratorPlan(seed: 3)
        plan.traces = traces
        plan.batch = 100
        return plan
    }

    @Test(arguments: [ContentEncoding.identity, .gzip, .zstd])
    func everythingArrives(encoding: ContentEncoding) throws {
        let endpoint = Endpoint { _ in nil }
        let summary = try send(plan(traces: 200), to: endpoint) {
            $0.encoding = encoding
            $0.headers = [("X-Tenant", "t1")]
        }
        let spans = try endpoint.received.withLock { $0 }.flatMap(readSpans)
        #expect(summary.isComplete)
        #expect(spans.count == summary.generated.spans)
        #expect(summary.sending?.acceptedSpans == spans.count)
        #expect(summary.sending?.requests == (spans.count + 99) / 100)
        #expect(summary.sending?.latency.total == summary.sending?.requests)
        let calls = spans.filter { $0.operation == "chat" || $0.operation == "embeddings" }
        #expect(calls.reduce(0) { $0 + $1.usage("input_tokens") } == summary.generated.inputTokens)
        #expect(calls.reduce(0) { $0 + $1.usage("output_tokens") } == summary.generated.outputTokens)
        let head = try #require(endpoint.heads.withLock { $0.first })
        #expect(head.method == "POST" && head.path == "/v1/traces")
        #expect(head.headers["content-type"] == "application/x-protobuf" && head.headers["x-tenant"] == "t1")
    }

    @Test func throttledRequestsAreSentAgain() throws {
        let endpoint = Endpoint { number in
            switch number {
            case 1: HTTPAnswer(status: 429, headers: [("Retry-After", "0")])
            case 2: HTTPAnswer(status: 503, headers: [("Retry-After", "0")])
            default: nil
            }
        }
        let summary = try send(plan(traces: 100), to: endpoint)
        #expect(summary.isComplete)
        #expect(summary.sending?.throttled == 2 && summary.sending?.resent == 2)
        let ids = try endpoint.received.withLock { $0 }.flatMap(readSpans).map(\.id)
        #expect(ids.count == summary.generated.spans && Set(ids).count == ids.count)
    }

    @Test func refusalsAreCounted() throws {
        let endpoint = Endpoint { number in
            switch number {
            case 1: .text(400, "no")
            case 2:
                HTTPAnswer(
                    status: 200, headers: [("Content-Type", "application/x-protobuf")],
                    body: ExportResponse(rejectedItems: 5, errorMessage: "five").encoded(.traces, as: .protobuf))
            default: nil
            }
        }
        let summary = try send(plan(traces: 100), to: endpoint) { $0.concurrency = 1 }
        #expect(!summary.isComplete)
        #expect(summary.sending?.refusedSpans == 105)
        #expect(summary.sending?.acceptedSpans == summary.generated.spans - 105)
        #expect(summary.lines.contains { $0.hasPrefix("not accepted") && $0.hasSuffix(" 105 spans") })
        #expect(summary.lines.contains { $0.contains("the endpoint rejected 5 spans of a request") })
    }

    @Test func aStopEndsARunWithoutLimit() throws {
        let control = RunControl()
        let endpoint = Endpoint { number in
            if number == 3 { control.stop() }
            return nil
        }
        let summary = try send(plan(traces: nil), to: endpoint, control: control)
        let sent = try endpoint.received.withLock { $0 }.flatMap(readSpans).count
        #expect(summary.isComplete)
        #expect(sent == summary.generated.spans && sent >= 300)
    }

    @Test func anImpossibleRequestEndsTheRun() throws {
        let endpoint = Endpoint { _ in nil }
        let summary = try send(plan(traces: 5000), to: endpoint) { $0.headers = [("not a token", "x")] }
        #expect(!summary.isComplete)
        #expect(summary.sending?.gaveUp == true && summary.sending?.acceptedSpans == 0)
        #expect(endpoint.heads.withLock { $0.isEmpty })
    }
}
