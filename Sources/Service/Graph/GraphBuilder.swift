internal import Config
internal import Delivery
internal import NIOCore
internal import NIOPosix
internal import OTLP
internal import Pipeline
internal import Storage
internal import Telemetry
internal import Temporality

/// Makes the components of a plan and joins them, from the exporters up, with those of a running graph that go on.
/// Starts and changes nothing.
struct GraphBuilder {
    /// What becomes of a running graph that another one takes the place of.
    struct Former {
        let graph: RunningGraph
        let diff: GraphDiff
        let retired: RetiredQueues
    }

    /// A joint of a kept part, with what it is to lead to.
    struct Redirection {
        let joint: Joint
        let consumers: [any Consumer]
    }

    /// What a queue that goes on is to do.
    struct QueueChange {
        let delivery: Delivery
        let settings: DeliverySettings
        /// Nil for the present one.
        let exporter: SharedExporter?
        let workers: NIOThreadPool?
    }

    let plan: GraphPlan
    let former: Former?
    var environment: ComponentEnvironment
    let workers: NIOThreadPool
    private(set) var graph = RunningGraph()
    private(set) var redirections: [Redirection] = []
    var queueChanges: [QueueChange] = []
    /// Queues that were out of use, and are taken back.
    var revived: [Delivery] = []
    /// The ways of batching that pipelines ask of an exporter, in order of first use: one queue each.
    private var batchings: [EndpointUse: [BatchProcessorSettings?]] = [:]
    private var made: [GraphIndex.EndpointKey: any Consumer] = [:]
    private var entries: [PipelineID: [any Consumer]] = [:]

    private struct EndpointUse: Hashable {
        var exporter: ComponentID
        var signal: Signal
    }

    init(_ plan: GraphPlan, _ environment: ComponentEnvironment, _ workers: NIOThreadPool, after former: Former? = nil)
    {
        self.plan = plan
        self.environment = environment
        self.workers = workers
        self.former = former
    }

    /// - Parameter workers: running threads for exports that do not block; they outlive the graph.
    /// - Throws: what a component's `make` throws.
    static func build(
        _ plan: GraphPlan, environment: ComponentEnvironment, workers: NIOThreadPool
    ) throws -> RunningGraph {
        var builder = GraphBuilder(plan, environment, workers)
        try builder.build()
        return builder.graph
    }

    mutating func build() throws {
        try makeExtensions()
        for (_, pipeline) in plan.config.pipelines { _ = try entry(of: pipeline) }
        try makeReceivers()
    }

    /// Whether a component of the running graph goes on.
    func keeps(_ kind: CollectorConfig.Kind, _ id: ComponentID) -> Bool { former?.diff.keeps(kind, id) ?? false }

    private mutating func makeExtensions() throws {
        // A registry of this graph's own, with those that go on: nobody sees half of a change.
        if former != nil { environment.authenticators = AuthenticatorRegistry() }
        graph.index.authenticators = environment.authenticators
        var storages: [ComponentID: any StorageExtension] = [:]
        for (id, prepared) in plan.extensions {
            let part: any ServiceExtension
            if keeps(.extensions, id), let known = former?.graph.index.extensions[id] {
                part = known
            } else {
                switch prepared {
                case .running(_, let make): part = try make(id, environment)
                case .storage(let make): part = try make(id, environment)
                case .memoryLimit: continue
                }
            }
            environment.authenticators.add(part, id: id)
            storages[id] = part as? any StorageExtension
            graph.extensions.append(part)
            graph.index.extensions[id] = part
        }
        environment.storages = storages
    }

    private mutating func makeReceivers() throws {
        for (id, make) in plan.receivers {
            let consumers = try pipelines(from: id)
            guard !consumers.isEmpty else { continue }
            let known = former?.graph.index.receivers[id]
            let outputs = joints(known?.outputs ?? [:], consumers)
            let part: any Receiver
            if let known, keeps(.receivers, id), Set(known.outputs.keys) == Set(consumers.keys) {
                part = known.part
            } else {
                environment.listeners.add(ending: "receiver/\(id)")
                part = try make(id, outputs, environment)
            }
            graph.receivers.append(part)
            graph.index.receivers[id] = GraphIndex.Source(part: part, outputs: outputs)
        }
    }

    /// What a receiver or connector hands on to, by signal.
    private mutating func pipelines(from id: ComponentID) throws -> [Signal: [any Consumer]] {
        var consumers: [Signal: [any Consumer]] = [:]
        for (pipelineID, pipeline) in plan.config.pipelines where pipeline.receivers.contains(where: { $0.id == id }) {
            consumers[Signal(pipelineID.signal), default: []] += try entry(of: pipeline)
        }
        return consumers
    }

