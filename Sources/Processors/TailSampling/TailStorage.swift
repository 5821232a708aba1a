internal import Config
internal import Logging
internal import NIOCore
internal import OTLP
internal import Pipeline
internal import Sampling
internal import Storage
internal import Synchronization

/// The logs of a durable tail sampler: requests as they came, and decisions. `TailJournal` has the rules. Any thread.
///
/// Its time is that of the buffer: it runs while a process runs and goes on after a restart where the latest record stood,
/// so that waits neither count the time in between nor follow a clock that somebody sets.
final class TailStorage: Sendable {
    /// A request in the log.
    struct Held {
        let sequence: UInt64
        /// Nanoseconds of the buffer's time.
        let time: Int64
        let batch: TelemetryBatch
    }

    /// Of records of decisions; those of requests say their signal.
    private static let decisionsKind: UInt8 = 16
    /// What a killed process may decide about twice.
    private static let flushDelay = TimeAmount.milliseconds(100)
    private static let contextVersion: UInt8 = 1
    private static let contextBytes = 9
    /// Later times are no times.
    private static let latestTime = Int64.max / 4
    /// From this share of `max_size` on, the traces that keep the oldest part are decided about.
    private static let fullShare = 0.75
    /// Of the time that the log covers, what they are taken from at once, and at least.
    private static let oldestPart: Int64 = 8
    private static let shortestPart: Int64 = 100_000_000
    private static let retryAfter = Duration.seconds(1)

    private let requests: AppendLog
    private let decisions: AppendLog
    private let telemetry: (requests: StorageTelemetry, decisions: StorageTelemetry)
    private let journal: Mutex<TailJournal>
    private let budget: MemoryBudget
    private let logger: Logger
    private let eventLoop: any EventLoop
    private let uptime: @Sendable () -> Int64
    private let offset = Atomic<Int64>(0)
    private let isOpen = Atomic<Bool>(false)
    private let decideBefore = Atomic<Int64>(.min)
    /// What entries refer to by number; set before data comes.
    private let names = Mutex<@Sendable () -> DecisionNames>({ DecisionNames() })

    /// - Parameters:
    ///   - number: of the pipeline, from 0, among those that the processor is in.
    ///   - uptime: nanoseconds; does not run backwards.
    init(
        _ storage: any StorageExtension, id: ComponentID, number: Int, _ rules: TailSettings,
        environment: ComponentEnvironment, uptime: @escaping @Sendable () -> Int64
    ) {
        let logger = environment.logger("processor", id)
        func open(_ part: String) -> (AppendLog, StorageTelemetry) {
            let suffix = number > 0 ? "\(part)_\(number + 1)" : part
            let name = StorageName.make("processor", type: id.type, name: id.name, suffix)
            let log = storage.log(named: name, dropsOldest: false)
            let labels = [(name: "processor", value: id.description), (name: "data_type", value: suffix)]
            StorageTelemetry.registerGauges(
                environment.metrics, labels: labels, maximumBytes: log.options.maximumBytes
            ) { [weak log] in log?.status ?? LogStatus() }
            let telemetry = StorageTelemetry(environment.metrics, labels: labels, logger: logger)
            log.setObserver(telemetry)
            return (log, telemetry)
        }
        let (requests, ofRequests) = open("traces")
        let (decisions, ofDecisions) = open("decisions")
        self.requests = requests
        self.decisions = decisions
        telemetry = (ofRequests, ofDecisions)
        journal = Mutex(TailJournal(remembered: rules.sampledCacheSize + rules.nonSampledCacheSize))
        budget = environment.budget
        eventLoop = environment.eventLoops.next()
        self.logger = logger
        self.uptime = uptime
    }

    /// Nanoseconds of the buffer's time; does not run backwards.
    var now: Int64 { uptime() &+ offset.load(ordering: .relaxed) }

    /// Traces that came before this keep the oldest part of a log that is nearly full; `Int64.min` when it is not.
    var decidesBefore: Int64 { decideBefore.load(ordering: .relaxed) }

    // MARK: The start

    /// Opens the logs and hands over what they hold: decisions first, then requests in their order, with what is done with.
    /// `hold` says how many runs it has put into the buffer, or nil when the request is to stay in the log as it is.
    /// Blocks on the disk.
    ///
    /// - Throws: `StorageError`; nothing is open then.
    func open(
        names: @escaping @Sendable () -> DecisionNames, restore: (DecisionPage) -> Void,
        hold: (Held, DoneTraces, (Int) -> Void) -> Bool
    ) throws {
        self.names.withLock { $0 = names }
        do throws(StorageError) {
            let recovery = try requests.recover()
            telemetry.requests.opened(recovery)
            telemetry.decisions.opened(try decisions.recover())
            var done = DoneTraces(from: recovery.sequences.lowerBound)
            try decisions.replay { record in
                guard record.kind == Self.decisionsKind, let time = Self.time(of: record),
                    let page = DecisionPage(UnsafeRawBufferPointer(rebasing: record.bytes.buffer[Self.contextBytes...]))
                else { return false }
                advance(to: time)
                done.add(page.entries)
                journal.withLock { $0.addPage(record.sequence, entries: page.entries.count, upTo: page.upTo) }
                restore(page)
                return true
            }
            try requests.replay { replay($0, done, hold) }
            try decisions.begin()
            try requests.begin()
        } catch {
            requests.close()
            decisions.close()
            throw error
        }
        isOpen.store(true, ordering: .releasing)
        flush()
    }

