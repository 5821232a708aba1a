import Config
import Glibc
import OTLP
import Processors

/// `martlet sampling`: tries sampling policies out.
enum SamplingCommand {
    static let command = Command(
        name: "sampling", abstract: "Tries sampling policies out on recorded traces.",
        subcommands: [SamplingReplayCommand.command])
}

/// `martlet sampling replay`: what a configuration's policies would do with recorded traces.
enum SamplingReplayCommand {
    static let command = Command(
        name: "replay", abstract: "Runs recorded traces through tail_sampling policies and prints what each said.",
        discussion: """
            The input is what the file exporter writes: an OTLP JSON object of traces on each line. Time runs as the spans
            end. Without --processor the configuration must have one tail_sampling section.
            """,
        options: ConfigOptions.options + [
            CommandOption(name: "input", value: "path", help: "The recorded traces; - is standard input. Required."),
            CommandOption(
                name: "processor", value: "id", help: "Which processor's policies, such as tail_sampling/errors."),
        ], run: { try replay($0) })

    /// Most bytes that one line may decode to: 1 GiB.
    private static let maximumLine = 1 << 30

    private static func replay(_ parsed: ParsedArguments) throws {
        guard let input = parsed.text("input") else { throw UsageError("--input is missing") }
        guard !parsed.texts("config").isEmpty else { throw UsageError("--config is missing") }
        let settings = try settings(parsed)
        guard let file = fopen(input == "-" ? "/dev/stdin" : input, "r") else {
            writeError("cannot read \(input): \(String(cString: strerror(errno)))")
            throw ExitCode.failure
        }
        defer { fclose(file) }
        var replay = try TailReplay(settings)
        try forEachLine(of: file) { number, line in
            do {
                var writer = WireWriter(limit: maximumLine)
                try OTLPJSONDecoder.decode(line, as: .request(of: .traces), into: &writer)
                replay.add(try TelemetryBatch(WireBytes(taking: &writer), signal: .traces))
            } catch {
                writeError("\(input):\(number): \(error)")
                throw ExitCode.failure
            }
        }
        print(table(replay.finish()))
    }

    /// The section that is meant, read; everything that is wrong with it is printed.
    private static func settings(_ parsed: ParsedArguments) throws -> TailSamplingSettings {
        let wanted = parsed.text("processor")
        do throws(ConfigError) {
            let root = try ConfigLoader().load(configs: parsed.texts("config"), sets: parsed.texts("set")).root
            let entries = (root["processors"]?.mapping?.entries ?? []).filter { entry in
                wanted.map { $0 == entry.key } ?? (entry.key.split(separator: "/").first == "tail_sampling")
            }
            guard let entry = entries.first, entries.count == 1 else {
                let found =
                    entries.isEmpty
                    ? "no such processor" : "several tail_sampling processors; name one with --processor"
                writeError("the configuration has \(found)")
                throw ConfigError(ConfigDiagnostics())
            }
            let section = ConfigSection(entry.value, path: "processors::\(entry.key)")
            let settings = TailSamplingSettings(from: section)
            try section.finish()
            return settings
        } catch {
            for diagnostic in error.diagnostics.errors { writeError("error: \(diagnostic)") }
            throw ExitCode.invalidConfiguration
        }
    }

    private static func forEachLine(
        of file: UnsafeMutablePointer<FILE>, _ body: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var number = 0
        while true {
            var count = getline(&line, &capacity, file)
            guard count > 0, let start = line else { return }
            number += 1
            while count > 0, start[count - 1] == 10 || start[count - 1] == 13 { count -= 1 }
            if count > 0 { try body(number, UnsafeRawBufferPointer(start: start, count: count)) }
        }
    }

    // MARK: Printing

    private static func table(_ report: TailReplay.Report) -> String {
        var rows = [["policy", "sampled", "not sampled", "dropped", "spans sampled"]]
        for row in report.rows {
            rows.append([
                row.policy, "\(row.sampledTraces)", "\(row.notSampledTraces)", "\(row.droppedTraces)",
                "\(row.sampledSpans)",
            ])
        }
        rows.append([
            "all", "\(report.sampledTraces)", "\(report.notSampledTraces)", "\(report.droppedTraces)",
            "\(report.keptSpans)",
        ])
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + padding : padding + row[column]
            }.joined(separator: "  ")
        }
        return lines.joined(separator: "\n") + "\n\(report.keptSpans) spans kept, \(report.discardedSpans) let go"
    }
}
