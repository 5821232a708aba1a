internal import NIOCore
internal import OTLP
internal import Pipeline
internal import Sampling
internal import Synchronization

/// One shard behind its lock, with what others may know of it without the lock.
final class LockedShard: @unchecked Sendable {
    // Sendable: `shard`, `policies` and `lease` are only touched with `lock` held.
    private let lock = Mutex<Void>(())
    private var shard: TailShard
    /// Of the shard's present policies.
    private var policies: PolicyCounters
    private let lease: MemoryLease
    private var counted = (traces: 0, bytes: 0)
    let eventLoop: any EventLoop
    /// When the oldest trace came; `Int64.max` without one.
    let oldest = Atomic<Int64>(.max)
    /// Whether a round of decisions is scheduled.
    let isScheduled = Atomic<Bool>(false)

    init(_ shard: consuming TailShard, _ policies: PolicyCounters, lease: MemoryLease, eventLoop: any EventLoop) {
        self.shard = shard
        self.policies = policies
        self.lease = lease
        self.eventLoop = eventLoop
    }

    /// Goes on with other settings and policies; see `TailShard.replace`.
    func replace(_ settings: TailSettings, _ program: PolicyProgram, _ counters: PolicyCounters) {
        lock.withLock { _ in
            policies.add(shard.takeTallies())
            shard.replace(settings, program)
            policies = counters
        }
    }

    /// Works on the shard; then its memory is counted, its share of `totals`, and what its policies said.
    func withShard<Result>(_ totals: TailTotals, _ body: (inout TailShard) -> Result) -> Result {
        lock.withLock { _ in
            let result = body(&shard)
            totals.traces.add(shard.traceCount - counted.traces, ordering: .relaxed)
            totals.bytes.add(shard.liveBytes - counted.bytes, ordering: .relaxed)
            counted = (shard.traceCount, shard.liveBytes)
            oldest.store(shard.oldest ?? .max, ordering: .relaxed)
            lease.count(shard.heldBytes)
            if shard.hasTallies { policies.add(shard.takeTallies()) }
            return result
        }
    }
}

/// What all shards of a buffer hold together.
final class TailTotals: Sendable {
    let traces = Atomic<Int>(0)
    let bytes = Atomic<Int>(0)
}

/// The shards of a tail sampler, their bounds and their rounds of decisions. Any thread.
///
/// Rounds run on event loops, in slices short enough that requests wait for less than a few milliseconds.
final class TailBuffer: Sendable {
    /// Shortest time between two rounds of a shard, and the longest, after which memory is looked after.
    private static let shortestRest: Int64 = 10_000_000
    private static let longestRest: Int64 = 1_000_000_000
    /// Spans that are read with a shard's lock held.
    private static let spansPerSlice = 2048
    /// Slices of a round before other work of the event loop has its turn.
    private static let slicesPerRound = 2
    /// Traces that one request may push out, and those of one shard before the next is looked at.
    private static let evictionsPerRequest = 4096
    private static let evictionsPerSlice = 64

    let totals = TailTotals()
    private let shards: [LockedShard]
    private let choice: ShardChoice
    private let outbox: TailOutbox
    /// Of the logs pipeline that shares this buffer; set before data comes.
    private let logsOutbox = Mutex<TailOutbox?>(nil)
    private let metrics: TailSamplingMetrics
    private let budget: MemoryBudget
    private let maximumTraces = Atomic<Int>(0)
    private let maximumBytes = Atomic<Int>(0)
    /// Shortest wait that a trace may be given after it has come.
    private let shortestWait = Atomic<Int64>(0)
    private let now: @Sendable () -> Int64
    /// Where what is held is too; nil for a buffer in memory only.
    private let storage: TailStorage?
    /// Nothing is decided about any more: what is held stays in the storage.
    private let isStopped = Atomic<Bool>(false)
    private let didDecide: @Sendable () -> Void

