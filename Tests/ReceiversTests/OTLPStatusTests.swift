import Compression
import OTLP
import Pipeline
import TestSupport
import Testing

@testable import Receivers

private let types: [OTLPEncoding: String] = [.protobuf: "application/x-protobuf", .json: "application/json"]

/// Statuses, content types and bodies by the OTLP specification.
@Suite struct OTLPStatusTests {
    private func body(_ signal: Signal, _ encoding: OTLPEncoding) -> [UInt8] {
        encoding == .json ? JSONSamples.of(signal) : SampleRequests.bytes(signal, items: 2)
    }

    // MARK: 200

    @Test(arguments: Signal.allCases, OTLPEncoding.allCases)
    func whatIsTakenIsAnswered200(_ signal: Signal, _ encoding: OTLPEncoding) throws {
        let harness = OTLPHarness()
        let reply = try harness.post(body(signal, encoding), "/v1/\(signal.rawValue)", type: types[encoding])
        #expect(reply.status == 200)
        #expect(reply["content-type"] == types[encoding])
        #expect(reply.text == (encoding == .json ? "{}" : ""))
        #expect(harness.consumer.batches.map(\.signal) == [signal])
        #expect(harness.consumer.itemCount == (encoding == .json && signal != .metrics ? 1 : 2))
        #expect(harness.requests("success") == 1)
        #expect(harness.metric("otelcol_receiver_accepted_\(signal.itemNoun)_total") == harness.consumer.itemCount)
    }

    @Test(arguments: Signal.allCases)
    func emptyRequestsSucceed(_ signal: Signal) throws {
        let harness = OTLPHarness()
        #expect(try harness.post([], "/v1/\(signal.rawValue)").status == 200)
        let json = try harness.post(Array("{}".utf8), "/v1/\(signal.rawValue)", type: "application/json")
        #expect(json.status == 200 && json.text == "{}")
        #expect(harness.consumer.batches.isEmpty)
        #expect(harness.requests("success") == 2)
    }

    @Test(arguments: [Signal.traces, .logs], OTLPEncoding.allCases)
    func invalidIdsAreAPartialSuccess(_ signal: Signal, _ encoding: OTLPEncoding) throws {
        let harness = OTLPHarness()
        var request = SampleRequests.bytes(signal, items: 2, invalid: 3)
        if encoding == .json {
            var writer = WireWriter()
            try request.withUnsafeBytes { try OTLPJSONEncoder.encode($0, as: .request(of: signal), into: &writer) }
            request = Array(writer.bytes)
        }
        let reply = try harness.post(request, "/v1/\(signal.rawValue)", type: types[encoding])
        #expect(reply.status == 200)
        #expect(reply["content-type"] == types[encoding])
        let response = try reply.response(signal)
        #expect(response.rejectedItems == 3)
        #expect(response.errorMessage.hasPrefix("3 "))
        #expect(harness.consumer.itemCount == 2)
        #expect(harness.metric("otelcol_receiver_accepted_") == 2)
        #expect(harness.metric("otelcol_receiver_refused_") == 3)
    }

    @Test func aRequestOfInvalidItemsOnlyReachesNobody() throws {
        let harness = OTLPHarness(answer: .refuse(ConsumeError(.refused, "unexpected")))
        let reply = try harness.post(SampleRequests.bytes(.traces, items: 0, invalid: 2))
        #expect(reply.status == 200)
        #expect(try reply.response(.traces).rejectedItems == 2)
        #expect(harness.consumer.batches.isEmpty)
    }

    // MARK: 400

    @Test(arguments: [
        "[]", "{", "", "nonsense", #"{"resourceSpans":{}}"#, #"{"resourceSpans":[{"scopeSpans":1}]}"#, "\u{0}",
    ])
    func badJSONIs400(_ text: String) throws {
        let harness = OTLPHarness()
        let reply = try harness.post(Array(text.utf8), type: "application/json")
        #expect(reply.status == 400)
        #expect(reply["content-type"] == "application/json")
        #expect(try reply.status().code == 3)
        #expect(try !reply.status().message.isEmpty)
        #expect(harness.requests("failure") == 1)
    }

    @Test func badProtobufIs400() throws {
        let harness = OTLPHarness()
        for body: [UInt8] in [[0x0A, 0x7F], [0x0A], [0xFF], [0x08, 0x01], [0x00, 0x00], [0x0B, 0x0C]] {
            let reply = try harness.post(body)
            #expect(reply.status == 400)
            #expect(reply["content-type"] == "application/x-protobuf")
            #expect(try reply.status().code == 3)
        }
        #expect(harness.consumer.batches.isEmpty)
        #expect(harness.requests("failure") == 6)
    }

    @Test(arguments: Signal.allCases)
    func everyTruncationIsAnswered(_ signal: Signal) throws {
        let harness = OTLPHarness()
        let whole = SampleRequests.bytes(signal, items: 3)
        for count in 1..<whole.count {
            let reply = try harness.post(Array(whole.prefix(count)), "/v1/\(signal.rawValue)")
            #expect(reply.status == 400)
        }
        #expect(harness.consumer.batches.isEmpty)
        #expect(harness.budget.heldBytes == 0)
    }

