internal import Glibc
internal import Synchronization

/// Nanoseconds since 1970 as somebody counts them who has looked at the wall clock once, at the first call: they never
/// jump. What lives and expires is measured so. Any thread.
package enum SteadyTime {
    /// Nanoseconds from `now` to the wall clock at the first call; the difference of the clocks never changes by itself.
    private static let start: Int64 = read(CLOCK_REALTIME) &- read(CLOCK_BOOTTIME)
    private static let shift = Atomic<Int64>(0)

    /// How far the wall clock may stray before `correction` follows it: beginnings of series that are corrected all the
    /// time would look like new series each time. 10 s.
    package static let tolerance: Int64 = 10_000_000_000

    /// The present.
    package static func now() -> UInt64 { UInt64(max(0, start &+ read(CLOCK_BOOTTIME))) }

    /// What to add to a time of this clock for people: nanoseconds by which the wall clock has been set since.
    package static func correction() -> Int64 {
        let present = shift.load(ordering: .relaxed)
        let next = follow(present, read(CLOCK_REALTIME) &- (start &+ read(CLOCK_BOOTTIME)))
        if next != present { shift.store(next, ordering: .relaxed) }
        return next
    }

    /// The correction after the wall clock was seen to be `difference` ahead.
    static func follow(_ present: Int64, _ difference: Int64) -> Int64 {
        let stray = difference.subtractingReportingOverflow(present)
        return stray.overflow || stray.partialValue.magnitude > UInt64(tolerance) ? difference : present
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
