internal import Config
internal import Delivery
internal import NIOCore
internal import NIOPosix
internal import OTLP
internal import Pipeline
internal import Storage
internal import Telemetry
internal import Temporality

/// Makes the components of a plan and joins them, from the exporters up. Starts nothing.
struct GraphBuilder {
    private let plan: GraphPlan
    private var environment: ComponentEnvironment
    private let workers: NIOThreadPool
    private var graph = RunningGraph()
    private var exporters: [ComponentID: any Exporter] = [:]
    private var deltas: [ComponentID: DeltaStreams] = [:]
    private var endpoints: [EndpointKey: any Consumer] = [:]
    private var connectors: [ComponentID: any Connector] = [:]
    private var entries: [PipelineID: any Consumer] = [:]

    /// An exporter has one queue for each signal and each way of batching that pipelines ask of it.
    private struct EndpointKey: Hashable {
        var exporter: ComponentID
        var signal: Signal
        var batching: BatchProcessorSettings?
    }

    private init(_ plan: GraphPlan, _ environment: ComponentEnvironment, _ workers: NIOThreadPool) {
        self.plan = plan
        self.environment = environment
        self.workers = workers
    }

    /// - Parameter workers: running threads for exports that do not block; they outlive the graph.
    /// - Throws: what a component's `make` throws.
    static func build(
        _ plan: GraphPlan, environment: ComponentEnvironment, workers: NIOThreadPool
    ) throws -> RunningGraph {
        var builder = GraphBuilder(plan, environment, workers)
        try builder.makeExtensions()
        for (_, pipeline) in plan.config.pipelines { _ = try builder.entry(of: pipeline) }
        try builder.makeReceivers()
        return builder.graph
    }

    private mutating func makeExtensions() throws {
        var storages: [ComponentID: any StorageExtension] = [:]
        for (id, prepared) in plan.extensions {
            switch prepared {
            case .running(_, let make):
                let part = try make(id, environment)
                environment.authenticators.add(part, id: id)
                graph.extensions.append(part)
            case .storage(let make):
                let storage = try make(id, environment)
                graph.extensions.append(storage)
                storages[id] = storage
            case .memoryLimit: continue
            }
        }
        environment.storages = storages
    }

    private mutating func makeReceivers() throws {
        for (id, make) in plan.receivers {
            var consumers: [Signal: [any Consumer]] = [:]
            for (pipelineID, pipeline) in plan.config.pipelines
            where pipeline.receivers.contains(where: { $0.id == id }) {
                consumers[Signal(pipelineID.signal), default: []].append(try entry(of: pipeline))
            }
            guard !consumers.isEmpty else { continue }
            graph.receivers.append(try make(id, consumers.mapValues(FanOut.joining), environment))
        }
    }

    /// The first consumer of a pipeline. The plan has no cycles, so the recursion ends.
    private mutating func entry(of pipeline: PipelineConfig) throws -> any Consumer {
        if let known = entries[pipeline.id] { return known }
        let signal = Signal(pipeline.id.signal)
        let batching = plan.batching(of: pipeline)
        var ends: [any Consumer] = []
        for reference in pipeline.exporters {
            if let end = try end(reference.id, signal, batching) { ends.append(end) }
        }
        var next = FanOut.joining(ends)
        for reference in pipeline.processors.reversed() {
            guard case .stage(let make, _)? = plan.processors[reference.id] else { continue }
            let processor = try make(reference.id, signal, next, environment)
            graph.processors.insert(processor, at: 0)
            graph.stages[reference.id, default: []].append(processor)
            next = processor
        }
        entries[pipeline.id] = next
        return next
    }

