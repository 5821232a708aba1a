import GenAI
import Testing

@Suite struct PricesCostingTests {
    private let book = PriceBook()

    private func cost(
        _ usage: TokenUsage, _ provider: String, _ model: String, _ tier: ServiceTier = .standard,
        operation: CallMode = .unknown, at time: String = "2026-11-21T12:00:00Z"
    ) throws -> CostResult {
        book.cost(
            of: usage, provider: provider, model: model, serviceTier: tier, operation: operation, at: try instant(time))
    }

    @Test(arguments: [
        ("openai", "gpt-5.5", Int64(272_000)), ("google", "gemini-2.5-pro", 200_000), ("xai", "grok-4.7", 199_999),
        ("anthropic", "claude-haiku-5-5", 100_000),
    ])
    func thresholdsAreCliffs(provider: String, model: String, threshold: Int64) throws {
        let at = try cost(TokenUsage(input: threshold, output: 0), provider, model)
        let above = try cost(TokenUsage(input: threshold + 1, output: 0), provider, model)
        #expect(!at.conditions.contains(.aboveThreshold) && above.conditions.contains(.aboveThreshold))
        // Cached tokens count for the threshold, too.
        let cached = try cost(TokenUsage(input: threshold + 1, cacheRead: threshold, output: 0), provider, model)
        #expect(cached.conditions.contains(.aboveThreshold))
        let (low, high) = (try #require(at.cost), try #require(above.cost))
        #expect(high.zeptodollars > low.zeptodollars * 3 / 2)
    }

    @Test func datedRowsAreChosenByTheStartOfTheCall() throws {
        let usage = TokenUsage(input: 250_000, output: 0)
        let before = try cost(usage, "anthropic", "claude-sonnet-4-6", at: "2026-03-12T23:59:59.999999999Z")
        let after = try cost(usage, "anthropic", "claude-sonnet-4-6", at: "2026-03-13T00:00:00Z")
        #expect(before.cost?.description == "1.5" && after.cost?.description == "0.75")
        #expect(before.reference != after.reference)
    }

    @Test func peakWindowsIncludeTheirStartAndNotTheirEnd() throws {
        let usage = TokenUsage(input: 1_000_000, output: 0)
        for (time, expected) in [
            ("00:59:59", "0.15"), ("01:00:00", "0.3"), ("03:59:59", "0.3"), ("04:00:00", "0.15"), ("05:30:00", "0.15"),
            ("06:00:00", "0.3"), ("10:00:00", "0.15"),
        ] {
            let result = try cost(usage, "deepseek", "deepseek-flash", at: "2026-11-21T\(time)Z")
            #expect(result.cost?.description == expected, "\(time)")
            #expect(result.conditions.contains(.peak) == (expected == "0.3"))
        }
    }

    @Test func serviceTiers() throws {
        let usage = TokenUsage(input: 1_000_000, cacheRead: 500_000, output: 100_000, reasoning: 50_000)
        let small = TokenUsage(input: 100_000, cacheRead: 50_000, output: 10_000, reasoning: 5_000)
        #expect(try cost(small, "openai", "gpt-5.5", .flex).cost?.description == "0.2875")
        #expect(try cost(small, "openai", "gpt-5.5", .priority).cost?.description == "1.4375")
        #expect(try cost(small, "openai", "gpt-5.5", .batch).cost?.description == "0.2875")
        // Above the threshold the tier keeps its ratio: half of 10, 1 and 45.
        let above = try cost(usage, "openai", "gpt-5.5", .flex)
        #expect(above.cost?.description == "5" && above.conditions.contains(.derivedTierPrice) && above.isEstimate)
        // A batch discount that holds for cached reads holds for writes.
        let written = TokenUsage(
            input: 30_000, cacheRead: 10_000, cacheWrite5m: 10_000, cacheWrite1h: 10_000, output: 1_000)
        let standard = try #require(cost(written, "anthropic", "claude-opus-5-5").cost)
        let batch = try #require(cost(written, "anthropic", "claude-opus-5-5", .batch).cost)
        #expect(batch.zeptodollars * 2 == standard.zeptodollars)
        let without = try cost(usage, "groq", "llama-3.3-70b-versatile", .priority)
        #expect(without.conditions.contains(.tierWithoutPrice) && without.isEstimate)
    }

    @Test func serviceTierNames() {
        for (text, tier) in [
            ("", ServiceTier.standard), ("default", .standard), ("AUTO", .standard), ("ON_DEMAND", .standard),
            ("flex", .flex), ("ON_DEMAND_FLEX", .flex), ("Priority", .priority), ("ON_DEMAND_PRIORITY", .priority),
            ("batch", .batch), ("scale", .other), ("ultrafast", .other),
        ] {
            #expect(Array(text.utf8).withUnsafeBytes { ServiceTier($0) } == tier, "\(text)")
        }
    }

    @Test func cachedAudioIsSubtractedOnce() throws {
        let rows = book.rows().filter { $0.figures.contains { $0.name == "cached_audio_input_per_1m" } }
        #expect(rows.count > 5)
        for row in rows where row.validTo == nil {
            let figures = Dictionary(uniqueKeysWithValues: row.figures.map { ($0.name, $0.value) })
            func price(_ name: String) throws -> Int128 { try DecimalText.parse(#require(figures[name]), scale: 15) }
            // 1000 in all: 400 audio, of which 100 cached; 300 cached, of which 200 text.
            let usage = TokenUsage(input: 1000, cacheRead: 300, audioInput: 400, cachedAudioInput: 100, output: 0)
            let result = try cost(usage, row.provider, row.model)
            let read = try figures["cache_read_per_1m"] == nil ? price("input_per_1m") : price("cache_read_per_1m")
            let text = try price("input_per_1m") * 400 + read * 200
            let cachedAudio = try price("cached_audio_input_per_1m") * 100
            let expected = try text + cachedAudio + price("audio_input_per_1m") * 300
            #expect(result.cost?.zeptodollars == expected, "\(row.text)")
        }
    }

    @Test func noCostIsNotZero() throws {
        let usage = TokenUsage(input: 10, output: 10)
        #expect(try cost(TokenUsage(), "openai", "gpt-4o").status == .missingUsage)
        #expect(try cost(TokenUsage(input: -5, output: 3), "openai", "gpt-4o").status == .invalidUsage)
        #expect(try cost(usage, "openai", "").status == .missingModel)
        #expect(try cost(usage, "openai", "gpt-4o", operation: .none).status == .notBillable)
        let free = try cost(usage, "openai", "whisper-xyz")
        #expect(free.status == .unknownModel && free.cost == nil)
        let partial = try cost(TokenUsage(output: 10), "openai", "gpt-4o")
        #expect(partial.cost?.description == "0.0001" && partial.conditions.contains(.partialUsage))
        #expect(!(try cost(usage, "openai", "gpt-4o").conditions.contains(.partialUsage)))
        #expect(
            !(try cost(TokenUsage(input: 10), "openai", "text-embedding-3-small").conditions.contains(.partialUsage)))
    }

    @Test func feesAndUnits() throws {
        #expect(try cost(TokenUsage(), "cohere", "rerank-v3.5").cost?.description == "0.002")
        #expect(try cost(TokenUsage(input: 999, requests: 3), "cohere", "rerank-v3.5").cost?.description == "0.006")
        let image = try cost(TokenUsage(images: 3), "aws_bedrock", "stability.stable-image-core-v1:1")
        #expect(image.status == .priced && image.parts.images == image.cost)
        #expect(
            try cost(TokenUsage(input: 5), "aws_bedrock", "stability.stable-image-core-v1:1").status == .missingUsage)
    }

    @Test func hugeCountsDoNotTrap() throws {
        let most = TokenUsage.maximumCount
        let usage = TokenUsage(
            input: most, cacheRead: most, cacheWrite5m: most, cacheWrite1h: most, audioInput: most,
            cachedAudioInput: most,
            output: most, reasoning: most, audioOutput: most, images: most, requests: most)
        for row in book.rows() {
            for tier in ServiceTier.allCases {
                let result = try cost(usage, row.provider, row.model, tier)
                #expect(result.status != .invalidUsage && (result.cost ?? .zero) >= .zero)
            }
        }
    }

    /// Moving tokens from uncached to cached never costs more; more output never costs less; parts add up.
    @Test func costsAreMonotone() throws {
        var dice = SeededDice(state: 31)
        let rows = book.rows().filter { row in
            let names = row.figures.map(\.name)
            return names.contains("input_per_1m") && names.contains("output_per_1m") && row.validTo == nil
        }
        for _ in 0..<3000 {
            let row = try #require(rows.randomElement(using: &dice))
            let tier = try #require([ServiceTier.standard, .batch, .flex, .priority].randomElement(using: &dice))
            let input = Int64.random(in: 0...400_000, using: &dice)
            let read = Int64.random(in: 0...input, using: &dice)
            let less = Int64.random(in: 0...read, using: &dice)
            let output = Int64.random(in: 0...10_000, using: &dice)
            let cached = try cost(
                TokenUsage(input: input, cacheRead: read, output: output), row.provider, row.model, tier)
            let plain = try cost(
                TokenUsage(input: input, cacheRead: less, output: output), row.provider, row.model, tier)
            let more = try cost(
                TokenUsage(input: input, cacheRead: read, output: output + 1), row.provider, row.model, tier)
            let (a, b, c) = (try #require(cached.cost), try #require(plain.cost), try #require(more.cost))
            let isCheaper = row.figures.allSatisfy { $0.name != "cache_read_per_1m" } || a <= b || dearReads(row)
            #expect(isCheaper, "\(row.text) \(tier) \(input) \(read) \(less)")
            #expect(c >= a)
            #expect(cached.parts.allInput + cached.parts.allOutput + cached.parts.requests == a)
        }
    }

    /// A few rows list cached reads dearer than (discounted) input.
    private func dearReads(_ row: PriceDescription) -> Bool {
        let figures = Dictionary(uniqueKeysWithValues: row.figures.map { ($0.name, Double($0.value) ?? 0) })
        let read = figures["cache_read_per_1m"] ?? 0
        let input = figures["input_per_1m"] ?? 0
        let flex = figures["flex_input_per_1m"] ?? input
        return read > min(input * (1 - (figures["batch_discount"] ?? 0)), flex)
    }
}
