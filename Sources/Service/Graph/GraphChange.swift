internal import Config
internal import Delivery
internal import Logging
internal import NIOPosix
internal import OTLP
internal import Pipeline
internal import Telemetry

/// A running graph on its way to another plan, in steps that come in this order:
///
/// ```
/// init: made, nothing runs → start: all that is new runs → commit: it has the data → retire: what is left over ends
///                          └─ anything fails: cancel, and all is as before
/// ```
struct GraphChange {
    /// As it will be.
    let graph: RunningGraph
    let diff: GraphDiff
    private let former: RunningGraph
    private let added: RunningGraph
    private let removed: RunningGraph
    private let redirections: [GraphBuilder.Redirection]
    private let queues: [GraphBuilder.QueueChange]
    private let revived: [Delivery]
    private let retired: RetiredQueues
    private let environment: ComponentEnvironment
    private let before: (metrics: MetricRegistry.Snapshot, pages: StatusPages.Snapshot)
    private let logger: Logger

    /// Longest time for requests in flight, and for what processors hold, to go through the old parts.
    static let retireTimeout = Duration.seconds(10)
    private static let pollInterval = Duration.milliseconds(1)

    /// - Throws: what stands in the way; nothing has changed then.
    init(
        from old: GraphPlan, to new: GraphPlan, of former: RunningGraph, retired: RetiredQueues,
        environment: ComponentEnvironment, workers: NIOThreadPool, logger: Logger
    ) throws {
        diff = try GraphDiff(from: old, to: new, of: former)
        before = (environment.metrics.snapshot(), environment.pages.snapshot())
        for id in former.index.shared.keys where !diff.keeps(.processors, id) { environment.pages.remove("\(id)") }
        environment.listeners.beginChange(ending: diff.ending)
        var builder = GraphBuilder(
            new, environment, workers,
            after: GraphBuilder.Former(graph: former, diff: diff, retired: retired))
        do {
            try builder.build()
        } catch {
            for delivery in builder.revived { delivery.continueRetiring() }
            environment.metrics.restore(before.metrics)
            environment.pages.restore(before.pages)
            environment.listeners.cancel()
            throw error
        }
        graph = builder.graph
        redirections = builder.redirections
        queues = builder.queueChanges
        let revived = builder.revived
        var added = builder.graph.parts(notIn: former)
        added.deliveries.removeAll { delivery in revived.contains { $0 === delivery } }
        self.added = added
        self.revived = revived
        removed = former.parts(notIn: builder.graph)
        self.former = former
        self.retired = retired
        self.environment = environment
        self.logger = logger
    }

    /// Starts what is new, downstream first. Blocks; off the event loops.
    ///
    /// - Returns: the changes of queues that go on, to be committed.
    /// - Throws: what the first part that cannot start throws; everything is as before then.
    func start() async throws -> [Delivery.Change] {
        var prepared: [Delivery.Change] = []
        do {
            for part in added.extensions { try part.start() }
            for change in queues {
                prepared.append(
                    try change.delivery.change(
                        to: change.settings, exporter: change.exporter, workers: change.workers))
            }
            var rest = added
            rest.extensions = []
            try rest.start()
            return prepared
        } catch {
            await cancel(prepared)
            throw error
        }
    }

    private func cancel(_ prepared: [Delivery.Change]) async {
        environment.listeners.cancel()
        for change in prepared { change.cancel() }
        for delivery in revived { delivery.continueRetiring() }
        await added.stop(deadline: .now + Self.retireTimeout, logger: logger)
        environment.metrics.restore(before.metrics)
        environment.pages.restore(before.pages)
    }

    /// The new graph gets the data. Cannot fail. Requests in flight go on where they are.
    ///
    /// - Returns: tells when they are through.
    func commit(_ prepared: [Delivery.Change]) -> [Joint.Passage] {
        for change in diff.changes { change.apply() }
        for change in prepared { change.commit() }
        for change in queues { retired.remove(change.delivery) }
        let passages = redirections.map { $0.joint.redirect(to: $0.consumers) }
        environment.listeners.commit()
        return passages
    }

    /// Ends what is left over, upstream first. Queues go on beside, until they are empty.
    ///
    /// - Parameter completion: what is there of the components that are gone can go. Any thread, maybe much later.
    func retire(_ passages: [Joint.Passage], _ completion: @escaping @Sendable () -> Void) async {
        let deadline = ContinuousClock.now + Self.retireTimeout
        while passages.contains(where: { !$0.isOver }), ContinuousClock.now < deadline {
            try? await Task.sleep(for: Self.pollInterval)
        }
        await removed.stopTaking(deadline: deadline)
        let keys = former.index.endpoints
        for delivery in removed.deliveries {
            if let key = keys.first(where: { $0.value.delivery === delivery })?.key { retired.add(key, delivery) }
        }
        let (removed, retired, logger) = (removed, retired, logger)
        retired.run {
            await withTaskGroup(of: Void.self) { group in
                for delivery in removed.deliveries {
                    group.addTask { await Self.finish(delivery, retired, logger) }
                }
            }
            for exporter in removed.immediateExporters { exporter.shutdown() }
            for part in removed.extensions { await part.stop() }
            completion()
        }
    }

    private static func finish(_ delivery: Delivery, _ retired: RetiredQueues, _ logger: Logger) async {
        guard let report = await delivery.retire() else { return }
        retired.remove(delivery)
        let lost = report.lost.values.reduce(0, +)
        logger.log(
            level: lost > 0 ? .error : .info, "the queue of a removed exporter has ended",
            metadata: [
                "exporter": "\(delivery.name)", "signal": "\(delivery.signal.rawValue)", "sent": "\(report.sent)",
                "lost": "\(lost)", "kept_requests": "\(report.keptRequests)",
            ])
    }
}
