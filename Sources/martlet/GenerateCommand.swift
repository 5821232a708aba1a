import Compression
import Config
import Dispatch
import Generator
import Glibc

/// `martlet generate`: makes traces and sends them, or writes them to a file.
struct GenerateCommand {
    static let command = Command(
        name: "generate",
        abstract: "Sends generated traces to an OTLP/HTTP endpoint. Exit code 1 when any was not accepted.",
        options: [
            CommandOption(
                name: "endpoint", value: "url",
                help: "Where to send to; /v1/traces is added. Default: \(defaultEndpoint)"),
            CommandOption(name: "output", value: "file", help: "Write OTLP JSON lines to a file in place of sending."),
            CommandOption(
                name: "traces", value: "count",
                help: "How many traces. Default: \(defaultTraces) without --duration, no limit with it."),
            CommandOption(name: "duration", value: "duration", help: "How long to go on, such as 10s."),
            CommandOption(name: "rate", value: "rate", help: "Traces a second; 0, the default, is as fast as it goes."),
            CommandOption(
                name: "profile", value: "genai|plain",
                help: "genai: runs of agents. plain: requests through a shop. Default: genai"),
            CommandOption(
                name: "service", value: "name", help: "service.name of all spans. Default: several services."),
            CommandOption(name: "batch", value: "spans", help: "Spans of a request. Default: \(defaultBatch)"),
            CommandOption(
                name: "concurrency", value: "count", help: "Requests under way at the same time. Default: 4"),
            CommandOption(
                name: "seed", value: "number",
                help: "Makes the same traces each time, but for their times. Default: another one each time."),
            CommandOption(name: "compression", value: "gzip|zstd|none", help: "Default: gzip"),
            CommandOption(name: "header", value: "name=value", help: "A header of every request; may be repeated."),
        ],
        run: {
            let command = try GenerateCommand($0)
            try command.validate()
            try command.run()
        })

    private let endpoint: String?
    private let output: String?
    private let traces: Int?
    private let duration: String?
    private let rate: Double
    private let profile: TraceProfile
    private let service: String?
    private let batch: Int
    private let concurrency: Int?
    private let seed: UInt64?
    private let compression: Compression?
    private let header: [String]

    init(_ parsed: ParsedArguments) throws {
        endpoint = parsed.text("endpoint")
        output = parsed.text("output")
        traces = try parsed.integer("traces")
        duration = parsed.text("duration")
        rate = try parsed.number("rate") ?? 0
        profile = try parsed.choice("profile") ?? .genai
        service = parsed.text("service")
        batch = try parsed.integer("batch") ?? Self.defaultBatch
        concurrency = try parsed.integer("concurrency")
        seed = try parsed.integer("seed")
        compression = try parsed.choice("compression")
        header = parsed.texts("header")
    }

    /// Compression by its name on the command line.
    enum Compression: String, CaseIterable {
        case gzip, zstd, none

        var encoding: ContentEncoding {
            switch self {
            case .gzip: .gzip
            case .zstd: .zstd
            case .none: .identity
            }
        }
    }

    private static let defaultEndpoint = "http://127.0.0.1:4318"
    private static let defaultTraces = 100
    private static let defaultBatch = 512
    /// Most spans of a request.
    private static let batches = 1...100_000
    /// Most requests under way.
    private static let concurrencies = 1...1024
    /// Slowest and fastest rate besides 0, traces a second.
    private static let rates = 0.001...10_000_000

    private func validate() throws {
        _ = try plan()
        if output == nil {
            _ = try sending()
            return
        }
        let given = [
            ("--endpoint", endpoint != nil), ("--concurrency", concurrency != nil),
            ("--compression", compression != nil), ("--header", !header.isEmpty),
        ]
        for (name, isGiven) in given where isGiven {
            throw UsageError("\(name) has no effect with --output: leave one of them out")
        }
    }

