import OTLP
import Testing

@testable import GenAI

/// Spans that mean harm, and spans that broke on their way.
@Suite struct RecognitionHostileTests {
    let mapping: GenAIMapping

    init() throws { mapping = try GenAIMapping.builtIn() }

    /// Every prefix of every golden span is read without leaving its bytes (each lies in memory of its own).
    @Test func truncatedEverywhere() {
        var spans = 0
        for golden in GoldenSpan.all {
            let whole = SpanBytes(golden.request)
            for length in 0..<whole.span.count {
                var bytes = whole
                bytes.span = Array(whole.span[..<length])
                recognise(bytes, mapping) { call in
                    if let call { checkInvariants(call) }
                }
                spans += 1
            }
        }
        #expect(spans > 20_000)
    }

    @Test func mutated() {
        var random = RecognitionRandom(state: 2026)
        let corpus = GoldenSpan.all.map { SpanBytes($0.request) }
        var recognised = 0
        for round in 0..<30_000 {
            var bytes = corpus[round % corpus.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let at = Int.random(in: 0..<max(1, bytes.span.count), using: &random)
                guard at < bytes.span.count else { break }
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.span[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.span[at] ^= 1 << UInt8.random(in: 0...7, using: &random)
                case 2: bytes.span.remove(at: at)
                default: bytes.span.insert(UInt8.random(in: 0...255, using: &random), at: at)
                }
            }
            let wasFound = recognise(bytes, mapping) { call -> Bool in
                guard let call else { return false }
                checkInvariants(call)
                return true
            }
            if wasFound { recognised += 1 }
        }
        #expect(recognised > 10_000)
    }

    @Test func randomBytes() {
        var random = RecognitionRandom(state: 5)
        for _ in 0..<20_000 {
            var bytes = SpanBytes([])
            bytes.span = (0..<Int.random(in: 0...96, using: &random)).map { _ in
                // Tags of spans more often than not.
                Bool.random(using: &random)
                    ? [0x4A, 0x0A, 0x12, 0x5A, 0x39, 0x7A, 0x08, 0x06].randomElement(using: &random) ?? 0
                    : UInt8.random(in: 0...255, using: &random)
            }
            recognise(bytes, mapping) { call in
                if let call { checkInvariants(call) }
            }
        }
    }

