internal import Glibc

/// Which traces were decided about, and how: bounded, the least recently used of a few goes first.
///
/// A trace is known by 64 bits of a seeded hash; that one is taken for another has odds of 1 in 2^61 for each look-up.
/// Memory is touched as it fills: 16 bytes a dropped trace, 32 a kept one. One owner; not thread-safe.
struct DecisionCache: ~Copyable {
    private static let ways = 8

    struct Entry {
        var key: UInt64 = 0
        /// Seconds: of the last use, and of the decision.
        var used: UInt32 = 0
        var decided: UInt32 = 0
    }

    /// What is remembered of a kept trace.
    struct Detail {
        /// `Threshold.rejected`; `unknown` when the probability is not known.
        var rejected: UInt64
        /// Index in `KnownNames.policies`; -1 for none.
        var policy: Int32
        /// Which of `KnownNames.hashes` gave the randomness; 0 when none did, otherwise the index + 1.
        var hash: UInt8

        static let unknown = UInt64.max
    }

    private let buckets: Int
    private let entries: UnsafeMutablePointer<Entry>?
    private let details: UnsafeMutablePointer<Detail>?
    private let seeds: (UInt64, UInt64)
    private(set) var count = 0

    /// - Parameters:
    ///   - capacity: traces, about; 0 remembers nothing.
    ///   - hasDetails: whether `Detail`s are kept.
    init(capacity: Int, hasDetails: Bool, seeds: (UInt64, UInt64)) {
        self.seeds = seeds
        let buckets = (min(max(capacity, 0), 1 << 30) + Self.ways - 1) / Self.ways
        let slots = buckets * Self.ways
        // Untouched pages of zeros take no memory.
        let memory = slots > 0 ? calloc(slots, MemoryLayout<Entry>.stride) : nil
        entries = memory?.assumingMemoryBound(to: Entry.self)
        let extra = slots > 0 && hasDetails ? calloc(slots, MemoryLayout<Detail>.stride) : nil
        details = extra?.assumingMemoryBound(to: Detail.self)
        self.buckets = entries == nil || hasDetails && details == nil ? 0 : buckets
    }

    deinit {
        free(entries)
        free(details)
    }

    @inline(__always)
    private func key(_ high: UInt64, _ low: UInt64) -> UInt64 { mixed(high, low, seeds) | 1 }

    @inline(__always)
    private func first(_ key: UInt64) -> Int {
        Int(key.multipliedFullWidth(by: UInt64(buckets)).high) * Self.ways
    }

    /// Whether the trace is remembered; when it was decided about, in seconds, and what is remembered. Renews it.
    mutating func find(_ high: UInt64, _ low: UInt64, second: UInt32) -> (decided: UInt32, detail: Detail?)? {
        guard buckets > 0, let entries else { return nil }
        let key = key(high, low)
        let start = first(key)
        for slot in start..<start + Self.ways where entries[slot].key == key {
            entries[slot].used = second
            return (entries[slot].decided, details?[slot])
        }
        return nil
    }

    /// Remembers a trace.
    mutating func insert(_ high: UInt64, _ low: UInt64, second: UInt32, detail: Detail? = nil) {
        guard buckets > 0, let entries else { return }
        let key = key(high, low)
        let start = first(key)
        var victim = start
        for slot in start..<start + Self.ways {
            if entries[slot].key == 0 || entries[slot].key == key {
                victim = slot
                break
            }
            if entries[slot].used < entries[victim].used { victim = slot }
        }
        if entries[victim].key == 0 { count += 1 }
        entries[victim] = Entry(key: key, used: second, decided: second)
        if let detail { details?[victim] = detail }
    }
}
