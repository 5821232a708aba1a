package import Config
internal import Logging
internal import NIOCore
package import OTLP
package import Pipeline
internal import Sampling
internal import Storage
internal import Synchronization
internal import Telemetry

/// `tail_sampling`: holds traces until they are complete, keeps those that the policies want.
package struct TailSamplingProcessorFactory: ProcessorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "tail_sampling", signals: [.traces: .alpha, .logs: .alpha])
    }

    package func settings(from section: ConfigSection) -> TailSamplingSettings { TailSamplingSettings(from: section) }

    package func make(
        _ settings: TailSamplingSettings, id: ComponentID, signal: Signal, next: any Consumer,
        environment: ComponentEnvironment
    ) throws -> any Processor {
        if signal == .logs { return TailLogsProcessor(id: id, settings, next: next, environment: environment) }
        return try TailSamplingProcessor(settings, id: id, next: next, environment: environment)
    }

    package func change(_ processor: any Processor, to settings: TailSamplingSettings) throws -> SettingsChange {
        // The log records of a processor follow what its traces pipeline does.
        if processor is TailLogsProcessor { return .inPlace {} }
        guard let processor = processor as? TailSamplingProcessor else { return .restart(keys: []) }
        return try processor.change(to: settings)
    }
}

/// One pipeline's tail sampler.
///
/// A batch is acknowledged when all its spans are in the buffer: from then on the processor answers for them, until the
/// next stage has taken what is kept. Without room, and with `block_on_overflow`, a batch waits outside, unacknowledged.
final class TailSamplingProcessor: Processor {
    private let buffer: TailBuffer
    private let outbox: TailOutbox
    private let waiting: WaitingRoom
    private let correlation: TailCorrelation
    private let registry: MetricRegistry
    private let current: Mutex<(settings: TailSamplingSettings, program: PolicyProgram)>
    private let metrics: TailSamplingMetrics
    private let blocks: Atomic<Bool>

    init(
        _ settings: TailSamplingSettings, id: ComponentID, next: any Consumer, environment: ComponentEnvironment,
        now: @escaping @Sendable () -> Int64 = TailSamplingProcessor.uptime
    ) throws {
        let program = try PolicyProgram(settings.policies, stopsAtFirstMatch: settings.stopsAtFirstMatch)
        let metrics = TailSamplingMetrics.of(id, environment)
        let logger = environment.logger("processor", id)
        let outbox = TailOutbox(
            .traces, next: next, metrics: metrics, eventLoop: environment.eventLoops.next(), logger: logger)
        let waiting = WaitingRoom()
        let correlation = TailCorrelation.of(id, environment)
        let storage = try Self.storage(settings, id, correlation.bufferCount, environment, now)
        var clock = now
        if let storage { clock = { storage.now } }
        let buffer = TailBuffer(
            settings, program: program, environment: environment, outbox: outbox, metrics: metrics, now: clock,
            storage: storage
        ) { waiting.admit() }
        waiting.open(buffer)
        correlation.add(buffer)
        self.correlation = correlation
        self.buffer = buffer
        self.outbox = outbox
        self.waiting = waiting
        registry = environment.metrics
        self.metrics = metrics
        current = Mutex((settings, program))
        blocks = Atomic(settings.blocksOnOverflow)
        environment.metrics.gauge(
            "otelcol_processor_tail_sampling_sampling_traces_on_memory", help: "Traces that are held",
            read: { [totals = buffer.totals] in Double(totals.traces.load(ordering: .relaxed)) })
        environment.metrics.gauge(
            "martlet_tail_sampling_buffer_bytes", help: "Bytes of spans that are held",
            labels: [("processor", "\(id)")],
            read: { [totals = buffer.totals] in Double(totals.bytes.load(ordering: .relaxed)) })
        environment.pages.add(TailStatus.path, "\(id)") { [weak self] in self?.status ?? "{}" }
    }

    /// Nanoseconds since some moment before the start.
    private static let uptime: @Sendable () -> Int64 = {
        let start = ContinuousClock.now
        return { TailSamplingSettings.nanoseconds(ContinuousClock.now - start) }
    }()

    var mutatesBatches: Bool { false }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        if buffer.isStuck {
            let message = "tail_sampling: the next stage does not take what was kept"
            receipt.refuse(ConsumeError(.queueFull, message, retryAfter: .seconds(1)))
        } else {
            waiting.take(batch, receipt, mayWait: blocks.load(ordering: .relaxed))
        }
    }

    /// What it takes to follow `settings`. In place, traces that are held stay, and are decided about by the new
    /// policies; decisions that were taken hold for late spans; buckets and rates of policies that are the same go on.
    ///
    /// - Throws: `PolicyError`, which reading the settings has recorded before.
    func change(to settings: TailSamplingSettings) throws -> SettingsChange {
        let (former, present) = current.withLock { $0 }
        let fixed = settings.fixedParts(changedFrom: former)
        guard fixed.isEmpty else { return .restart(keys: fixed) }
        let program = try PolicyProgram(
            settings.policies, stopsAtFirstMatch: settings.stopsAtFirstMatch, former: present)
        return .inPlace { [self] in
            current.withLock { current in
                buffer.replace(settings, program, PolicyCounters(registry, program.names))
                current = (settings, program)
            }
            blocks.store(settings.blocksOnOverflow, ordering: .relaxed)
        }
    }

    /// See `TailStatus`.
    private var status: String {
        let program = current.withLock { $0.program }
        return TailStatus(buffer, metrics, PolicyCounters(registry, program.names), program).json
    }

    private static func storage(
        _ settings: TailSamplingSettings, _ id: ComponentID, _ number: Int, _ environment: ComponentEnvironment,
        _ now: @escaping @Sendable () -> Int64
    ) throws -> TailStorage? {
        guard let wanted = settings.storage else { return nil }
        guard let found = environment.storages[wanted] else {
            throw StorageError(.missing, "there is no storage extension \"\(wanted)\" for \"\(id)\"")
        }
        return TailStorage(
            found, id: id, number: number, settings.rules, environment: environment, uptime: now)
    }

    /// Has back what the storage holds, if there is one.
    func start() throws {
        if let outbox = correlation.logsOutbox { buffer.setLogsOutbox(outbox) }
        try buffer.open()
    }

    func stop(deadline: ContinuousClock.Instant) async {
        guard waiting.close() else { return }
        defer { correlation.remove(buffer) }
        buffer.shutDown(dropsHeld: current.withLock { $0.settings.rules.dropsAtShutdown })
        await outbox.drain(deadline: deadline)
        guard buffer.isDurable else { return }
        await correlation.logsOutbox?.drain(deadline: deadline)
        buffer.close()
    }
}
