import ArgumentParser
import GenAI
import Glibc

/// `martlet prices cost`: what one call cost.
struct PricesCostCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cost", abstract: "Prices one call. Exit code 1 when it has no cost.",
        discussion: """
            Counts are inclusive: input holds what was read from and written to caches and audio, output holds reasoning
            and audio. A count that is not given was not reported.
            """)

    @OptionGroup var source: PriceFilesOptions
    @Option(help: "The provider, as calls name it. Without it, the model's name decides.")
    var provider = ""
    @Option(help: "The model, as calls name it.")
    var model: String
    @Option(help: "All input tokens.")
    var input: Int64?
    @Option(help: "All output tokens.")
    var output: Int64?
    @Option(help: "Input tokens read from a cache.")
    var cacheRead: Int64?
    @Option(help: "Input tokens written to a five-minute cache.")
    var cacheWrite: Int64?
    @Option(name: .customLong("cache-write-1h"), help: "Input tokens written to a one-hour cache.")
    var cacheWrite1h: Int64?
    @Option(help: "Output tokens of reasoning.")
    var reasoning: Int64?
    @Option(help: "Audio input tokens.")
    var audioInput: Int64?
    @Option(help: "Audio input tokens read from a cache.")
    var cachedAudioInput: Int64?
    @Option(help: "Audio output tokens.")
    var audioOutput: Int64?
    @Option(help: "Generated images.")
    var images: Int64?
    @Option(help: "Requests or search units.")
    var requests: Int64?
    @Option(help: "The service tier, such as default, batch, flex or priority.")
    var serviceTier = ""
    @Option(help: "The operation, such as chat or embeddings.")
    var operation = ""
    @Option(help: "When the call began: 2026-11-21 or 2026-11-21T12:00:00Z. Now otherwise.")
    var at: String?
    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        let time = try startTime()
        let book = try source.book()
        let usage = TokenUsage(
            input: input, cacheRead: cacheRead, cacheWrite5m: cacheWrite, cacheWrite1h: cacheWrite1h,
            audioInput: audioInput, cachedAudioInput: cachedAudioInput, output: output, reasoning: reasoning,
            audioOutput: audioOutput, images: images, requests: requests)
        let tier = Array(serviceTier.utf8).withUnsafeBytes { ServiceTier($0) }
        let mode = Array(operation.utf8).withUnsafeBytes { CallMode(operation: $0) }
        let result = book.cost(
            of: usage, provider: provider, model: model, serviceTier: tier, operation: mode, at: time)
        let report = CostReport(result, book: book, provider: provider, model: model, tier: tier)
        print(json ? report.json : report.text)
        if result.cost == nil { throw Exit.failure }
    }

    private func startTime() throws -> UInt64 {
        guard let at else {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        }
        guard let time = PriceInstant.parse(at) else {
            throw ValidationError("--at must be a date such as 2026-11-21, or a time such as 2026-11-21T12:00:00Z")
        }
        return time
    }
}