    private mutating func end(
        _ id: ComponentID, _ signal: Signal, _ batching: BatchProcessorSettings?
    ) throws -> (any Consumer)? {
        if plan.connectors[id] != nil { return try connector(id)?.input(signal) }
        guard let prepared = plan.exporters[id] else { return nil }
        let key = EndpointKey(exporter: id, signal: signal, batching: batching)
        if let known = endpoints[key] { return known }
        let exporter = try exporters[id] ?? SharedExporter(prepared.make(id, environment))
        exporters[id] = exporter
        var endpoint: any Consumer
        if let settings = prepared.delivery {
            let delivery = makeDelivery(
                settings, to: exporter, on: prepared.blocks ? nil : workers, id: id, signal, batching)
            graph.deliveries.append(delivery)
            endpoint = delivery
        } else {
            graph.immediateExporters.append(exporter)
            endpoint = ImmediateDelivery(exporter)
        }
        if signal == .metrics, let limits = prepared.deltas {
            let stage = DeltaStage(streams(of: id, limits), next: endpoint)
            graph.processors.insert(stage, at: 0)
            endpoint = stage
        }
        if let check = prepared.check { endpoint = CheckStage(check, next: endpoint) }
        endpoints[key] = endpoint
        return endpoint
    }

    /// One for all queues of an exporter: what comes through several of them is one stream to the destination.
    private mutating func streams(of id: ComponentID, _ limits: DeltaLimits) -> DeltaStreams {
        if let known = deltas[id] { return known }
        let labels: MetricRegistry.Labels = [("exporter", id.description)]
        let made = DeltaStreams(limits, metrics: environment.metrics, labels: labels, budget: environment.budget)
        DeltaStreams.registerGauges(limits, metrics: environment.metrics, labels: labels) { [made] }
        deltas[id] = made
        return made
    }

    private func makeDelivery(
        _ settings: DeliverySettings, to exporter: any Exporter, on workers: NIOThreadPool?, id: ComponentID,
        _ signal: Signal,
        _ batching: BatchProcessorSettings?
    ) -> Delivery {
        var settings = settings
        if let batching { settings.fold(batching) }
        var labels = [(name: "exporter", value: id.description)]
        let siblings = endpoints.keys.count { $0.exporter == id && $0.signal == signal }
        if siblings > 0 { labels.append((name: "queue", value: String(siblings + 1))) }
        let registry = environment.metrics
        let telemetry = DeliveryTelemetry(
            registry, labels: labels, signal: signal, logger: environment.logger("exporter", id))
        let delivery = Delivery(
            name: id.description, signal: signal, settings: settings, exporter: exporter,
            scheduler: EventLoopScheduler(environment.eventLoops.next()), observer: telemetry,
            workers: workers, storage: storage(settings.queue, id, signal, siblings))
        DeliveryTelemetry.registerGauges(registry, labels: labels, signal: signal) { [weak delivery] in
            delivery?.status ?? .empty
        }
        return delivery
    }

    /// The disk of a queue that has one.
    private func storage(
        _ queue: QueueSettings, _ id: ComponentID, _ signal: Signal, _ siblings: Int
    ) -> DeliveryStorage? {
        guard let storage = queue.storage.flatMap({ environment.storages[$0] }) else { return nil }
        var name = StorageName.make("exporter", type: id.type, name: id.name, signal.rawValue)
        var labels = [(name: "exporter", value: id.description), (name: "data_type", value: signal.rawValue)]
        if siblings > 0 {
            name += "_\(siblings + 1)"
            labels.append((name: "queue", value: String(siblings + 1)))
        }
        let log = storage.log(named: name, dropsOldest: queue.dropsOldest)
        StorageTelemetry.registerGauges(
            environment.metrics, labels: labels, maximumBytes: log.options.maximumBytes
        ) { [weak log] in log?.status ?? LogStatus() }
        let telemetry = StorageTelemetry(
            environment.metrics, labels: labels, logger: environment.logger("exporter", id))
        return DeliveryStorage(log, telemetry: telemetry, budget: environment.budget)
    }

    private mutating func connector(_ id: ComponentID) throws -> (any Connector)? {
        if let known = connectors[id] { return known }
        guard let prepared = plan.connectors[id] else { return nil }
        var consumers: [Signal: [any Consumer]] = [:]
        for (pipelineID, pipeline) in plan.config.pipelines
        where pipeline.receivers.contains(where: { $0.id == id }) {
            consumers[Signal(pipelineID.signal), default: []].append(try entry(of: pipeline))
        }
        let connector = try prepared.make(id, consumers.mapValues(FanOut.joining), environment)
        connectors[id] = connector
        graph.connectors.insert(connector, at: 0)
        return connector
    }
}