    /// False when the record is not needed.
    private func replay(
        _ record: StoredRecord, _ done: DoneTraces, _ hold: (Held, DoneTraces, (Int) -> Void) -> Bool
    ) -> Bool {
        guard let signal = Signal(recordKind: record.kind), let time = Self.time(of: record),
            let batch = try? record.takeBatch(signal, budget)
        else {
            logger.error("a record of the storage is no request", metadata: ["sequence": "\(record.sequence)"])
            return false
        }
        advance(to: time)
        var isNeeded = true
        let isHeld = hold(Held(sequence: record.sequence, time: time, batch: batch), done) { runs in
            isNeeded = runs > 0
            if isNeeded { journal.withLock { $0.begin(record.sequence, runs: runs, time: time) } }
        }
        return isNeeded || !isHeld
    }

    /// The buffer's time is at least this.
    private func advance(to time: Int64) {
        let ahead = time - now
        if ahead > 0 { offset.add(ahead, ordering: .relaxed) }
    }

    // MARK: Requests

    /// Writes a request. `completion` runs on the log's thread, in the order of the sequences, when it is durable, or when
    /// it is not taken; `begin` has to follow a success.
    func append(_ batch: TelemetryBatch, completion: @escaping @Sendable (Result<UInt64, ConsumeError>) -> Void) {
        guard journal.withLock({ $0.mayBegin() }) else {
            let message = "tail_sampling: the storage holds a request that is too old"
            return completion(.failure(ConsumeError(.queueFull, message, retryAfter: Self.retryAfter)))
        }
        let record = LogRecord(
            kind: batch.signal.recordKind, items: batch.itemCount, context: Self.context(now),
            content: BatchContent(batch))
        requests.append(record) { [self] result in
            if case .failure(let error) = result, error.kind == .full { lookAtRoom() }
            completion(result.mapError(Self.refusal))
        }
    }

    /// A durable request has `runs` runs, which are said to be done with one by one from now on.
    func begin(_ sequence: UInt64, runs: Int) {
        if runs > 0 {
            journal.withLock { $0.begin(sequence, runs: runs, time: now) }
        } else {
            requests.release(sequence)
        }
    }

    /// What a sender is told. Paths stay in the log.
    private static func refusal(for error: StorageError) -> ConsumeError {
        switch error.kind {
        case .full: ConsumeError(.queueFull, "tail_sampling: the storage is full", retryAfter: retryAfter)
        case .noSpace: ConsumeError(.queueFull, "tail_sampling: the disk is full", retryAfter: retryAfter)
        case .tooLarge: ConsumeError(.refused, "tail_sampling: the request is too large for the storage")
        case .closed: ConsumeError(.shuttingDown, "tail_sampling is shutting down")
        default: ConsumeError(.unavailable, "tail_sampling: the disk does not take data", retryAfter: retryAfter)
        }
    }

    // MARK: Decisions

    /// Decisions are final, and runs are done with: let go, or taken by the next stage.
    func settle(_ entries: [DecisionEntry], _ runs: [RecordRuns]) {
        guard !entries.isEmpty || !runs.isEmpty else { return }
        let isFirst = journal.withLock { $0.settle(entries, runs) }
        guard isFirst, isOpen.load(ordering: .acquiring) else { return }
        eventLoop.scheduleTask(in: Self.flushDelay) { [weak self] in self?.flush() }
    }

    private func flush() {
        lookAtRoom()
        guard let flush = journal.withLock({ $0.flush() }) else { return }
        guard !flush.entries.isEmpty else { return release(journal.withLock { $0.written(flush.number, at: nil) }) }
        let names = names.withLock { $0 }
        let record = LogRecord(
            kind: Self.decisionsKind, items: flush.entries.count, context: Self.context(now),
            content: PageContent(DecisionPage(names(), flush.entries)))
        decisions.append(record) { [self] result in
            let sequence = try? result.get()
            release(journal.withLock { $0.written(flush.number, at: sequence) })
        }
    }

    private func release(_ releases: TailJournal.Releases) {
        for sequence in releases.requests { requests.release(sequence) }
        for sequence in releases.pages { decisions.release(sequence) }
    }

    private func lookAtRoom() {
        let isNearlyFull = Double(requests.status.bytes) > Double(requests.options.maximumBytes) * Self.fullShare
        guard isNearlyFull, let oldest = journal.withLock({ $0.oldest() }) else {
            return decideBefore.store(.min, ordering: .relaxed)
        }
        let part = max((now - oldest.time) / Self.oldestPart, Self.shortestPart)
        decideBefore.store(oldest.time + part, ordering: .relaxed)
    }

    // MARK: The end

    /// Writes what is settled and closes the logs. Blocks on the disk; not on an event loop or a log's thread. A second
    /// call does nothing.
    func close() {
        guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
        flush()
        // What is written here is released there.
        decisions.close()
        requests.close()
        let left = requests.status.records
        if left > 0 {
            logger.info("what is held stays in the storage until the next start", metadata: ["requests": "\(left)"])
        }
    }

    // MARK: Contexts

    private static func context(_ time: Int64) -> [UInt8] {
        [contextVersion] + withUnsafeBytes(of: time.littleEndian) { Array($0) }
    }

    /// Nil when the context is none of ours.
    private static func time(of record: StoredRecord) -> Int64? {
        let context = record.context
        guard context.count == contextBytes, context[0] == contextVersion else { return nil }
        let time = Int64(littleEndian: context.loadUnaligned(fromByteOffset: 1, as: Int64.self))
        return (0...latestTime).contains(time) ? time : nil
    }
}

/// Decisions as the body of a record; encoded on the log's thread.
private final class PageContent: LogContent, @unchecked Sendable {
    // Sendable: `content` is for the log's thread alone.
    private let page: DecisionPage
    private var content: ByteContent?

    init(_ page: DecisionPage) { self.page = page }

    var slices: [UnsafeRawBufferPointer] {
        if let content { return content.slices }
        let encoded = ByteContent(page.encode())
        content = encoded
        return encoded.slices
    }
}
