/// `martlet validate`: says everything that is wrong with a configuration, and starts nothing.
enum ValidateCommand {
    static let command = Command(
        name: "validate", abstract: "Checks a configuration. Exit code 2 when it cannot run.",
        options: ConfigOptions.options, run: { _ = try ConfigOptions($0).plan() })
}
