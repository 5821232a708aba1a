import Config
import Glibc
import Service

/// The options that say where the configuration comes from; otelcol's spelling.
struct ConfigOptions: Sendable {
    static let options = [
        CommandOption(
            name: "config", value: "source",
            help: "A configuration: a path, file:PATH, env:NAME or yaml:TEXT. Several are merged in order."),
        CommandOption(
            name: "set", value: "key=value", help: "Sets one key, such as exporters.debug.verbosity=detailed."),
    ]

    private let config: [String]
    private let set: [String]

    init(_ parsed: ParsedArguments) {
        config = parsed.texts("config")
        set = parsed.texts("set")
    }

    /// Reads the configuration, or the built-in one when none is named, and prints everything that is wrong with it.
    ///
    /// - Throws: `ExitCode.invalidConfiguration` when it cannot run.
    func plan() throws -> GraphPlan {
        let (plan, diagnostics) = read()
        report(diagnostics)
        guard let plan else { throw ExitCode.invalidConfiguration }
        return plan
    }

    /// Reads the configuration for a collector that runs. Warnings are printed.
    ///
    /// - Throws: everything that is wrong, with its place.
    func planAgain() throws(ReloadFailure) -> GraphPlan {
        let (plan, diagnostics) = read()
        for warning in diagnostics.sorted().warnings { writeError("warning: \(warning)") }
        guard let plan else { throw ReloadFailure(diagnostics) }
        return plan
    }

    /// - Returns: no plan when anything is wrong.
    private func read() -> (plan: GraphPlan?, diagnostics: ConfigDiagnostics) {
        let sources = config.isEmpty ? ["yaml:" + DefaultConfig.yaml] : config
        var diagnostics = ConfigDiagnostics()
        do {
            let loaded = try ConfigLoader().load(configs: sources, sets: set)
            diagnostics.add(loaded.diagnostics)
            let plan = GraphPlan(loaded.root, into: &diagnostics)
            return (diagnostics.hasErrors ? nil : plan, diagnostics)
        } catch {
            diagnostics.add(error)
            return (nil, diagnostics)
        }
    }

    private func report(_ diagnostics: ConfigDiagnostics) {
        let sorted = diagnostics.sorted()
        for warning in sorted.warnings { writeError("warning: \(warning)") }
        for error in sorted.errors { writeError("error: \(error)") }
        if sorted.omittedErrors > 0 { writeError("error: \(sorted.omittedErrors) more errors") }
    }
}

/// Writes a line to standard error.
func writeError(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
