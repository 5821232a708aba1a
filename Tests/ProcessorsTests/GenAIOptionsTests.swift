import Config
import GenAI
import OTLP
import TestSupport
import Testing

@testable import Processors

/// What the options change. Figures are computed by hand from the built-in table.
@Suite struct GenAIOptionsTests {
    private let call = chat("gpt-4o", input: 1000, output: 500)

    @Test(arguments: ["keep", "truncate", "hash", "drop"]) func content(_ mode: String) throws {
        let run = try GenAIRun("{content: \(mode), content_limit: 4}")
        let span = try run.process([
            span(
                1,
                call + [
                    ("gen_ai.input.messages", "a longer prompt"), ("gen_ai.prompt.name", "greeting"),
                    ("gen_ai.output.messages", "abc"),
                    ("gen_ai.usage.raw", "{'prompt_tokens_details': {'cached_tokens': 200}}"),
                ])
        ])[0]
        // Tokens and cost are read first.
        #expect(span["gen_ai.usage.cost"] == .double(0.00725))
        #expect(span["gen_ai.prompt.name"] == .text("greeting"))
        #expect(span.hasUniqueKeys)
        switch mode {
        case "keep": #expect(span["gen_ai.input.messages"] == .text("a longer prompt"))
        case "truncate":
            #expect(span["gen_ai.input.messages"] == .text("a lo"))
            #expect(span["gen_ai.output.messages"] == .text("abc"))
        case "hash":
            #expect(
                span["gen_ai.output.messages"]
                    == .text("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
        default:
            #expect(span["gen_ai.input.messages"] == nil && span["gen_ai.output.messages"] == nil)
        }
    }

    @Test func contentOfOtherSpansAndOfEventsIsHandledApart() throws {
        let body = try wire([
            span(1, [("input.value", "not ours"), ("http.request.method", "GET")]),
            span(2, call).replacing("\"attributes\"", with: "\"events\":[\(event)],\"attributes\""),
        ])
        let processed = try GenAIRun("{content: drop}").processed(body)
        let spans = try attributes(of: processed)
        #expect(spans[0]["input.value"] == .text("not ours"))
        let text = String(decoding: processed, as: UTF8.self)
        #expect(!text.contains("tell me a secret") && text.contains("finish_reason") && text.contains("stop"))
    }

    private let event = """
        {"timeUnixNano":"1793491200500000000","name":"gen_ai.choice","attributes":[
        {"key":"finish_reason","value":{"stringValue":"stop"}},
        {"key":"message","value":{"stringValue":"tell me a secret"}}]}
        """

    @Test func hashingTwiceChangesNothing() throws {
        let body = try wire([span(1, call + [("gen_ai.input.messages", "hello")])])
        let once = try GenAIRun("{content: hash}").processed(body)
        let twice = try GenAIRun("{content: hash}").processed(once)
        #expect(try attributes(of: once).map(\.sorted) == attributes(of: twice).map(\.sorted))
    }

    @Test func costsUnderOtherNames() throws {
        let run = try GenAIRun(
            "{cost_names: {cost: acme.cost, status: acme.status, price_version: ''}, cost_mirrors: [openinference, proposal]}"
        )
        let body = try wire([span(1, call)])
        let once = try run.processed(body)
        let written = try attributes(of: once)[0]
        #expect(written["acme.cost"] == .double(0.0075) && written["gen_ai.usage.cost"] == nil)
        #expect(written["acme.status"] == .text("priced") && written["gen_ai.cost.status"] == nil)
        #expect(written["gen_ai.cost.price_version"] == nil)
        #expect(written["llm.cost.total"] == .double(0.0075) && written["llm.cost.prompt"] == .double(0.0025))
        #expect(written["llm.cost.completion"] == .double(0.005))
        #expect(written["gen_ai.usage.cost.amount"] == .double(0.0075))
        #expect(written["gen_ai.usage.cost.source"] == .text("local"))
        #expect(throws: ConfigError.self) { try GenAIRun("{cost_names: {cost: a.b.c, input: a.b.c}}") }
        #expect(throws: ConfigError.self) {
            try GenAIRun("{cost_names: {cost: llm.cost.total}, cost_mirrors: [openinference]}")
        }
        #expect(throws: ConfigError.self) { try GenAIRun("{cost_mirrors: [everything]}") }
    }

