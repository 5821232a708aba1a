import GenAI
import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// That each call of a trace counts once, whatever requests its spans came in.
@Suite struct TailCallsTests {
    private let trace = (high: UInt64(3), low: UInt64(0x1234_5678_9ABC_DEF0))

    /// A span of a model call, as the `genai` processor leaves it.
    private func call(
        _ id: UInt64, below parent: UInt64 = 0, response: String? = nil, tokens: Int64 = 100, cost: Double? = 0.25,
        status: String? = "priced", operation: String = "chat"
    ) -> TestSpan {
        var span = TestSpan(trace: trace, id: id, parent: parent)
        span.attributes = [
            ("gen_ai.operation.name", .text(operation)), ("gen_ai.provider.name", .text("openai")),
            ("gen_ai.request.model", .text("gpt-4o")), ("gen_ai.usage.input_tokens", .int(tokens)),
            ("gen_ai.usage.output_tokens", .int(tokens / 10)),
        ]
        if let response { span.attributes.append(("gen_ai.response.id", .text(response))) }
        if let cost {
            span.attributes += [
                ("gen_ai.usage.cost", .double(cost)), ("gen_ai.cost.input", .double(cost)),
                ("gen_ai.cost.currency", .text("USD")), ("gen_ai.cost.source", .text("collector")),
            ]
        }
        if let status { span.attributes.append(("gen_ai.cost.status", .text(status))) }
        span.attributes.append(("note", .text("span \(id)")))
        return span
    }

    private func sum(_ field: String, from minimum: Double) -> PolicySpec {
        PolicySpec(field, .aggregate(AggregateSpec(field: field, function: .sum, minimum: minimum)))
    }

    private func box(_ policies: [PolicySpec], once: Bool = true) throws -> ShardBox {
        var settings = TailSettings()
        settings.decisionWait = second
        settings.countsOnce = once
        return ShardBox(settings, try PolicyProgram(policies))
    }

    /// The spans that are kept, each of them sent in a request of its own.
    private func keep(
        _ spans: [TestSpan], _ policies: [PolicySpec] = [PolicySpec("all", .always)], once: Bool = true
    ) throws -> (kept: [KeptSpan], counts: TailCounts) {
        let box = try box(policies, once: once)
        for span in spans { try box.send([span], now: 0) }
        _ = box.value.decideDue(now: second, limit: .max)
        return (try box.kept().sorted { $0.id < $1.id }, box.value.takeCounts())
    }

    private func isKept(_ spans: [TestSpan], by policy: PolicySpec, once: Bool = true) throws -> Bool {
        try !keep(spans, [policy], once: once).kept.isEmpty
    }

    @Test func aCallInTwoRequestsCountsOnce() throws {
        let spans = [call(1, response: "resp-1"), call(2, below: 1, response: "resp-1"), call(3, response: "resp-2")]
        #expect(try !isKept(spans, by: sum("gen_ai.usage.cost", from: 0.6)))
        #expect(try isKept(spans, by: sum("gen_ai.usage.cost", from: 0.5)))
        #expect(try isKept(spans, by: sum("gen_ai.usage.cost", from: 0.6), once: false))
        #expect(try !isKept(spans, by: sum("gen_ai.usage.input_tokens", from: 201)))
        #expect(try isKept(spans, by: sum("gen_ai.usage.input_tokens", from: 200)))
        let (kept, counts) = try keep(spans)
        let without = kept.filter { $0.attributes["gen_ai.usage.cost"] == nil }
        #expect(without.count == 1)
        let marked = try #require(without.first?.attributes)
        #expect(marked["gen_ai.cost.status"] == "aggregate")
        #expect(Set(marked.keys).isDisjoint(with: ["gen_ai.cost.input", "gen_ai.cost.currency", "gen_ai.cost.source"]))
        #expect(marked["gen_ai.usage.input_tokens"] == "100" && marked["note"] != nil)
        #expect(kept.filter { $0.attributes["gen_ai.cost.status"] == "priced" }.count == 2)
        #expect(counts.repeatedCalls == 1)
        #expect("\(counts.repeatedCost)" == "0.25")
        #expect(try keep(spans, once: false).counts.repeatedCalls == 0)
    }

