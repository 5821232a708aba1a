internal import NIOPosix
internal import OTLP
internal import Pipeline
internal import Synchronization

/// Where a queue's requests go, with the settings that belong to it. Each attempt holds the end that it began with; what
/// only an end out of use has is let go with the last of its attempts. Immutable.
final class DeliveryEnd: Sendable {
    let settings: DeliverySettings
    let deadLetters: DeadLetterFile?
    private let lease: ExporterLease
    private let threads: WorkerLease

    var exporter: any Exporter { lease.exporter }
    var workers: NIOThreadPool { threads.pool }

    /// - Parameter workers: running threads; nil for `num_consumers` of its own.
    init(
        _ exporter: any Exporter, _ settings: DeliverySettings, _ workers: NIOThreadPool?, name: String, signal: Signal
    ) {
        self.settings = settings
        lease = ExporterLease(exporter)
        threads = WorkerLease(workers, consumers: settings.queue.consumers)
        deadLetters = settings.deadLetter.map { DeadLetterFile($0, exporter: name, signal: signal) }
    }

    /// Other settings for the exporter of `former`.
    init(
        _ former: DeliveryEnd, _ settings: DeliverySettings, _ workers: NIOThreadPool?, name: String, signal: Signal
    ) {
        self.settings = settings
        lease = former.lease
        let isSamePool = workers != nil || former.settings.queue.consumers == settings.queue.consumers
        threads = isSamePool ? former.threads : WorkerLease(nil, consumers: settings.queue.consumers)
        deadLetters =
            settings.deadLetter == former.settings.deadLetter
            ? former.deadLetters : settings.deadLetter.map { DeadLetterFile($0, exporter: name, signal: signal) }
    }

    /// Opens and starts what does not run yet.
    /// - Throws: the exporter's error, or `DeadLetterError`; nothing of this end runs then.
    func start() throws {
        try deadLetters?.open()
        try lease.start()
        threads.start()
    }

    /// Shuts the exporter down, which ends its attempts, and closes the dead letters.
    ///
    /// - Parameter completion: on a thread of its own, when that is done.
    func shutDown(_ completion: @escaping @Sendable () -> Void = {}) {
        lease.shutDown { [self] in
            deadLetters?.close()
            completion()
        }
        threads.shutDown()
    }
}

/// A started exporter, for as long as somebody sends to it.
private final class ExporterLease: Sendable {
    let exporter: any Exporter
    private let isRunning = Atomic<Bool>(false)

    init(_ exporter: any Exporter) { self.exporter = exporter }

    deinit { shutDown {} }

    func start() throws {
        guard !isRunning.load(ordering: .acquiring) else { return }
        try exporter.start()
        isRunning.store(true, ordering: .releasing)
    }

    func shutDown(_ completion: @escaping @Sendable () -> Void) {
        guard isRunning.exchange(false, ordering: .acquiringAndReleasing) else { return completion() }
        // A thread of its own: the workers may all be inside an export that only `shutdown` ends.
        let closer = NIOThreadPool(numberOfThreads: 1)
        closer.start()
        closer.submit { [exporter] _ in
            exporter.shutdown()
            completion()
        }
        // Not awaited: a thread that is still inside an export ends when the export does.
        closer.shutdownGracefully { _ in }
    }
}

/// Threads that attempts run on.
private final class WorkerLease: Sendable {
    let pool: NIOThreadPool
    private let isOwn: Bool
    private let isRunning = Atomic<Bool>(false)

    init(_ shared: NIOThreadPool?, consumers: Int) {
        pool = shared ?? NIOThreadPool(numberOfThreads: consumers)
        isOwn = shared == nil
    }

    deinit { shutDown() }

    func start() {
        if isOwn, !isRunning.exchange(true, ordering: .acquiringAndReleasing) { pool.start() }
    }

    func shutDown() {
        guard isRunning.exchange(false, ordering: .acquiringAndReleasing) else { return }
        pool.shutdownGracefully { _ in }
    }
}
