internal import Glibc

/// An exponential histogram of values from 0: OTLP's, with its mapping of values to buckets. Bucket i of scale s holds
/// values in (2^(i / 2^s), 2^((i + 1) / 2^s)].
struct ExponentialCell {
    var sum: Double
    var minimum: Double
    var maximum: Double
    var zeroCount: UInt64
    /// Counts of the buckets `first`…; nil before the first one.
    var counts: UnsafeMutablePointer<UInt64>?
    var first: Int32
    /// Buckets in use, and room for.
    var length: Int32
    var capacity: Int32
    var scale: Int32

    static let largestScale: Int32 = 20

    static var empty: ExponentialCell {
        ExponentialCell(
            sum: 0, minimum: .infinity, maximum: 0, zeroCount: 0, counts: nil, first: 0, length: 0, capacity: 0,
            scale: largestScale)
    }

    /// Counts a value above 0, finite, `times` times.
    ///
    /// - Returns: bytes by which the buckets have grown.
    mutating func add(_ value: Double, _ times: UInt64, maxSize: Int) -> Int {
        var index = Self.index(of: value, scale: scale)
        let (grown, shift) = include(index, index, maxSize)
        index >>= shift
        // Nothing fits when memory was refused.
        guard let counts, index >= first, index < first &+ length else { return grown }
        counts[Int(index &- first)] = saturatingSum(counts[Int(index &- first)], times)
        return grown
    }

    /// Adds what `other` has counted.
    ///
    /// - Returns: bytes by which the buckets have grown.
    mutating func merge(_ other: ExponentialCell, maxSize: Int) -> Int {
        sum += other.sum
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
        zeroCount = saturatingSum(zeroCount, other.zeroCount)
        guard let added = other.counts, other.length > 0 else { return 0 }
        if length == 0 { scale = other.scale } else if scale > other.scale { reduce(by: scale - other.scale) }
        var shift = other.scale - scale
        let (grown, more) = include(other.first >> shift, (other.first + other.length - 1) >> shift, maxSize)
        shift += more
        guard let counts else { return grown }
        for position in 0..<other.length {
            let target = ((other.first + position) >> shift) - first
            guard target >= 0, target < length else { continue }
            counts[Int(target)] = saturatingSum(counts[Int(target)], added[Int(position)])
        }
        return grown
    }

    /// The bucket of a value above 0.
    static func index(of value: Double, scale: Int32) -> Int32 {
        let exponent = Int32(truncatingIfNeeded: value.exponent)
        let significand = value.significand
        if scale <= 0 {
            return (significand == 1 ? exponent &- 1 : exponent) >> -scale
        }
        // The upper bound of a bucket belongs to it.
        if significand == 1 { return (exponent << scale) &- 1 }
        let steps = Double(Int32(1) << scale)
        let part = min(Int32(log2(significand) * steps), (1 << scale) &- 1)
        return (exponent << scale) &+ part
    }

    /// Makes room for the buckets from `low` to `high`, at a smaller scale if need be.
    ///
    /// - Returns: bytes by which the buckets have grown, and by how much the scale fell.
    private mutating func include(_ low: Int32, _ high: Int32, _ maxSize: Int) -> (grown: Int, shift: Int32) {
        if length > 0, low >= first, high < first &+ length { return (0, 0) }
        var least = length > 0 ? min(low, first) : low
        var most = length > 0 ? max(high, first &+ length &- 1) : high
        var shift: Int32 = 0
        while Int(most) - Int(least) >= maxSize {
            least >>= 1
            most >>= 1
            shift += 1
        }
        if shift > 0 {
            reduce(by: shift)
            if length > 0 {
                least = min(low >> shift, first)
                most = max(high >> shift, first &+ length &- 1)
            }
        }
        return (widen(least, most, maxSize), shift)
    }

    /// Lets the buckets in use be those from `low` to `high`, which include the present ones.
    private mutating func widen(_ low: Int32, _ high: Int32, _ maxSize: Int) -> Int {
        let wanted = high - low + 1
        var grown = 0
        if wanted > capacity {
            var room = max(8, capacity)
            while room < wanted { room *= 2 }
            room = min(room, Int32(maxSize))
            guard let moved = realloc(counts, Int(room) * MemoryLayout<UInt64>.stride) else { return 0 }
            grown = Int(room - capacity) * MemoryLayout<UInt64>.stride
            counts = moved.bindMemory(to: UInt64.self, capacity: Int(room))
            capacity = room
        }
        guard let counts else { return grown }
        let before = length > 0 ? Int(first - low) : 0
        let used = Int(length)
        if before > 0 { memmove(counts + before, counts, used * MemoryLayout<UInt64>.stride) }
        for position in 0..<before { counts[position] = 0 }
        for position in (before + used)..<max(before + used, Int(wanted)) { counts[position] = 0 }
        first = low
        length = wanted
        return grown
    }

    /// Joins 2^`shift` buckets to one.
    private mutating func reduce(by shift: Int32) {
        guard shift > 0 else { return }
        scale -= shift
        guard let counts, length > 0 else { return }
        let low = first >> shift
        let high = (first + length - 1) >> shift
        for position in 0..<length {
            let target = Int(((first + position) >> shift) - low)
            // Targets never run ahead of positions, so nothing is overwritten before it is read.
            let count = counts[Int(position)]
            if position == 0 || target != Int(((first + position - 1) >> shift) - low) {
                counts[target] = count
            } else {
                counts[target] = saturatingSum(counts[target], count)
            }
        }
        first = low
        length = high - low + 1
    }
}