    /// A joint for each signal: those that are there are to lead to the new consumers, so that requests that have come
    /// in already find a way on.
    private mutating func joints(
        _ known: [Signal: Joint], _ consumers: [Signal: [any Consumer]]
    ) -> [Signal: Joint] {
        var result: [Signal: Joint] = [:]
        for (signal, consumers) in consumers { result[signal] = joint(known[signal], consumers) }
        return result
    }

    private mutating func joint(_ known: Joint?, _ consumers: [any Consumer]) -> Joint {
        guard let known else { return Joint(consumers) }
        if !known.leads(to: consumers) { redirections.append(Redirection(joint: known, consumers: consumers)) }
        return known
    }

    /// The first consumers of a pipeline. The plan has no cycles, so the recursion ends.
    private mutating func entry(of pipeline: PipelineConfig) throws -> [any Consumer] {
        if let known = entries[pipeline.id] { return known }
        let signal = Signal(pipeline.id.signal)
        let batching = plan.batching(of: pipeline)
        var next: [any Consumer] = []
        for reference in pipeline.exporters {
            if let end = try end(reference.id, signal, batching) { next.append(end) }
        }
        for reference in pipeline.processors.reversed() {
            guard case .stage(let make, _)? = plan.processors[reference.id] else { continue }
            let key = GraphIndex.StageKey(pipeline: pipeline.id, processor: reference.id)
            let isKept = keeps(.processors, reference.id)
            let stage: GraphIndex.Stage
            if isKept, let known = former?.graph.index.stages[key] {
                stage = GraphIndex.Stage(processor: known.processor, output: joint(known.output, next))
            } else {
                let output = Joint(next)
                var environment = environment
                environment.shared = sharedParts(of: reference.id, isKept: isKept)
                stage = GraphIndex.Stage(
                    processor: try make(reference.id, signal, output, environment), output: output)
            }
            graph.processors.insert(stage.processor, at: 0)
            graph.index.stages[key] = stage
            graph.index.shared[reference.id] = sharedParts(of: reference.id, isKept: isKept)
            next = [stage.processor]
        }
        entries[pipeline.id] = next
        return next
    }

    private mutating func sharedParts(of id: ComponentID, isKept: Bool) -> SharedParts {
        if let known = graph.index.shared[id] { return known }
        let parts = isKept ? former?.graph.index.shared[id] ?? SharedParts() : SharedParts()
        graph.index.shared[id] = parts
        return parts
    }

    private mutating func end(
        _ id: ComponentID, _ signal: Signal, _ batching: BatchProcessorSettings?
    ) throws -> (any Consumer)? {
        if plan.connectors[id] != nil { return try connector(id)?.input(signal) }
        guard let prepared = plan.exporters[id] else { return nil }
        let use = EndpointUse(exporter: id, signal: signal)
        var ways = batchings[use] ?? []
        let number = ways.firstIndex { $0 == batching } ?? ways.count
        if number == ways.count { ways.append(batching) }
        batchings[use] = ways
        let key = GraphIndex.EndpointKey(exporter: id, signal: signal, number: number)
        if let known = made[key] { return known }
        let endpoint = try endpoint(key, prepared, batching)
        if let delivery = endpoint.delivery { graph.deliveries.append(delivery) }
        if let exporter = endpoint.immediate { graph.immediateExporters.append(exporter) }
        if let deltas = endpoint.deltas { graph.processors.insert(deltas.stage, at: 0) }
        graph.index.endpoints[key] = endpoint
        made[key] = endpoint.input
        return endpoint.input
    }

    /// The one instance of an exporter.
    mutating func exporter(_ id: ComponentID, _ prepared: PreparedExporter) throws -> SharedExporter {
        if let known = graph.index.exporters[id] { return known }
        let kept = keeps(.exporters, id) ? former?.graph.index.exporters[id] : nil
        let exporter = try kept ?? SharedExporter(prepared.make(id, environment))
        graph.index.exporters[id] = exporter
        return exporter
    }

    private mutating func connector(_ id: ComponentID) throws -> (any Connector)? {
        if let known = graph.index.connectors[id] { return known.part }
        guard let prepared = plan.connectors[id] else { return nil }
        let consumers = try pipelines(from: id)
        let known = former?.graph.index.connectors[id]
        let outputs = joints(known?.outputs ?? [:], consumers)
        let part: any Connector
        if let known, keeps(.connectors, id), Set(known.outputs.keys) == Set(consumers.keys) {
            part = known.part
        } else {
            part = try prepared.make(id, outputs, environment)
        }
        graph.index.connectors[id] = GraphIndex.Source(part: part, outputs: outputs)
        graph.connectors.insert(part, at: 0)
        return part
    }
}
