import GenAI
import Glibc

/// `martlet prices cost`: what one call cost.
enum PricesCostCommand {
    static let command = Command(
        name: "cost", abstract: "Prices one call. Exit code 1 when it has no cost.",
        discussion: """
            Counts are inclusive: input holds what was read from and written to caches and audio, output holds reasoning
            and audio. A count that is not given was not reported.
            """,
        options: [
            PriceFilesOption.option, PricesCommand.provider,
            CommandOption(name: "model", value: "name", help: "The model, as calls name it. Required."),
        ] + counts.map { CommandOption(name: $0.name, value: "count", help: $0.help) } + [
            CommandOption(
                name: "service-tier", value: "tier",
                help: "The service tier, such as default, batch, flex or priority."),
            CommandOption(name: "operation", value: "name", help: "The operation, such as chat or embeddings."),
            CommandOption(
                name: "at", value: "time",
                help: "When the call began: 2026-11-21 or 2026-11-21T12:00:00Z. Now otherwise."),
            CommandOption(name: "json", help: "One JSON object."),
        ], run: { try price($0) })

    private static let counts = [
        (name: "input", help: "All input tokens."),
        (name: "output", help: "All output tokens."),
        (name: "cache-read", help: "Input tokens read from a cache."),
        (name: "cache-write", help: "Input tokens written to a five-minute cache."),
        (name: "cache-write-1h", help: "Input tokens written to a one-hour cache."),
        (name: "reasoning", help: "Output tokens of reasoning."),
        (name: "audio-input", help: "Audio input tokens."),
        (name: "cached-audio-input", help: "Audio input tokens read from a cache."),
        (name: "audio-output", help: "Audio output tokens."),
        (name: "images", help: "Generated images."),
        (name: "requests", help: "Requests or search units."),
    ]

    private static func price(_ parsed: ParsedArguments) throws {
        guard let model = parsed.text("model") else { throw UsageError("--model is missing") }
        let provider = parsed.text("provider") ?? ""
        let json = parsed.flag("json")
        let time = try startTime(parsed.text("at"))
        let usage = TokenUsage(
            input: try parsed.integer("input"), cacheRead: try parsed.integer("cache-read"),
            cacheWrite5m: try parsed.integer("cache-write"), cacheWrite1h: try parsed.integer("cache-write-1h"),
            audioInput: try parsed.integer("audio-input"), cachedAudioInput: try parsed.integer("cached-audio-input"),
            output: try parsed.integer("output"), reasoning: try parsed.integer("reasoning"),
            audioOutput: try parsed.integer("audio-output"), images: try parsed.integer("images"),
            requests: try parsed.integer("requests"))
        let book = try PriceFilesOption.book(parsed)
        let tier = Array((parsed.text("service-tier") ?? "").utf8).withUnsafeBytes { ServiceTier($0) }
        let mode = Array((parsed.text("operation") ?? "").utf8).withUnsafeBytes { CallMode(operation: $0) }
        let result = book.cost(
            of: usage, provider: provider, model: model, serviceTier: tier, operation: mode, at: time)
        let report = CostReport(result, book: book, provider: provider, model: model, tier: tier)
        print(json ? report.json : report.text)
        if result.cost == nil { throw ExitCode.failure }
    }

    private static func startTime(_ at: String?) throws -> UInt64 {
        guard let at else {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        }
        guard let time = PriceInstant.parse(at) else {
            throw UsageError("--at must be a date such as 2026-11-21, or a time such as 2026-11-21T12:00:00Z")
        }
        return time
    }
}