    @Test func originalsAreRemovedWhenAskedFor() throws {
        let old: [(String, JSONValue)] = [
            ("llm.request.type", "chat"), ("gen_ai.system", "openai"), ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.usage.prompt_tokens", 1000), ("gen_ai.usage.completion_tokens", 500), ("session.id", "s"),
            ("llm.usage.total_tokens", 1500), ("app.own", "x"),
        ]
        let span = try GenAIRun("{remove_originals: true}").process([span(1, old)])[0]
        #expect(span["gen_ai.usage.input_tokens"] == .int(1000) && span["gen_ai.usage.prompt_tokens"] == nil)
        #expect(span["gen_ai.provider.name"] == .text("openai") && span["gen_ai.system"] == nil)
        #expect(span["gen_ai.operation.name"] == .text("chat") && span["llm.request.type"] == nil)
        // Names that others use too stay, and what has no current name.
        #expect(span["session.id"] == .text("s") && span["gen_ai.conversation.id"] == .text("s"))
        #expect(span["llm.usage.total_tokens"] == .int(1500) && span["app.own"] == .text("x"))
        #expect(span.hasUniqueKeys)
        #expect(throws: ConfigError.self) { try GenAIRun("{remove_originals: true, write_conventions: false}") }
    }

    // claude-opus-5-5: 4 in, 0.2 read, 5 written, per million tokens.
    @Test func whatCachesSaved() throws {
        let cached: [(String, JSONValue)] = [
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "anthropic"),
            ("gen_ai.request.model", "claude-opus-5-5"), ("gen_ai.usage.input_tokens", 40_000),
            ("gen_ai.usage.output_tokens", 10), ("gen_ai.usage.cache_read.input_tokens", 30_000),
            ("gen_ai.usage.cache_write.input_tokens", 3000),
        ]
        let run = try GenAIRun()
        let span = try run.process([span(1, cached)])[0]
        // 30,000 × 3.8 less 3,000 × 1, per million.
        #expect(span["gen_ai.cost.cache_savings"] == .double(0.111))
        let plain = try run.process([TestSpan.plain(2, call)])[0]
        #expect(plain["gen_ai.cost.cache_savings"] == nil)
    }

    @Test func aSpanThatCameBeforeIsMarked() throws {
        let run = try GenAIRun()
        let body = try wire([span(1, call), span(2, chat("gpt-4o", input: 7, output: 7))])
        #expect(try attributes(of: run.processed(body)).allSatisfy { $0["gen_ai.cost.resent"] == nil })
        let again = try run.processed(body)
        #expect(try attributes(of: again).allSatisfy { $0["gen_ai.cost.resent"] != nil && $0.hasUniqueKeys })
        // The next collector counts the first one only, and marks nothing twice.
        let next = try GenAIRun()
        let passed = try next.processed(again)
        #expect(next.engine.account.calls == 0)
        #expect(try attributes(of: passed).allSatisfy(\.hasUniqueKeys))
    }

    @Test func hugeSpansPassOn() throws {
        let many = (0..<10_000).map { ("llm.input_messages.\($0).message.content", JSONValue.text("x")) }
        let prompt = String(repeating: "All work and no play. ", count: 240_000)
        let bodies = [
            try wire([span(1, call + many)]), try wire([span(2, many + call)]),
            try wire([span(3, call + [("gen_ai.input.messages", .text(prompt))])]),
            try wire([span(4, call + [("gen_ai.usage.raw", "{'cost': 1, 'prompt_tok")])]),
            try wire([span(5, chat("gpt-4o", input: -5, output: Int.max))]),
        ]
        for options in ["{}", "{content: truncate, content_limit: 10}", "{content: drop, remove_originals: true}"] {
            let run = try GenAIRun(options)
            for body in bodies {
                let processed = try run.processed(body)
                let spans = try attributes(of: processed)
                #expect(spans.count == 1)
                #expect(processed.count <= body.count + GenAIWorker.maximumAddedBytes + 1024)
                // Twice through, the keys are still unique.
                let again = try attributes(of: run.processed(processed))
                #expect(again[0].values.filter { $0.key.hasPrefix("gen_ai.") }.count <= spans[0].values.count + 1)
            }
        }
        let run = try GenAIRun()
        let absurd = try run.process([span(5, chat("gpt-4o", input: -5, output: Int.max))])[0]
        #expect(absurd["gen_ai.cost.status"] == .text("no_usage") && absurd["gen_ai.usage.cost"] == nil)
    }
}

private enum TestSpan {
    static func plain(_ number: Int, _ attributes: [(String, JSONValue)]) -> String { span(number, attributes) }
}

extension String {
    fileprivate func replacing(_ part: String, with other: String) -> String {
        guard let range = firstRange(of: part) else { return self }
        return String(self[..<range.lowerBound]) + other + String(self[range.upperBound...])
    }
}
