import Synchronization

/// A number that only grows. Thread-safe; one relaxed atomic add per change.
package final class Counter: Sendable {
    private let total = Atomic<Int>(0)

    package init() {}

    /// Adds `amount`; zero and negative amounts change nothing.
    @inline(__always)
    package func add(_ amount: Int = 1) {
        if amount > 0 { total.add(amount, ordering: .relaxed) }
    }

    package var value: Int { total.load(ordering: .relaxed) }
}

/// Counts of observations in fixed buckets, with their sum. Thread-safe.
package final class Histogram: Sendable {
    /// Upper bounds, ascending, without infinity.
    package let bounds: [Double]
    private struct State {
        var counts: [Int]
        var sum: Double
    }
    private let state: Mutex<State>

    package init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
    }

    /// Counts one observation. NaN is ignored.
    package func observe(_ value: Double) {
        guard !value.isNaN else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    /// Observations per bucket (the last one is above every bound), and their sum.
    package var snapshot: (counts: [Int], sum: Double) { state.withLock { ($0.counts, $0.sum) } }
}
