/// A place in the configuration's text. Lines and columns count from 1; columns count Unicode scalars.
package struct ConfigPosition: Sendable, Hashable, CustomStringConvertible {
    /// The source as the user named it: a file's path, `env:NAME`, or `--config#2` and `--set#1` for arguments.
    package var file: String
    /// The line, from 1.
    package var line: Int
    /// The column, from 1.
    package var column: Int

    /// Makes a position; nothing is validated.
    package init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`.
    package var description: String { "\(file):\(line):\(column)" }
}

/// One error or warning about the configuration.
package struct ConfigDiagnostic: Sendable, Hashable, CustomStringConvertible {
    /// Where; nil for what has no place in a text, such as a file that cannot be opened.
    package var position: ConfigPosition?
    /// The configuration path, such as `receivers::otlp::protocols`; empty when there is none.
    package var path: String
    /// What is wrong and what to do. Holds no secret, and no text that a substitution gave.
    package var message: String
    /// The nearest known name, when one is near.
    package var suggestion: String?

    /// Makes a diagnostic; `message` is a sentence part without a full stop.
    package init(at position: ConfigPosition?, path: String = "", _ message: String, suggestion: String? = nil) {
        self.position = position
        self.path = path
        self.message = message
        self.suggestion = suggestion
    }

    /// `file:line:column: path: message (did you mean "x"?)`, without the parts that are not there.
    package var description: String {
        var text = ""
        if let position { text += "\(position): " }
        if !path.isEmpty { text += "\(printable(path)): " }
        text += message
        if let suggestion { text += " (did you mean \(quoted(suggestion))?)" }
        return text
    }
}

/// A component that a section names, to be looked up when all are known.
package struct ConfigReference: Sendable, Hashable {
    /// Which one.
    package let id: ComponentID
    /// What it is to be for the section; words of whoever looks it up.
    package let role: String
    /// Where it is named.
    package let position: ConfigPosition
    /// The configuration path of the key.
    package let path: String
}

/// The errors and warnings collected over a configuration. A value: pass it on `inout`, or merge with `add`.
package struct ConfigDiagnostics: Sendable {
    /// In the order they were found; at most `ConfigLimits.maximumDiagnostics`.
    package private(set) var errors: [ConfigDiagnostic] = []
    /// In the order they were found; at most `ConfigLimits.maximumDiagnostics`.
    package private(set) var warnings: [ConfigDiagnostic] = []
    /// The components that were named, in the order they were found.
    package private(set) var references: [ConfigReference] = []
    /// Errors found after the list was full.
    package private(set) var omittedErrors = 0
    /// Warnings found after the list was full.
    package private(set) var omittedWarnings = 0

    /// Makes an empty collection.
    package init() {}

    /// Whether any error was found.
    package var hasErrors: Bool { !errors.isEmpty }

    /// Whether further errors are only counted, so that effort on their text is wasted.
    var isFull: Bool { errors.count >= ConfigLimits.maximumDiagnostics }

    /// Adds an error.
    package mutating func error(_ diagnostic: ConfigDiagnostic) {
        if errors.count < ConfigLimits.maximumDiagnostics { errors.append(diagnostic) } else { omittedErrors += 1 }
    }

    /// Adds a warning.
    package mutating func warning(_ diagnostic: ConfigDiagnostic) {
        if warnings.count < ConfigLimits.maximumDiagnostics {
            warnings.append(diagnostic)
        } else {
            omittedWarnings += 1
        }
    }

    /// Adds a component that is to be looked up.
    package mutating func reference(_ reference: ConfigReference) { references.append(reference) }

    /// Adds everything that `other` holds.
    package mutating func add(_ other: ConfigDiagnostics) {
        for diagnostic in other.errors { error(diagnostic) }
        for diagnostic in other.warnings { warning(diagnostic) }
        references += other.references
        omittedErrors += other.omittedErrors
        omittedWarnings += other.omittedWarnings
    }

    /// Adds the errors of a thrown `ConfigError`; its warnings as well.
    package mutating func add(_ error: ConfigError) { add(error.diagnostics) }

    /// Throws `ConfigError` with everything collected, sorted by place, when there is an error.
    package func check() throws(ConfigError) {
        if hasErrors { throw ConfigError(sorted()) }
    }

    /// The same diagnostics in the order of the text: by source in order of first appearance, then line, then column.
    /// Those without a place come first.
    package func sorted() -> ConfigDiagnostics {
        var order: [String: Int] = [:]
        for diagnostic in errors + warnings {
            if let file = diagnostic.position?.file, order[file] == nil { order[file] = order.count + 1 }
        }
        func rank(_ diagnostic: ConfigDiagnostic) -> (Int, Int, Int) {
            guard let position = diagnostic.position else { return (0, 0, 0) }
            return (order[position.file] ?? 0, position.line, position.column)
        }
        func inOrder(_ list: [ConfigDiagnostic]) -> [ConfigDiagnostic] {
            let indexed = list.enumerated().map { (rank($0.element), $0.offset, $0.element) }
            return indexed.sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 < $1.0 }.map { $0.2 }
        }
        var result = self
        result.errors = inOrder(errors)
        result.warnings = inOrder(warnings)
        return result
    }
}

/// The configuration cannot be used. Carries every error found so far, at least one, and the warnings beside them.
package struct ConfigError: Error, Sendable, CustomStringConvertible {
    /// What was found.
    package var diagnostics: ConfigDiagnostics

    /// Wraps what was collected.
    package init(_ diagnostics: ConfigDiagnostics) { self.diagnostics = diagnostics }

    /// Wraps a single error.
    package init(_ diagnostic: ConfigDiagnostic) {
        diagnostics = ConfigDiagnostics()
        diagnostics.error(diagnostic)
    }

    /// The errors, one a line, without a final line end.
    package var description: String {
        var lines = diagnostics.errors.map(\.description)
        if diagnostics.omittedErrors > 0 { lines.append("and \(diagnostics.omittedErrors) more errors") }
        return lines.joined(separator: "\n")
    }
}
