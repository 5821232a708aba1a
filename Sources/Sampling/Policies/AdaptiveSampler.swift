internal import Glibc
internal import Synchronization

/// A rate for each key that follows what comes: frequent keys are thinned out, rare ones kept. Any thread.
///
/// The algorithms are those of Honeycomb's dynsampler with differences that a user sees in better numbers alone: rates are
/// real numbers, not rounded up, and what a rare key leaves of its share goes to all others: with `ema` not only to those
/// whose names sort behind it, with `windowed` not to nobody.
final class AdaptiveSampler: Sendable {
    private struct Key {
        var sum = 0.0
        var average = 0.0
        /// Share of the average that is not the zero it began with.
        var age = 0.0
        /// Sums of past intervals, newest last; for `windowed`.
        var window: [Double] = []
        /// Of what comes, the share that is kept; nil until the first adjustment.
        var share: Double?
    }

    private struct State {
        var keys: [[UInt8]: Key] = [:]
        var adjusted: Int64?
        var intervals = 0
        var total = 0.0
        /// What an average interval held at the last adjustment.
        var expected = 0.0
    }

    /// Stands for all keys beyond the bound.
    private static let others: [UInt8] = [0]

    let spec: AdaptiveSpec
    private let state = Mutex(State())

    init(_ spec: AdaptiveSpec) { self.spec = spec }

    /// Counts a trace and returns the share of its like that is kept: above 0 and up to 1.
    ///
    /// - Parameters:
    ///   - weight: in units of the goal.
    ///   - now: nanoseconds; does not run backwards.
    func share(of key: [UInt8], weight: Double, now: Int64) -> Double {
        state.withLock { state in
            adjust(&state, now)
            let isKnown = state.keys[key] != nil
            let name = isKnown || state.keys.count < spec.maximumKeys ? key : Self.others
            let weight = weight.isFinite ? max(0, weight) * scale : 0
            state.keys[name, default: Key()].sum += weight
            state.total += weight
            if let share = state.keys[name]?.share { return share }
            guard state.intervals == 0 else { return 1 }
            switch spec.goal {
            case .percentage(let percentage): return min(1, percentage / 100)
            case .throughput: return min(1, spec.initialPercentage / 100)
            }
        }
    }

    /// The keys that most comes of, up to `limit`.
    func keys(limit: Int) -> [AdaptiveReport.Key] {
        let known = state.withLock { $0.keys }
        let all = known.map { name, key in
            let amount: Double
            switch spec.algorithm {
            case .ema: amount = key.age > 0 ? key.average / key.age : key.sum
            case .windowed: amount = key.window.isEmpty ? key.sum : key.window.reduce(0, +) / Double(key.window.count)
            }
            let text = name == Self.others ? "(others)" : String(decoding: name, as: UTF8.self)
            return AdaptiveReport.Key(name: text, amount: amount / scale, share: key.share)
        }
        return Array(all.sorted { ($1.amount, $0.name) < ($0.amount, $1.name) }.prefix(limit))
    }

    /// Keys that have a rate at present.
    var keyCount: Int { state.withLock { $0.keys.count } }

    /// Dollars are counted in millionths, so that 1 is a small amount in every unit.
    private var scale: Double { spec.unit == .usd ? 1e6 : 1 }

    private func adjust(_ state: inout State, _ now: Int64) {
        guard let adjusted = state.adjusted else {
            state.adjusted = now
            return
        }
        let isBurst =
            spec.burstMultiple > 0 && state.intervals >= spec.burstDelay && state.expected > 0
            && state.total > spec.burstMultiple * state.expected
        guard now - adjusted >= spec.interval || isBurst else { return }
        // Intervals in which nothing came.
        let elapsed = max(1, (now - adjusted) / spec.interval)
        for _ in 0..<min(elapsed, 100) { close(&state) }
        state.adjusted = isBurst && now - adjusted < spec.interval ? now : adjusted + elapsed * spec.interval
        state.total = 0
        switch spec.algorithm {
        case .ema: allot(&state)
        case .windowed: allotEqually(&state)
        }
    }

    private func close(_ state: inout State) {
        state.intervals += 1
        for (name, var key) in state.keys {
            switch spec.algorithm {
            case .ema:
                key.average = spec.weight * key.sum + (1 - spec.weight) * key.average
                key.age = spec.weight + (1 - spec.weight) * key.age
                let isOld = key.average < spec.ageOut && (key.sum == 0 || spec.unit == .traces)
                key.sum = 0
                state.keys[name] = isOld ? nil : key
            case .windowed:
                key.window.append(key.sum)
                if key.window.count > spec.lookback { key.window.removeFirst() }
                key.sum = 0
                state.keys[name] = key.window.allSatisfy { $0 == 0 } ? nil : key
            }
        }
    }

    private var secondsPerInterval: Double { Double(spec.interval) * 1e-9 }

    private func allot(_ state: inout State) {
        let counts = state.keys.mapValues { max(1, $0.age > 0 ? $0.average / $0.age : $0.average) }
        let all = counts.values.reduce(0, +)
        state.expected = all
        var budget: Double
        switch spec.goal {
        case .percentage(let percentage): budget = all * percentage / 100
        case .throughput(let perSecond): budget = perSecond * scale * secondsPerInterval
        }
        var open = counts
        while !open.isEmpty {
            let logarithms = open.values.reduce(0) { $0 + log10($1) }
            let ratio = logarithms > 0 ? max(0, budget) / logarithms : .infinity
            let whole = open.filter { $0.value <= allowance($0.value, ratio) }
            if whole.isEmpty {
                for (name, count) in open {
                    state.keys[name]?.share = min(1, allowance(count, ratio) / count)
                }
                return
            }
            for (name, count) in whole {
                state.keys[name]?.share = 1
                open[name] = nil
                budget -= count
            }
        }
    }

    /// What a key with `count` may keep; at least one.
    private func allowance(_ count: Double, _ ratio: Double) -> Double {
        ratio.isInfinite ? count : max(1, log10(count) * ratio)
    }

    private func allotEqually(_ state: inout State) {
        guard !state.keys.isEmpty else { return }
        let sums = state.keys.mapValues { $0.window.reduce(0, +) }
        let intervals = max(1, min(state.intervals, spec.lookback))
        let all = sums.values.reduce(0, +)
        state.expected = all / Double(intervals)
        let budget: Double
        switch spec.goal {
        case .percentage(let percentage): budget = all * percentage / 100
        case .throughput(let perSecond): budget = perSecond * scale * secondsPerInterval * Double(intervals)
        }
        // The smallest first: what each leaves of its part raises that of the others.
        var (left, keysLeft) = (max(0, budget), Double(sums.count))
        for (name, sum) in sums.sorted(by: { $0.value < $1.value }) {
            let allowance = left / keysLeft
            let kept = min(sum, allowance)
            state.keys[name]?.share = sum <= allowance ? 1 : max(allowance / sum, 1e-12)
            left -= kept
            keysLeft -= 1
        }
    }
}
