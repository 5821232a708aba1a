import Config
import GenAI
import Synchronization
import Testing

@Suite struct PricesUserTests {
    /// A file system of one file, `prices.yaml`, whose text can be changed.
    private final class OneFile: Sendable {
        private let text: Mutex<String?>
        init(_ text: String?) { self.text = Mutex(text) }
        func write(_ new: String?) { text.withLock { $0 = new } }
        var inputs: ConfigInputs {
            ConfigInputs(
                environment: { _ in "9" },
                readFile: { [self] (path: String, _: Int) throws(ConfigReadError) in
                    guard path == "prices.yaml", let text = text.withLock({ $0 }) else {
                        throw ConfigReadError("No such file")
                    }
                    return Array(text.utf8)
                })
        }
    }

    private func options(_ yaml: String) throws -> PriceOptions {
        let root = try ConfigLoader(inputs: OneFile(nil).inputs).load(configs: ["yaml:" + yaml]).root
        let section = ConfigSection(root, path: "prices")
        let options = PriceOptions(section)
        try section.finish()
        return options
    }

    private func errors(_ entry: String) -> String {
        do throws(ConfigError) {
            _ = try PriceFile(path: "p.yaml", bytes: Array("prices:\n  - \(entry)\n".utf8))
            return ""
        } catch {
            return error.description
        }
    }

    private func cost(
        _ book: PriceBook, _ provider: String, _ model: String, input: Int64 = 1_000_000, output: Int64 = 0,
        at time: String = "2026-11-21"
    ) throws -> CostResult {
        book.cost(
            of: TokenUsage(input: input, output: output), provider: provider, model: model, at: try instant(time))
    }

    @Test(arguments: [
        "per_1k: {input: 0.003, output: 0.015}", "per_1m: {input: 3, output: 15}",
        "per_token: {input: 0.000003, output: 1.5e-5}", "per_1m: {input: 3}, per_1k: {output: 0.015}",
        "input_cost_per_1k: 0.003, output_cost_per_1k: 0.015",
    ])
    func unitsMeanTheSame(prices: String) throws {
        let book = try PriceBook(options("{overrides: [{provider: openai, model: mine, \(prices)}]}"))
        #expect(try cost(book, "openai", "mine", output: 1_000_000).cost?.description == "18")
        #expect(book.version == book.builtinVersion + "+overrides")
    }

    @Test(arguments: [
        (
            "{model: m, per_token: {input: 3.0}}",
            "3000000 USD per million tokens; a figure per million tokens belongs under per_1m"
        ),
        ("{model: m, per_1k: {input: 3}}", "3000 USD per million tokens"),
        ("{model: m, per_1m: {input: 0.000003}}", "a figure per token belongs under per_token"),
        ("{model: m, input: 3}", "has no unit"),
        ("{model: m, per_1m: {input: 3}, per_1k: {input: 0.003}}", "given twice"),
        ("{model: m, per_1m: {input: -3}}", "must not be negative"),
        ("{model: m, per_1m: {input: cheap}}", "decimal number"),
        ("{model: m, per_1m: {input: 1e-30}}", "more decimals"),
        ("{model: m, per_1m: {input: [1]}}", "must be a number"),
        ("{model: m, per_1m: {inptu: 3}}", "did you mean"), ("{model: m}", "there is no price"),
        ("{per_1m: {input: 3}}", "needs \"model\" or \"match\""), ("{model: m, per_1m: {input: 1e99}}", "too large"),
        ("{match: \"(?=a)\", per_1m: {input: 3}}", "no usable regular expression"),
        ("{model: m, same_as: x, per_1m: {input: 3}}", "instead of prices"),
        ("{model: m, per_1m: {input: 3}, valid_from: 2026-02-30}", "must be a date"),
        ("{model: m, per_1m: {input: 3}, valid_from: 2026-02-03, valid_to: 2026-02-03}", "must be after"),
        ("{model: m, per_1m: {input: 3}, peak: {windows: [\"4-5\"], multiplier: 2}}", "must be times of the day"),
        (
            "{model: m, per_1m: {input: 3}, peak: {windows: [\"04:00-03:00\"], multiplier: 2}}",
            "the end after the start"
        ),
        ("{model: m, per_1m: {input: 3}, multiplier: 90}", "ten per cent off"),
        ("{model: m, per_1m: {input: 3}, batch: {discount: 50}}", "half price"),
        ("{model: m, per_1m: {input: 3}, above: {per_1m: {input: 6}}}", "\"tokens\" is missing"),
        ("{model: m, per_1m: {input: 3}, mode: chatty}", "chat"), ("{model: m, per_image: 5000}", "more than 1000 USD"),
        ("{provider: langchain, model: m, per_1m: {input: 3}}", "no provider that bills"), ("x", "mapping"),
    ])
    func whatIsAmbiguousOrAbsurdIsRefused(entry: String, message: String) {
        let text = errors(entry)
        #expect(text.contains(message), "\(text)")
        #expect(text.hasPrefix("p.yaml:2:"), "\(text)")
    }