    /// - Parameters:
    ///   - now: nanoseconds; does not run backwards. With a storage, its time.
    ///   - storage: not opened; the buffer's alone from now on.
    ///   - didDecide: called after rounds that may have made room.
    init(
        _ settings: TailSamplingSettings, program: PolicyProgram, environment: ComponentEnvironment,
        outbox: TailOutbox, metrics: TailSamplingMetrics, now: @escaping @Sendable () -> Int64,
        storage: TailStorage? = nil, didDecide: @escaping @Sendable () -> Void
    ) {
        self.outbox = outbox
        self.storage = storage
        if let storage { outbox.report(to: storage) }
        self.metrics = metrics
        self.now = now
        self.didDecide = didDecide
        let budget = environment.budget
        self.budget = budget
        let policies = PolicyCounters(environment.metrics, program.names)
        let loops = environment.eventLoops
        var random = SystemRandomNumberGenerator()
        let count = settings.shards ?? loops.makeIterator().reduce(0) { count, _ in count + 1 }
        choice = ShardChoice(count: count, seed: (random.next(), random.next()))
        shards = (0..<max(1, count)).map { _ in
            let shard = TailShard(
                settings.rules, program, share: count, seed: (random.next(), random.next()),
                isDurable: storage != nil, account: { budget.count($0) })
            return LockedShard(shard, policies, lease: budget.count(0), eventLoop: loops.next())
        }
        setBounds(settings)
    }

    private func setBounds(_ settings: TailSamplingSettings) {
        maximumTraces.store(settings.maximumTraces, ordering: .relaxed)
        maximumBytes.store(settings.maximumBytes ?? max(1 << 20, budget.hardLimit / 2), ordering: .relaxed)
        let rules = settings.rules
        let waits = [rules.decisionWait, rules.waitAfterRoot, rules.waitAfterLastSpan].filter { $0 > 0 }
        shortestWait.store(waits.min() ?? 0, ordering: .relaxed)
    }

    /// Goes on with other policies, waits and bounds. Each trace is decided about by the old or the new policies, whole.
    func replace(_ settings: TailSamplingSettings, _ program: PolicyProgram, _ counters: PolicyCounters) {
        setBounds(settings)
        for shard in shards { shard.replace(settings.rules, program, counters) }
    }

    /// Whether the bounds are reached.
    var isFull: Bool {
        totals.traces.load(ordering: .relaxed) >= maximumTraces.load(ordering: .relaxed)
            || totals.bytes.load(ordering: .relaxed) >= maximumBytes.load(ordering: .relaxed)
    }

    /// Whether kept spans that the next stage does not take fill half of what may be held.
    var isStuck: Bool { outbox.bytes > mostKept }
    /// Most bytes of kept spans, or of kept log records, that wait for the next stage: half of what may be held.
    var mostKept: Int { maximumBytes.load(ordering: .relaxed) / 2 }

    // MARK: Spans in

    /// Holds the spans, or log records, of a batch until their traces are decided about, and settles its receipt: at once,
    /// or, with a storage, when it is on the disk.
    func take(_ batch: TelemetryBatch, _ receipt: Receipt) {
        guard let storage else { return Self.settle(receipt, hold(batch, TraceRuns(batch))) }
        storage.append(batch) { [self] result in
            switch result {
            case .success(let sequence):
                let runs = TraceRuns(batch)
                storage.begin(sequence, runs: runs.runs.count)
                Self.settle(receipt, hold(batch, runs, sequence))
            case .failure(let error):
                receipt.refuse(error)
                keepBounds()
            }
        }
    }

    private static func settle(_ receipt: Receipt, _ isComplete: Bool) {
        if isComplete {
            receipt.accept()
        } else {
            receipt.refuse(ConsumeError(.memoryLimit, "tail_sampling: no memory", retryAfter: .seconds(1)))
        }
    }

