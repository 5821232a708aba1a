import ArgumentParser
import Config
import Glibc
import Service

/// The options that say where the configuration comes from; otelcol's spelling.
struct ConfigOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "A configuration: a path, file:PATH, env:NAME or yaml:TEXT. Several are merged in order.",
            valueName: "source"))
    var config: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("Sets one key, such as exporters.debug.verbosity=detailed.", valueName: "key=value"))
    var set: [String] = []

    /// Reads the configuration, or the built-in one when none is named, and prints everything that is wrong with it.
    ///
    /// - Throws: `Exit.invalidConfiguration` when it cannot run.
    func plan() throws -> GraphPlan {
        let sources = config.isEmpty ? ["yaml:" + DefaultConfig.yaml] : config
        var diagnostics = ConfigDiagnostics()
        do {
            let loaded = try ConfigLoader().load(configs: sources, sets: set)
            diagnostics.add(loaded.diagnostics)
            let plan = GraphPlan(loaded.root, into: &diagnostics)
            report(diagnostics)
            if let plan, !diagnostics.hasErrors { return plan }
        } catch {
            diagnostics.add(error)
            report(diagnostics)
        }
        throw Exit.invalidConfiguration
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
