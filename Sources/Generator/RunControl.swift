internal import Glibc
internal import Synchronization

/// Stops a run from outside, and lets its thread sleep meanwhile. Any thread may call `stop`.
package final class RunControl: @unchecked Sendable {
    // Sendable is unchecked because of the condition and its mutex: they are made to be used from several threads, and
    // the pointers never change.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Guarded by `mutex`.
    private var isAwake = false
    private let stopped = Atomic<Bool>(false)

    package init() {
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// The run makes no more traces and sends nothing again; it ends when what is under way is through.
    package func stop() {
        stopped.store(true, ordering: .relaxed)
        wake()
    }

    /// Whether `stop` has been called.
    package var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// Ends one `wait`, the present one or the next.
    func wake() {
        pthread_mutex_lock(mutex)
        isAwake = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Until `wake`, or until this time on the monotonic clock, in nanoseconds.
    func wait(until time: UInt64) {
        // Times that the kernel's type has no room for are as good as never.
        let bounded = min(time, UInt64(Int32.max) * 1_000_000_000)
        var limit = timespec(tv_sec: Int(bounded / 1_000_000_000), tv_nsec: Int(bounded % 1_000_000_000))
        pthread_mutex_lock(mutex)
        while !isAwake, pthread_cond_timedwait(condition, mutex, &limit) == 0 {}
        isAwake = false
        pthread_mutex_unlock(mutex)
    }
}

/// The clocks of a run, in nanoseconds.
enum RunClock {
    /// For intervals.
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Since 1970.
    static func time() -> UInt64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var now = timespec()
        clock_gettime(clock, &now)
        return UInt64(max(0, now.tv_sec)) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
