internal import Config
internal import Pipeline

/// Which components of a running graph go on under another plan: those whose configuration says the same, as do the
/// extensions they use, and those that can follow the other one in place. Making one changes nothing.
struct GraphDiff {
    /// Components that go on.
    private(set) var kept: [CollectorConfig.Kind: Set<ComponentID>] = [:]
    /// What makes them follow, with their paths.
    private(set) var changes: [(path: String, apply: @Sendable () -> Void)] = []
    /// Paths of what is new, gone or different, for people.
    private(set) var paths: [String] = []
    /// `receiver/otlp`: components that end, or whose place another instance takes.
    private(set) var ending: Set<String> = []

    /// For a start: nothing runs.
    init() {}

    /// - Throws: `ReloadRefusal` for what cannot change while it runs, or what a processor throws that cannot use its
    ///   new settings.
    init(from old: GraphPlan, to new: GraphPlan, of graph: RunningGraph) throws {
        try Self.checkTelemetry(old.config.telemetry, new.config.telemetry)
        compareExtensions(old, new)
        for kind in CollectorConfig.Kind.allCases where kind != .extensions { try compare(kind, old, new, graph) }
        comparePipelines(old.config, new.config)
    }

    func keeps(_ kind: CollectorConfig.Kind, _ id: ComponentID) -> Bool { kept[kind]?.contains(id) ?? false }

    private mutating func compareExtensions(_ old: GraphPlan, _ new: GraphPlan) {
        let (former, latter) = (old.extensions.map(\.id), new.extensions.map(\.id))
        for id in former where !latter.contains(id) {
            paths.append("extensions::\(id)")
            ending.insert("extension/\(id)")
        }
        for id in latter {
            if former.contains(id), let one = old.config.extensions[id], let other = new.config.extensions[id],
                Self.isSame(one.node, other.node)
            {
                kept[.extensions, default: []].insert(id)
            } else {
                paths.append("extensions::\(id)")
                ending.insert("extension/\(id)")
            }
        }
    }

    private mutating func compare(
        _ kind: CollectorConfig.Kind, _ old: GraphPlan, _ new: GraphPlan, _ graph: RunningGraph
    ) throws {
        let (former, latter) = (old.config.components(kind), new.config.components(kind))
        for (id, component) in former where latter[id] == nil {
            paths.append(component.path)
            ending.insert("\(kind.singular)/\(id)")
        }
        for (id, component) in latter {
            let usesKept = new.extensionsUsed(by: component).allSatisfy { keeps(.extensions, $0) }
            if usesKept, let known = former[id] {
                if Self.isSame(known.node, component.node) {
                    kept[kind, default: []].insert(id)
                    continue
                }
                if kind == .processors, try changesInPlace(id, component, new, graph) {
                    paths.append(component.path)
                    kept[kind, default: []].insert(id)
                    continue
                }
            }
            paths.append(component.path)
            ending.insert("\(kind.singular)/\(id)")
        }
    }

    /// Whether every stage of a processor can follow its new settings, which is then noted.
    private mutating func changesInPlace(
        _ id: ComponentID, _ component: ComponentConfig, _ new: GraphPlan, _ graph: RunningGraph
    ) throws -> Bool {
        guard case .stage(_, let change)? = new.processors[id] else { return false }
        var found: [(String, @Sendable () -> Void)] = []
        for (key, stage) in graph.index.stages where key.processor == id {
            guard case .inPlace(let apply) = try change(stage.processor) else { return false }
            found.append((component.path, apply))
        }
        changes += found
        return true
    }

    private mutating func comparePipelines(_ old: CollectorConfig, _ new: CollectorConfig) {
        for (id, pipeline) in old.pipelines where new.pipelines[id] == nil { paths.append(pipeline.path) }
        for (id, pipeline) in new.pipelines {
            let parts: [(PipelineConfig) -> [ComponentReference]] = [\.receivers, \.processors, \.exporters]
            let isSame = old.pipelines[id].map { former in
                parts.allSatisfy { $0(former).map(\.id) == $0(pipeline).map(\.id) }
            }
            if isSame != true { paths.append(pipeline.path) }
        }
    }

    /// The log, the metrics' server and what they say are there before any component.
    private static func checkTelemetry(_ old: ConfigNode, _ new: ConfigNode) throws(ReloadRefusal) {
        guard !isSame(old, new) else { return }
        var keys: [String] = []
        for key in ["logs", "metrics", "resource", "admin"] {
            switch (old[key], new[key]) {
            case (nil, nil): continue
            case (let one?, let other?) where isSame(one, other): continue
            default: keys.append("service::telemetry::\(key)")
            }
        }
        throw ReloadRefusal(parts: keys.isEmpty ? ["service::telemetry"] : keys, reason: "is set at the start only")
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

/// Why a running collector cannot follow a configuration that a new one could run.
struct ReloadRefusal: Error, CustomStringConvertible {
    /// Paths of what stands in the way.
    let parts: [String]
    let reason: String

    var description: String { "\(parts.joined(separator: ", ")) \(reason): this needs a restart" }
}
