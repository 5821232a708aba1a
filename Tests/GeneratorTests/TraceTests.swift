import Generator
import OTLP
import Testing

@Suite struct TraceTests {
    private static func plan(_ profile: TraceProfile, seed: UInt64 = 7, traces: Int = 400) -> GeneratorPlan {
        var plan = GeneratorPlan(seed: seed)
        plan.profile = profile
        plan.traces = traces
        return plan
    }

    @Test(arguments: TraceProfile.allCases) func theSeedDecidesEverythingButTheTimes(profile: TraceProfile) throws {
        let (first, totals) = try produce(Self.plan(profile))
        let (second, sameTotals) = try produce(Self.plan(profile))
        #expect(first == second)
        #expect(totals == sameTotals)
        let (other, _) = try produce(Self.plan(profile, seed: 8))
        #expect(first != other)
        let later: UInt64 = 60_000_000_000
        let (shifted, _) = try produce(Self.plan(profile), time: 1_700_000_000_000_000_000 + later)
        var moved = try shifted.flatMap(readSpans)
        for index in moved.indices {
            moved[index].start -= later
            moved[index].end -= later
        }
        #expect(try first.flatMap(readSpans) == moved)
    }

    @Test(arguments: TraceProfile.allCases) func idsAndParentsAreRight(profile: TraceProfile) throws {
        let (requests, totals) = try produce(Self.plan(profile))
        let spans = try requests.flatMap(readSpans)
        #expect(spans.count == totals.spans)
        #expect(Set(spans.map(\.id)).count == spans.count)
        let traces = Dictionary(grouping: spans, by: \.trace)
        #expect(traces.count == totals.traces)
        for (trace, spans) in traces {
            #expect(trace.count == 16 && trace.contains { $0 != 0 })
            let byID = Dictionary(uniqueKeysWithValues: spans.map { ($0.id, $0) })
            #expect(spans.filter(\.parent.isEmpty).count == 1)
            for span in spans {
                #expect(span.id.count == 8 && span.id.contains { $0 != 0 })
                #expect(span.start < span.end && span.end <= 1_700_000_000_000_000_000)
                guard !span.parent.isEmpty else { continue }
                let parent = try #require(byID[span.parent], "\(span.name) has no parent in its trace")
                #expect(parent.start <= span.start && span.end <= parent.end, "\(span.name) outlives \(parent.name)")
                // Who is served is called from another process.
                if span.kind == 2 { #expect(parent.kind == 3) } else { #expect(parent.service == span.service) }
            }
        }
    }

    @Test(arguments: TraceProfile.allCases) func attributesAreUnique(profile: TraceProfile) throws {
        for span in try produce(Self.plan(profile, traces: 200)).0.flatMap(readSpans) {
            #expect(Set(span.keys).count == span.keys.count, "\(span.name): \(span.keys)")
            #expect(!span.keys.isEmpty && !span.name.isEmpty)
        }
    }

    @Test func tokensAddUp() throws {
        let (requests, totals) = try produce(Self.plan(.genai, traces: 1000))
        let spans = try requests.flatMap(readSpans)
        let calls = spans.filter { $0.operation == "chat" || $0.operation == "embeddings" }
        #expect(calls.count == totals.modelCalls)
        #expect(calls.reduce(0) { $0 + $1.usage("input_tokens") } == totals.inputTokens)
        #expect(calls.reduce(0) { $0 + $1.usage("output_tokens") } == totals.outputTokens)
        #expect(calls.reduce(0) { $0 + $1.usage("cache_read.input_tokens") } == totals.cachedInputTokens)
        #expect(calls.reduce(0) { $0 + $1.usage("reasoning.output_tokens") } == totals.reasoningTokens)
        #expect(spans.filter { $0.status == 2 }.count == totals.failedSpans)
        #expect(totals.cachedInputTokens > 0 && totals.reasoningTokens > 0)
        for call in calls {
            #expect(
                call.usage("cache_read.input_tokens") + call.usage("cache_creation.input_tokens")
                    <= call.usage("input_tokens"))
            #expect(call.usage("reasoning.output_tokens") <= call.usage("output_tokens"))
        }
    }