    @Test func tooDeepAndTooManyAre400() throws {
        let harness = OTLPHarness { $0.decodeLimits = DecodeLimits(maximumDepth: 8, maximumItems: 3) }
        #expect(try harness.post(SampleRequests.bytes(.traces, items: 3)).status == 200)
        let reply = try harness.post(SampleRequests.bytes(.traces, items: 4))
        #expect(reply.status == 400)
        #expect(try reply.status().message.contains("more than 3 items"))
    }

    // MARK: 404, 405, 415

    @Test func unknownPathsAre404() throws {
        let harness = OTLPHarness()
        for path in ["/", "/v1/profiles", "/v1/traces/", "/V1/traces"] {
            #expect(try harness.post([], path).status == 404)
        }
        #expect(try harness.post([], "/v1/traces?timeout=10").status == 200, "the query is not part of the path")
    }

    @Test(arguments: ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
    func otherMethodsAre405(_ method: String) throws {
        let harness = OTLPHarness()
        let reply = try harness.post([], method: method)
        #expect(reply.status == 405)
        #expect(reply["allow"] == "POST")
        #expect(reply.text.contains("POST"))
    }

    @Test func otherMediaTypesAre415() throws {
        let harness = OTLPHarness()
        for type in [nil, "text/plain", "application/protobuf", "application/jsonx", "multipart/form-data", ""] {
            let reply = try harness.post(SampleRequests.bytes(.traces), type: type)
            #expect(reply.status == 415)
            #expect(reply.text.contains("application/json") && reply.text.contains("application/x-protobuf"))
        }
        #expect(harness.consumer.batches.isEmpty)
        #expect(harness.requests("failure") == 6)
    }

    @Test(arguments: [
        "application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8",
        "application/json ;x=y",
    ])
    func parametersOfTheMediaTypeAreIgnored(_ type: String) throws {
        let harness = OTLPHarness()
        let reply = try harness.post(JSONSamples.of(.traces), type: type)
        #expect(reply.status == 200)
        #expect(reply["content-type"] == "application/json")
    }

    // MARK: Refusals of the pipeline

    @Test(arguments: [ConsumeError.Code.queueFull, .memoryLimit, .shuttingDown, .deadlineExceeded, .unavailable])
    func retryableErrorsAre503(_ code: ConsumeError.Code) throws {
        for (delay, seconds) in [(nil, "1"), (Duration.milliseconds(2500), "3"), (.zero, "1"), (.seconds(7), "7")] {
            let harness = OTLPHarness(answer: .refuse(ConsumeError(code, "come back", retryAfter: delay)))
            for encoding in OTLPEncoding.allCases {
                let reply = try harness.post(body(.traces, encoding), type: types[encoding])
                #expect(reply.status == 503)
                #expect(reply["retry-after"] == seconds)
                #expect(reply["content-type"] == types[encoding])
                let status = try reply.status()
                #expect(status.code == 14 && status.message == "come back")
                #expect(status.retryDelay == (delay == .zero ? nil : delay ?? .seconds(1)))
            }
            #expect(harness.metric("otelcol_receiver_refused_spans_total") == 3)
            #expect(harness.requests("refused") == 2)
        }
    }

    @Test(arguments: [ConsumeError.Code.refused, .internal])
    func permanentErrorsAre500(_ code: ConsumeError.Code) throws {
        let harness = OTLPHarness(answer: .refuse(ConsumeError(code, "never", retryAfter: .seconds(5))))
        let reply = try harness.post(body(.logs, .json), "/v1/logs", type: "application/json")
        #expect(reply.status == 500)
        #expect(reply["retry-after"] == nil)
        let status = try reply.status()
        #expect(status.code == 13 && status.message == "never" && status.retryDelay == nil)
        #expect(harness.metric("otelcol_receiver_failed_log_records_total") == 1)
        #expect(harness.requests("failure") == 1)
    }

    @Test func aBatchThatAStageLostIs500() throws {
        let harness = OTLPHarness(answer: .drop)
        #expect(try harness.post(body(.traces, .protobuf)).status == 500)
    }

    @Test func metadataIsCarriedOnlyWhenAsked() throws {
        let fields = "X-Tenant: a\r\nx-tenant: b\r\n"
        let without = OTLPHarness()
        _ = try without.post(body(.traces, .protobuf), fields: fields)
        #expect(without.consumer.calls.first?.context.metadata == [:])
        let with = OTLPHarness { $0.metadata.includesHeaders = true }
        _ = try with.post(body(.traces, .protobuf), fields: fields)
        #expect(with.consumer.calls.first?.context.metadata["x-tenant"] == ["a", "b"])
        #expect(with.consumer.calls.first?.context.metadata["content-type"] == ["application/x-protobuf"])
    }
}
