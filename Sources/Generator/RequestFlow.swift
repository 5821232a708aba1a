/// What became of the requests of a run.
package struct SendingTotals: Sendable {
    /// Requests, each counted once however often it was sent.
    package var requests = 0
    /// Times that a request was sent again.
    package var resent = 0
    /// Answers 429 and 503.
    package var throttled = 0
    package var acceptedSpans = 0
    /// Spans that were finally not accepted.
    package var refusedSpans = 0
    /// Why spans were not accepted, the last time that happened.
    package var lastProblem: String?
    /// The run ended early: nobody answers, or the request cannot be sent at all.
    package var gaveUp = false
    /// From sending to the answer, of every attempt that got one.
    package var latency = LatencyHistogram()

    package init() {}
}

/// What became of one attempt.
enum AttemptOutcome {
    /// Taken, but for `rejected` spans of it.
    case accepted(rejected: Int, reason: String)
    /// Answered, and not taken; sending it again would not help.
    case refused(String)
    /// Answered: later, no sooner than after so many nanoseconds if the server said that.
    case later(after: UInt64?, isThrottled: Bool, String)
    /// No answer.
    case unanswered(String)
    /// It cannot be sent, and neither can any other.
    case impossible(String)
}

/// Which request is sent when. Times are nanoseconds on a monotonic clock that the caller reads.
///
/// At most `concurrency` requests are under way or wait for another attempt, so that a slow or refusing server slows
/// the run down and memory stays bounded.
struct RequestFlow<Payload: Sendable>: Sendable {
    /// One request, each time that it is sent.
    struct Attempt: Sendable {
        let payload: Payload
        let spans: Int
        /// 1 for the first.
        var number = 1
        /// When the first attempt was sent.
        let firstSent: UInt64
        /// When this one was.
        var sent: UInt64
    }

    enum Next: Sendable {
        /// Send this one again.
        case resend(Attempt)
        /// Send a new one, if there is one before `until`.
        case room(until: UInt64)
        /// Nothing before an outcome comes in or `until` is reached.
        case wait(until: UInt64)
        case finished
    }

    /// A request is given up when it would be sent again later than this after its first attempt; nanoseconds.
    static var giveUpAfter: UInt64 { 60_000_000_000 }
    /// The same while nobody has ever answered.
    static var giveUpUnansweredAfter: UInt64 { 5_000_000_000 }
    /// Shortest and longest wait when the server does not say; it doubles each time. Nanoseconds.
    static var backoff: (first: UInt64, last: UInt64) { (250_000_000, 15_000_000_000) }

    private let concurrency: Int
    private var underWay = 0
    private var waiting: [(due: UInt64, attempt: Attempt)] = []
    private var isComplete = false
    private var isStopped = false
    private var hasAnswer = false
    private(set) var totals = SendingTotals()

    init(concurrency: Int) { self.concurrency = max(1, concurrency) }

    mutating func next(at now: UInt64) -> Next {
        if let index = waiting.firstIndex(where: { $0.due <= now }) {
            var attempt = waiting.remove(at: index).attempt
            attempt.number += 1
            attempt.sent = now
            totals.resent += 1
            underWay += 1
            return .resend(attempt)
        }
        if isComplete, underWay == 0, waiting.isEmpty { return .finished }
        let due = waiting.map(\.due).min() ?? .max
        return isComplete || underWay + waiting.count >= concurrency ? .wait(until: due) : .room(until: due)
    }

    /// A new request that is sent now. Only after `.room`.
    mutating func start(_ payload: Payload, spans: Int, at now: UInt64) -> Attempt {
        underWay += 1
        totals.requests += 1
        return Attempt(payload: payload, spans: spans, firstSent: now, sent: now)
    }

    /// No new requests will come.
    mutating func complete() { isComplete = true }

    /// Gives up what waits for another attempt; from now on nothing is sent again.
    mutating func stop() {
        isStopped = true
        for (_, attempt) in waiting { totals.refusedSpans += attempt.spans }
        waiting = []
    }

    mutating func finish(_ attempt: Attempt, _ outcome: AttemptOutcome, at now: UInt64) {
        underWay -= 1
        switch outcome {
        case .unanswered(let reason): retry(attempt, after: nil, reason, at: now, isAnswered: false)
        case .impossible(let reason):
            refuse(attempt.spans, reason)
            giveUp()
        case .accepted(let rejected, let reason):
            answered(attempt, at: now)
            let refused = min(max(0, rejected), attempt.spans)
            totals.acceptedSpans += attempt.spans - refused
            if refused > 0 { refuse(refused, reason) }
        case .refused(let reason):
            answered(attempt, at: now)
            refuse(attempt.spans, reason)
        case .later(let delay, let isThrottled, let reason):
            answered(attempt, at: now)
            if isThrottled { totals.throttled += 1 }
            retry(attempt, after: delay, reason, at: now, isAnswered: true)
        }
    }

    private mutating func answered(_ attempt: Attempt, at now: UInt64) {
        hasAnswer = true
        totals.latency.record(microseconds: (now - min(attempt.sent, now)) / 1000)
    }

    private mutating func retry(
        _ attempt: Attempt, after delay: UInt64?, _ reason: String, at now: UInt64, isAnswered: Bool
    ) {
        let backoff = min(Self.backoff.first << UInt64(min(attempt.number - 1, 16)), Self.backoff.last)
        let due = now.addingReportingOverflow(delay ?? backoff).partialValue
        let limit = attempt.firstSent + (hasAnswer ? Self.giveUpAfter : Self.giveUpUnansweredAfter)
        if due >= now, due <= limit, !isStopped {
            waiting.append((due, attempt))
            return
        }
        refuse(attempt.spans, reason)
        if !isAnswered { giveUp() }
    }

    private mutating func refuse(_ spans: Int, _ reason: String) {
        totals.refusedSpans += spans
        totals.lastProblem = reason
    }

    private mutating func giveUp() {
        totals.gaveUp = true
        isComplete = true
        stop()
    }
}
