import GenAI
import Testing

/// Unix nanoseconds of a time that the test knows to be one.
func instant(_ text: String) throws -> UInt64 { try #require(PriceInstant.parse(text)) }

/// Calls whose cost two independent price libraries agree on, and the arithmetic of the reference.
@Suite struct PricesExampleTests {
    struct Example: Sendable {
        let provider: String
        let model: String
        let tier: String
        let input: Int64
        let read: Int64
        let write5m: Int64
        let write1h: Int64
        let output: Int64
        let reasoning: Int64
        let audioInput: Int64
        let audioOutput: Int64
        let cost: String

        init(
            _ provider: String, _ model: String, _ tier: String, _ input: Int64, _ read: Int64, _ write5m: Int64,
            _ write1h: Int64, _ output: Int64, _ reasoning: Int64, _ audioInput: Int64, _ audioOutput: Int64,
            _ cost: String
        ) {
            (self.provider, self.model, self.tier) = (provider, model, tier)
            (self.input, self.read, self.write5m, self.write1h) = (input, read, write5m, write1h)
            (self.output, self.reasoning, self.audioInput, self.audioOutput) = (
                output, reasoning, audioInput, audioOutput
            )
            self.cost = cost
        }

        var usage: TokenUsage {
            TokenUsage(
                input: input, cacheRead: read, cacheWrite5m: write5m, cacheWrite1h: write1h, audioInput: audioInput,
                output: output, reasoning: reasoning, audioOutput: audioOutput)
        }
    }

    private static let examples: [Example] = [
        Example("openai", "gpt-4o", "", 1000, 0, 0, 0, 500, 0, 0, 0, "0.0075"),
        Example("openai", "gpt-4o-2024-08-06", "", 12000, 10240, 0, 0, 800, 0, 0, 0, "0.0252"),
        Example("openai", "gpt-5-2025-08-07", "", 20000, 15000, 0, 0, 3000, 2000, 0, 0, "0.038125"),
        Example("openai", "gpt-5.5", "", 300000, 100000, 0, 0, 2000, 0, 0, 0, "2.19"),
        Example("openai", "gpt-5.5", "", 272000, 100000, 0, 0, 2000, 0, 0, 0, "0.97"),
        Example("openai", "gpt-6-sol", "", 50000, 30000, 10000, 0, 1000, 0, 0, 0, "0.061"),
        Example("openai", "gpt-5-mini", "flex", 100000, 0, 0, 0, 5000, 0, 0, 0, "0.0175"),
        Example("openai", "gpt-5.1", "priority", 10000, 4000, 0, 0, 1000, 0, 0, 0, "0.036"),
        Example("openai", "gpt-audio-1.5", "", 1500, 0, 0, 0, 900, 0, 1000, 600, "0.07465"),
        Example("openai", "ft:gpt-4o-mini-2024-07-18:acme:support:9xYz", "", 2000, 0, 0, 0, 300, 0, 0, 0, "0.00096"),
        Example("azure", "gpt-4o-2024-11-20", "", 4000, 2000, 0, 0, 1000, 0, 0, 0, "0.0175"),
        Example("anthropic", "claude-haiku-4-5-20251001", "", 60000, 50000, 4000, 0, 3000, 0, 0, 0, "0.031"),
        Example("anthropic", "claude-haiku-5-5", "", 120000, 90000, 0, 0, 1000, 0, 0, 0, "0.022"),
        Example("anthropic", "claude-opus-5-5", "", 40000, 30000, 3000, 2000, 2000, 0, 0, 0, "0.097"),
        Example("google", "gemini-2.5-pro", "", 200001, 50000, 0, 0, 1500, 0, 0, 0, "0.4100025"),
        Example("google", "gemini-2.5-flash", "", 5000, 0, 0, 0, 300, 0, 3000, 0, "0.00435"),
        Example(
            "aws_bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "", 20000, 15000, 2000, 0, 1000, 0, 0, 0,
            "0.0396"),
        Example("aws_bedrock", "us.amazon.nova-pro-v1:0", "", 10000, 4000, 0, 0, 500, 0, 0, 0, "0.0072"),
        Example("xai", "grok-4.7", "", 200000, 0, 0, 0, 1000, 0, 0, 0, "0.812"),
        Example("openai", "text-embedding-3-large", "", 123456, 0, 0, 0, 0, 0, 0, 0, "0.01604928"),
        // Where the packages disagree, the table's choice.
        Example("anthropic", "claude-sonnet-4-5", "", 250000, 200000, 20000, 0, 2500, 0, 0, 0, "0.50625"),
        Example("aws_bedrock", "anthropic.claude-opus-5-5", "", 10000, 0, 0, 0, 1000, 0, 0, 0, "0.06"),
        Example("aws_bedrock", "eu.amazon.nova-pro-v1:0", "", 10000, 0, 0, 0, 500, 0, 0, 0, "0.0126"),
        Example("perplexity", "sonar", "", 3000, 0, 0, 0, 400, 0, 0, 0, "0.0154"),
        Example("openai", "gpt-5", "batch", 20000, 0, 0, 0, 3000, 0, 0, 0, "0.0275"),
        Example("anthropic", "claude-opus-4-20250514", "", 8000, 5000, 0, 0, 1200, 0, 0, 0, "0.1425"),
    ]

    private func cost(_ example: Example, provider: String? = nil) throws -> CostResult {
        let tier = Array(example.tier.utf8).withUnsafeBytes { ServiceTier($0) }
        return PriceBook().cost(
            of: example.usage, provider: provider ?? example.provider, model: example.model, serviceTier: tier,
            at: try instant("2026-11-21T12:00:00Z"))
    }

    @Test(arguments: examples)
    func workedExample(example: Example) throws {
        let result = try cost(example)
        #expect(result.status == .priced)
        #expect(result.cost?.description == example.cost)
        #expect(result.parts.named.map(\.amount).reduce(.zero, +) == result.cost)
    }

    @Test(arguments: [
        ("openai", "gpt-4-turbo", "10", "30"), ("openai", "gpt-3.5-turbo", "0.5", "1.5"),
        ("openai", "gpt-4", "30", "60"),
        ("anthropic", "claude-3-sonnet", "3", "15"), ("anthropic", "claude-3-haiku", "0.25", "1.25"),
        ("anthropic", "claude-3-5-sonnet", "3", "15"), ("anthropic", "claude-opus-4-20250514", "15", "75"),
        ("google", "gemini-1.5-pro", "1.25", "5"), ("google", "gemini-1.5-flash", "0.075", "0.3"),
        ("openai", "gpt-4o", "2.5", "10"), ("openai", "gpt-4o-mini", "0.15", "0.6"),
    ])
    func namedPrices(provider: String, model: String, input: String, output: String) throws {
        let book = PriceBook()
        let time = try instant("2026-11-21")
        let inputOnly = book.cost(of: TokenUsage(input: 1000, output: 0), provider: provider, model: model, at: time)
        let outputOnly = book.cost(of: TokenUsage(input: 0, output: 1000), provider: provider, model: model, at: time)
        #expect(inputOnly.cost == (try Money(parsing: input + "e-3")))
        #expect(outputOnly.cost == (try Money(parsing: output + "e-3")))
    }

    /// Costs that scripts/prices computed from the same figures with decimal arithmetic of its own.
    @Test func goldenCosts() throws {
        let path =
            String(#filePath.dropLast("GenAITests/PricesExampleTests.swift".count)) + "Fixtures/prices/golden.tsv"
        let text = String(decoding: try fileBytes(path), as: UTF8.self)
        let book = PriceBook()
        var count = 0
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ").map(String.init)
            let counts = try words[4..<12].map { try #require(Int64($0)) }
            let usage = TokenUsage(
                input: counts[0], cacheRead: counts[1], cacheWrite5m: counts[2], cacheWrite1h: counts[3],
                audioInput: counts[6], output: counts[4], reasoning: counts[5], audioOutput: counts[7])
            let tier = Array((words[2] == "-" ? "" : words[2]).utf8).withUnsafeBytes { ServiceTier($0) }
            let result = book.cost(
                of: usage, provider: words[0], model: words[1], serviceTier: tier, at: try instant(words[3]))
            #expect(result.cost?.description == words[12], "\(line) \(result.status.name) \(result.parts.named)")
            count += 1
        }
        #expect(count >= 400)
    }
}
