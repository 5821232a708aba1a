import Aggregation
import Config
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Connectors

/// One connector with a recorded pipeline behind it.
struct GenAIMetricsRun {
    let clock = TestClock()
    let environment = TestEnvironment()
    let next = RecordingConsumer()
    let connector: GenAIMetricsConnector

    init(_ yaml: String = "{}") throws {
        let settings = try decode(yaml) { GenAIMetricsSettings(from: $0) }
        let clock = clock
        connector = try GenAIMetricsConnector(
            settings, id: .init(type: "genai_metrics"), next: next, environment: environment.components,
            now: { clock.now })
    }

    /// The points of these spans, which are given in one batch.
    func points(_ spans: [String], _ attributes: [(String, String)] = [("service.name", "shop")]) throws
        -> [MetricPoint]
    {
        try give(request(resource(attributes, spans)), to: connector)
        let before = next.batches.count
        connector.flush.flush()
        return next.batches.dropFirst(before).flatMap { MetricPoint.all(in: $0) }
    }

    func shutDown() async throws { try await environment.shutDown() }
}

/// A span as the genai processor leaves it. It took 640 ms.
private func call(
    id: Int = 1, model: String = "gpt-4o", status: String? = "priced", operation: String = "chat", input: Int? = 1000,
    output: Int? = 500, cost: Double? = 0.0075, failed: Bool = false, more: [String] = [], events: String = ""
) -> String {
    var attributes = [
        text("gen_ai.operation.name", operation), text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", model),
    ]
    if let input { attributes.append(number("gen_ai.usage.input_tokens", input)) }
    if let output { attributes.append(number("gen_ai.usage.output_tokens", output)) }
    if let cost { attributes.append(double("gen_ai.usage.cost", cost)) }
    if let status { attributes.append(text("gen_ai.cost.status", status)) }
    let list = (attributes + more).joined(separator: ",")
    return
        "{\"traceId\":\"\(hex(7, 32))\",\"spanId\":\"\(hex(id, 16))\",\"name\":\"chat\",\"kind\":3,"
        + "\"startTimeUnixNano\":\"1000000000\",\"endTimeUnixNano\":\"1640000000\",\"attributes\":[\(list)],"
        + "\"events\":[\(events)],\"status\":{\"code\":\(failed ? 2 : 0)}}"
}

private func text(_ key: String, _ value: String) -> String {
    "{\"key\":\"\(key)\",\"value\":{\"stringValue\":\"\(value)\"}}"
}

private func number(_ key: String, _ value: Int) -> String {
    "{\"key\":\"\(key)\",\"value\":{\"intValue\":\"\(value)\"}}"
}

private func double(_ key: String, _ value: Double) -> String {
    "{\"key\":\"\(key)\",\"value\":{\"doubleValue\":\(value)}}"
}

