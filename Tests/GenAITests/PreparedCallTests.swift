import Config
import OTLP
import Synchronization
import Testing

@testable import GenAI

/// The quick way to a cost gives what the general way gives, to the last digit.
@Suite struct PreparedCallTests {
    private static let names = [
        ("openai", "gpt-4o"), ("openai", "gpt-5.5"), ("openai", "gpt-5-mini"), ("anthropic", "claude-opus-5-5"),
        ("anthropic", "claude-haiku-5-5"), ("gcp.gemini", "gemini-2.5-pro"), ("deepseek", "deepseek-chat"),
        ("cohere", "rerank-v3.5"), ("openai", "text-embedding-3-large"), ("openai", "no-such-model-x"),
        ("aws.bedrock", "us.amazon.nova-pro-v1:0"), ("x_ai", "grok-4.7"), ("perplexity", "sonar"), ("", "gpt-4o-mini"),
    ]

    @Test func bothWaysAgree() throws {
        let mapping = try GenAIMapping.builtIn()
        let book = PriceBook()
        var random = RecognitionRandom(state: 5)
        var quick = 0
        var calls = 0
        for round in 0..<3000 {
            let (provider, model) = Self.names[Int(random.next() % UInt64(Self.names.count))]
            let limit: UInt64 = round % 3 == 0 ? 400_000 : round % 3 == 1 ? 5000 : 1 << 40
            let input = Int64(random.next() % limit)
            let bytes = spanBytes { span in
                // 2026-11-21, noon.
                span.append(tag: 7, .fixed64)
                span.append(fixed64: 1_795_262_400_000_000_000)
                span.attribute("gen_ai.operation.name", model.hasPrefix("text-emb") ? "embeddings" : "chat")
                if !provider.isEmpty { span.attribute("gen_ai.provider.name", provider) }
                span.attribute("gen_ai.request.model", model)
                span.attribute("gen_ai.usage.input_tokens", input)
                if random.next() % 4 > 0 {
                    span.attribute("gen_ai.usage.output_tokens", Int64(random.next() % limit))
                }
                if random.next() % 2 == 0 {
                    span.attribute("gen_ai.usage.cache_read.input_tokens", input / 2)
                    span.attribute("gen_ai.usage.cache_write.input_tokens", input / 5)
                }
                if random.next() % 5 == 0 { span.attribute("openai.response.service_tier", "priority") }
                if random.next() % 7 == 0 { span.attribute("gen_ai.usage.audio.input_tokens", input / 9) }
                if random.next() % 3 == 0 { span.attribute("gen_ai.usage.reasoning.output_tokens", 17) }
            }
            recognise(bytes, mapping) { call in
                guard let call else { return }
                withUnsafePointer(to: call) { call in
                    book.withReader { reader in
                        calls += 1
                        let general = reader.cost(of: call)
                        let prepared = reader.prepared(call)
                        if prepared.pointee.isUnknownModel { #expect(general.status == .unknownModel) }
                        guard let parts = prepared.pointee.cost(of: call) else { return }
                        quick += 1
                        #expect(general.cost == Money(picodollars: Int128(parts.total)))
                        #expect(general.parts.allOutput == Money(picodollars: Int128(parts.output)))
                        #expect(general.parts.cacheRead == Money(picodollars: Int128(parts.cacheRead)))
                        #expect(general.parts.cacheWrite == Money(picodollars: Int128(parts.cacheWrite)))
                        #expect(Double(parts.total) / 1e12 == general.cost?.doubleValue)
                        let savings = general.cost.flatMap { reader.cacheSavings(of: call, cost: $0) }
                        #expect(savings == Money(picodollars: Int128(parts.cacheSavings)))
                    }
                }
            }
        }
        // Otherwise the comparison would say little.
        #expect(quick > calls / 3)
    }

    @Test func namesOfAnyLengthArePrepared() throws {
        let mapping = try GenAIMapping.builtIn()
        let book = PriceBook()
        book.withReader { reader in
            for length in [1, 50, 159, 160, 161, 5000] {
                let bytes = spanBytes { span in
                    span.attribute("gen_ai.operation.name", "chat")
                    span.attribute("gen_ai.request.model", String(repeating: "m", count: length))
                }
                recognise(bytes, mapping) { call in
                    guard let call else { return }
                    withUnsafePointer(to: call) { call in
                        for _ in 0..<2 {
                            let prepared = reader.prepared(call)
                            #expect(prepared.pointee.isUnknownModel && prepared.pointee.model != 0)
                            prepared.pointee.tag = 7
                        }
                    }
                }
            }
        }
    }

    /// Readers on several threads see the old prices or the new ones, never a mixture, while files change under them.
    @Test func pricesChangeUnderRunningReaders() async throws {
        func file(_ price: Int) -> String {
            "prices: [{provider: openai, model: mine, per_1m: {input: \(price), output: \(price)}}]"
        }
        let disk = ChangingFile(file(1))
        let inputs = ConfigInputs(
            environment: { _ in nil },
            readFile: { (_: String, _: Int) throws(ConfigReadError) in Array(disk.text.withLock { $0 }.utf8) })
        let root = try ConfigLoader().load(configs: ["yaml:s: {files: [prices.yaml]}"]).root
        let section = ConfigSection(root["s"] ?? root, path: "s")
        let book = try PriceBook(PriceOptions(section), inputs: inputs)
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    var mixed = 0
                    while !disk.isDone.load(ordering: .acquiring) {
                        let usage = TokenUsage(input: 1_000_000, output: 1_000_000)
                        let result = book.cost(of: usage, provider: "openai", model: "mine", at: 1)
                        let both = [2, 4].map { Money(picodollars: Int128($0) * 1_000_000_000_000) }
                        if result.cost.map({ !both.contains($0) }) ?? true { mixed += 1 }
                    }
                    return mixed
                }
            }
            for round in 0..<200 {
                disk.text.withLock { $0 = file(round % 2 == 0 ? 2 : 1) }
                let isChanged = try? book.reload()
                #expect(isChanged == true)
            }
            disk.isDone.store(true, ordering: .releasing)
            for await mixed in group { #expect(mixed == 0) }
        }
        #expect(book.generation == 200)
    }
}

private final class ChangingFile: Sendable {
    let text: Mutex<String>
    let isDone = Atomic(false)

    init(_ text: String) { self.text = Mutex(text) }
}