    /// - Parameters:
    ///   - sequence: of its record in the storage.
    ///   - time: when it came, if that was in an earlier run.
    ///   - isDone: runs that an earlier run is done with.
    /// - Returns: false when memory was refused for a part of it.
    private func hold(
        _ batch: TelemetryBatch, _ runs: borrowing TraceRuns, _ sequence: UInt64 = 0, time: Int64? = nil,
        isDone: ((TraceRun) -> Bool)? = nil
    ) -> Bool {
        let now = time ?? now()
        var isComplete = true
        for (index, shard) in shards.enumerated() {
            let belongs: (TraceRun) -> Bool = { [choice] run in
                choice.shard(run.high, run.low) == index && !(isDone?(run) ?? false)
            }
            guard shards.count == 1 || runs.runs.contains(where: belongs) else { continue }
            let isTaken = work(on: shard) {
                $0.take(runs, of: batch, now: now, sequence: sequence, where: belongs)
            }
            isComplete = isTaken && isComplete
            // What comes back is complete before anything falls due.
            if time == nil { schedule(shard) }
        }
        keepBounds()
        return isComplete
    }

    /// Log records that go on go there from now on.
    func setLogsOutbox(_ outbox: TailOutbox) {
        if let storage { outbox.report(to: storage) }
        logsOutbox.withLock { $0 = outbox }
    }

    // MARK: The storage

    /// Whether what is held survives the end of the process.
    var isDurable: Bool { storage != nil }

    /// Has back what the storage holds. Blocks; before data comes.
    ///
    /// - Throws: `StorageError`.
    func open() throws {
        guard let storage else { return }
        let takesLogs = logsOutbox.withLock { $0 } != nil
        var left = 0
        var latest: Int64 = 0
        try storage.open(
            names: { [weak self] in self?.decisionNames ?? DecisionNames() },
            restore: { page in
                for (index, shard) in shards.enumerated() {
                    let isMine: (DecisionEntry) -> Bool = { [choice] in choice.shard($0.high, $0.low) == index }
                    shard.withShard(totals) { $0.restore(page, where: isMine) }
                }
            },
            hold: { held, done, begin in
                let areLogs = held.batch.signal == .logs
                guard !areLogs || takesLogs else {
                    left += held.batch.itemCount
                    return false
                }
                let runs = TraceRuns(held.batch)
                let isDone: (TraceRun) -> Bool = { done.contains($0, areLogs: areLogs, sequence: held.sequence) }
                begin(runs.runs.count { !isDone($0) })
                latest = max(latest, held.time)
                _ = hold(held.batch, runs, held.sequence, time: latest, isDone: isDone)
                return true
            })
        for shard in shards { schedule(shard) }
        if left > 0 { outbox.warn("log records stay in the storage: no logs pipeline has this processor", items: left) }
    }

    /// What all shards' entries refer to: lists that only grow, each a part of the longest.
    private var decisionNames: DecisionNames {
        shards.map { $0.withShard(totals) { $0.decisionNames } }.max {
            ($0.policies.count, $0.hashes.count) < ($1.policies.count, $1.hashes.count)
        } ?? DecisionNames()
    }

    /// Works on a shard and passes on what it has to say.
    ///
    /// - Parameter flushes: whether kept spans go on that do not fill a request yet. Each round ends with that.
    private func work<Result>(
        on shard: LockedShard, flushes: Bool = false, _ body: (inout TailShard) -> Result
    ) -> Result {
        let (result, kept, logs, counts, settled) = shard.withShard(totals) { shard in
            let result = body(&shard)
            return (
                result, shard.takeKept(all: flushes), shard.takeKeptLogs(all: flushes), shard.takeCounts(),
                shard.takeSettled()
            )
        }
        metrics.add(counts)
        storage?.settle(settled.decisions, settled.runs)
        outbox.send(kept)
        if !logs.isEmpty { logsOutbox.withLock { $0 }?.send(logs) }
        return result
    }

    /// Decides about the oldest traces until what is held is within the bounds.
    private func keepBounds() {
        for _ in 0..<Self.evictionsPerRequest / Self.evictionsPerSlice {
            guard let excess = excess else { return }
            let ages = shards.map { $0.oldest.load(ordering: .relaxed) }
            guard let first = ages.indices.min(by: { ages[$0] < ages[$1] }), ages[first] < excess.before else { return }
            let next = min(excess.before, ages.indices.filter { $0 != first }.map { ages[$0] }.min() ?? .max)
            let now = now()
            work(on: shards[first]) { shard in
                shard.decideOldest(
                    excess.trigger, traces: excess.traces, bytes: excess.bytes, olderThan: next,
                    most: Self.evictionsPerSlice, now: now)
            }
        }
    }