    /// A framework's span above the client's, in another request, without response ids.
    @Test func aWrapperInAnotherRequestDoesNotCount() throws {
        var link = TestSpan(trace: trace, id: 2, parent: 1)
        link.attributes = [("note", .text("in between"))]
        let spans = [call(1), link, call(3, below: 2)]
        #expect(try !isKept(spans, by: sum("gen_ai.usage.cost", from: 0.3)))
        let kept = try keep(spans).kept
        #expect(kept.map { $0.attributes["gen_ai.usage.cost"] } == [nil, nil, "0.25"])
        // Two calls that only look alike both count.
        #expect(try isKept([call(1), call(2), call(3)], by: sum("gen_ai.usage.cost", from: 0.75)))
    }

    @Test func whatRepeatsOthersIsInNoSum() throws {
        let agent = call(1, tokens: 200, cost: nil, status: "aggregate", operation: "invoke_agent")
        let spans = [agent, call(2, below: 1), call(3, below: 1)]
        #expect(try !isKept(spans, by: sum("gen_ai.usage.input_tokens", from: 201)))
        #expect(try isKept(spans, by: sum("gen_ai.usage.input_tokens", from: 200)))
        // Other numbers than sums are about spans.
        let most = AggregateSpec(field: "gen_ai.usage.input_tokens", function: .max, minimum: 200)
        #expect(try isKept(spans, by: PolicySpec("max", .aggregate(most))))
        // An agent that nothing is known below of is a call.
        #expect(try isKept([agent], by: sum("gen_ai.usage.input_tokens", from: 200)))
        #expect(try keep([agent]).kept.first?.attributes["gen_ai.cost.status"] == "aggregate")
    }

    @Test func whatCameBeforeAndOtherCurrenciesAreInNoSum() throws {
        var again = call(1, response: "resp-1")
        again.attributes.append(("gen_ai.cost.resent", .bool(true)))
        let foreign = call(2, response: "resp-2", status: "skipped")
        let spans = [call(1, response: "resp-1"), again, foreign]
        #expect(try !isKept(spans, by: sum("gen_ai.usage.cost", from: 0.26)))
        #expect(try isKept(spans, by: sum("gen_ai.usage.cost", from: 0.25)))
        #expect(try keep(spans).counts.repeatedCalls == 0)
    }

    @Test func aCostDoesNotGiveWayToNone() throws {
        let unpriced = call(2, below: 1, response: "resp-1", cost: nil, status: "no_price")
        let (kept, counts) = try keep([call(1, response: "resp-1"), unpriced, call(3, response: "resp-3")])
        #expect(kept.map { $0.attributes["gen_ai.usage.cost"] } == ["0.25", nil, "0.25"])
        #expect(counts.repeatedCalls == 0)
    }

    /// Calls, some of them wrapped, in any order and split over any requests: what is kept adds up to the calls' costs.
    @Test func costsOfRandomTracesAddUp() throws {
        var random = SeededRandom(91)
        for round in 0..<200 {
            var spans: [TestSpan] = [TestSpan(trace: trace, id: 1)]
            var expected = Money.zero
            for number in 1...Int.random(in: 1...8, using: &random) {
                let id = UInt64(number * 10)
                let cost = Double(Int.random(in: 1...4000, using: &random)) / 4096
                let tokens = Int64(1000 * number + round)
                expected += try #require(Money(reported: cost))
                let response = Bool.random(using: &random) ? "resp-\(number)" : nil
                spans.append(call(id + 1, below: id, response: response, tokens: tokens, cost: cost))
                switch Int.random(in: 0...2, using: &random) {
                case 0: spans.append(call(id, below: 1, tokens: tokens, cost: cost))
                case 1: spans.append(call(id, below: 1, response: response, tokens: tokens, cost: cost))
                default: spans.append(TestSpan(trace: trace, id: id, parent: 1))
                }
            }
            spans.shuffle(using: &random)
            let box = try box([PolicySpec("all", .always)])
            var sent = 0
            while sent < spans.count {
                let count = min(Int.random(in: 1...4, using: &random), spans.count - sent)
                try box.send(Array(spans[sent..<sent + count]), now: 0)
                sent += count
            }
            _ = box.value.decideDue(now: second, limit: .max)
            let kept = try box.kept()
            #expect(kept.count == spans.count)
            var total = Money.zero
            for span in kept {
                if let cost = span.attributes["gen_ai.usage.cost"].flatMap({ Double($0) }) {
                    total += try #require(Money(reported: cost))
                }
            }
            #expect(total == expected)
        }
    }
}
