import ArgumentParser

/// `martlet validate`: says everything that is wrong with a configuration, and starts nothing.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Checks a configuration. Exit code 2 when it cannot run.")

    @OptionGroup var source: ConfigOptions

    func run() throws { _ = try source.plan() }
}