    /// By how much which bound is passed, and when the traces came that are meant; nil when none is.
    private var excess: (trigger: DecisionTrigger, traces: Int, bytes: Int, before: Int64)? {
        if isStopped.load(ordering: .relaxed) { return nil }
        let maximumBytes = maximumBytes.load(ordering: .relaxed)
        let traces = totals.traces.load(ordering: .relaxed) - maximumTraces.load(ordering: .relaxed)
        if traces > 0 { return (.traceCount, traces, .max, .max) }
        let held = totals.bytes.load(ordering: .relaxed)
        if held > maximumBytes { return (.bufferBytes, .max, held - maximumBytes, .max) }
        let inAll = budget.heldBytes - budget.softLimit
        if inAll > 0, held > maximumBytes / 2 { return (.memory, .max, min(inAll, held - maximumBytes / 2), .max) }
        if let before = storage?.decidesBefore, before > .min { return (.storage, .max, .max, before) }
        return nil
    }

    /// What is held, for somebody who looks: the bounds, and seconds since the oldest trace came.
    var status: (traces: Int, bytes: Int, maximumTraces: Int, maximumBytes: Int, oldest: Double, waiting: Int) {
        let oldest = shards.map { $0.oldest.load(ordering: .relaxed) }.min() ?? .max
        return (
            totals.traces.load(ordering: .relaxed), totals.bytes.load(ordering: .relaxed),
            maximumTraces.load(ordering: .relaxed), maximumBytes.load(ordering: .relaxed),
            oldest == .max ? 0 : Double(max(0, now() - oldest)) * 1e-9, outbox.bytes
        )
    }
    var shardCount: Int { shards.count }

    // MARK: Rounds

    private func schedule(_ shard: LockedShard) {
        guard !shard.isScheduled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        rest(shard, after: shard.withShard(totals) { $0.nextDue })
    }

    /// Lets a shard rest until the next trace falls due, or may.
    private func rest(_ shard: LockedShard, after due: Int64?) {
        let present = now()
        let wait = min(due.map { $0 - present } ?? .max, max(shortestWait.load(ordering: .relaxed), Self.shortestRest))
        let nanoseconds = min(max(wait, Self.shortestRest), Self.longestRest)
        shard.eventLoop.scheduleTask(in: .nanoseconds(nanoseconds)) { [weak self] in self?.round(shard) }
    }

    private func round(_ shard: LockedShard) {
        if isStopped.load(ordering: .relaxed) { return }
        let began = now()
        var isMore = true
        for _ in 0..<Self.slicesPerRound where isMore {
            isMore = work(on: shard) { $0.decideDue(now: began, limit: Self.spansPerSlice) }
        }
        metrics.observe(round: now() - began)
        didDecide()
        if isMore {
            shard.eventLoop.execute { [weak self] in self?.round(shard) }
            return
        }
        let (isIdle, due) = work(on: shard, flushes: true) { shard in
            if shard.isMaintenanceDue(now: began) { shard.maintain() }
            return (shard.isIdle, shard.nextDue)
        }
        guard isIdle else { return rest(shard, after: due) }
        shard.isScheduled.store(false, ordering: .releasing)
        // Spans may have come after the look and before the store: traces, or late ones that wait for a round.
        if !shard.withShard(totals, { $0.isIdle }) { schedule(shard) }
    }

    /// Decides about everything that is held. With a storage it stays there, undecided, for the next start; unless
    /// `dropsHeld` lets it go.
    func shutDown(dropsHeld: Bool) {
        for shard in shards {
            guard !isDurable || dropsHeld else {
                work(on: shard, flushes: true) { _ in }
                continue
            }
            while work(on: shard, flushes: true, { $0.shutDown(now: now(), limit: Self.spansPerSlice) }) {}
        }
        if isDurable { isStopped.store(true, ordering: .relaxed) }
    }

    /// The end of a buffer with a storage, after what was kept has gone on: closes it. Blocks.
    func close() { storage?.close() }
}
