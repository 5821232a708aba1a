import Testing

@testable import GenAI

/// A span of a trace, as short as can be.
private func span(
    _ id: UInt64, below parent: UInt64 = 0, _ kind: CallKind = .model, model: UInt64 = 1, response: UInt64 = 0,
    input: Int64 = -1, output: Int64 = -1, trace: UInt64 = 1, error: ErrorCategory = .none
) -> CallRecord {
    var record = CallRecord(traceID: (trace, trace), spanID: id, parentSpanID: parent)
    record.kind = kind
    record.aggregate = kind.isAggregate ? .operation : .none
    record.model = model
    record.response = response
    record.input = input
    record.output = output
    record.error = error
    return record
}

@Suite struct RecognitionCountingTests {
    /// The rule of each span, in order.
    private func rules(_ spans: [CallRecord], _ form: CallCounter.Form = .wholeTraces) -> [AggregateRule] {
        decisions(spans, form).map(\.rule)
    }

    private func decisions(_ spans: [CallRecord], _ form: CallCounter.Form = .wholeTraces) -> [CallCounter.Decision] {
        var counter = CallCounter()
        for span in spans { counter.add(span) }
        counter.decide(form)
        return spans.indices.map { counter.decision($0) }
    }

    /// The wrapper's span and the client's, which both failed, are one call; what differs makes two of them.
    @Test func failedCallsCountOnce() {
        let wrapper = span(1, error: .rateLimit)
        #expect(
            decisions([wrapper, span(2, below: 1, error: .rateLimit)]) == [
                CallCounter.Decision(rule: .repeatsDescendant, countedBy: 1), CallCounter.Decision(rule: .none),
            ])
        // In a batch, too, and with a span of something else between them.
        #expect(
            rules([wrapper, span(2, below: 1, .other), span(3, below: 2, error: .rateLimit)], .batch) == [
                .repeatsDescendant, .none, .none,
            ])
        // A wrapper that names its own exception, which is no reason that is known.
        #expect(rules([span(1, error: .other), span(2, below: 1, error: .overloaded)]) == [.repeatsDescendant, .none])
        // Every attempt is a call of its own; the wrapper around them is none.
        #expect(
            rules([wrapper, span(2, below: 1, error: .rateLimit), span(3, below: 1, error: .rateLimit)]) == [
                .repeatsDescendant, .none, .none,
            ])
        // Three instrumentations on top of each other.
        #expect(
            rules([wrapper, span(2, below: 1, error: .other), span(3, below: 2, error: .rateLimit)]) == [
                .repeatsDescendant, .repeatsDescendant, .none,
            ])
        #expect(rules([wrapper, span(2, below: 1, error: .timeout)]) == [.none, .none])
        #expect(rules([wrapper, span(2, below: 1, model: 2, error: .rateLimit)]) == [.none, .none])
        #expect(rules([wrapper, span(2, below: 1, .embeddings, error: .rateLimit)]) == [.none, .none])
        #expect(rules([wrapper, span(2, below: 1, input: 5, output: 1)]) == [.none, .none])
        #expect(rules([wrapper, span(2, below: 1, error: .rateLimit), span(3, below: 1)]) == [.none, .none, .none])
        // A framework's span that does not know the model; it has to have failed itself.
        #expect(
            rules([span(1, model: 0, error: .rateLimit), span(2, below: 1, error: .rateLimit)]) == [
                .repeatsDescendant, .none,
            ])
        #expect(rules([span(1, model: 0), span(2, below: 1, error: .rateLimit)]) == [.none, .none])
        #expect(rules([wrapper, span(2, error: .rateLimit)]) == [.none, .none])
        #expect(rules([span(1), span(2, below: 1)]) == [.none, .none])
        // The wrapper of a stream that broke off knows nothing.
        #expect(rules([span(1), span(2, below: 1, error: .rateLimit)]) == [.repeatsDescendant, .none])
    }

    /// The same for instrumentations whose spans lie side by side.
    @Test func failedCallsSideBySideCountOnce() {
        func timed(_ id: UInt64, scope: UInt64, _ times: ClosedRange<UInt64>, _ error: ErrorCategory, model: UInt64 = 1)
            -> CallRecord
        {
            var record = span(id, below: 9, model: model, error: error)
            record.scope = scope
            record.startTime = times.lowerBound
            record.endTime = times.upperBound
            return record
        }
        let wrapper = timed(1, scope: 1, 10...50, .other)
        #expect(rules([wrapper, timed(2, scope: 2, 20...40, .rateLimit)], .batch) == [.repeatsSibling, .none])
        #expect(
            rules([timed(1, scope: 1, 10...50, .other, model: 0), timed(2, scope: 2, 20...40, .rateLimit)], .batch)
                == [.repeatsSibling, .none])
        // Another reason, another model, another time, the same instrumentation, one that did not fail.
        let timeout = timed(1, scope: 1, 10...50, .timeout)
        #expect(rules([timeout, timed(2, scope: 2, 20...40, .rateLimit)], .batch) == [.none, .none])
        #expect(rules([wrapper, timed(2, scope: 2, 20...40, .rateLimit, model: 2)], .batch) == [.none, .none])
        #expect(rules([wrapper, timed(2, scope: 2, 20...60, .rateLimit)], .batch) == [.none, .none])
        #expect(rules([wrapper, timed(2, scope: 1, 20...40, .rateLimit)], .batch) == [.none, .none])
        #expect(rules([wrapper, timed(2, scope: 2, 20...40, .none)], .batch) == [.none, .none])
    }

    @Test func agentsRepeatTheirChildren() {
        #expect(
            rules([
                span(1, .agent, input: 30, output: 3), span(2, below: 1, input: 10, output: 1),
                span(3, below: 1, input: 20, output: 2),
            ]) == [.operation, .none, .none])
    }

    @Test func aHostedAgentCountsInAWholeTraceOnly() {
        let spans = [
            span(1, .workflow, input: 30, output: 3), span(2, below: 1, .agent, input: 30, output: 3),
            span(3, below: 2, .tool),
        ]
        #expect(rules(spans) == [.operation, .none, .none])
        #expect(rules(spans, .batch) == [.operation, .operation, .none])
    }

    @Test func theWrapperOfACallDoesNotCount() {
        let spans = [span(1, input: 100, output: 10), span(2, below: 1, input: 100, output: 10)]
        #expect(decisions(spans, .batch) == [.init(rule: .repeatsDescendant, countedBy: 1), .init(rule: .none)])
        // In whatever order they come.
        #expect(rules(spans.reversed()) == [.none, .repeatsDescendant])
    }

    @Test func theOneWithTheResponseIDCounts() {
        #expect(
            rules([span(1, response: 7, input: 100, output: 10), span(2, below: 1, input: 100, output: 10)])
                == [.none, .repeatsAncestor])
        #expect(
            rules([span(1, input: 100, output: 10), span(2, below: 1, response: 7, input: 100, output: 10)])
                == [.repeatsDescendant, .none])
    }

    @Test func threeOnTopOfEachOther() {
        func three(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> [AggregateRule] {
            rules([
                span(1, response: a, input: 9, output: 1), span(2, below: 1, response: b, input: 9, output: 1),
                span(3, below: 2, response: c, input: 9, output: 1),
            ])
        }
        for responses in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)] {
            let rules = three(UInt64(responses.0), UInt64(responses.1), UInt64(responses.2))
            #expect(rules.filter { $0 == .none }.count == 1, "\(responses): \(rules)")
        }
    }

    @Test func otherSpansMayStandBetween() {
        let between = CallRecord(traceID: (1, 1), spanID: 5, parentSpanID: 1)
        #expect(
            rules([span(1, input: 100, output: 10), between, span(2, below: 5, input: 100, output: 10)])
                == [.repeatsDescendant, .none, .none])
    }

    @Test func differentTokensModelsOrKindsAreDifferentCalls() {
        #expect(rules([span(1, input: 100, output: 10), span(2, below: 1, input: 50, output: 10)]) == [.none, .none])
        #expect(
            rules([span(1, input: 100, output: 10), span(2, below: 1, model: 2, input: 100, output: 10)])
                == [.none, .none])
        #expect(
            rules([span(1, .embeddings, input: 100), span(2, below: 1, input: 100)]) == [.none, .none])
        // Side by side is not one above the other: two equal calls are two calls.
        #expect(
            rules([span(1, .agent), span(2, below: 1, input: 9, output: 1), span(3, below: 1, input: 9, output: 1)])
                == [.operation, .none, .none])
    }

    /// One instrumentation has the model that was asked for, another the one that answered.
    @Test(arguments: [
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"), ("gpt-4", "gpt-4-0613"), ("openai/gpt-4o", "gpt-4o"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"), ("claude-haiku-4-5-latest", "claude-haiku-4-5@20251001"),
        ("gemini-2.0-flash", "models/gemini-2.0-flash-001"),
        ("anthropic.claude-sonnet-4-5", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ])
    func marksOfAVersionAreNoOtherModel(_ names: (String, String)) {
        #expect(family(names.0) == family(names.1))
    }

    @Test(arguments: [
        ("gpt-4o", "gpt-4o-mini"), ("gpt-4", "gpt-5"), ("claude-opus-4-1", "claude-opus-4-5"), ("o1", "o3"),
        ("gpt-4.1", "gpt-4.5"), ("llama-3-8b", "llama-3-70b"),
    ])
    func otherNumbersAreAnotherModel(_ names: (String, String)) {
        #expect(family(names.0) != family(names.1))
    }

    @Test(arguments: ["", "-", "/", "@", ":0", "-latest", "2024-08-06", "-2024", "v1", "-v1", "1", "openai/", "@x"])
    func someNameIsLeft(_ name: String) {
        #expect(name.isEmpty || !family(name).isEmpty)
    }

    private func family(_ name: String) -> String {
        Array(name.utf8).withUnsafeBytes { String(decoding: ModelFamily.name($0), as: UTF8.self) }
    }

    /// A call side by side with another.
    private func beside(
        _ id: UInt64, _ scope: UInt64, _ time: ClosedRange<UInt64>, below parent: UInt64 = 1, model: UInt64 = 1,
        response: UInt64 = 0, input: Int64 = 9, output: Int64 = 1
    ) -> CallRecord {
        var record = span(id, below: parent, model: model, response: response, input: input, output: output)
        record.scope = scope
        record.startTime = time.lowerBound
        record.endTime = time.upperBound
        return record
    }

    @Test func aFrameworksSpanBesideTheClients() {
        let pair = [beside(2, 1, 10...90), beside(3, 2, 20...80)]
        #expect(decisions(pair, .batch) == [.init(rule: .repeatsSibling, countedBy: 1), .init(rule: .none)])
        #expect(rules(pair.reversed()) == [.none, .repeatsSibling])
        // The one with the response id.
        #expect(rules([beside(2, 1, 10...90, response: 7), beside(3, 2, 20...80)]) == [.none, .repeatsSibling])
        #expect(rules([beside(2, 1, 10...90), beside(3, 2, 20...80, response: 7)]) == [.repeatsSibling, .none])
        // A span above both sees the call once.
        #expect(
            rules([span(1, input: 9, output: 1)] + pair, .batch)
                == [.repeatsDescendant, .repeatsSibling, .none])
    }

    @Test func callsBesideEachOtherAreTwo() {
        let call = beside(2, 1, 10...90)
        #expect(rules([call, beside(3, 1, 20...80)]) == [.none, .none], "of one instrumentation")
        #expect(rules([call, beside(3, 2, 20...91)]) == [.none, .none], "not within the other's time")
        #expect(rules([call, beside(3, 2, 20...80, model: 2)]) == [.none, .none], "of another model")
        #expect(rules([call, beside(3, 2, 20...80, input: 8)]) == [.none, .none], "of other tokens")
        #expect(rules([call, beside(3, 2, 20...80, below: 4)]) == [.none, .none], "of another span")
        let answered = [beside(2, 1, 10...90, response: 7), beside(3, 2, 20...80, response: 8)]
        #expect(rules(answered) == [.none, .none], "with answers of their own")
        #expect(rules([beside(2, 1, 0...0), beside(3, 2, 0...0)]) == [.none, .none], "without times")
        let roots = [beside(2, 1, 10...90, below: 0), beside(3, 2, 20...80, below: 0)]
        #expect(rules(roots) == [.none, .none], "below none")
    }

    /// Calls at the same time, each seen twice: each counts once.
    @Test func manyCallsBesideEachOther() {
        var random = RecognitionRandom(state: 5)
        for count in 1...20 {
            var spans: [CallRecord] = []
            for number in 0..<UInt64(count) {
                let start = 100 + random.next() % 50
                let end = 1000 + random.next() % 50
                spans.append(beside(2 + number * 2, 1, start - 3...end + 3))
                spans.append(beside(3 + number * 2, 2, start...end))
            }
            spans.shuffle(using: &random)
            #expect(rules(spans, .batch).filter { $0 == .none }.count == count)
        }
    }

    @Test func threeInstrumentationsBesideEachOther() {
        for responses in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)] {
            let three = [
                beside(2, 1, 10...90, response: UInt64(responses.0)),
                beside(3, 2, 20...80, response: UInt64(responses.1)),
                beside(4, 3, 30...70, response: UInt64(responses.2)),
            ]
            #expect(rules(three).filter { $0 == .none }.count == 1, "\(responses)")
        }
    }

    @Test func besideAndAboveEachOther() {
        let three = [beside(2, 1, 10...90), beside(3, 2, 20...80), beside(4, 3, 30...70, below: 3)]
        #expect(rules(three) == [.repeatsSibling, .repeatsDescendant, .none])
    }

    @Test func twoPerCentAreTheSame() {
        #expect(
            rules([span(1, input: 1000, output: 100), span(2, below: 1, input: 985, output: 99)])
                == [.repeatsDescendant, .none])
        #expect(
            rules([span(1, input: 1000, output: 100), span(2, below: 1, input: 970, output: 100)]) == [.none, .none])
    }

    /// An embedding wrapper and its calls have the same operation.
    @Test func theSumOfTheCallsBelow() {
        #expect(
            rules([
                span(1, .embeddings, input: 30), span(2, below: 1, .embeddings, input: 10),
                span(3, below: 1, .embeddings, input: 20),
            ]) == [.repeatsDescendant, .none, .none])
    }

    @Test func theSameResponseCountsOnceWhereverItIs() {
        #expect(
            decisions(
                [
                    span(1, .agent), span(2, below: 1, response: 7, input: 9, output: 1),
                    span(3, below: 1, response: 7, input: 9, output: 1),
                ], .batch
            ).map(\.rule) == [.operation, .none, .sameResponse])
        // The one with usage, though it comes last.
        #expect(
            decisions([span(1, response: 7), span(2, response: 7, input: 9, output: 1)])
                == [.init(rule: .sameResponse, countedBy: 1), .init(rule: .none)])
        // In another trace it is another call.
        #expect(
            rules([span(1, response: 7, input: 9), span(1, response: 7, input: 9, trace: 2)]) == [.none, .none])
    }

    @Test func loopsAndLostParents() {
        #expect(
            rules([span(1, below: 2, input: 9), span(2, below: 1, input: 50), span(3, below: 3, input: 7)])
                == [.none, .none, .none])
        #expect(rules([span(1, below: 99, input: 9)]) == [.none])
        #expect(rules([]) == [])
    }

    @Test func memoryIsBounded() {
        var counter = CallCounter(maximumSpans: 2)
        #expect(counter.add(span(1)) && counter.add(span(2)))
        let third = counter.add(span(3))
        #expect(!third)
        counter.removeAll()
        let again = counter.add(span(3))
        #expect(again)
        #expect(counter.records.count == 1)
    }

    /// Whatever the tree: what counts is no more than the leaves, and every group of repeats keeps one.
    @Test func randomTrees() {
        var random = RecognitionRandom(state: 3)
        for _ in 0..<500 {
            // Real calls, each wrapped zero to three times in spans that repeat it, below agents or plain spans.
            var spans: [CallRecord] = [span(1, .agent, input: 1, output: 1)]
            var next: UInt64 = 2
            var truth: Int64 = 0
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let tokens = Int64.random(in: 100...100_000, using: &random)
                let response: UInt64 = Bool.random(using: &random) ? next : 0
                truth += tokens
                var parent: UInt64 = 1
                for level in 0...Int.random(in: 0...3, using: &random) {
                    if Bool.random(using: &random) {
                        spans.append(CallRecord(traceID: (1, 1), spanID: next, parentSpanID: parent))
                        parent = next
                        next += 1
                    }
                    let hasResponse = level == 0 || Bool.random(using: &random)
                    spans.append(
                        span(next, below: parent, response: hasResponse ? response : 0, input: tokens, output: 5))
                    parent = next
                    next += 1
                }
            }
            spans.shuffle(using: &random)
            let rules = rules(spans)
            let counted = zip(spans, rules).reduce(Int64(0)) { sum, item in
                item.0.isCandidate && item.0.hasUsage && item.1 == .none ? sum + item.0.input : sum
            }
            #expect(counted == truth)
        }
    }

    @Test func recordsOfCalls() throws {
        let mapping = try GenAIMapping.builtIn()
        let bytes = spanBytes(parent: 3, id: 4) { span in
            span.attribute("gen_ai.operation.name", "chat")
            span.attribute("gen_ai.request.model", "m")
            span.attribute("gen_ai.usage.input_tokens", 5)
        }
        let record = recognise(bytes, mapping) { $0.map(CallRecord.init) }
        #expect(record?.spanID == 4 && record?.parentSpanID == 3 && record?.input == 5 && record?.output == -1)
        #expect(record?.isCandidate == true && record?.model != 0 && record?.response == 0)
        #expect(record?.traceID.0 == 7 && record?.traceID.1 == 9)
        #expect(MemoryLayout<CallRecord>.stride == 96)
    }

    // MARK: Spans that were counted

    @Test func aSpanCountsOnce() {
        let counted = CountedSpans(capacity: 64)
        let first = counted.insert(traceID: (1, 2), spanID: 3)
        let again = counted.insert(traceID: (1, 2), spanID: 3)
        let other = counted.insert(traceID: (1, 2), spanID: 4)
        let zero = counted.insert(traceID: (0, 0), spanID: 1)
        #expect(first && !again && other && zero)
    }

    @Test func atLeastHalfOfTheCapacityIsRemembered() {
        let counted = CountedSpans(capacity: 1024)
        #expect(counted.capacity == 1024)
        for id in 1...UInt64(10_000) {
            let isNew = counted.insert(traceID: (id &* 77, id), spanID: id)
            #expect(isNew)
            // One of the last 511 is known still.
            let recent = max(1, id - min(id - 1, 511))
            let isKnown = !counted.insert(traceID: (recent &* 77, recent), spanID: recent)
            #expect(isKnown, "\(recent) after \(id)")
        }
    }
}