    @Test func agentsThatRepeatUsageSayTheSumOfTheirCalls() throws {
        let spans = try produce(Self.plan(.genai)).0.flatMap(readSpans)
        let repeating = spans.filter {
            $0.operation == "invoke_agent" && $0.numbers["gen_ai.usage.input_tokens"] != nil
        }
        #expect(!repeating.isEmpty)
        for agent in repeating {
            let calls = spans.filter { $0.trace == agent.trace && $0.operation == "chat" }
            #expect(calls.reduce(0) { $0 + $1.usage("input_tokens") } == agent.usage("input_tokens"))
            #expect(calls.reduce(0) { $0 + $1.usage("output_tokens") } == agent.usage("output_tokens"))
        }
    }

    @Test func aModelCallSaysWhatItMust() throws {
        let (requests, totals) = try produce(Self.plan(.genai, traces: 1000))
        let spans = try requests.flatMap(readSpans)
        let chats = spans.filter { $0.operation == "chat" }
        for chat in chats {
            let model = try #require(chat.strings["gen_ai.request.model"])
            #expect(chat.name == "chat \(model)" && chat.kind == 3)
            #expect(chat.strings["gen_ai.provider.name"] != nil)
            let isAnswered = chat.strings["gen_ai.response.id"] != nil
            #expect(isAnswered == (chat.status == 0))
            #expect(isAnswered == (chat.strings["error.type"] == nil))
            #expect(isAnswered == (chat.strings["gen_ai.response.finish_reasons"] != nil))
            #expect(isAnswered == (chat.usage("output_tokens") > 0))
        }
        let ids = chats.compactMap { $0.strings["gen_ai.response.id"] }
        #expect(Set(ids).count == ids.count)
        #expect(Set(chats.compactMap { $0.strings["gen_ai.request.model"] }).count == 6)
        #expect(
            Set(spans.compactMap(\.operation)) == ["invoke_agent", "chat", "execute_tool", "embeddings", "retrieval"])
        #expect(Set(spans.map(\.service)) == ["support-agent", "research-agent", "coding-agent", "tools-api"])
        // A few percent.
        let share = Double(totals.failedSpans) / Double(totals.spans)
        #expect(share > 0.01 && share < 0.08)
    }

    @Test(arguments: TraceProfile.allCases) func oneServiceForAll(profile: TraceProfile) throws {
        var plan = Self.plan(profile, traces: 50)
        plan.service = "mine"
        #expect(Set(try produce(plan).0.flatMap(readSpans).map(\.service)) == ["mine"])
    }

    @Test(arguments: [1, 7, 512]) func requestsHaveTheirSize(batch: Int) throws {
        var plan = Self.plan(.genai, traces: 60)
        plan.batch = batch
        let (requests, totals) = try produce(plan)
        let sizes = try requests.map { try readSpans($0).count }
        #expect(sizes.dropLast().allSatisfy { $0 == batch })
        #expect(sizes.reduce(0, +) == totals.spans)
        let whole = try produce(Self.plan(.genai, traces: 60)).0.flatMap(readSpans).map(\.id)
        #expect(Set(try requests.flatMap(readSpans).map(\.id)) == Set(whole))
    }

    @Test func ratesAndDurationsAreKept() {
        var plan = Self.plan(.plain)
        plan.traces = nil
        plan.rate = 10
        plan.duration = .seconds(3)
        let second: UInt64 = 1_000_000_000
        var producer = TraceProducer(plan, start: second)
        var spans = 0
        var now = second
        for _ in 0..<1000 {
            switch producer.next(now: now, time: 5_000_000_000 + now) {
            case .request(let request): spans += request.spans
            case .wait(let until):
                // A trace is due every tenth of a second, the first one at once.
                #expect(producer.totals.traces == Int((now - second) / (second / 10)) + 1)
                #expect(until > now)
                now = until
            case .exhausted:
                #expect(producer.totals.traces == 30)
                #expect(spans == producer.totals.spans)
                #expect(now == 4 * second)
                return
            case .outOfMemory: Issue.record("out of memory")
            }
        }
        Issue.record("the producer does not end")
    }
}
