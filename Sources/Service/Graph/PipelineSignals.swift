internal import Config
internal import OTLP
internal import Pipeline

/// The signals that each configured component handles, to check pipelines against.
struct PipelineSignals {
    var receivers: [ComponentID: Set<Signal>]
    var processors: [ComponentID: Set<Signal>] = [:]
    var exporters: [ComponentID: Set<Signal>] = [:]
    var connectors: [ComponentID: Set<Signal>] = [:]

    init(receivers: [ComponentID: Set<Signal>]) { self.receivers = receivers }

    /// Records an error for each component that cannot be in the pipeline that names it, and for pipelines that lead
    /// to themselves.
    func check(
        _ config: CollectorConfig, _ outputs: [ComponentID: @Sendable (Signal) -> Set<Signal>],
        _ diagnostics: inout ConfigDiagnostics
    ) {
        for (id, pipeline) in config.pipelines {
            let signal = Signal(id.signal)
            let uses =
                pipeline.receivers.map { ($0, receivers, "receiver") }
                + pipeline.processors.map { ($0, processors, "processor") }
                + pipeline.exporters.map { ($0, exporters, "exporter") }
            for (reference, supported, kind) in uses {
                guard let known = supported[reference.id], !known.contains(signal) else { continue }
                diagnostics.error(
                    ConfigDiagnostic(
                        at: reference.position, path: pipeline.path,
                        "the \(kind) \"\(reference.id)\" does not handle \(signal.rawValue)"))
            }
            for reference in pipeline.exporters {
                guard let outputs = outputs[reference.id] else { continue }
                checkConnector(reference, outputs(signal), from: pipeline, config, &diagnostics)
            }
        }
        if let cycle = findCycle(config) {
            diagnostics.error(
                ConfigDiagnostic(
                    at: cycle.position, path: cycle.path, "the pipeline leads back to itself through connectors"))
        }
    }

    private func checkConnector(
        _ reference: ComponentReference, _ outputs: Set<Signal>, from pipeline: PipelineConfig,
        _ config: CollectorConfig, _ diagnostics: inout ConfigDiagnostics
    ) {
        for (id, next) in config.pipelines where next.receivers.contains(where: { $0.id == reference.id }) {
            guard !outputs.contains(Signal(id.signal)) else { continue }
            diagnostics.error(
                ConfigDiagnostic(
                    at: reference.position, path: pipeline.path,
                    "the connector \"\(reference.id)\" does not turn \(pipeline.id.signal.rawValue) into "
                        + "\(id.signal.rawValue), which the pipeline \"\(id)\" takes from it"))
        }
    }

    /// A pipeline that can be reached from itself; nil when there is none.
    private func findCycle(_ config: CollectorConfig) -> PipelineConfig? {
        func next(_ pipeline: PipelineConfig) -> [PipelineConfig] {
            let ends = Set(pipeline.exporters.map(\.id)).filter { config.connectors[$0] != nil }
            return config.pipelines.filter { $0.1.receivers.contains { ends.contains($0.id) } }.map(\.1)
        }
        for (id, pipeline) in config.pipelines {
            var seen: Set<PipelineID> = []
            var open = next(pipeline)
            while let current = open.popLast() {
                if current.id == id { return pipeline }
                if seen.insert(current.id).inserted { open += next(current) }
            }
        }
        return nil
    }
}
