/// Says when traces are due. Times are nanoseconds on a monotonic clock that the caller reads.
struct TracePacer: Sendable {
    private let start: UInt64
    private let traces: Int?
    private let end: UInt64?
    private let rate: Double
    private var made = 0

    /// - Parameters:
    ///   - traces: how many in all; nil for no limit.
    ///   - duration: nanoseconds; nil for no limit.
    ///   - rate: traces a second; 0 for as many as are taken. What was delayed is made up.
    init(start: UInt64, traces: Int?, duration: UInt64?, rate: Double) {
        self.start = start
        self.traces = traces
        self.rate = rate
        end = duration.map { start.addingReportingOverflow($0) }.map { $0.overflow ? .max : $0.partialValue }
    }

    /// True, and the trace counts as made, when one is due.
    mutating func take(at now: UInt64) -> Bool {
        guard !isExhausted(at: now), now >= nextDue else { return false }
        made += 1
        return true
    }

    /// No trace will be due any more.
    func isExhausted(at now: UInt64) -> Bool {
        if let traces, made >= traces { return true }
        if let end, now >= end { return true }
        return false
    }

    /// When to look again: the next trace is due, or the time is over.
    var nextEvent: UInt64 { min(nextDue, end ?? .max) }

    private var nextDue: UInt64 {
        guard rate > 0 else { return start }
        // Beyond a century it is as good as never.
        return start + UInt64(min(Double(made) * 1e9 / rate, 3e18))
    }
}
