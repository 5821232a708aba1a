internal import Glibc
internal import NIOCore
internal import Synchronization

/// A bounded set of threads for work that may block. A thread is made when work comes and none is idle, and stays
/// until `shutDown`; one piece of work wakes one thread.
///
/// Thread-safe. The queue of work is as long as its user makes it: a delivery submits one piece for each attempt.
final class WorkerThreads: Sendable {
    typealias Work = @Sendable () -> Void

    private struct State {
        var waiting = CircularBuffer<(id: UInt64, work: Work)>()
        var lastID: UInt64 = 0
        var threads = 0
        /// Threads that wait and that nobody has woken yet.
        var idle = 0
        var isOpen = true
    }

    private enum Step {
        case run(Work)
        case wait
        case end
    }

    private enum Placement {
        case woken, queued, refused
        case needsThread(id: UInt64)
    }

    private let maximum: Int
    private let state = Mutex(State())
    private let wakeUps = Semaphore()

    /// - Parameter maximum: most threads; at least one.
    init(maximum: Int) { self.maximum = max(1, maximum) }

    /// Runs `work` on one of the threads. False, and `work` is dropped, after `shutDown` or when the system gives no
    /// thread.
    func submit(_ work: @escaping Work) -> Bool {
        let placement = state.withLock { state -> Placement in
            guard state.isOpen else { return .refused }
            state.lastID += 1
            state.waiting.append((state.lastID, work))
            if state.idle > 0 {
                state.idle -= 1
                return .woken
            }
            guard state.threads < maximum else { return .queued }
            state.threads += 1
            return .needsThread(id: state.lastID)
        }
        switch placement {
        case .refused: return false
        case .queued: return true
        case .woken:
            wakeUps.post()
            return true
        case .needsThread(let id): return makeThread(for: id)
        }
    }

    /// Ends the threads when their present work is done; work that has not begun is dropped. Any number of times.
    func shutDown() {
        let idle = state.withLock { state in
            state.isOpen = false
            state.waiting.removeAll()
            defer { state.idle = 0 }
            return state.idle
        }
        for _ in 0..<idle { wakeUps.post() }
    }

    /// False when there is no thread at all that could do the work.
    private func makeThread(for id: UInt64) -> Bool {
        // The thread owns this reference, and with it the object, until it ends.
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<WorkerThreads>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard result != 0 else {
            pthread_detach(thread)
            return true
        }
        context.release()
        return state.withLock { state in
            state.threads -= 1
            guard state.threads == 0, let index = state.waiting.firstIndex(where: { $0.id == id }) else { return true }
            state.waiting.remove(at: index)
            return false
        }
    }

    private func run() {
        while true {
            let step = state.withLock { state -> Step in
                if let next = state.waiting.popFirst() { return .run(next.work) }
                guard state.isOpen else {
                    state.threads -= 1
                    return .end
                }
                state.idle += 1
                return .wait
            }
            switch step {
            case .run(let work): work()
            case .wait: wakeUps.wait()
            case .end: return
            }
        }
    }
}

/// A POSIX semaphore, starting at zero.
private final class Semaphore: @unchecked Sendable {
    // Sendable: the semaphore's functions are made to be called from several threads; the pointer never changes.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        semaphore.initialize(to: sem_t())
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func post() { sem_post(semaphore) }

    func wait() { while sem_wait(semaphore) != 0, errno == EINTR {} }
}