    /// What a consumer relies on, whatever the span says.
    private func checkInvariants(_ call: ModelCall) {
        let usage = call.usage
        for tokenClass in TokenClass.allCases {
            if let count = usage[tokenClass] { #expect(count >= 0 && count <= TokenUsage.maximumCount) }
        }
        if let input = usage.input {
            let cached = (usage.cacheRead ?? 0) + (usage.cacheWrite5m ?? 0) + (usage.cacheWrite1h ?? 0)
            #expect(input >= cached)
        }
        if let cost = call.reportedCost { #expect(cost >= 0 && cost.isFinite) }
        if let seconds = call.timeToFirstChunk { #expect(seconds >= 0 && seconds.isFinite) }
        #expect(call.aggregate != .none || !call.kind.isAggregate)
        // Texts are read to their last byte.
        var sum = 0
        for field in CallField.allCases {
            if let text = call.text(field) { for byte in text { sum &+= Int(byte) } }
        }
        call.forEachFinishReason { for byte in $0 { sum &+= Int(byte) } }
        #expect(sum >= 0)
        var writer = WireWriter()
        withUnsafePointer(to: call) { mapping.append(mapping.fieldsToWrite($0), of: $0, to: &writer) }
        let isWhole = !writer.overflowed
        #expect(isWhole)
    }

    @Test func tenThousandAttributes() {
        let bytes = spanBytes { span in
            span.attribute("gen_ai.operation.name", "chat")
            for number in 0..<10_000 { span.attribute("llm.input_messages.\(number).message.content", "x") }
            span.attribute("gen_ai.usage.input_tokens", 5)
        }
        #expect(row(bytes, mapping) == "kind=model op=chat marks=truncated source=otel rule=gen_ai.operation.name")
    }

    @Test func usageBehindAHundredIndexedKeys() {
        let bytes = spanBytes { span in
            for number in 0..<100 { span.attribute("gen_ai.prompt.\(number).content", "x") }
            span.attribute("llm.request.type", "chat")
            span.attribute("gen_ai.usage.prompt_tokens", 5)
        }
        #expect(row(bytes, mapping) == "kind=model op=chat in=5 source=openllmetry rule=llm.request.type")
    }

    @Test func fiveMegabytesOfPrompt() {
        let prompt = String(repeating: "All work and no play. ", count: 240_000)
        let bytes = spanBytes { span in
            span.attribute("gen_ai.input.messages", prompt)
            span.attribute("gen_ai.operation.name", "chat")
            span.attribute("gcp.vertex.agent.llm_response", "{\"content\": \"\(prompt)\", \"usage_metadata\": {}}")
            span.attribute("gen_ai.output.messages", "[{\"content\": \"\(prompt)\", \"finish_reason\": \"stop\"}]")
            span.attribute("gen_ai.usage.input_tokens", 9)
        }
        #expect(
            row(bytes, mapping)
                == "kind=model op=chat in=9 finish=stop marks=unreadableText,textTooLong source=adk"
                + " rule=gen_ai.operation.name")
    }

    @Test func nestingOfJSONIsNoMatter() {
        for opening in ["[", "{\"a\":", "{\"usage_metadata\":"] {
            let text = String(repeating: opening, count: 100_000)
            let bytes = spanBytes { span in
                span.attribute("gen_ai.operation.name", "chat")
                span.attribute("gcp.vertex.agent.llm_response", text)
                span.attribute("gen_ai.usage.raw", text)
            }
            let row = row(bytes, mapping)
            #expect(row.hasPrefix("kind=model op=chat marks=unreadableText"))
        }
    }

    /// An array of a hundred thousand elements in an attribute for one value.
    @Test func longArrays() {
        let text = "{\"replies\": [" + String(repeating: "{},", count: 50_000) + "{}]}"
        let bytes = spanBytes { span in
            span.attribute("haystack.component.name", "x")
            span.attribute("haystack.component.output", text)
        }
        #expect(row(bytes, mapping) == "kind=other source=haystack rule=haystack.*")
    }

    @Test func sumsDoNotOverflow() {
        let most = TokenUsage.maximumCount
        let bytes = spanBytes { span in
            span.attribute("gen_ai.operation.name", "chat")
            for key in [
                "input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens",
                "reasoning.output_tokens", "total_tokens",
            ] {
                span.attribute("gen_ai.usage.\(key)", most)
            }
        }
        recognise(bytes, mapping) { call in
            // The sum is beyond belief: no count, and the class says so.
            #expect(call?.usage.input == nil)
            #expect(call?.usage.invalid.contains(.init(.input)) == true)
        }
    }

    /// Of equal keys the last counts; what is appended replaces what was there.
    @Test func repeatedKeys() {
        let bytes = spanBytes { span in
            span.attribute("gen_ai.operation.name", "chat")
            span.attribute("gen_ai.usage.input_tokens", 5)
            span.attribute("gen_ai.usage.input_tokens", 6)
        }
        #expect(row(bytes, mapping) == "kind=model op=chat in=6 source=otel rule=gen_ai.operation.name")
    }

    @Test func keysOfAnyLengthAndFieldsInAnyOrder() {
        let long = String(repeating: "k", count: 300)
        var value = WireWriter()
        Array("chat".utf8).withUnsafeBytes { value.append(field: 1, bytes: $0) }
        let bytes = spanBytes { span in
            span.attribute("gen_ai.\(long)", "x")
            span.attribute("", "x")
            span.attribute("abc", "x")
            // Value before key.
            var attribute = WireWriter()
            attribute.append(field: 2, bytes: value.bytes)
            Array("gen_ai.operation.name".utf8).withUnsafeBytes { attribute.append(field: 1, bytes: $0) }
            span.append(field: 9, bytes: attribute.bytes)
        }
        #expect(row(bytes, mapping) == "kind=model op=chat source=otel rule=gen_ai.operation.name")
    }
}
