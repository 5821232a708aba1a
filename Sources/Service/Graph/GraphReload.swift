internal import Config
internal import Pipeline

/// What it takes for a running graph to follow another configuration: changes of processors that can be made in place,
/// and everything else, which needs a restart. Making one changes nothing.
struct GraphReload {
    /// Paths of what differs and cannot change in place, such as `exporters::otlp_http`.
    private(set) var restarts: [String] = []
    /// Paths of what can, with what does it.
    private(set) var changes: [(path: String, apply: @Sendable () -> Void)] = []

    /// - Throws: what a processor throws that cannot use its new settings.
    init(from old: GraphPlan, to new: GraphPlan, of graph: RunningGraph) throws {
        for kind in CollectorConfig.Kind.allCases {
            let (former, latter) = (old.config.components(kind), new.config.components(kind))
            for (id, component) in former where latter[id] == nil { restarts.append(component.path) }
            for (id, component) in latter {
                if let known = former[id], Self.isSame(known.node, component.node) { continue }
                guard former[id] != nil, kind == .processors, case .stage(_, let change)? = new.processors[id] else {
                    restarts.append(component.path)
                    continue
                }
                try add(change, component.path, graph.stages[id] ?? [])
            }
        }
        compareService(old.config, new.config)
    }

    private mutating func add(_ change: PreparedProcessor.Change, _ path: String, _ running: [any Processor]) throws {
        for processor in running {
            switch try change(processor) {
            case .inPlace(let apply): changes.append((path, apply))
            case .restart(let keys):
                restarts += keys.isEmpty ? [path] : keys.map { "\(path)::\($0)" }
                return
            }
        }
    }

    private mutating func compareService(_ old: CollectorConfig, _ new: CollectorConfig) {
        for (id, pipeline) in old.pipelines where new.pipelines[id] == nil { restarts.append(pipeline.path) }
        for (id, pipeline) in new.pipelines {
            let former = old.pipelines[id]
            let parts: [(PipelineConfig) -> [ComponentReference]] = [\.receivers, \.processors, \.exporters]
            let isSame = former.map { former in
                parts.allSatisfy { $0(former).map(\.id) == $0(pipeline).map(\.id) }
            }
            if isSame != true { restarts.append(pipeline.path) }
        }
        if old.serviceExtensions.map(\.id) != new.serviceExtensions.map(\.id) { restarts.append("service::extensions") }
        if !Self.isSame(old.telemetry, new.telemetry) { restarts.append("service::telemetry") }
    }

    /// Whether two parts of a configuration say the same, wherever they stand and in whatever order their keys are.
    static func isSame(_ left: ConfigNode, _ right: ConfigNode) -> Bool {
        switch (left.content, right.content) {
        case (.scalar(let one), .scalar(let other)):
            return one.value == other.value
                && (left.substitutedText ?? one.text) == (right.substitutedText ?? other.text)
        case (.sequence(let some), .sequence(let others)):
            return some.count == others.count && zip(some, others).allSatisfy { isSame($0, $1) }
        case (.mapping(let one), .mapping(let other)):
            return one.entries.count == other.entries.count
                && one.entries.allSatisfy { entry in other[entry.key].map { isSame(entry.value, $0.value) } ?? false }
        default: return false
        }
    }
}