@Suite struct GenAIMetricsTests {
    @Test func namesAttributesAndBucketsAreTheConventions() async throws {
        let run = try GenAIMetricsRun()
        let points = try run.points([call()])
        let usage = points.named("gen_ai.client.token.usage")
        #expect(usage.count == 2 && usage.allSatisfy { $0.unit == "{token}" })
        let input = try #require(points.one("gen_ai.client.token.usage", "gen_ai.token.type=input"))
        #expect(input.sum == 1000 && input.count == 1)
        #expect(
            input.bounds == [
                1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
            ])
        #expect(
            input.attributes == [
                "gen_ai.operation.name=chat", "gen_ai.provider.name=openai", "gen_ai.request.model=gpt-4o",
                "gen_ai.token.type=input",
            ])
        #expect(points.one("gen_ai.client.token.usage", "gen_ai.token.type=output")?.sum == 500)
        let duration = try #require(points.one("gen_ai.client.operation.duration"))
        #expect(duration.sum == 0.64 && duration.unit == "s")
        #expect(duration.bounds.count == 14 && duration.bounds[0] == 0.01 && duration.bounds[13] == 81.92)
        #expect(points.one("martlet.genai.calls")?.int == 1)
        #expect(points.one("martlet.genai.cost")?.double == 0.0075)
        #expect(points.named("gen_ai.client.operation.time_to_first_chunk").isEmpty)
        #expect(points.allSatisfy { $0.resource == ["service.name=shop"] })
        try await run.shutDown()
    }

    @Test func eachCallCountsOnce() async throws {
        let run = try GenAIMetricsRun()
        let points = try run.points([
            call(id: 1), call(id: 2, status: "aggregate", cost: nil), call(id: 3, status: nil, cost: nil),
            call(id: 4, status: "no_price", cost: nil),
            call(id: 5, status: "aggregate", operation: "invoke_agent", cost: nil),
            call(id: 6, status: nil, operation: "execute_tool", input: nil, output: nil, cost: nil),
            call(id: 7, more: ["{\"key\":\"gen_ai.cost.resent\",\"value\":{\"boolValue\":true}}"]),
        ])
        #expect(points.named("martlet.genai.calls").compactMap(\.int) == [2])
        #expect(points.one("martlet.genai.cost")?.double == 0.0075)
        #expect(points.one("gen_ai.client.token.usage", "gen_ai.token.type=input")?.sum == 2000)
        // Agents and tools have a duration of their own, wrappers of calls have none.
        let durations = points.named("gen_ai.client.operation.duration")
        #expect(durations.compactMap(\.count).reduce(0, +) == 4)
        #expect(points.one("gen_ai.client.operation.duration", "gen_ai.operation.name=chat")?.count == 2)
        try await run.shutDown()
    }

    @Test func cachesReasoningAndChunks() async throws {
        func chunk(_ time: Int) -> String {
            "{\"timeUnixNano\":\"\(1_000_000_000 + time * 1_000_000)\",\"name\":\"gen_ai.content.completion.chunk\"}"
        }
        let run = try GenAIMetricsRun()
        let points = try run.points([
            call(
                id: 1,
                more: [
                    number("gen_ai.usage.cache_read.input_tokens", 600),
                    number("gen_ai.usage.cache_write.input_tokens", 50),
                    number("gen_ai.usage.reasoning.output_tokens", 40), double("gen_ai.cost.cache_savings", 0.25),
                    double("gen_ai.response.time_to_first_chunk", 0.1),
                ], events: [100, 150, 300].map(chunk).joined(separator: ",")),
            call(id: 2, more: [double("gen_ai.cost.cache_savings", -0.125)]),
        ])
        #expect(points.one("martlet.genai.cache_read.tokens")?.int == 600)
        #expect(points.one("martlet.genai.cache_write.tokens")?.int == 50)
        #expect(points.one("martlet.genai.reasoning.tokens")?.int == 40)
        #expect(points.one("martlet.genai.cache.savings")?.double == 0.25)
        #expect(points.one("martlet.genai.cache.losses")?.double == 0.125)
        #expect(points.one("gen_ai.client.operation.time_to_first_chunk")?.sum == 0.1)
        let perChunk = try #require(points.one("gen_ai.client.operation.time_per_output_chunk"))
        #expect(perChunk.count == 2 && perChunk.sum == 0.2)
        try await run.shutDown()
    }

    @Test func errorsByCategory() async throws {
        let run = try GenAIMetricsRun()
        let points = try run.points([
            call(id: 1, cost: nil, failed: true, more: [text("error.type", "openai.RateLimitError")]),
            call(id: 2, cost: nil, failed: true), call(id: 3),
        ])
        let errors = points.named("martlet.genai.errors")
        #expect(errors.count == 2)
        #expect(points.one("martlet.genai.errors", "martlet.genai.error.category=rate_limit")?.int == 1)
        #expect(points.one("martlet.genai.errors", "martlet.genai.error.category=other", "error.type=_OTHER")?.int == 1)
        #expect(points.one("martlet.genai.calls", "error.type=openai.RateLimitError")?.int == 1)
        try await run.shutDown()
    }

    @Test func dimensionsOfSpanAndResource() async throws {
        let run = try GenAIMetricsRun(
            """
            {dimensions: [{name: user}, {name: tenant, keys: [baggage.tenant, tenant.id]}, {name: service}, {name: team, default: none}],
             exclude_dimensions: [gen_ai.request.model]}
            """)
        let points = try run.points([
            call(id: 1, more: [text("enduser.id", "ann"), text("tenant.id", "t1")]),
            call(id: 2, more: [text("user.id", "bob"), text("baggage.tenant", "t2"), text("tenant.id", "t1")]),
        ])
        let calls = points.named("martlet.genai.calls")
        #expect(
            calls.map(\.attributes).sorted { $0.description < $1.description } == [
                [
                    "gen_ai.operation.name=chat", "gen_ai.provider.name=openai", "user=ann", "tenant=t1",
                    "service=shop",
                    "team=none",
                ],
                [
                    "gen_ai.operation.name=chat", "gen_ai.provider.name=openai", "user=bob", "tenant=t2",
                    "service=shop",
                    "team=none",
                ],
            ])
        try await run.shutDown()
    }

    @Test func beyondTheBoundTotalsStayExact() async throws {
        let run = try GenAIMetricsRun("{dimensions: [{name: user}], aggregation_cardinality_limit: 10}")
        let points = try run.points(
            (1...100).map { call(id: $0, cost: 0.0123456789, more: [text("user.id", "user-\($0)")]) })
        let calls = points.named("martlet.genai.calls")
        #expect(calls.count == 11 && calls.compactMap(\.int).reduce(0, +) == 100)
        #expect(calls.contains { $0.attributes == ["otel.metric.overflow=true"] })
        let cost = points.named("martlet.genai.cost").compactMap(\.double).reduce(0, +)
        #expect(abs(cost - 1.23456789) < 1e-12)
        try await run.shutDown()
    }

    @Test func seedNames() async throws {
        let run = try GenAIMetricsRun("{alias: orchestrator}")
        let points = try run.points([
            call(id: 1), call(id: 2, cost: nil, failed: true), call(id: 3, status: "aggregate", cost: nil),
        ])
        #expect(points.named("model_requests_total").compactMap(\.int).reduce(0, +) == 2)
        let attributes = points.one("model_requests_total")?.attributes
        #expect(attributes == ["model=gpt-4o", "provider=openai"])
        #expect(points.one("model_tokens_used")?.int == 3000)
        #expect(points.one("model_cost_dollars")?.double == 0.0075)
        #expect(points.one("model_latency_seconds")?.sum == 1.28)
        let rate = try #require(points.one("model_error_rate"))
        #expect(rate.sum == 1 && rate.count == 2)
        try await run.shutDown()
    }

    @Test func settingsThatAreWrong() throws {
        func wrong(_ yaml: String) throws -> [String] { try errors(yaml) { GenAIMetricsSettings(from: $0) } }
        #expect(try wrong("{alias: nobody}").count == 1)
        #expect(try wrong("{dimensions: [{name: error.type}]}").count == 1)
        #expect(try wrong("{dimensions: [{name: a}, {name: a}]}").count == 1)
        #expect(try wrong("{dimensions: [{name: a, keys: []}]}").count == 1)
        #expect(try wrong("{exclude_dimensions: [user]}").count == 1)
        #expect(try wrong("{unknown: 1}").count == 1)
    }

    /// Bytes changed at random: whatever the scanner takes is measured without harm.
    @Test func hostileSpans() async throws {
        let run = try GenAIMetricsRun("{dimensions: [{name: user}]}")
        let whole = try traces(request(resource([("service.name", "s")], (1...4).map { call(id: $0) })))
        var body: [UInt8] = []
        var writer = WireWriter()
        whole.encode(into: &writer)
        body = Array(writer.bytes)
        var random = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            var changed = body
            for _ in 0..<random.below(5) { changed[random.below(body.count)] = UInt8(random.next() & 0xFF) }
            let bytes = changed.withUnsafeBytes { WireBytes(copying: $0) }
            guard let batch = try? TelemetryBatch(bytes, signal: .traces) else { continue }
            run.connector.consume(batch, context: RequestContext(), receipt: Outcomes().receipt())
        }
        let keys = KeySlots(["abc", "abcdefgh", "abcdefghi", ""])
        let isEmpty = keys.present == 0
        #expect(isEmpty)
        try await run.shutDown()
    }

    @Test func groupsOfCallsGiveWhatEachGives() async throws {
        let together = try GenAIMetricsRun()
        let apart = try GenAIMetricsRun()
        var random = SeededGenerator(seed: 11)
        let models = [1, 7, 16, 30, 31, 45, 46, 47, 60, 200].map { String(repeating: "m", count: $0) }
        let spans = (1...600).map { id in
            let kind = random.below(12)
            let more = kind == 0 ? [number("gen_ai.usage.cache_read.input_tokens", random.below(50))] : []
            return call(
                id: id, model: models[random.below(models.count)],
                status: [nil, "aggregate", "no_price"].indices.contains(kind - 1)
                    ? [nil, "aggregate", "no_price"][kind - 1] : "priced",
                operation: ["chat", "embeddings", "invoke_agent", "execute_tool", "x"][random.below(5)],
                input: kind == 5 ? nil : random.below(100_000), output: kind == 6 ? nil : random.below(300),
                cost: kind == 7 ? nil : Double(random.below(1000)) / 1024, failed: kind == 8, more: more)
        }
        let expected = try spans.map { try apart.points([$0]) }.last ?? []
        let points = try together.points(spans)
        func rows(_ points: [MetricPoint]) -> [String] {
            points.map {
                "\($0.metric) \($0.attributes) \($0.int ?? -1) \($0.double ?? -1) \($0.count ?? 0) \($0.sum ?? -1) "
                    + "\($0.buckets) \($0.minimum ?? -1) \($0.maximum ?? -1)"
            }.sorted()
        }
        #expect(points.count > 100)
        #expect(rows(points) == rows(expected))
        try await together.shutDown()
        try await apart.shutDown()
    }
}
