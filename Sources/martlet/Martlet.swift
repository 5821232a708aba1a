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
            RunCommand.self, ValidateCommand.self, ComponentsCommand.self, HealthCommand.self, GenerateCommand.self,
            PricesCommand.self, VersionCommand.self,
        ])

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            writeError(fullMessage(for: error))
            exit(withError: Exit.invalidConfiguration)
        }
    }
}

/// Exit codes, beside 0 for success.
enum Exit {
    /// A failure at run time.
    static let failure = ExitCode(1)
    /// A configuration, or a command line, that cannot run.
    static let invalidConfiguration = ExitCode(2)
}
