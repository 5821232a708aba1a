/// A verb of the command line: what it is called, what it takes, and what it does. One with subcommands only leads
/// to them.
struct Command: Sendable {
    /// The word that selects it.
    let name: String
    /// One sentence for lists of commands, and the first line of its help.
    let abstract: String
    /// What its help says after the first line; lines of at most 120 characters.
    var discussion = ""
    /// Names of the words it takes in order, all of them required.
    var arguments: [CommandArgument] = []
    /// Options in the order of its help, without `--help`.
    var options: [CommandOption] = []
    var subcommands: [Command] = []
    /// Runs it.
    ///
    /// - Throws: `UsageError` for values that do not fit, `ExitCode` after it has said what went wrong.
    var run: @Sendable (_ parsed: ParsedArguments) throws -> Void = { _ in }
}

/// A word that a command takes by its place.
struct CommandArgument: Sendable {
    let name: String
    let help: String
}

/// An option, always in its long form: `--name value`, `--name=value`, or `--name` for a switch.
struct CommandOption: Sendable {
    /// Without the dashes.
    let name: String
    /// What stands for the value in the help; nil for a switch, which has none.
    var value: String?
    var help: String
}

/// The command line is not what the command takes. Exit code 2.
struct UsageError: Error {
    let message: String

    init(_ message: String) { self.message = message }
}

/// Ends the process with this code; what there is to say has been said.
struct ExitCode: Error, Equatable {
    let rawValue: Int32

    /// A failure at run time.
    static let failure = ExitCode(rawValue: 1)
    /// A configuration, or a command line, that cannot run.
    static let invalidConfiguration = ExitCode(rawValue: 2)
}
