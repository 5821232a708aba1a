import ArgumentParser
import Service

/// The command line: every verb is a type in this folder.
@main
struct Martlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: Collector.name,
        abstract: "An OpenTelemetry collector for AI workloads.",
        version: Collector.version,
        subcommands: [
            RunCommand.self, ValidateCommand.self, ComponentsCommand.self, HealthCommand.self, VersionCommand.self,
            PricesCommand.self,
        ])
}

/// Exit codes, beside 0 for success and ArgumentParser's own for a wrong command line.
enum Exit {
    /// A failure at run time.
    static let failure = ExitCode(1)
    /// A configuration that cannot run.
    static let invalidConfiguration = ExitCode(2)
}
