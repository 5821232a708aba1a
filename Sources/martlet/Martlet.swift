import Glibc
import Service

/// The command line: every verb is in this folder.
@main
struct Martlet {
    static let root = Command(
        name: Collector.name, abstract: "An OpenTelemetry collector for AI workloads.",
        subcommands: [
            RunCommand.command, ValidateCommand.command, ComponentsCommand.command, HealthCommand.command,
            GenerateCommand.command, PricesCommand.command, GenAICommand.command, SamplingCommand.command,
            QueueCommand.command, VersionCommand.command,
        ])

    static func main() {
        do {
            switch try CommandParser(root: root).parse(Array(CommandLine.arguments.dropFirst())) {
            case .version: print(Collector.version)
            case .help(let command, let path): print(CommandHelp(command: command, path: path).text)
            case .run(let command, let parsed): try command.run(parsed)
            }
        } catch let error as ExitCode {
            exit(error.rawValue)
        } catch let error as UsageError {
            writeError("error: \(error.message)")
            exit(ExitCode.invalidConfiguration.rawValue)
        } catch {
            writeError("error: \(error)")
            exit(ExitCode.failure.rawValue)
        }
    }
}
