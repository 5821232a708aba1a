package import NIOPosix
package import OTLP
package import Pipeline
internal import Synchronization

/// Everything between a pipeline and one exporter of one signal: a bounded queue with batching, retry, time-out, dead
/// letters and drain. It owns the exporter, starts it and shuts it down.
///
/// The rules are `DeliveryStateMachine`'s; this class gives it threads and time. The machine lives behind a lock that
/// is held for its arithmetic only: receipts, the exporter, the observer, the scheduler and files are called without
/// it. `consume` may come from any thread and never blocks; exports and dead letters run on worker threads.
package final class Delivery: Consumer {
    private typealias Machine = DeliveryStateMachine<Receipt>

    private struct State {
        var machine: Machine
        var drains: [CheckedContinuation<DeliveryReport, Never>] = []
        var report: DeliveryReport?
        var phase = Phase.created
    }

    private enum Phase {
        case created, started, stopped
    }

    private struct TimerSlot {
        var generation: UInt64 = 0
        var timer: (any DeliveryTimer)?
    }

    /// The exporter's id.
    package let name: String
    package let signal: Signal
    private let settings: DeliverySettings
    private let exporter: any Exporter
    private let scheduler: any DeliveryScheduler
    private let observer: any DeliveryObserver
    private let workers: NIOThreadPool
    private let ownsWorkers: Bool
    private let deadLetters: DeadLetterFile?
    private let state: Mutex<State>
    private let timer = Mutex(TimerSlot())

    /// - Parameters:
    ///   - name: the exporter's id, for the name and the lines of the dead-letter file.
    ///   - settings: as validated by their decoding.
    ///   - exporter: for this signal only; nobody else starts it or shuts it down.
    ///   - workers: threads that exports run on, running, and shut down by their owner after the drain; nil for
    ///     `num_consumers` threads of the queue's own. An exporter that blocks holds a thread for as long.
    ///   - seed: of the retries' jitter.
    package init(
        name: String, signal: Signal, settings: DeliverySettings, exporter: any Exporter,
        scheduler: any DeliveryScheduler, observer: any DeliveryObserver, workers: NIOThreadPool? = nil,
        seed: UInt64 = .random(in: 0 ... .max)
    ) {
        self.name = name
        self.signal = signal
        self.settings = settings
        self.exporter = exporter
        self.scheduler = scheduler
        self.observer = observer
        self.workers = workers ?? NIOThreadPool(numberOfThreads: settings.queue.consumers)
        ownsWorkers = workers == nil
        deadLetters = settings.deadLetter.map { DeadLetterFile($0, exporter: name, signal: signal) }
        state = Mutex(State(machine: Machine(signal: signal, settings: settings, seed: seed)))
    }

    package var mutatesBatches: Bool { false }

    /// Figures for gauges. Any thread.
    package var status: DeliveryStatus { state.withLock { $0.machine.status } }

    /// Opens the dead letters and starts the exporter. Call once, before the first batch comes.
    /// - Throws: the exporter's error, or `DeadLetterError`; nothing is started then.
    package func start() throws {
        try deadLetters?.open()
        do {
            try exporter.start()
        } catch {
            deadLetters?.close()
            throw error
        }
        if ownsWorkers { workers.start() }
        state.withLock { $0.phase = .started }
    }

    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        guard batch.signal == signal else {
            receipt.refuse(ConsumeError(.internal, "\(batch.signal.rawValue) came to the queue for \(signal.rawValue)"))
            return
        }
        let arrival = Machine.Arrival(
            batch, metadata: context.metadata, token: receipt, settings: settings.queue)
        let now = scheduler.now()
        perform(state.withLock { $0.machine.enqueue(arrival, now: now) })
    }

    /// Refuses new batches, delivers what is held until `deadline`, then gives up the rest and shuts the exporter
    /// down. Returns when that is done. Later calls return the same report.
    package func drain(deadline: ContinuousClock.Instant) async -> DeliveryReport {
        let report = await withCheckedContinuation { continuation in
            let now = scheduler.now()
            let (actions, report) = state.withLock { state in
                if let report = state.report { return ([DeliveryAction<Receipt>](), DeliveryReport?(report)) }
                state.drains.append(continuation)
                return (state.machine.beginDrain(deadline: deadline, now: now), nil)
            }
            if let report { continuation.resume(returning: report) }
            perform(actions)
        }
        await shutDown()
        return report
    }

    // MARK: Driving the machine

    private func perform(_ actions: [DeliveryAction<Receipt>]) {
        for action in actions {
            switch action {
            case .accept(let receipt):
                receipt.accept()
            case .refuse(let receipt, let error):
                receipt.refuse(error)
            case .dispatch(let id, let request):
                dispatch(id, request)
            case .setAside(let id, let request, let cause, let reason):
                setAside(id, request, cause, reason)
            case .setTimer(let instant, let generation):
                setTimer(at: instant, generation)
            case .cancelTimer(let generation):
                replaceTimer(nil, generation)
            case .report(let event):
                observer.observe(event)
            case .drained(let report):
                let drains = state.withLock { state in
                    state.report = report
                    defer { state.drains = [] }
                    return state.drains
                }
                for drain in drains { drain.resume(returning: report) }
            }
        }
    }

    private func dispatch(_ id: UInt64, _ request: ExportRequest) {
        workers.submit { [self] state in
            guard state == .active else {
                complete(id, .retryable("the exporter's threads are not running", after: nil))
                return
            }
            exporter.export(request) { self.complete(id, $0) }
        }
    }

    private func complete(_ id: UInt64, _ outcome: ExportOutcome) {
        let now = scheduler.now()
        perform(state.withLock { $0.machine.completed(id, outcome, now: now) })
    }

    private func setAside(_ id: UInt64, _ request: ExportRequest, _ cause: DropCause, _ reason: String) {
        workers.submit { [self] state in
            var failure: String? = "the exporter's threads are not running"
            if state == .active {
                do throws(DeadLetterError) {
                    try deadLetters?.append(request, cause: cause, reason: reason)
                    failure = nil
                } catch {
                    failure = "\(error)"
                }
            }
            let result = failure
            let now = scheduler.now()
            perform(self.state.withLock { $0.machine.setAsideCompleted(id, failure: result, now: now) })
        }
    }

    private func setTimer(at instant: ContinuousClock.Instant, _ generation: UInt64) {
        // The timer holds the queue only weakly: one that was never drained can go.
        let scheduled = scheduler.schedule(at: instant) { [weak self] in
            guard let self else { return }
            let now = scheduler.now()
            perform(state.withLock { $0.machine.timerFired(now: now) })
        }
        replaceTimer(scheduled, generation)
    }

    /// Keeps the timer of the latest generation and cancels the other: actions of two threads may come out of order.
    private func replaceTimer(_ new: (any DeliveryTimer)?, _ generation: UInt64) {
        let stale = timer.withLock { slot in
            guard generation > slot.generation else { return new }
            let old = slot.timer
            slot = TimerSlot(generation: generation, timer: new)
            return old
        }
        stale?.cancel()
    }

    private func shutDown() async {
        let isFirst = state.withLock { state in
            defer { state.phase = .stopped }
            return state.phase == .started
        }
        guard isFirst else { return }
        // A thread of its own: the workers may all be inside an export that only `shutdown` ends.
        let closer = NIOThreadPool(numberOfThreads: 1)
        closer.start()
        await withCheckedContinuation { continuation in
            closer.submit { [exporter, deadLetters] _ in
                exporter.shutdown()
                deadLetters?.close()
                continuation.resume()
            }
        }
        // Not awaited: a thread that is still inside an export ends when the export does.
        closer.shutdownGracefully { _ in }
        if ownsWorkers { workers.shutdownGracefully { _ in } }
    }
}
