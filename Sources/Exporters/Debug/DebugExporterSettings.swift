internal import Config

/// What a `debug` exporter's section sets. Keys and defaults are otelcol's.
package struct DebugExporterSettings: Sendable, Equatable {
    /// How much of a batch is shown. Key `verbosity`.
    package enum Verbosity: String, Sendable, CaseIterable {
        /// One line of counts for each batch.
        case basic
        /// And one line for each span, data point or log record.
        case normal
        /// And everything that they hold.
        case detailed
    }

    /// Key `verbosity`.
    package var verbosity = Verbosity.basic
    /// Batches of each signal that are shown in every second. Key `sampling_initial`.
    package var samplingInitial = 2
    /// Of the further batches in the same second, every n-th is shown; 0 shows none. Key `sampling_thereafter`.
    package var samplingThereafter = 1
    /// Shows batches in the collector's own log instead of `outputs`. Key `use_internal_logger`.
    package var usesInternalLogger = true
    /// `stdout`, `stderr`, or files that are appended to. Key `output_paths`.
    package var outputs = ["stdout"]

    package init() {}
}

extension DebugExporterSettings {
    /// Reads the section; faults are recorded in it.
    init(from section: ConfigSection) {
        self.init()
        if let text = section.string("verbosity") {
            if let verbosity = Verbosity(rawValue: text.lowercased()) {
                self.verbosity = verbosity
            } else {
                // Records the fault.
                _ = section.choice("verbosity", as: Verbosity.self)
            }
        }
        samplingInitial = section.integer("sampling_initial", in: 0...Self.largestSampling) ?? samplingInitial
        samplingThereafter =
            section.integer("sampling_thereafter", in: 0...Self.largestSampling) ?? samplingThereafter
        usesInternalLogger = section.bool("use_internal_logger") ?? usesInternalLogger
        section.refuse("sending_queue", because: "batches are shown before they are acknowledged")
        guard let outputs = section.stringList("output_paths") else { return }
        self.outputs = outputs
        if usesInternalLogger { section.error("output_paths", "needs \"use_internal_logger: false\"") }
        if outputs.isEmpty { section.error("output_paths", "must name an output") }
        for output in outputs where output.isEmpty || isURL(output) || output.utf8.contains(0) {
            section.error("output_paths", "must hold \"stdout\", \"stderr\" or paths of files")
        }
    }

    private static let largestSampling = 1_000_000_000

    /// Whether the output has `://` in it: otelcol takes URLs of sinks there.
    private func isURL(_ output: String) -> Bool {
        let bytes = Array(output.utf8)
        return bytes.indices.dropLast(2).contains { bytes[$0...].starts(with: "://".utf8) }
    }
}