    @Test func currenciesAreNotConverted() {
        #expect(throws: ConfigError.self) {
            try PriceFile(path: "p", bytes: Array("currency: EUR\nprices: [{model: m, per_1m: {input: 1}}]".utf8))
        }
        #expect(throws: ConfigError.self) { try PriceFile(path: "p", bytes: Array("{}".utf8)) }
        #expect(throws: ConfigError.self) {
            try PriceFile(
                path: "p",
                bytes: Array("prices: [{model: \"${env:SECRET}\", per_1m: {input: \"${file:/etc/passwd}\"}}]".utf8))
        }
    }

    @Test func layers() throws {
        let file = OneFile(
            "version: seven\nprices:\n  - {provider: openai, model: gpt-4o, per_1m: {input: 2, output: 8}}\n")
        let withFile = try PriceBook(options("{files: [prices.yaml]}"), inputs: file.inputs)
        #expect(withFile.version == withFile.builtinVersion + "+seven")
        let result = try cost(withFile, "openai", "gpt-4o", output: 1_000_000)
        #expect(result.cost?.description == "10" && result.match == .userPrice && !result.isEstimate)
        #expect(withFile.describe(result.reference)?.origin == "prices.yaml")
        // The dated name with which the provider answers is the same model, unless it has a price of its own.
        #expect(try cost(withFile, "openai", "gpt-4o-2024-08-06").cost?.description == "2")
        #expect(try cost(withFile, "openai", "gpt-4o-2024-05-13").cost?.description == "5")
        #expect(try cost(withFile, "openai", "gpt-4o-mini-2024-07-18").cost?.description == "0.15")
        let both = try PriceBook(
            options("{files: [prices.yaml], overrides: [{model: gpt-4o, per_1m: {input: 1}}]}"), inputs: file.inputs)
        #expect(try cost(both, "openai", "gpt-4o").cost?.description == "1")
        #expect(try cost(both, "openai", "gpt-4o-2024-08-06").cost?.description == "1")
        let dated = try PriceBook(
            options(
                """
                {overrides: [{model: gpt-4o, per_1m: {input: 1}}, {model: gpt-4o-2024-08-06, per_1m: {input: 3}},
                 {provider: azure, model: gpt-4o-mini, per_1m: {input: 9}}]}
                """))
        #expect(try cost(dated, "openai", "gpt-4o-2024-08-06").cost?.description == "3")
        #expect(try cost(dated, "openai", "gpt-4o-2024-11-20").cost?.description == "1")
        #expect(try cost(dated, "openai", "gpt-4o-mini-2024-07-18").cost?.description == "0.15")
        let half = try PriceBook(options("{overrides: [{model: claude-haiku-4-5, multiplier: 0.5}]}"))
        let haiku = try cost(half, "anthropic", "claude-haiku-4-5-20251001")
        #expect(haiku.cost?.description == "0.5" && !haiku.isEstimate)
        #expect(try cost(half, "anthropic", "claude-haiku-4-5-next").cost?.description == "1")
        // The entry has no output price: that is unknown, not the built-in one, and not zero.
        let missing = try cost(both, "openai", "gpt-4o", output: 1)
        #expect(missing.status == .unknownPrice && missing.unpriced == .output && missing.cost == nil)
    }

    @Test func aliasesMultipliersAndPeriods() throws {
        let book = try PriceBook(
            options(
                """
                {overrides: [
                  {provider: azure, model: prod-chat, same_as: gpt-4o-2024-11-20},
                  {match: "^team-[a-z]+$", same_as: openai/gpt-4o, multiplier: 0.5},
                  {provider: anthropic, match: ".*", multiplier: 0.9},
                  {model: loop-a, same_as: loop-b}, {model: loop-b, same_as: loop-a},
                  {provider: openai, model: gpt-4o, per_1m: {input: 7}, valid_from: 2026-01-01, valid_to: 2026-02-01},
                  {provider: self, model: llama, per_1m: {input: 0.1}, above: {tokens: 1000, per_1m: {input: 0.2}},
                   peak: {windows: ["00:00-24:00"], multiplier: 3}, per_request: 0.5}
                ]}
                """))
        let alias = try cost(book, "azure.ai.openai", "prod-chat")
        #expect(alias.cost?.description == "2.5" && alias.match.contains(.alias))
        let half = try cost(book, "", "team-blue")
        #expect(half.cost?.description == "1.25" && half.match.isSuperset(of: [.alias, .multiplied]))
        #expect(try cost(book, "anthropic", "claude-opus-5-5").cost?.description == "3.6")
        #expect(try cost(book, "anthropic", "nothing").status == .unknownModel)
        #expect(try cost(book, "", "loop-a").status == .unknownModel)
        #expect(try cost(book, "openai", "gpt-4o", at: "2026-01-31").cost?.description == "7")
        #expect(try cost(book, "openai", "gpt-4o", at: "2026-02-01").cost?.description == "2.5")
        #expect(try cost(book, "self", "llama", input: 1000).cost?.description == "0.5003")
        #expect(try cost(book, "self", "llama", input: 1001).cost?.description == "0.5006006")
    }

    @Test func changedFilesAreTakenAndWrongOnesAreNot() throws {
        func file(_ input: String) -> String { "prices: [{provider: openai, model: mine, per_1m: {input: \(input)}}]" }
        let disk = OneFile(file("1"))
        let book = try PriceBook(options("{files: [prices.yaml], reload_interval: 5s}"), inputs: disk.inputs)
        let first = book.version
        #expect(try cost(book, "openai", "mine").cost?.description == "1")
        #expect(try book.reload() == false)
        disk.write(file("2"))
        #expect(try book.reload())
        #expect(try cost(book, "openai", "mine").cost?.description == "2")
        #expect(book.version != first)
        disk.write("prices: [{provider: openai, model: mine, per_1m: {input: x}}]")
        #expect(throws: ConfigError.self) { try book.reload() }
        disk.write(nil)
        #expect(throws: ConfigError.self) { try book.reload() }
        #expect(try cost(book, "openai", "mine").cost?.description == "2")
        #expect(throws: ConfigError.self) { try PriceBook(options("{files: [absent.yaml]}"), inputs: disk.inputs) }
        #expect(throws: ConfigError.self) { try options("{flies: [a]}") }
    }

    @Test func anyFileIsReadOrRefused() throws {
        let whole = """
            version: "a"
            prices:
              - {provider: openai, model: gpt-x, match: '^gpt-x-\\d+$', per_1m: {input: 3, output: 15, cache_read: 0.3},
                 above: {tokens: 200000, per_1m: {input: 6}}, batch: {discount: 0.5}, peak: {windows: ["01:00-02:00"], multiplier: 2}}
              - {model: y, same_as: gpt-x, multiplier: 0.9, valid_from: 2026-01-01}
            """
        #expect(try PriceFile(path: "p", bytes: Array(whole.utf8)).count == 2)
        for end in 0...whole.utf8.count { _ = try? PriceFile(path: "p", bytes: Array(whole.utf8.prefix(end))) }
        var dice = SeededDice(state: 12)
        for _ in 0..<2000 {
            var bytes = Array(whole.utf8)
            for _ in 0..<Int.random(in: 1...6, using: &dice) {
                bytes[Int.random(in: 0..<bytes.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
            }
            _ = try? PriceFile(path: "p", bytes: bytes)
        }
    }

    @Test func reportsNameEverything() throws {
        let book = PriceBook()
        let result = try cost(book, "openai", "gpt-5.5", input: 300_000, output: 2_000)
        let report = CostReport(result, book: book, provider: "openai", model: "gpt-\"5.5\n", tier: .standard)
        #expect(report.json.hasPrefix(#"{"cost":3.09,"currency":"USD","status":"priced","estimate":false,"#))
        #expect(report.json.contains(#""model":"gpt-\"5.5\u000a""#))
        #expect(report.json.contains(#""parts":{"input":3,"cache_read":0,"#))
        #expect(report.json.contains(#""price_version":"2026-11-21""#))
        #expect(report.text.contains("price openai gpt-5.5 (built-in)"))
        let none = CostReport(
            try cost(book, "x", "y"), book: book, provider: "x", model: "y", tier: .standard)
        #expect(none.json.hasPrefix(#"{"cost":null,"currency":"USD","status":"unknown_model""#))
        #expect(none.json.contains(#""parts":{},"price":null"#))
    }
}
