internal import Glibc
internal import Synchronization

/// A `SegmentedLog` with a thread of its own, for owners that must not block: a queue before an exporter, or a buffer
/// that holds records until each of them is decided.
///
/// `append`, `release`, `read` may be called from any thread and return at once. Completions run on the log's thread, in
/// the order of the sequences; they must not block for long. Records that come while the disk synchronises are
/// written and synchronised together (group commit), so that their number, not their size, costs nothing.
///
/// How an owner with an order of its own uses it (a trace buffer):
/// 1. `open`, then `read` from the start of the recovered sequences until their end, to have its content back.
/// 2. `append` what comes, answer the sender in the completion, remember the sequence with the content.
/// 3. `release` each sequence when its record is no longer needed, in any order. A segment goes with its last record.
/// 4. Now and then ask for `stragglers`: records that keep mostly free segments alive. Append those again and release
///    the old sequences; their segments go then.
package final class AppendLog: Sendable {
    /// Gets the sequence of a record that was taken, or why it was not. Runs on the log's thread.
    package typealias Appended = @Sendable (Result<UInt64, StorageError>) -> Void
    /// Gets what was read. Runs on the log's thread.
    package typealias Finished = @Sendable (Result<LogRead, StorageError>) -> Void

    private struct Append: Sendable {
        let record: LogRecord
        let completion: Appended
    }

    private struct Read: Sendable {
        let from: UInt64
        let maximumBytes: Int
        let completion: Finished
    }

    /// What waits for the thread.
    private struct Inbox: Sendable {
        var appends: [Append] = []
        var releases: [UInt64] = []
        var reads: [Read] = []
        var stragglers: [(share: Double, completion: @Sendable ([UInt64]) -> Void)] = []
        var isClosing = false
        var isRecovered = false
        var isOpen = false
        /// The thread sleeps until somebody wakes it.
        var isIdle = false

        var isUrgent: Bool { !appends.isEmpty || !reads.isEmpty || !stragglers.isEmpty || isClosing }
    }

    /// The log itself is the thread's alone once there is one.
    private final class Core: @unchecked Sendable {
        // Sendable: used by `open` before the thread exists, by the thread while it runs, by `close` after it.
        let log: SegmentedLog
        var releasesDue: UInt64?
        var syncDue: UInt64?

        var nextDue: UInt64? { [releasesDue, syncDue].compactMap { $0 }.min() }

        init(_ log: SegmentedLog) { self.log = log }
    }

    /// Longest time from a release until it is written: what a killed process may do twice. 20 ms.
    private static let releaseDelay: UInt64 = 20_000_000
    /// Longest time from a release until it is durable: what a machine without power may do twice. 1 s.
    private static let releaseSyncDelay: UInt64 = 1_000_000_000

    /// Microseconds between two tries for the lock: 20 ms.
    private static let lockRetry: UInt32 = 20_000

    package let directory: String
    package let options: LogOptions
    private let core: Core
    private let inbox = Mutex(Inbox())
    private let signal = LogSignal()
    private let published = Mutex(LogStatus())
    private let thread = Mutex<pthread_t?>(nil)
    private let observer: Mutex<(any StorageObserver)?>

    /// - Parameters:
    ///   - directory: the log's own; made by `open` in a directory that exists.
    ///   - observer: may be set later, before `open`.
    package init(
        directory: String, options: LogOptions, files: any LogFileSystem = PosixFileSystem(),
        observer: (any StorageObserver)? = nil
    ) {
        self.directory = directory
        self.options = options
        core = Core(SegmentedLog(directory: directory, files: files, options: options))
        self.observer = Mutex(observer)
    }

    /// Who hears of events. Set before `open`; the log holds it.
    package func setObserver(_ new: any StorageObserver) { observer.withLock { $0 = new } }

    /// Figures for gauges, as of the thread's last round. Any thread.
    package var status: LogStatus { published.withLock { $0 } }

    /// Locks and recovers the log and starts its thread. Blocks on the disk. Call once.
    ///
    /// - Throws: `.locked`, `.version`, what the disk says, or `.io` when no thread can be had; the log is then closed.
    package func open() throws(StorageError) -> LogRecovery {
        let recovery = try recover()
        try begin()
        return recovery
    }

    /// The first half of `open`: `replay` may follow, then `begin` or `close`.
    ///
    /// - Throws: as `open`.
    package func recover() throws(StorageError) -> LogRecovery {
        let recovery = try openWaiting()
        publish()
        inbox.withLock { $0.isRecovered = true }
        return recovery
    }

    /// Hands over all records that are not released, in order, before the log's thread begins. Blocks on the disk.
    ///
    /// - Parameter body: says whether the record is needed; what is not is released.
    /// - Throws: what the disk says. Damaged records are no error; the observer is told of them.
    package func replay(_ body: (StoredRecord) -> Bool) throws(StorageError) {
        var next: UInt64 = 0
        while next < core.log.nextSequence {
            let result = try core.log.read(from: next, maximumBytes: Self.replayBytes)
            if !result.lost.isEmpty { report(.damaged(records: result.lost.count)) }
            for record in result.records where !body(record) { core.log.release(record.sequence) }
            guard result.next > next else { break }
            next = result.next
        }
        noteReleases()
        publish()
    }

    /// Bytes of records that `replay` has in memory, about: 8 MiB.
    private static let replayBytes = 8_388_608

    /// The second half of `open`: starts the log's thread.
    ///
    /// - Throws: `.io` when no thread can be had; the log is then closed.
    package func begin() throws(StorageError) {
        inbox.withLock {
            $0.isRecovered = false
            $0.isOpen = true
        }
        let context = Unmanaged.passRetained(LogThread(self))
        var started = pthread_t()
        let code = pthread_create(&started, nil, runLogThread, context.toOpaque())
        guard code == 0 else {
            context.release()
            inbox.withLock { $0.isOpen = false }
            core.log.close()
            throw StorageError("start a thread for", directory, errno: code)
        }
        thread.withLock { $0 = started }
    }

    /// Opens the log; when somebody else has it, tries again until `lockTimeout`.
    private func openWaiting() throws(StorageError) -> LogRecovery {
        let deadline = ContinuousClock.now + options.lockTimeout
        while true {
            do throws(StorageError) {
                return try core.log.open()
            } catch {
                guard error.kind == .locked, ContinuousClock.now < deadline else { throw error }
            }
            usleep(Self.lockRetry)
        }
    }

    /// Takes a record. `completion` gets its sequence once it is as durable as `SyncPolicy` promises, or why it is not:
    /// then nothing of it is kept.
    package func append(_ record: LogRecord, completion: @escaping Appended) {
        submit {
            $0.appends.append(Append(record: record, completion: completion))
        } orElse: { error in
            completion(.failure(error))
        }
    }

    /// The records are done with, in any order. Unknown sequences change nothing. Written within milliseconds; after a
    /// crash the latest may come again.
    package func release(_ sequence: UInt64) {
        let wakes = inbox.withLock { inbox in
            guard inbox.isOpen else { return false }
            inbox.releases.append(sequence)
            defer { inbox.isIdle = false }
            return inbox.isIdle
        }
        if wakes { signal.wake() }
    }

    /// Reads durable records in order; see `SegmentedLog.read`.
    package func read(from sequence: UInt64, maximumBytes: Int, completion: @escaping Finished) {
        let read = Read(from: sequence, maximumBytes: maximumBytes, completion: completion)
        submit {
            $0.reads.append(read)
        } orElse: {
            completion(.failure($0))
        }
    }

    /// Sequences of records that keep segments alive of which at most `share` (0 to 1) is still needed.
    package func stragglers(share: Double, completion: @escaping @Sendable ([UInt64]) -> Void) {
        submit {
            $0.stragglers.append((share, completion))
        } orElse: { _ in
            completion([])
        }
    }

    /// Completes what waits, makes everything durable, ends the thread and lets go of the directory. Blocks; not to be
    /// called from a completion. A second call does nothing.
    package func close() {
        let running = thread.withLock { $0.take() }
        guard let running else {
            let isRecovered = inbox.withLock { inbox in
                defer { inbox.isRecovered = false }
                return inbox.isRecovered
            }
            if isRecovered { core.log.close() }
            return
        }
        inbox.withLock { $0.isClosing = true }
        signal.wake()
        pthread_join(running, nil)
    }

    private func submit(_ add: (inout Inbox) -> Void, orElse refuse: (StorageError) -> Void) {
        let (isOpen, isFirst) = inbox.withLock { inbox in
            guard inbox.isOpen, !inbox.isClosing else { return (false, false) }
            let wasUrgent = inbox.isUrgent
            add(&inbox)
            return (true, !wasUrgent)
        }
        if isFirst { signal.wake() }
        if !isOpen { refuse(StorageError(.closed, "the log in \(directory) is not open")) }
    }

    // MARK: The thread

    /// Runs until the log is closed.
    fileprivate func run() {
        while true {
            let work = inbox.withLock { inbox in
                let work = inbox
                inbox.appends = []
                inbox.releases = []
                inbox.reads = []
                inbox.stragglers = []
                if inbox.isClosing { inbox.isOpen = false }
                inbox.isIdle = false
                return work
            }
            // First, so that there is room for what comes.
            for sequence in work.releases { core.log.release(sequence) }
            if !work.releases.isEmpty { noteReleases() }
            append(work.appends)
            for read in work.reads { self.read(read) }
            for request in work.stragglers { request.completion(core.log.stragglers(share: request.share)) }
            saveReleases()
            publish()
            if work.isClosing { break }
            let due = core.nextDue
            let isMore = inbox.withLock { inbox in
                let isMore = inbox.isUrgent || !inbox.releases.isEmpty
                inbox.isIdle = !isMore && due == nil
                return isMore
            }
            // Releases do not wake the thread while there is a time: they wait for the next record, or for it.
            if !isMore { signal.wait(until: due) }
        }
        core.log.close()
        publish()
    }

    private func append(_ appends: [Append]) {
        guard !appends.isEmpty else { return }
        if options.sync == .always {
            for append in appends { commit([append][...]) }
        } else {
            commit(appends[...])
        }
    }

    /// Writes records, synchronises once, and completes them in order.
    private func commit(_ appends: ArraySlice<Append>) {
        var left = appends
        while !left.isEmpty {
            if options.dropsOldest { makeRoom(for: left) }
            let result = core.log.append(left.map(\.record))
            let taken = left.prefix(result.count)
            left = left.dropFirst(result.count)
            finish(Array(taken), first: result.first, result.error)
            guard let error = result.error, !left.isEmpty else { continue }
            // More can go, now that there are newer ones.
            if error.kind == .full, options.dropsOldest, result.count > 0 { continue }
            // A record that fails alone must not take the others with it.
            let failed = error.kind == .tooLarge ? left.prefix(1) : left
            left = left.dropFirst(failed.count)
            report(.failed(records: failed.count, error))
            for append in failed { append.completion(.failure(error)) }
        }
    }

    /// - Parameter earlier: why records after these were not written.
    private func finish(_ appends: [Append], first: UInt64, _ earlier: StorageError?) {
        guard !appends.isEmpty else { return }
        let begun = LogSignal.now()
        var fault = earlier
        do throws(StorageError) { try core.log.sync() } catch { fault = error }
        let abandoned = core.log.abandoned
        if options.sync != .none, abandoned.isEmpty {
            report(.synced(records: appends.count, seconds: Double(LogSignal.now() - begun) / 1e9))
        }
        var failed = 0
        for (offset, append) in appends.enumerated() {
            let sequence = first + UInt64(offset)
            if let fault, abandoned.contains(sequence) {
                failed += 1
                append.completion(.failure(fault))
            } else {
                append.completion(.success(sequence))
            }
        }
        if let fault, failed > 0 { report(.failed(records: failed, fault)) }
    }

    private func makeRoom(for appends: ArraySlice<Append>) {
        let size = appends.first.map { append in
            append.record.content.slices.reduce(append.record.context.count) { $0 + $1.count }
        }
        guard let size else { return }
        while core.log.isFull(for: size) {
            // Typed errors: one that stays makes the append fail, which says so.
            guard let drop = (try? core.log.dropOldest()) ?? nil else { return }
            let items = drop.records.reduce(0) { $0 + $1.items }
            observer.withLock { $0 }?.dropped(drop)
            report(.dropped(records: drop.records.count, items: items))
        }
    }

    private func read(_ read: Read) {
        do throws(StorageError) {
            let result = try core.log.read(from: read.from, maximumBytes: read.maximumBytes)
            if !result.lost.isEmpty {
                report(.damaged(records: result.lost.count))
                noteReleases()
            }
            read.completion(.success(result))
        } catch {
            read.completion(.failure(error))
        }
    }

    private func noteReleases() {
        let now = LogSignal.now()
        if core.releasesDue == nil { core.releasesDue = now + Self.releaseDelay }
        if core.syncDue == nil, options.sync != .none { core.syncDue = now + Self.releaseSyncDelay }
    }

    private func saveReleases() {
        let now = LogSignal.now()
        let isSyncDue = core.syncDue.map { $0 <= now } ?? false
        guard isSyncDue || core.releasesDue.map({ $0 <= now }) ?? false else { return }
        core.releasesDue = nil
        if isSyncDue { core.syncDue = nil }
        do throws(StorageError) {
            try core.log.saveReleases(syncing: isSyncDue)
        } catch {
            // Tried again in a while.
            core.syncDue = now + Self.releaseSyncDelay
            report(.releasesFailed(error))
        }
    }

    private func report(_ event: StorageEvent) { observer.withLock { $0 }?.observe(event) }

    private func publish() {
        var status = LogStatus()
        status.bytes = core.log.bytes
        status.segments = core.log.segmentCount
        status.records = core.log.liveRecords
        let new = status
        published.withLock { $0 = new }
    }
}

/// What the thread holds until the log is closed.
private final class LogThread: Sendable {
    let log: AppendLog

    init(_ log: AppendLog) { self.log = log }
}

/// The thread's body: gets the object that `AppendLog.open` retained for it.
private func runLogThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    // Signals are for the main thread.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    let name: StaticString = "append-log"
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    if file >= 0 {
        _ = write(file, name.utf8Start, name.utf8CodeUnitCount)
        close(file)
    }
    Unmanaged<LogThread>.fromOpaque(context).takeRetainedValue().log.run()
    return nil
}
