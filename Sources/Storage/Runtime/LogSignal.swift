internal import Glibc

/// Lets a log's thread sleep until there is something to do or a time has come.
final class LogSignal: @unchecked Sendable {
    // Sendable is unchecked because of the condition and its mutex: they are made to be used from several threads, and
    // the pointers never change.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Guarded by `mutex`.
    private var isAwake = false

    init() {
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

    /// Ends one `wait`, the present one or the next.
    func wake() {
        pthread_mutex_lock(mutex)
        isAwake = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Until `wake`, or until this time on the monotonic clock, in nanoseconds; without one for as long as it takes.
    func wait(until time: UInt64?) {
        pthread_mutex_lock(mutex)
        if let time {
            var limit = timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
            while !isAwake, pthread_cond_timedwait(condition, mutex, &limit) == 0 {}
        } else {
            while !isAwake { pthread_cond_wait(condition, mutex) }
        }
        isAwake = false
        pthread_mutex_unlock(mutex)
    }

    /// Nanoseconds on the clock that never jumps.
    static func now() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
