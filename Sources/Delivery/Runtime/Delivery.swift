package import NIOPosix
package import OTLP
package import Pipeline
internal import Storage
internal import Synchronization

/// Everything between a pipeline and one exporter of one signal: a bounded queue with batching, retry, time-out, dead
/// letters and drain. It owns the exporter, starts it and shuts it down. Exporter and settings may change while it runs
/// (`change`): what it holds then goes to the new one.
///
/// The rules are `DeliveryStateMachine`'s; this class gives it threads and time. The machine lives behind a lock that
/// is held for its arithmetic only: receipts, the exporter, the observer, the scheduler and files are called without
/// it. `consume` may come from any thread and never blocks; exports and dead letters run on worker threads.
package final class Delivery: Consumer, AdmissionGate {
    private typealias Machine = DeliveryStateMachine<Receipt>

    private struct State {
        var machine: Machine
        /// Where attempts go that begin now.
        var end: DeliveryEnd
        var drains: [CheckedContinuation<DeliveryReport, Never>] = []
        /// Who waits for the end of a queue that nothing is sent to any more.
        var retired: [CheckedContinuation<DeliveryReport?, Never>] = []
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
    private let scheduler: any DeliveryScheduler
    private let observer: any DeliveryObserver
    private let storage: DeliveryStorage?
    private let state: Mutex<State>
    private let timer = Mutex(TimerSlot())

    /// - Parameters:
    ///   - name: the exporter's id, for the name and the lines of the dead-letter file.
    ///   - settings: as validated by their decoding.
    ///   - exporter: for this signal only; nobody else starts it or shuts it down.
    ///   - workers: threads that exports and dead letters run on; running, and outliving the drain. Nil for
    ///     `num_consumers` threads of the queue's own. An exporter that blocks holds a thread for as long.
    ///   - storage: the disk of a queue whose settings name one; this queue opens and closes it.
    ///   - seed: of the retries' jitter.
    package init(
        name: String, signal: Signal, settings: DeliverySettings, exporter: any Exporter,
        scheduler: any DeliveryScheduler, observer: any DeliveryObserver, workers: NIOThreadPool? = nil,
        storage: DeliveryStorage? = nil, seed: UInt64 = .random(in: 0 ... .max)
    ) {
        self.name = name
        self.signal = signal
        // One without the other would take data and hold it nowhere.
        var settings = settings
        if storage == nil { settings.queue.storage = nil }
        self.storage = settings.queue.storage == nil ? nil : storage
        self.scheduler = scheduler
        self.observer = observer
        let end = DeliveryEnd(exporter, settings, workers, name: name, signal: signal)
        state = Mutex(State(machine: Machine(signal: signal, settings: settings, seed: seed), end: end))
    }

    package var mutatesBatches: Bool { false }

    /// Figures for gauges. Any thread.
    package var status: DeliveryStatus { state.withLock { $0.machine.status } }

    /// Opens the disk and the dead letters and starts the exporter; what the disk holds is delivered from then on. Call
    /// once, before the first batch comes.
    /// - Throws: the exporter's error, `StorageError` or `DeadLetterError`; nothing is started then.
    package func start() throws {
        let recovery = try storage?.open(dropped: { [weak self] in self?.dropped($0) })
        let end = state.withLock { $0.end }
        do {
            try end.start()
        } catch {
            storage?.close()
            throw error
        }
        let queue = end.settings.queue
        let now = scheduler.now()
        perform(
            state.withLock { state in
                state.phase = .started
                guard let recovery else { return [] }
                let live = recovery.live
                let units = queue.units(records: live.records, items: live.items, bytes: live.bytes)
                return state.machine.recovered(recovery.sequences, units: units, now: now)
            })
    }

    /// Queues the batch, or refuses it; see `Consumer`. A batch of another signal is refused as an internal error.
    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        guard batch.signal == signal else {
            receipt.refuse(ConsumeError(.internal, "\(batch.signal.rawValue) came to the queue for \(signal.rawValue)"))
            return
        }
        var end = state.withLock { $0.end }
        var actions: [DeliveryAction<Receipt>]?
        while actions == nil {
            let arrival = Machine.Arrival(
                batch, metadata: context.metadata, client: context.client, token: receipt, settings: end.settings.queue)
            let now = scheduler.now()
            // What is known of it is known by the settings that it comes in under.
            (actions, end) = state.withLock { state in
                (state.end === end ? state.machine.enqueue(arrival, now: now) : nil, state.end)
            }
        }
        perform(actions ?? [])
    }

    package func enter(_ client: ClientKey) -> AdmissionAnswer {
        let now = scheduler.now()
        var answer = state.withLock { $0.machine.expect(client, now: now) }
        if case .refused(var error) = answer {
            error.gate = self
            answer = .refused(error)
        }
        return answer
    }

    package func leave(_ client: ClientKey) { state.withLock { $0.machine.arrived(client) } }

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
        return complete(report)
    }

    private func complete(_ report: DeliveryReport) -> DeliveryReport {
        var complete = report
        if let storage { complete.keptRequests = storage.log.status.records }
        return complete
    }

    // MARK: Changes while it runs

    /// What changes together: an exporter, started, and settings. Nobody uses it before `commit`.
    package struct Change: Sendable {
        fileprivate let delivery: Delivery
        fileprivate let end: DeliveryEnd
        fileprivate let isOtherDestination: Bool

        /// Has the queue go on so. Attempts under way end where they are.
        package func commit() { delivery.apply(self) }

        /// Ends what was started.
        package func cancel() { delivery.abandon(end) }
    }

    /// Whether `change` can be asked for these settings.
    package func canChange(to new: DeliverySettings) -> Bool {
        state.withLock { state in
            Machine.canChange(from: state.end.settings, to: new) && state.phase == .started
                && state.machine.phase == .running
        }
    }

    /// The settings at present.
    package var settings: DeliverySettings { state.withLock { $0.end }.settings }

    /// Prepares other settings, or another exporter, or both.
    ///
    /// - Parameters:
    ///   - exporter: nil for the present one.
    ///   - workers: see `init`.
    /// - Throws: the exporter's error, or `DeadLetterError`; nothing has changed then.
    package func change(
        to settings: DeliverySettings, exporter: (any Exporter)?, workers: NIOThreadPool?
    ) throws -> Change {
        let present = state.withLock { $0.end }
        let end =
            exporter.map { DeliveryEnd($0, settings, workers, name: name, signal: signal) }
            ?? DeliveryEnd(present, settings, workers, name: name, signal: signal)
        try end.start()
        return Change(delivery: self, end: end, isOtherDestination: exporter != nil)
    }

    /// What of an end that is not used belongs to it alone.
    private func abandon(_ end: DeliveryEnd) {
        if end.exporter !== state.withLock({ $0.end }).exporter { end.shutDown() }
    }

    private func apply(_ change: Change) {
        let now = scheduler.now()
        let (actions, retired) = state.withLock { state in
            state.end = change.end
            let actions = state.machine.reconfigure(
                change.end.settings, isOtherDestination: change.isOtherDestination, seed: .random(in: 0 ... .max),
                now: now)
            let retired = state.retired
            state.retired = []
            return (actions, retired)
        }
        perform(actions)
        for continuation in retired { continuation.resume(returning: nil) }
    }

    /// Nothing more will come: delivers what is held, under the usual rules, then shuts the exporter down. Returns when
    /// that is done, or when a change takes the queue back into use: nil then.
    package func retire() async -> DeliveryReport? {
        let report: DeliveryReport? = await withCheckedContinuation { continuation in
            let now = scheduler.now()
            let (actions, report) = state.withLock { state in
                if let report = state.report { return ([DeliveryAction<Receipt>](), DeliveryReport?(report)) }
                state.retired.append(continuation)
                return (state.machine.retire(now: now), nil)
            }
            if let report { continuation.resume(returning: report) }
            perform(actions)
        }
        guard let report else { return nil }
        await shutDown()
        return complete(report)
    }

    /// Has a queue that was retired go on even when it is empty, until `change` takes it back into use or
    /// `continueRetiring`. False when it is too late, or was never retired.
    package func pauseRetiring() -> Bool { state.withLock { $0.machine.pauseRetiring() } }

    /// The opposite of `pauseRetiring`.
    package func continueRetiring() {
        let now = scheduler.now()
        perform(state.withLock { $0.machine.retire(now: now) })
    }

    // MARK: Driving the machine

    private func perform(_ actions: [DeliveryAction<Receipt>]) {
        if let attempt = perform(actions, keepingDispatch: false) { submit(attempt) }
    }

    /// Carries out the actions; on a worker thread that is about to be free, without one dispatch, which it returns.
    private func perform(_ actions: [DeliveryAction<Receipt>], keepingDispatch: Bool) -> Attempt? {
        var kept: Attempt?
        for action in actions {
            switch action {
            case .accept(let receipt):
                receipt.accept()
            case .refuse(let receipt, var error):
                if error.code == .queueFull { error.gate = self }
                receipt.refuse(error)
            case .dispatch(let id, let request):
                let attempt = Attempt(id: id, request: request, end: state.withLock { $0.end })
                if keepingDispatch, kept == nil { kept = attempt } else { submit(attempt) }
            case .setAside(let id, let request, let cause, let reason):
                setAside(id, request, cause, reason)
            case .append(let id, let batch):
                append(id, batch)
            case .load(let sequence, let maximumBytes):
                load(from: sequence, maximumBytes)
            case .release(let sequence):
                storage?.log.release(sequence)
            case .setTimer(let instant, let generation):
                setTimer(at: instant, generation)
            case .cancelTimer(let generation):
                replaceTimer(nil, generation)
            case .report(let event):
                observer.observe(event)
            case .drained(let report):
                let (drains, retired) = state.withLock { state in
                    state.report = report
                    defer { (state.drains, state.retired) = ([], []) }
                    return (state.drains, state.retired)
                }
                for drain in drains { drain.resume(returning: report) }
                for continuation in retired { continuation.resume(returning: report) }
            }
        }
        return kept
    }

    private func submit(_ attempt: Attempt) {
        onWorker(of: attempt.end) {
            self.run(attempt)
        } orElse: {
            self.complete(attempt.id, .retryable("the export threads are not running", after: nil))
        }
    }

    private func onWorker(
        of end: DeliveryEnd? = nil, _ work: @escaping @Sendable () -> Void,
        orElse refused: @escaping @Sendable () -> Void
    ) {
        let end = end ?? state.withLock { $0.end }
        end.workers.submit { [scheduler] state in
            if state == .active {
                work()
            } else {
                // The pool may say so inside `submit`. Going on from there would recurse with each request.
                _ = scheduler.schedule(at: scheduler.now(), refused)
            }
        }
    }

    /// Runs an attempt, and those that follow from its end, as long as the exporter answers before it returns.
    private func run(_ attempt: Attempt) {
        var next: Attempt? = attempt
        while let current = next {
            // It may have waited for this thread for longer than its time-out or than the drain.
            guard state.withLock({ $0.machine.isActive(current.id) }) else { return }
            let answer = Answer()
            let end = current.end
            end.exporter.export(current.request) { [self] outcome in
                // An exporter ends after its last answer.
                withExtendedLifetime(end) {
                    if answer.isLate(outcome) { complete(current.id, outcome) }
                }
            }
            guard let outcome = answer.afterReturn() else { return }
            next = perform(completed(current.id, outcome), keepingDispatch: true)
        }
    }

    private func completed(_ id: UInt64, _ outcome: ExportOutcome) -> [DeliveryAction<Receipt>] {
        let now = scheduler.now()
        return state.withLock { $0.machine.completed(id, outcome, now: now) }
    }

    private func complete(_ id: UInt64, _ outcome: ExportOutcome) { perform(completed(id, outcome)) }

    private func setAside(_ id: UInt64, _ request: ExportRequest, _ cause: DropCause, _ reason: String) {
        let end = state.withLock { $0.end }
        onWorker(of: end) { [self] in
            do throws(DeadLetterError) {
                // They were there when the request failed.
                guard let deadLetters = end.deadLetters else { throw .notOpen }
                try deadLetters.append(request, cause: cause, reason: reason)
                setAsideCompleted(id, failure: nil)
            } catch {
                setAsideCompleted(id, failure: "\(error)")
            }
        } orElse: {
            self.setAsideCompleted(id, failure: "the export threads are not running")
        }
    }

    private func setAsideCompleted(_ id: UInt64, failure: String?) {
        let now = scheduler.now()
        perform(state.withLock { $0.machine.setAsideCompleted(id, failure: failure, now: now) })
    }

    // MARK: The disk

    private func append(_ id: UInt64, _ batch: BatchOnDisk) {
        storage?.append(batch) { [self] result in
            let now = scheduler.now()
            switch result {
            case .success(let sequence):
                perform(state.withLock { $0.machine.appended(id, sequence: sequence, now: now) })
            case .failure(let error):
                let refusal = DeliveryStorage.refusal(for: error)
                let isFull = error.kind == .full || error.kind == .noSpace
                perform(state.withLock { $0.machine.appendFailed(id, refusal, isFull: isFull, now: now) })
            }
        }
    }

    private func load(from sequence: UInt64, _ maximumBytes: Int) {
        storage?.log.read(from: sequence, maximumBytes: maximumBytes) { [self] result in
            // Off the log's thread: decoding takes time that records on their way to the disk should not wait for.
            onWorker {
                self.loaded(result)
            } orElse: {
                self.loaded(.failure(StorageError(.closed, "the export threads are not running")))
            }
        }
    }

    private func loaded(_ result: Result<LogRead, StorageError>) {
        guard let storage, case .success(let read) = result else {
            if case .failure(let error) = result { storage?.readFailed(error) }
            let now = scheduler.now()
            perform(state.withLock { $0.machine.loadFailed(now: now) })
            return
        }
        let (batches, unreadable) = storage.decode(read, signal)
        if unreadable.items > 0 {
            let reason = "the queue's disk holds what is no OTLP"
            observer.observe(.sendFailed(items: unreadable.items, .unreadable, reason: reason))
        }
        let lost = read.lost + unreadable.sequences
        let now = scheduler.now()
        perform(state.withLock { $0.machine.loaded(batches, next: read.next, lost: lost, now: now) })
    }

    private func dropped(_ drop: LogDrop) {
        let now = scheduler.now()
        perform(state.withLock { $0.machine.dropped(below: drop.next, drop.records, now: now) })
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
        let (isFirst, end) = state.withLock { state in
            defer { state.phase = .stopped }
            return (state.phase == .started, state.end)
        }
        guard isFirst else { return }
        await withCheckedContinuation { continuation in
            end.shutDown { [storage] in
                storage?.close()
                continuation.resume()
            }
        }
    }
}

private struct Attempt: Sendable {
    let id: UInt64
    let request: ExportRequest
    let end: DeliveryEnd
}

/// Tells whether an exporter answered inside `export` or later.
private final class Answer: Sendable {
    private enum State {
        case calling
        case answered(ExportOutcome)
        case returned
    }

    private let state = Mutex(State.calling)

    /// Takes the exporter's answer. True when `export` has returned: the answer is then the caller's to pass on.
    func isLate(_ outcome: ExportOutcome) -> Bool {
        state.withLock { state in
            if case .returned = state { return true }
            if case .calling = state { state = .answered(outcome) }
            return false
        }
    }

    /// The answer, if there is one already.
    func afterReturn() -> ExportOutcome? {
        state.withLock { state in
            defer { state = .returned }
            guard case .answered(let outcome) = state else { return nil }
            return outcome
        }
    }
}
