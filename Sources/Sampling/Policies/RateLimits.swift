internal import Synchronization

/// A bucket that fills steadily and from which traces take what they weigh. Any thread.
final class TokenBucket: Sendable {
    private struct State {
        var tokens: Double
        var filled: Int64
    }

    private let rate: Double
    private let burst: Double
    private let state: Mutex<State?>

    /// - Parameters:
    ///   - perSecond: tokens that come in a second, from 0.
    ///   - burst: tokens that the bucket holds; it is full at first.
    init(perSecond: Int64, burst: Int64) {
        rate = Double(perSecond)
        self.burst = Double(burst)
        state = Mutex(nil)
    }

    /// Whether it was made with these figures.
    func isOf(perSecond: Int64, burst: Int64) -> Bool { rate == Double(perSecond) && self.burst == Double(burst) }

    /// Takes `amount` tokens, or none when there are fewer. `now` is in nanoseconds and does not run backwards.
    func take(_ amount: Int, now: Int64) -> Bool {
        state.withLock { state in
            var current = state ?? State(tokens: burst, filled: now)
            if now > current.filled {
                let seconds = Double(now - current.filled) * 1e-9
                current.tokens = min(burst, current.tokens + seconds * rate)
                current.filled = now
            }
            defer { state = current }
            guard Double(amount) <= current.tokens else { return false }
            current.tokens -= Double(amount)
            return true
        }
    }
}

/// The spans of the present second that a `composite` policy let through. Any thread.
final class CompositeLimits: Sendable {
    private struct State {
        var second = Int64.min
        var total: Int64 = 0
        var shares: [Int64]
    }

    private let spansPerSecond: Int64
    private let shares: [Int64]
    private let state: Mutex<State>

    init(_ spec: CompositeSpec) {
        spansPerSecond = spec.spansPerSecond
        shares = spec.shares.map(\.spansPerSecond)
        state = Mutex(State(shares: Array(repeating: 0, count: shares.count)))
    }

    /// Whether it was made with the same figures.
    func isOf(_ spec: CompositeSpec) -> Bool {
        spansPerSecond == spec.spansPerSecond && shares == spec.shares.map(\.spansPerSecond)
    }

    /// Lets `spans` of a share through, when both it and the whole have room this second. `now` is in nanoseconds.
    func take(_ spans: Int, share: Int, now: Int64) -> Bool {
        state.withLock { state in
            let second = now / 1_000_000_000
            if state.second != second {
                state = State(second: second, shares: Array(repeating: 0, count: shares.count))
            }
            let ofShare = state.shares[share].addingReportingOverflow(Int64(spans))
            let ofAll = state.total.addingReportingOverflow(Int64(spans))
            guard !ofShare.overflow, !ofAll.overflow, ofShare.partialValue <= shares[share],
                ofAll.partialValue <= spansPerSecond
            else { return false }
            state.shares[share] = ofShare.partialValue
            state.total = ofAll.partialValue
            return true
        }
    }
}
