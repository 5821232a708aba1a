/// Whether a destination is asked at all: after a row of failures only one request at a time tries it, and only when that
/// request's wait is over. The others stay in the queue without useless tries.
///
/// ```
/// closed ── failures in a row ──→ open(until) ── that time comes ──→ probing ── an answer ──→ closed
///                                     └──────────── it failed ───────────┘
/// ```
package struct CircuitBreaker: Sendable, Equatable {
    /// The raw value is the metric's.
    package enum State: Int, Sendable {
        case closed = 0
        /// One attempt is under way that decides.
        case probing = 1
        /// No attempt is made.
        case open = 2
    }

    /// Failures in a row that open it; 0 never does.
    var threshold: Int
    private(set) var state = State.closed
    /// While open: when the next attempt may be made.
    private(set) var until: ContinuousClock.Instant?
    private var failures = 0
    private var probe: UInt64?

    init(threshold: Int) { self.threshold = threshold }

    /// Whether an attempt may begin.
    func allows(at now: ContinuousClock.Instant) -> Bool {
        switch state {
        case .closed: true
        case .probing: false
        case .open: until.map { $0 <= now } ?? true
        }
    }

    /// An attempt begins.
    mutating func started(_ id: UInt64) {
        guard state == .open else { return }
        state = .probing
        until = nil
        probe = id
    }

    /// The destination answered. True when it had not for a while.
    mutating func answered() -> Bool {
        failures = 0
        until = nil
        probe = nil
        defer { state = .closed }
        return state != .closed
    }

    /// An attempt failed in a way that may pass; the request waits until `due`. True when this opened the breaker.
    mutating func failed(_ id: UInt64, due: ContinuousClock.Instant) -> Bool {
        failures += 1
        switch state {
        case .probing where probe == id:
            state = .open
            until = due
            return false
        case .closed where threshold > 0 && failures >= threshold:
            state = .open
            until = due
            return true
        default: return false
        }
    }

    /// An attempt ended without telling anything about the destination: the next one decides.
    mutating func ended(_ id: UInt64) {
        guard state == .probing, probe == id else { return }
        state = .open
        until = nil
    }
}