    private func run() throws {
        let plan = try plan()
        let control = RunControl()
        let signals = SignalWaiter()
        // Ends with the process.
        DispatchQueue.global().async {
            _ = signals.next()
            control.stop()
            signals.exitAtNextSignal()
        }
        let summary: GeneratorSummary
        do {
            summary = try output.map { try write(plan, to: $0, control) } ?? send(plan, try sending(), control)
        } catch {
            writeError("error: \(error)")
            throw ExitCode.failure
        }
        for line in summary.lines { print(line) }
        if !summary.isComplete { throw ExitCode.failure }
    }

    private func send(
        _ plan: GeneratorPlan, _ settings: SendingSettings, _ control: RunControl
    ) throws -> GeneratorSummary {
        let sender = try TraceSender(settings, control: control)
        let watch = Stopwatch()
        var producer = TraceProducer(plan, start: watch.start)
        let totals = try sender.run(&producer)
        var summary = GeneratorSummary(seed: plan.seed, generated: producer.totals, seconds: watch.seconds)
        summary.sending = totals
        return summary
    }

    private func write(_ plan: GeneratorPlan, to path: String, _ control: RunControl) throws -> GeneratorSummary {
        var file = try TraceFile(path: path)
        let watch = Stopwatch()
        var producer = TraceProducer(plan, start: watch.start)
        try file.run(&producer, control: control)
        var summary = GeneratorSummary(seed: plan.seed, generated: producer.totals, seconds: watch.seconds)
        summary.file = (path, file.lines, file.bytes)
        return summary
    }

    private func plan() throws -> GeneratorPlan {
        guard rate == 0 || Self.rates.contains(rate) else {
            throw UsageError("--rate must be 0 or from 0.001 to 10000000 traces a second, not \(rate)")
        }
        guard Self.batches.contains(batch) else {
            throw UsageError("--batch must be from 1 to \(Self.batches.upperBound) spans, not \(batch)")
        }
        if let traces, traces < 1 { throw UsageError("--traces must be at least 1, not \(traces)") }
        if let service, service.isEmpty { throw UsageError("--service must not be empty") }
        var plan = GeneratorPlan(seed: seed ?? .random(in: 0...UInt64(UInt32.max)))
        plan.profile = profile
        plan.service = service
        plan.traces = traces
        plan.rate = rate
        plan.batch = batch
        if let duration {
            guard let time = try? DurationText.parse(duration), time > .zero else {
                throw UsageError("--duration must be a duration such as 10s, not \"\(duration)\"")
            }
            plan.duration = time
        } else {
            plan.traces = traces ?? Self.defaultTraces
        }
        return plan
    }

    private func sending() throws -> SendingSettings {
        let written = endpoint ?? Self.defaultEndpoint
        let url: ConfigURL
        do {
            url = try ConfigURL.parse(written, schemes: ["http", "https"])
        } catch {
            throw UsageError("--endpoint \(error)")
        }
        var settings = SendingSettings(url: url.appending(path: "/v1/traces").description)
        settings.encoding = (compression ?? .gzip).encoding
        settings.concurrency = concurrency ?? settings.concurrency
        guard Self.concurrencies.contains(settings.concurrency) else {
            throw UsageError(
                "--concurrency must be from 1 to \(Self.concurrencies.upperBound), not \(settings.concurrency)")
        }
        // Values may be secrets: errors do not repeat them.
        settings.headers = try header.enumerated().map { index, text in
            guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")), equals > text.startIndex else {
                throw UsageError("--header number \(index + 1) must be name=value")
            }
            return (String(text[..<equals]), String(text[text.utf8.index(after: equals)...]))
        }
        return settings
    }
}

/// Time since it was made.
private struct Stopwatch {
    /// Nanoseconds on the monotonic clock.
    let start = Self.now()

    var seconds: Double { Double(Self.now() - start) / 1e9 }

    private static func now() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
