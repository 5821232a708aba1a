internal import Config
internal import Delivery
internal import NIOCore
internal import NIOPosix
internal import OTLP
internal import Pipeline
internal import Storage
internal import Telemetry
internal import Temporality

// Queues of exporters. A queue belongs to the exporter's id, not to its settings: it goes on under others, with what it
// holds, as long as its content can be counted and kept in the same way.
extension GraphBuilder {
    mutating func endpoint(
        _ key: GraphIndex.EndpointKey, _ prepared: PreparedExporter, _ batching: BatchProcessorSettings?
    ) throws -> GraphIndex.Endpoint {
        let known = former?.graph.index.endpoints[key]
        guard var settings = prepared.delivery else {
            if let known, known.immediate != nil, keeps(.exporters, key.exporter) {
                _ = try exporter(key.exporter, prepared)
                return known
            }
            let exporter = try exporter(key.exporter, prepared)
            return joined(
                GraphIndex.Endpoint(input: ImmediateDelivery(exporter), immediate: exporter), key, prepared, known: nil)
        }
        if let batching { settings.fold(batching) }
        let isKept = keeps(.exporters, key.exporter)
        let queueWorkers = prepared.blocks ? nil : workers
        if let known, let delivery = known.delivery, goesOn(delivery, settings) {
            let exporter = try exporter(key.exporter, prepared)
            if isKept, delivery.settings == settings { return known }
            queueChanges.append(
                QueueChange(
                    delivery: delivery, settings: settings, exporter: isKept ? nil : exporter, workers: queueWorkers))
            return joined(GraphIndex.Endpoint(input: delivery, delivery: delivery), key, prepared, known: known)
        }
        if let storage = settings.queue.storage, known?.delivery?.settings.queue.storage != nil {
            throw ReloadRefusal(
                parts: ["exporters::\(key.exporter)"],
                reason: "cannot change how its queue in \(storage) is kept or counted while it runs")
        }
        let exporter = try exporter(key.exporter, prepared)
        if known?.delivery == nil, let delivery = former?.retired.revive(key, goesOn(settings)) {
            revived.append(delivery)
            queueChanges.append(
                QueueChange(delivery: delivery, settings: settings, exporter: exporter, workers: queueWorkers))
            return joined(GraphIndex.Endpoint(input: delivery, delivery: delivery), key, prepared, known: nil)
        }
        let delivery = makeDelivery(key, settings, to: exporter, on: queueWorkers)
        return joined(GraphIndex.Endpoint(input: delivery, delivery: delivery), key, prepared, known: nil)
    }

    private func goesOn(_ delivery: Delivery, _ settings: DeliverySettings) -> Bool { goesOn(settings)(delivery) }

    /// Whether a queue can go on with other settings: its disk, if it has one, is that of an extension that goes on.
    private func goesOn(_ settings: DeliverySettings) -> (Delivery) -> Bool {
        let hasDisk = settings.queue.storage.map { keeps(.extensions, $0) } ?? true
        return { hasDisk && $0.canChange(to: settings) }
    }

    /// Adds the stages before a queue: those of its exporter's `deltas` and `check`.
    ///
    /// - Parameter known: of the queue, whose streams go on when their limits are the same.
    private mutating func joined(
        _ endpoint: GraphIndex.Endpoint, _ key: GraphIndex.EndpointKey, _ prepared: PreparedExporter,
        known: GraphIndex.Endpoint?
    ) -> GraphIndex.Endpoint {
        var endpoint = endpoint
        if key.signal == .metrics, let limits = prepared.deltas {
            let part = known?.deltas.flatMap { $0.limits == limits ? $0 : nil } ?? deltas(key, limits, endpoint.input)
            endpoint.deltas = part
            endpoint.input = part.stage
        }
        if let check = prepared.check { endpoint.input = CheckStage(check, next: endpoint.input) }
        return endpoint
    }

    /// The streams are one for all queues of an exporter: what comes through several of them is one stream to the
    /// destination.
    private func deltas(
        _ key: GraphIndex.EndpointKey, _ limits: DeltaLimits, _ next: any Consumer
    ) -> GraphIndex.DeltaPart {
        let sibling = graph.index.endpoints.first {
            $0.key.exporter == key.exporter && $0.value.deltas?.limits == limits
        }
        if let streams = sibling?.value.deltas?.streams {
            return GraphIndex.DeltaPart(stage: DeltaStage(streams, next: next), streams: streams, limits: limits)
        }
        let labels: MetricRegistry.Labels = [("exporter", key.exporter.description)]
        let made = DeltaStreams(limits, metrics: environment.metrics, labels: labels, budget: environment.budget)
        DeltaStreams.registerGauges(limits, metrics: environment.metrics, labels: labels) { [made] }
        return GraphIndex.DeltaPart(stage: DeltaStage(made, next: next), streams: made, limits: limits)
    }

    private func makeDelivery(
        _ key: GraphIndex.EndpointKey, _ settings: DeliverySettings, to exporter: any Exporter,
        on workers: NIOThreadPool?
    ) -> Delivery {
        let (id, signal) = (key.exporter, key.signal)
        var labels = [(name: "exporter", value: id.description)]
        if key.number > 0 { labels.append((name: "queue", value: String(key.number + 1))) }
        let registry = environment.metrics
        let telemetry = DeliveryTelemetry(
            registry, labels: labels, signal: signal, logger: environment.logger("exporter", id))
        let delivery = Delivery(
            name: id.description, signal: signal, settings: settings, exporter: exporter,
            scheduler: EventLoopScheduler(environment.eventLoops.next()), observer: telemetry,
            workers: workers, storage: storage(key, settings.queue))
        DeliveryTelemetry.registerGauges(registry, labels: labels, signal: signal) { [weak delivery] in
            delivery?.status ?? .empty
        }
        return delivery
    }

    /// The disk of a queue that has one.
    private func storage(_ key: GraphIndex.EndpointKey, _ queue: QueueSettings) -> DeliveryStorage? {
        guard let storage = queue.storage.flatMap({ environment.storages[$0] }) else { return nil }
        let (id, signal) = (key.exporter, key.signal)
        var name = StorageName.make("exporter", type: id.type, name: id.name, signal.rawValue)
        var labels = [(name: "exporter", value: id.description), (name: "data_type", value: signal.rawValue)]
        if key.number > 0 {
            name += "_\(key.number + 1)"
            labels.append((name: "queue", value: String(key.number + 1)))
        }
        let log = storage.log(named: name, dropsOldest: queue.dropsOldest)
        StorageTelemetry.registerGauges(
            environment.metrics, labels: labels, maximumBytes: log.options.maximumBytes
        ) { [weak log] in log?.status ?? LogStatus() }
        let telemetry = StorageTelemetry(
            environment.metrics, labels: labels, logger: environment.logger("exporter", id))
        return DeliveryStorage(log, telemetry: telemetry, budget: environment.budget)
    }
}
