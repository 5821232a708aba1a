internal import Config
internal import Delivery
internal import Logging
internal import OTLP
internal import Pipeline

/// The components of one configuration, joined, in the order in which they start and stop.
struct RunningGraph {
    var extensions: [any ServiceExtension] = []
    /// Exporters without a queue; the others belong to their deliveries.
    var immediateExporters: [any Exporter] = []
    var deliveries: [Delivery] = []
    /// In flow order: a stage before those it hands on to.
    var processors: [any Processor] = []
    /// Those of them that the configuration names, by id; one for each pipeline.
    var stages: [ComponentID: [any Processor]] = [:]
    var connectors: [any Connector] = []
    var receivers: [any Receiver] = []

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
        let now = ContinuousClock.now
        let receiving = now + (deadline - now) / 4
        await withTaskGroup(of: Void.self) { group in
            for receiver in receivers { group.addTask { await receiver.stop(deadline: receiving) } }
        }
        for processor in processors { await processor.stop(deadline: deadline) }
        for connector in connectors { await connector.stop(deadline: deadline) }
        await withTaskGroup(of: Void.self) { group in
            for delivery in deliveries {
                group.addTask { await drain(delivery, deadline, logger) }
            }
        }
        for exporter in immediateExporters { exporter.shutdown() }
        for part in extensions { await part.stop() }
    }

    private func drain(_ delivery: Delivery, _ deadline: ContinuousClock.Instant, _ logger: Logger) async {
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
}
