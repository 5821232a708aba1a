internal import Config
internal import Logging
internal import NIOCore
internal import OTLP
internal import Pipeline
internal import Sampling
internal import Synchronization

/// What the pipelines that a `tail_sampling` section is in share: the buffer of the traces pipeline. Any thread.
final class TailCorrelation: Sendable {
    private struct State {
        var buffers: [TailBuffer] = []
        var logsOutboxes: [TailOutbox] = []
    }

    private let state = Mutex(State())

    /// The one for a section.
    static func of(_ id: ComponentID, _ environment: ComponentEnvironment) -> TailCorrelation {
        environment.shared.part("tail_sampling " + id.description) { TailCorrelation() }
    }

    func add(_ buffer: TailBuffer) { state.withLock { $0.buffers.append(buffer) } }

    /// Traces pipelines by now.
    var bufferCount: Int { state.withLock { $0.buffers.count } }

    func addLogsPipeline(_ outbox: TailOutbox) { state.withLock { $0.logsOutboxes.append(outbox) } }

    /// Where the log records of the one buffer go on; nil when there is no such place, or several.
    var logsOutbox: TailOutbox? {
        guard case .success = buffer else { return nil }
        return state.withLock { $0.logsOutboxes.first }
    }

    /// That pipeline is not there any more.
    func remove(_ buffer: TailBuffer) { state.withLock { $0.buffers.removeAll { $0 === buffer } } }

    func removeLogsPipeline(_ outbox: TailOutbox) {
        state.withLock { $0.logsOutboxes.removeAll { $0 === outbox } }
    }

    /// Whose decisions log records follow, or why there is no such buffer.
    var buffer: Result<TailBuffer, NoDecision> {
        state.withLock { state in
            guard let buffer = state.buffers.first else {
                return .failure(NoDecision(reason: "no traces pipeline has this processor"))
            }
            guard state.buffers.count == 1 else {
                return .failure(NoDecision(reason: "several traces pipelines have this processor"))
            }
            guard state.logsOutboxes.count == 1 else {
                return .failure(NoDecision(reason: "several logs pipelines have this processor"))
            }
            return .success(buffer)
        }
    }

    /// Why log records have no decisions to follow.
    struct NoDecision: Error {
        let reason: String
    }
}

/// A tail sampler in a logs pipeline: records follow the decision that the sampler of the same id takes about their trace
/// in its traces pipeline.
///
/// A batch is acknowledged when its records are in that sampler's buffer, or at once gone on.
final class TailLogsProcessor: Processor {
    private let correlation: TailCorrelation
    private let outbox: TailOutbox
    private let next: any Consumer
    private let keepsUnmatched: Bool
    private let logger: Logger
    private let isClosed = Atomic<Bool>(false)
    /// Whose decisions are followed; nil before the start, and when there is none.
    private let buffer = Mutex<TailBuffer?>(nil)

    init(id: ComponentID, _ settings: TailSamplingSettings, next: any Consumer, environment: ComponentEnvironment) {
        logger = environment.logger("processor", id)
        self.next = next
        keepsUnmatched = settings.rules.keepsUnmatchedLogs
        correlation = TailCorrelation.of(id, environment)
        outbox = TailOutbox(
            .logs, next: next, metrics: TailSamplingMetrics.of(id, environment),
            eventLoop: environment.eventLoops.next(), logger: logger)
        correlation.addLogsPipeline(outbox)
    }

    var mutatesBatches: Bool { false }

    func start() throws {
        switch correlation.buffer {
        case .success(let found):
            found.setLogsOutbox(outbox)
            buffer.withLock { $0 = found }
        case .failure(let error):
            logger.warning(
                "log records follow no decisions",
                metadata: ["reason": "\(error.reason)", "they": keepsUnmatched ? "are kept" : "go"])
        }
    }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        guard !isClosed.load(ordering: .acquiring) else {
            return receipt.refuse(ConsumeError(.shuttingDown, "tail_sampling is shutting down"))
        }
        guard let buffer = buffer.withLock({ $0 }) else {
            if keepsUnmatched { return next.consume(batch, context: context, receipt: receipt) }
            return receipt.accept()
        }
        let runs = TraceRuns(batch)
        // Nothing to wait for: the batch goes on as it is.
        guard runs.hasTraces else { return next.consume(batch, context: context, receipt: receipt) }
        if buffer.isStuck || outbox.bytes > buffer.mostKept {
            let message = "tail_sampling: the next stage does not take what was kept"
            return receipt.refuse(ConsumeError(.queueFull, message, retryAfter: .seconds(1)))
        }
        buffer.take(batch, receipt)
    }

    /// Whatever is held is decided about, so that the records of this pipeline can go on before it ends; what is in a
    /// storage stays there, and the traces pipeline ends it.
    func stop(deadline: ContinuousClock.Instant) async {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let buffer = buffer.withLock { $0 }
        if let buffer, buffer.isDurable { return }
        correlation.removeLogsPipeline(outbox)
        buffer?.shutDown(dropsHeld: false)
        await outbox.drain(deadline: deadline)
    }
}
