import Config
import GenAI
import Testing

@Suite struct PricesImportTests {
    private static let litellm = #"""
        {"sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 1},
         "azure/gpt-q": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 5e-06,
            "output_cost_per_token": 3e-05, "cache_read_input_token_cost": 5e-07, "input_cost_per_token_above_200k_tokens": 1e-05,
            "output_cost_per_token_above_200k_tokens": 4.5e-05, "input_cost_per_token_batches": 2.5e-06,
            "output_cost_per_token_batches": 1.5e-05, "input_cost_per_token_flex": 8.900000000000001e-07,
            "max_tokens": 1, "supported": ["a"], "search": {"x": 0.01}},
         "vertex_ai/claude-q@2025": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 0.000003},
         "free": {"litellm_provider": "openai", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
         "seconds": {"litellm_provider": "openai", "input_cost_per_second": 0.1},
         "broken": {"litellm_provider": "openai", "input_cost_per_token": 3.0, "output_cost_per_token": 1e-6},
         "rerank-q": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002}, "odd": 3}
        """#

    private static let genaiPrices = #"""
        [{"id": "x-ai", "name": "X", "models": [
          {"id": "g-1", "match": {"or": [{"equals": "g-1"}, {"starts_with": "g.1-"}, {"regex": "^g1-\\d{2}$"}]},
           "prices": [{"prices": {"input_mtok": 2, "output_mtok": 10}},
                      {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": {"base": 1, "tiers":
                         [{"start": 1000, "price": 3}]}, "output_mtok": 5, "requests_kcount": 12}},
                      {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 9}}],
           "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 0.5, "output_mtok": 2.5}}]},
          {"id": "g-2", "match": {"and": [{"contains": "g"}]}, "prices": {"input_mtok": "0.25"}},
          {"id": "g-3", "match": {"equals": "g-3"}, "prices": {}}]}]
        """#

    private func book(_ json: String) throws -> (book: PriceBook, imported: PriceImport) {
        let imported = try PriceImport(Array(json.utf8))
        let text = imported.priceFile(version: "v\"1")
        let inputs = ConfigInputs(
            environment: { _ in nil }, readFile: { (_: String, _: Int) throws(ConfigReadError) in Array(text.utf8) })
        var options = PriceOptions()
        options.files = ["imported.yaml"]
        return (try PriceBook(options, inputs: inputs), imported)
    }

    private func cost(
        _ book: PriceBook, _ provider: String, _ model: String, _ input: Int64, _ output: Int64,
        _ tier: ServiceTier = .standard, at time: String = "2026-11-21"
    ) throws -> String? {
        book.cost(
            of: TokenUsage(input: input, output: output), provider: provider, model: model, serviceTier: tier,
            at: try instant(time)
        ).cost?.description
    }

    @Test func liteLLM() throws {
        let (book, imported) = try book(Self.litellm)
        #expect(imported.format == .litellm && imported.count == 3)
        #expect(Set(imported.skipped.map(\.name)) == ["free", "seconds", "broken", "odd"])
        #expect(book.version.hasSuffix("+v\"1"))
        #expect(try cost(book, "azure", "gpt-q", 1000, 1000) == "0.035")
        #expect(try cost(book, "azure", "gpt-q", 200_001, 0) == "2.00001")
        #expect(try cost(book, "azure", "gpt-q", 1000, 1000, .batch) == "0.0175")
        // 8.900000000000001e-07 went through binary floating point; it is 0.89 per million.
        #expect(try cost(book, "azure", "gpt-q", 1_000_000 / 8, 0, .flex) == "0.11125")
        #expect(try cost(book, "vertex_ai", "claude-q@2025", 1000, 0) == "0.003")
        #expect(try cost(book, "cohere", "rerank-q", 0, 0) == "0.002")
    }

    @Test func genAIPrices() throws {
        let (book, imported) = try book(Self.genaiPrices)
        #expect(imported.format == .genaiPrices && imported.count == 3)
        #expect(try cost(book, "xai", "g-1", 1_000_000, 0, at: "2025-12-31") == "2")
        #expect(try cost(book, "xai", "g-1", 1000, 0) == "0.013")
        #expect(try cost(book, "xai", "g.1-anything", 1001, 0) == "0.015003")
        #expect(try cost(book, "xai", "g1-42", 1000, 0, .batch) == "0.0125")
        #expect(try cost(book, "xai", "g1-4", 1000, 0) == nil)
        #expect(try cost(book, "xai", "g-2", 1000, 0) == "0.00025")
    }

    @Test func textThatIsNoPriceDataIsRefused() {
        for text in [
            "", "{", "[]", "{}", "3", "null", "{\"a\":1}", "[{\"id\":\"openai\"}]", "[1,]", "{\"a\" 1}", "[1] x",
        ] {
            #expect(throws: PriceImport.Failure.self, "\(text)") { try PriceImport(Array(text.utf8)) }
        }
        #expect(throws: PriceImport.Failure.self) { try PriceImport(Array(Self.litellm.utf8), format: .genaiPrices) }
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: PriceImport.Failure.self) { try PriceImport(Array(deep.utf8)) }
    }

    @Test func whatIsImportedIsAPriceFile() throws {
        // Cut and damaged data gives an error, or a file that its own reader takes.
        var dice = SeededDice(state: 77)
        for source in [Self.litellm, Self.genaiPrices] {
            let bytes = Array(source.utf8)
            for end in stride(from: 0, to: bytes.count, by: 7) { _ = try? PriceImport(Array(bytes[..<end])) }
            for _ in 0..<1000 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...4, using: &dice) {
                    damaged[Int.random(in: 0..<damaged.count, using: &dice)] = UInt8.random(
                        in: 0x20...0x7E, using: &dice)
                }
                guard let imported = try? PriceImport(damaged) else { continue }
                let file = imported.priceFile(version: "x")
                #expect(throws: Never.self, "\(file)") { try PriceFile(path: "p", bytes: Array(file.utf8)) }
            }
        }
    }
}
