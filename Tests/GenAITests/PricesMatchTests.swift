import GenAI
import Testing

@Suite struct PricesMatchTests {
    private let book = PriceBook()

    /// `provider:model`, and how it was found.
    private func resolved(_ provider: String, _ model: String) -> (name: String, match: PriceMatch)? {
        book.rows(provider: provider, model: model).first.map { ("\($0.row.provider):\($0.row.model)", $0.match) }
    }

    @Test func everyRowResolvesToItselfByItsModel() {
        let rows = book.rows()
        #expect(rows.count == 1760)
        for row in rows {
            let found = book.rows(provider: row.provider, model: row.model)
            let isListed = found.contains { candidate in
                candidate.row.provider == row.provider && candidate.row.model == row.model
                    && candidate.row.validFrom == row.validFrom && candidate.match.isEmpty
            }
            #expect(isListed, "\(row.text)")
            #expect(found.allSatisfy { $0.row.model.lowercased() == row.model.lowercased() }, "\(row.text)")
        }
    }

    private static let listedNames: [(String, String, String, PriceMatch)] = [
        ("openai", "gpt-4o", "openai:gpt-4o", []),
        (" OpenAI ", "GPT-4o", "openai:gpt-4o", []),
        ("azure.ai.openai", "gpt-4o-2024-11-20", "azure:gpt-4o-2024-08-06", [.pattern]),
        ("openai", "openai/gpt-4o", "openai:gpt-4o", []),
        ("openai.chat", "gpt-5-2025-08-07", "openai:gpt-5", [.pattern]),
        ("aws.bedrock", "anthropic.claude-opus-5-5-v1:0", "aws_bedrock:anthropic.claude-opus-5-5", [.pattern]),
        ("gcp.gemini", "models/gemini-2.5-pro", "google:gemini-2.5-pro", []),
        (
            "gcp.vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
            "vertex_ai:gemini-2.5-pro", []
        ),
        ("groq", "groq/openai/gpt-oss-120b", "groq:openai/gpt-oss-120b", []),
        ("", "gpt-4o", "openai:gpt-4o", [.inferredProvider]),
        ("langchain", "claude-opus-5-5", "anthropic:claude-opus-5-5", [.inferredProvider]),
        ("litellm", "anthropic/claude-opus-5-5", "anthropic:claude-opus-5-5", []),
        ("langgenius/openai/openai", "gpt-4o", "openai:gpt-4o", []),
        ("azure", "claude-opus-5-5", "anthropic:claude-opus-5-5", [.otherProvider]),
    ]

    @Test(arguments: listedNames)
    func names(provider: String, model: String, expected: String, match: PriceMatch) {
        let found = resolved(provider, model)
        #expect(found?.name == expected)
        #expect(found?.match == match)
    }

    @Test func bedrockRegionsKeepTheirPriceAndFallBack() {
        let arn =
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
        let regional = resolved("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
        #expect(resolved("bedrock", arn)?.name == regional?.name)
        #expect(regional?.name.hasPrefix("aws_bedrock:regional.") == true)
        #expect(resolved("bedrock", "ca.cohere.command-text-v14")?.match.contains(.withoutRegion) == true)
        #expect(resolved("bedrock", "ap-south-1/cohere.command-text-v14")?.match.contains(.withoutRegion) == true)
        #expect(resolved("bedrock", "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc123") == nil)
    }

    @Test func versionMarksAreDroppedOnlyWhenNothingElseFits() {
        #expect(resolved("openai", "gpt-4-turbo-2029-01-31")?.name == "openai:gpt-4-turbo")
        #expect(resolved("openai", "gpt-4-turbo-2029-01-31")?.match == [.withoutVersion])
        #expect(resolved("groq", "llama-3.3-70b-versatile@001")?.match == [.withoutVersion])
    }

    @Test(arguments: [
        ("openai", "no-such-model"), ("ollama", "llama3"), ("openai", "gpt-99-super"), ("openai", "-"),
        ("anthropic", "claude-sonnet-4-5-mini"), ("anthropic", "claude-3-haiku-tts"), ("", "x/y/z"), ("openai", "///"),
        ("openai", "gpt-4o-2024-08-06-mini"),
    ])
    func unknownNamesHaveNoPrice(provider: String, model: String) throws {
        let result = book.cost(
            of: TokenUsage(input: 10, output: 10), provider: provider, model: model, at: try instant("2026-11-21"))
        #expect(result.status == .unknownModel)
        #expect(result.cost == nil && result.parts == CostParts())
    }

    @Test func anyNameIsSafe() throws {
        var dice = SeededDice(state: 4)
        let alphabet = Array("gpt-4o.claude/:@123us.anthropic arn^$é\0".utf8)
        let time = try instant("2026-11-21")
        for length in 0..<600 {
            let name = (0..<length).map { _ in alphabet.randomElement(using: &dice) ?? 0 }
            let provider = (0..<length % 40).map { _ in alphabet.randomElement(using: &dice) ?? 0 }
            let result = name.withUnsafeBytes { name in
                provider.withUnsafeBytes { book.cost(of: TokenUsage(input: 1), provider: $0, model: name, at: time) }
            }
            #expect(length == 0 ? result.status == .missingModel : result.status != .invalidUsage)
        }
    }

    @Test func rememberedNamesGiveTheSameAsNewOnes() throws {
        // More names than a reader remembers, twice, in one reader and in fresh ones.
        let time = try instant("2026-11-21")
        let usage = TokenUsage(input: 12_345, cacheRead: 1_000, output: 678)
        let rows = book.rows().filter { $0.provider != "openrouter" }
        let fresh = rows.map { PriceBookPerCall.cost(usage, $0, time) }
        let reused = book.withReader { reader in
            (0..<2).map { _ in
                rows.map { row -> Money? in
                    let (provider, model) = (Array(row.provider.utf8), Array(row.model.utf8))
                    return provider.withUnsafeBytes { provider in
                        model.withUnsafeBytes { reader.cost(of: usage, provider: provider, model: $0, at: time).cost }
                    }
                }
            }
        }
        #expect(reused[0] == fresh && reused[1] == fresh)
    }

    private enum PriceBookPerCall {
        static func cost(_ usage: TokenUsage, _ row: PriceDescription, _ time: UInt64) -> Money? {
            PriceBook().cost(of: usage, provider: row.provider, model: row.model, at: time).cost
        }
    }

    @Test(arguments: [
        ("2026-11-21", true), ("2026-11-21T12:00:00Z", true), ("2026-11-21t12:00:00.123456789+01:00", true),
        ("2026-02-30", false), ("2026-13-01", false), ("1969-12-31", false), ("2026-11-21T25:00:00Z", false),
        ("2026-11-21T12:00:00", false), ("2026-11-21T12:00:00.Z", false), ("", false), ("2026-11-2x", false),
        ("2026-11-21T12:00:00Zx", false), ("2026-11-21T12:00:00+1:00", false), ("1970-01-01T00:00:00+01:00", false),
    ])
    func times(text: String, isTime: Bool) { #expect((PriceInstant.parse(text) != nil) == isTime) }

    @Test func timesAreExact() throws {
        #expect(try instant("1970-01-02") == 86_400_000_000_000)
        #expect(try instant("2000-02-29T01:02:03.5Z") == 951_786_123_500_000_000)
        #expect(try instant("2000-02-29T02:02:03.5+01:00") == 951_786_123_500_000_000)
    }
}
