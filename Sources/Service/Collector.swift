internal import Config
package import Logging
internal import NIOCore
internal import NIOPosix
internal import Pipeline
internal import Synchronization
internal import Telemetry
internal import Transport

/// A collector: built from a plan, started, changed to other plans, stopped once.
package final class Collector: Sendable {
    /// Longest time a graceful stop takes unless told otherwise.
    package static let defaultShutdownTimeout = Duration.seconds(30)

    private struct Running {
        var plan: GraphPlan
        var graph: RunningGraph
    }

    package static let name = "martlet"
    package static let version = "0.1.0"

    package let logger: Logger
    private let running: Mutex<Running>
    let retired = RetiredQueues()
    let environment: ComponentEnvironment
    let reloads: ReloadMetrics
    let admin: AdminService
    /// One change at a time, and none while it stops.
    let isChanging = Atomic<Bool>(false)
    /// Threads for encoding and sending, shared by the queues of all exporters that do not block.
    let workers: NIOThreadPool
    private let eventLoops: MultiThreadedEventLoopGroup
    private let readiness: Readiness
    private let metricsServer: HTTPServer?
    private let isStopped = Atomic<Bool>(false)

    /// Makes all components; none is started.
    ///
    /// - Parameters:
    ///   - threads: number of event loops.
    ///   - started: when the process began, for the uptime.
    /// - Throws: what a component's factory throws.
    package init(_ plan: GraphPlan, threads: Int = Collector.cores, started: ContinuousClock.Instant = .now) throws {
        let telemetry = plan.telemetry
        let makeLogger: @Sendable (String) -> Logger = { label in
            Logger(label: label) {
                LineLogHandler(label: $0, level: telemetry.logLevel, encoding: telemetry.logEncoding)
            }
        }
        logger = makeLogger("service")
        readiness = Readiness(started: started)
        eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: max(1, threads))
        let registry = MetricRegistry()
        let telemetryLimit = plan.memoryLimit.ofTelemetry
        let budget = MemoryBudget(limit: telemetryLimit.limit, spike: telemetryLimit.spike)
        Self.registerMetrics(registry, budget, telemetry, started)
        let environment = ComponentEnvironment(
            metrics: registry, budget: budget, eventLoops: eventLoops, readiness: readiness, makeLogger: makeLogger)
        self.environment = environment
        reloads = ReloadMetrics(registry)
        let admin = AdminService(registry: registry, pages: environment.pages, settings: telemetry.admin)
        self.admin = admin
        metricsServer = telemetry.metricsEndpoint.map { admin.server(at: $0) }
        workers = NIOThreadPool(numberOfThreads: max(2, threads))
        workers.start()
        do {
            let graph = try GraphBuilder.build(plan, environment: environment, workers: workers)
            admin.use(graph.index.authenticators)
            running = Mutex(Running(plan: plan, graph: graph))
        } catch {
            // Nobody gets a collector to stop: its threads end here.
            workers.shutdownGracefully { _ in }
            eventLoops.shutdownGracefully { _ in }
            throw error
        }
    }

    /// Processors that this process may use: those of its affinity, within the cgroup's quota.
    package static var cores: Int { max(1, min(System.coreCount, SystemProcessors.allowed)) }

    private static func registerMetrics(
        _ registry: MetricRegistry, _ budget: MemoryBudget, _ telemetry: TelemetrySettings,
        _ started: ContinuousClock.Instant
    ) {
        ProcessMetrics.register(in: registry, started: started)
        registry.gauge("martlet_memory_held_bytes", help: "Bytes of telemetry held by requests, queues and buffers.") {
            Double(budget.heldBytes)
        }
        registry.gauge("martlet_memory_limit_bytes", help: "Bytes of telemetry that may be held at most.") {
            Double(budget.hardLimit)
        }
        registry.counter("martlet_memory_refused_requests", help: "Requests refused for lack of memory.") {
            Double(budget.refusedRequests)
        }
        let resource =
            [(name: "service_name", value: name), (name: "service_version", value: version)]
            + telemetry.resource.map { (name: String($0.name.map { $0 == "." ? "_" : $0 }), value: $0.value) }
        registry.gauge("target_info", help: "Target metadata.", labels: resource) { 1 }
    }

    /// Starts all components, receivers last, and reports ready. Blocks until done; off the event loops.
    ///
    /// - Throws: what the first component that cannot start throws. Call `stop` then too.
    package func start() throws {
        try metricsServer?.start(on: eventLoops)
        try running.withLock { $0.graph }.start()
        readiness.set(true)
        logger.info("everything is ready, taking data", metadata: ["version": "\(Self.version)"])
    }

    /// What runs.
    var present: (plan: GraphPlan, graph: RunningGraph) { running.withLock { ($0.plan, $0.graph) } }

    func use(_ plan: GraphPlan, _ graph: RunningGraph) {
        running.withLock { $0 = Running(plan: plan, graph: graph) }
    }

    var isStopping: Bool { isStopped.load(ordering: .acquiring) }

    /// Has a POST to /-/reload, where the configuration allows it, call this.
    package func onReloadRequest(_ reload: @escaping AdminService.Reload) { admin.onReload(reload) }

    /// Stops gracefully: not ready, receivers, processors, queues, exporters, extensions; within `timeout`.
    /// The second call does nothing, and does not wait for the first.
    package func stop(timeout: Duration = Collector.defaultShutdownTimeout) async {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        readiness.set(false)
        logger.info("stopping", metadata: ["shutdown_timeout": "\(DurationText.format(timeout))"])
        await beginChange()
        let deadline = ContinuousClock.now + timeout
        let (logger, left) = (logger, retired.deliveries)
        async let ending: Void = withTaskGroup(of: Void.self) { group in
            for delivery in left { group.addTask { await RunningGraph.drain(delivery, deadline, logger) } }
        }
        await running.withLock { $0.graph }.stop(deadline: deadline, logger: logger)
        await ending
        await retired.finish()
        metricsServer?.close()
        try? await workers.shutdownGracefully()
        try? await eventLoops.shutdownGracefully()
        logger.info("stopped")
    }
}
