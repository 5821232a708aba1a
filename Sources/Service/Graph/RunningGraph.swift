internal import Config
internal import Delivery
internal import Logging
internal import OTLP
internal import Pipeline
internal import Temporality

/// The components of one configuration, joined, in the order in which they start and stop.
struct RunningGraph: Sendable {
    var extensions: [any ServiceExtension] = []
    /// Exporters without a queue; the others belong to their deliveries.
    var immediateExporters: [any Exporter] = []
    var deliveries: [Delivery] = []
    /// In flow order: a stage before those it hands on to.
    var processors: [any Processor] = []
    var connectors: [any Connector] = []
    var receivers: [any Receiver] = []
    /// The same parts by name.
    var index = GraphIndex()

    /// Starts everything, downstream first.
    /// - Throws: what the first component that cannot start throws; what runs by then is left for `stop`.
    func start() throws {
        for part in extensions { try part.start() }
        for exporter in immediateExporters { try exporter.start() }
        for delivery in deliveries { try delivery.start() }
        for connector in connectors.reversed() { try connector.start() }
        for processor in processors.reversed() { try processor.start() }
        for receiver in receivers { try receiver.start() }
    }

    /// Stops everything in the order in which data flows, so that nothing is handed to a stage that has ended.
    /// Returns at about `deadline` at the latest. Clients that do not finish their requests have a quarter of the
    /// time, so that the queues have the rest.
    func stop(deadline: ContinuousClock.Instant, logger: Logger) async {
        await stopTaking(deadline: deadline)
        await withTaskGroup(of: Void.self) { group in
            for delivery in deliveries {
                group.addTask { await Self.drain(delivery, deadline, logger) }
            }
        }
        for exporter in immediateExporters { exporter.shutdown() }
        for part in extensions { await part.stop() }
    }

    /// Stops what is above the exporters, in the order in which data flows.
    func stopTaking(deadline: ContinuousClock.Instant) async {
        let now = ContinuousClock.now
        let receiving = now + (deadline - now) / 4
        await withTaskGroup(of: Void.self) { group in
            for receiver in receivers { group.addTask { await receiver.stop(deadline: receiving) } }
        }
        for processor in processors { await processor.stop(deadline: deadline) }
        for connector in connectors { await connector.stop(deadline: deadline) }
    }

    /// Delivers what a queue holds until the deadline, and says what is left.
    static func drain(_ delivery: Delivery, _ deadline: ContinuousClock.Instant, _ logger: Logger) async {
        let report = await delivery.drain(deadline: deadline)
        if report.keptRequests > 0 {
            logger.info(
                "data stays in the storage until the next start",
                metadata: [
                    "exporter": "\(delivery.name)", "signal": "\(delivery.signal.rawValue)",
                    "requests": "\(report.keptRequests)",
                ])
        }
        for (cause, items) in report.lost where items > 0 {
            logger.error(
                "data lost at shutdown",
                metadata: [
                    "exporter": "\(delivery.name)", "signal": "\(delivery.signal.rawValue)", "items": "\(items)",
                    "cause": "\(cause.rawValue)",
                ])
        }
    }

    /// The parts that `other` does not have, in their order; without names.
    func parts(notIn other: RunningGraph) -> RunningGraph {
        func rest<Part>(_ mine: [Part], _ theirs: [Part]) -> [Part] {
            let known = Set(theirs.map { ObjectIdentifier($0 as AnyObject) })
            return mine.filter { !known.contains(ObjectIdentifier($0 as AnyObject)) }
        }
        var result = RunningGraph()
        result.extensions = rest(extensions, other.extensions)
        result.immediateExporters = rest(immediateExporters, other.immediateExporters)
        result.deliveries = rest(deliveries, other.deliveries)
        result.processors = rest(processors, other.processors)
        result.connectors = rest(connectors, other.connectors)
        result.receivers = rest(receivers, other.receivers)
        return result
    }
}

/// The parts of a graph by name, so that the next graph finds those that go on.
struct GraphIndex: Sendable {
    struct EndpointKey: Hashable, Sendable {
        let exporter: ComponentID
        let signal: Signal
        /// Of the exporter's queues for a signal, one for each way of batching, in order of their first use.
        let number: Int
    }

    /// What pipelines hand to an exporter through.
    struct Endpoint: Sendable {
        /// The first of its stages.
        var input: any Consumer
        /// Nil for an exporter without a queue.
        var delivery: Delivery?
        var immediate: (any Exporter)?
        var deltas: DeltaPart?
    }

    struct DeltaPart: Sendable {
        let stage: DeltaStage
        let streams: DeltaStreams
        let limits: DeltaLimits
    }

    struct StageKey: Hashable, Sendable {
        let pipeline: PipelineID
        let processor: ComponentID
    }

    struct Stage: Sendable {
        let processor: any Processor
        let output: Joint
    }

    /// A receiver or a connector with what it hands on to.
    struct Source<Part: Sendable>: Sendable {
        let part: Part
        let outputs: [Signal: Joint]
    }

    var endpoints: [EndpointKey: Endpoint] = [:]
    var exporters: [ComponentID: SharedExporter] = [:]
    var stages: [StageKey: Stage] = [:]
    /// What the stages of a processor share with each other.
    var shared: [ComponentID: SharedParts] = [:]
    var connectors: [ComponentID: Source<any Connector>] = [:]
    var receivers: [ComponentID: Source<any Receiver>] = [:]
    var extensions: [ComponentID: any ServiceExtension] = [:]
    var authenticators = AuthenticatorRegistry()
}
