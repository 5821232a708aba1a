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
                guard let turnsInto = outputs[reference.id] else { continue }
                let taken = starts(at: reference.id, config).map { Signal($0.id.signal) }
                guard !taken.isEmpty, turnsInto(signal).isDisjoint(with: taken) else { continue }
                diagnostics.error(
                    ConfigDiagnostic(
                        at: reference.position, path: pipeline.path,
                        "the connector \"\(reference.id)\" does not turn \(signal.rawValue) into anything that a "
                            + "pipeline takes from it"))
            }
            for reference in pipeline.receivers {
                guard let turnsInto = outputs[reference.id] else { continue }
                let given = ends(at: reference.id, config).flatMap { turnsInto(Signal($0.id.signal)) }
                guard !given.contains(signal), !ends(at: reference.id, config).isEmpty else { continue }
                diagnostics.error(
                    ConfigDiagnostic(
                        at: reference.position, path: pipeline.path,
                        "the connector \"\(reference.id)\" has no \(signal.rawValue) to give: no pipeline that ends "
                            + "in it leads to them"))
            }
        }
        if let cycle = findCycle(config) {
            diagnostics.error(
                ConfigDiagnostic(
                    at: cycle.position, path: cycle.path, "the pipeline leads back to itself through connectors"))
        }
    }

    private func starts(at connector: ComponentID, _ config: CollectorConfig) -> [PipelineConfig] {
        config.pipelines.map(\.1).filter { $0.receivers.contains { $0.id == connector } }
    }

    private func ends(at connector: ComponentID, _ config: CollectorConfig) -> [PipelineConfig] {
        config.pipelines.map(\.1).filter { $0.exporters.contains { $0.id == connector } }
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
