import Config
import GenAI
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Processors

/// Spans go in as OTLP JSON and come out as wire bytes; figures are computed by hand from the built-in table.
@Suite struct GenAIProcessorTests {
    // gpt-4o: 2.5 in, 1.25 cached, 10 out, per million tokens.
    @Test func aCallGetsItsCost() throws {
        let run = try GenAIRun()
        let spans = try run.process([
            span(
                1,
                [
                    ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"),
                    ("gen_ai.request.model", "gpt-4o"), ("gen_ai.usage.input_tokens", 1000),
                    ("gen_ai.usage.output_tokens", 500), ("gen_ai.usage.cache_read.input_tokens", 200),
                ])
        ])
        #expect(spans[0]["gen_ai.usage.cost"] == .double(0.00725))
        #expect(spans[0]["gen_ai.cost.input"] == .double(0.002))
        #expect(spans[0]["gen_ai.cost.output"] == .double(0.005))
        #expect(spans[0]["gen_ai.cost.cache_read"] == .double(0.00025))
        #expect(spans[0]["gen_ai.cost.cache_write"] == nil)
        #expect(spans[0]["gen_ai.cost.currency"] == .text("USD"))
        #expect(spans[0]["gen_ai.cost.source"] == .text("collector"))
        #expect(spans[0]["gen_ai.cost.price_version"] == .text(run.engine.prices.version))
        #expect(spans[0]["gen_ai.cost.status"] == .text("priced"))
        #expect(run.metric("martlet_genai_calls_total{processor=\"genai\"}") == "1")
        #expect(run.metric("martlet_genai_tokens_total{processor=\"genai\",type=\"input\"}") == "1000")
        #expect(run.metric("martlet_genai_tokens_total{processor=\"genai\",type=\"cache_read\"}") == "200")
        #expect(
            run.metric(
                "martlet_genai_cost_usd_total{processor=\"genai\",provider=\"openai\",model=\"gpt-4o\"}") == "0.00725")
    }

    @Test func otherNamesAreWrittenUnderCurrentOnes() throws {
        let attributes: [(String, JSONValue)] = [
            ("llm.request.type", "chat"), ("gen_ai.system", "openai"), ("llm.request.model", "gpt-4o"),
            ("gen_ai.request.model", "gpt-4o"), ("gen_ai.usage.prompt_tokens", 1000),
            ("gen_ai.usage.completion_tokens", 500),
        ]
        let written = try GenAIRun().process([span(1, attributes)])
        #expect(written[0]["gen_ai.provider.name"] == .text("openai"))
        #expect(written[0]["gen_ai.usage.input_tokens"] == .int(1000))
        #expect(written[0]["gen_ai.usage.output_tokens"] == .int(500))
        #expect(written[0]["gen_ai.usage.cost"] == .double(0.0075))
        let kept = try GenAIRun("{write_conventions: false}").process([span(1, attributes)])
        #expect(kept[0]["gen_ai.usage.input_tokens"] == nil)
        #expect(kept[0]["gen_ai.usage.cost"] == .double(0.0075))
    }

    @Test func aWrapperInTheBatchIsAnAggregate() throws {
        let call = chat("gpt-4o", input: 1000, output: 500)
        let agent: [(String, JSONValue)] = [("gen_ai.operation.name", "invoke_agent")] + Array(call.dropFirst())
        let run = try GenAIRun()
        let spans = try run.process([
            span(1, agent),
            span(2, parent: 1, call),
            span(3, parent: 2, [("http.request.method", "POST")]),
            span(4, parent: 3, call),
        ])
        #expect(
            spans.map { $0["gen_ai.cost.status"] } == [
                .text("aggregate"), .text("aggregate"), nil, .text("priced"),
            ])
        #expect(spans.map { $0["gen_ai.usage.cost"] } == [nil, nil, nil, .double(0.0075)])
        #expect(run.engine.account.calls == 1)
        #expect(run.engine.account.cost.description == "0.0075")
    }

    @Test func aSpanThatIsSentAgainIsMarkedButNotCounted() throws {
        for (options, calls) in [("{}", 1), ("{count_once: false}", 2)] {
            let run = try GenAIRun(options)
            for _ in 0..<2 {
                let spans = try run.process([span(1, chat("gpt-4o", input: 1000, output: 500))])
                #expect(spans[0]["gen_ai.usage.cost"] == .double(0.0075))
            }
            #expect(run.engine.account.calls == calls)
        }
    }

    /// What one collector wrote, a second one leaves as it is; no key is there twice.
    @Test func aSecondCollectorChangesNothing() throws {
        let body = try wire([
            span(1, chat("gpt-4o", input: 1000, output: 500)), span(2, chat("no-such-model-x", input: 7, output: 3)),
            span(3, [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")]),
        ])
        let once = try GenAIRun().processed(body)
        let twice = try GenAIRun().processed(once)
        #expect(try attributes(of: once).map(\.sorted) == attributes(of: twice).map(\.sorted))
        #expect(try attributes(of: twice).allSatisfy(\.hasUniqueKeys))
    }

    @Test func withoutAPriceThereIsAStatusAndNoNumber() throws {
        let run = try GenAIRun()
        let spans = try run.process([
            span(1, chat("no-such-model-x", input: 7, output: 3)),
            span(2, [("gen_ai.operation.name", "chat"), ("gen_ai.usage.input_tokens", 5)]),
            span(3, [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")]),
        ])
        #expect(spans.map { $0["gen_ai.cost.status"] } == [.text("no_price"), .text("no_model"), .text("no_usage")])
        for span in spans {
            #expect(span.values.allSatisfy { $0.key == "gen_ai.cost.status" || !$0.key.contains("cost") })
        }
        let name =
            "martlet_genai_unpriced_tokens_total{processor=\"genai\",provider=\"openai\",model=\"no-such-model-x\"}"
        #expect(run.metric(name) == "10")
    }

    @Test func aCostThatCameIsKeptUnlessItIsNot() throws {
        let call = chat("gpt-4o", input: 1000, output: 500) + [("gen_ai.usage.cost", .double(0.5))]
        let run = try GenAIRun()
        let kept = try run.process([span(1, call)])[0]
        #expect(kept["gen_ai.usage.cost"] == .double(0.5))
        #expect(kept["gen_ai.cost.source"] == .text("instrumentation"))
        #expect(kept.hasUniqueKeys)
        #expect(run.engine.account.cost.description == "0.5")
        let replaced = try GenAIRun("{keep_reported_cost: false}").process([span(1, call)])[0]
        #expect(replaced["gen_ai.usage.cost"] == .double(0.0075))
        #expect(replaced["gen_ai.cost.source"] == .text("collector"))
        #expect(replaced.hasUniqueKeys)
    }

    @Test func aBatchWithoutAISpansIsNotTouched() throws {
        let body = try wire([span(1, [("http.request.method", "GET")]), span(2, parent: 1, [])])
        let batch = try batch(body)
        try GenAIRun().engine.process(batch)
        #expect(batch.isPristine)
    }

    /// Bytes of AI spans changed at random: whatever the scanner takes goes on as a request that it takes again.
    @Test func hostileSpansDoNoHarm() throws {
        let run = try GenAIRun()
        let body = try wire([
            span(1, chat("gpt-4o", input: Int.max, output: -1)),
            span(2, parent: 1, chat("gpt-4o", input: 1, output: 2)),
            span(3, parent: 3, chat("x", input: 1 << 50, output: 1 << 50) + [("gen_ai.usage.cost", .double(.nan))]),
            span(4, chat(String(repeating: "m", count: 100_000), input: 1, output: 1)),
        ])
        var random = SeededGenerator(seed: 7)
        for round in 0..<400 {
            var changed = body
            for _ in 0..<(round % 4) { changed[random.below(body.count)] = UInt8(random.next() & 0xFF) }
            guard let hostile = try? batch(changed) else { continue }
            run.engine.process(hostile)
            let again = try batch(encoded(hostile))
            #expect(again.items.count == hostile.items.count)
        }
        #expect(run.engine.account.cost >= .zero)
    }

    @Test func sumsAreExactBeyondTheBoundOfSeries() throws {
        let run = try GenAIRun(
            "{prices: {overrides: [{provider: openai, model: gpt-4o, per_1m: {input: 1, output: 1}}]}}")
        let provider = GenAIAccount.maximumSeries + 40
        for number in 1...provider {
            let call: [(String, JSONValue)] = [
                ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"),
                ("gen_ai.request.model", .text("unknown-\(number)")), ("gen_ai.usage.input_tokens", 1),
            ]
            _ = try run.process([span(number, call)])
        }
        let lines = run.lines("martlet_genai_unpriced_tokens_total")
        #expect(lines.count == GenAIAccount.maximumSeries + 1)
        #expect(lines.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +) == provider)
    }

    @Test func keysOfTheOtherProcessorAreRefused() throws {
        for key in ["sources", "overwrite", "custom_mappings"] {
            #expect(throws: ConfigError.self) { try GenAIRun("{\(key): null}") }
        }
    }
}
