internal import Glibc

/// One side of an exponential histogram: counts of neighbouring buckets. Sums stay at their limit.
struct ExponentialBuckets {
    /// Index of the first bucket.
    private(set) var offset: Int64 = 0
    private(set) var counts: [UInt64] = []

    var isEmpty: Bool { counts.isEmpty }
    /// One above the index of the last bucket.
    var end: Int64 { offset + Int64(counts.count) }

    /// Forgets the buckets, keeps the memory.
    mutating func removeAll() {
        offset = 0
        counts.removeAll(keepingCapacity: true)
    }

    /// Adds a bucket at the end.
    mutating func append(_ count: UInt64) { counts.append(count) }

    /// Sets the index of the first bucket.
    mutating func start(at offset: Int32) { self.offset = Int64(offset) }

    /// Drops the empty buckets at both ends.
    mutating func trim() {
        while counts.last == 0 { counts.removeLast() }
        if counts.isEmpty {
            offset = 0
            return
        }
        let empty = counts.firstIndex { $0 != 0 } ?? 0
        if empty > 0 {
            counts.removeFirst(empty)
            offset += Int64(empty)
        }
    }

    /// Merges each 2^`steps` buckets into one.
    mutating func downscale(by steps: Int64) {
        guard steps > 0, !counts.isEmpty else { return }
        let first = offset >> steps
        var last = 0
        for index in counts.indices {
            let target = Int(((offset + Int64(index)) >> steps) - first)
            let count = counts[index]
            if target != index { counts[index] = 0 }
            counts[target] = target == index ? count : Self.sum(counts[target], count)
            last = target
        }
        counts.removeLast(counts.count - last - 1)
        offset = first
    }

    /// Takes the buckets up to `index`, that one included, away.
    ///
    /// - Returns: the sum of their counts.
    mutating func removeBuckets(upTo index: Int64) -> UInt64 {
        guard index >= offset else { return 0 }
        let taken = Int(min(index - offset + 1, Int64(counts.count)))
        var sum: UInt64 = 0
        for count in counts[..<taken] { sum = Self.sum(sum, count) }
        counts.removeFirst(taken)
        offset += Int64(taken)
        if counts.isEmpty { offset = 0 }
        return sum
    }

    /// Whether there is something in the bucket with that index.
    func isPopulated(_ index: Int64) -> Bool { index >= offset && index < end && counts[Int(index - offset)] > 0 }

    /// Adds the buckets of another histogram of the same scale. The caller has seen to the size of the result.
    mutating func merge(_ other: ExponentialBuckets) {
        if other.isEmpty { return }
        if isEmpty {
            offset = other.offset
            counts.append(contentsOf: other.counts)
            return
        }
        if other.offset < offset {
            counts.insert(contentsOf: repeatElement(0, count: Int(offset - other.offset)), at: 0)
            offset = other.offset
        }
        if other.end > end { counts.append(contentsOf: repeatElement(0, count: Int(other.end - end))) }
        let shift = Int(other.offset - offset)
        for index in other.counts.indices {
            counts[index + shift] = Self.sum(counts[index + shift], other.counts[index])
        }
    }

    /// How often two neighbours must be merged for both ranges together to have at most `limit` buckets.
    static func stepsToFit(_ left: ExponentialBuckets, _ right: ExponentialBuckets, limit: Int64) -> Int64 {
        if left.isEmpty, right.isEmpty { return 0 }
        var low = left.isEmpty ? right.offset : left.offset
        var high = (left.isEmpty ? right.end : left.end) - 1
        if !left.isEmpty, !right.isEmpty {
            low = min(low, right.offset)
            high = max(high, right.end - 1)
        }
        var steps: Int64 = 0
        // Ends: after 63 steps at most the indices -1 and 0 are left.
        while high - low >= limit {
            low >>= 1
            high >>= 1
            steps += 1
        }
        return steps
    }

    /// The index of the bucket that holds `value`, a finite number above 0: bucket i is (base^i, base^(i+1)], with
    /// base 2^(2^-scale).
    static func index(of value: Double, scale: Int32) -> Int64 {
        if value == 1 { return -1 }
        // `log2` of a power of two is exact, of subnormal numbers too.
        let index = Glibc.ceil(Glibc.log2(value) * Glibc.exp2(Double(scale))) - 1
        return Int64(max(-indexLimit, min(indexLimit, index)))
    }

    /// The upper bound of a bucket; for one that reaches beyond all numbers, the largest number.
    static func upperBound(_ index: Int64, scale: Int32) -> Double {
        if index == -1 { return 1 }
        return min(.greatestFiniteMagnitude, Glibc.exp2(Double(index + 1) * Glibc.exp2(-Double(scale))))
    }

    /// Beyond any index that 32 bits hold.
    private static let indexLimit = 0x1p40

    @inline(__always)
    static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
