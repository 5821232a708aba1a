/// What a histogram, explicit or exponential, has counted. The arrays keep their memory from one point to the next.
struct HistogramValue {
    var count: UInt64 = 0
    var sum: Double?
    var minimum: Double?
    var maximum: Double?
    /// Of an explicit histogram: a hash of its bounds.
    var boundsHash: UInt64 = 0
    /// Of an exponential one.
    var zeroCount: UInt64 = 0
    var zeroThreshold = 0.0
    var scale: Int32 = 0
    /// Of an explicit one, all buckets; the offset is 0.
    var positive = ExponentialBuckets()
    var negative = ExponentialBuckets()

    /// Most buckets on each side of an exponential histogram, as SDKs have it.
    static let maximumBuckets: Int64 = 160

    /// Forgets everything, keeps the memory.
    mutating func removeAll() {
        count = 0
        sum = nil
        minimum = nil
        maximum = nil
        boundsHash = 0
        zeroCount = 0
        zeroThreshold = 0
        scale = 0
        positive.removeAll()
        negative.removeAll()
    }

    /// Adds an explicit histogram.
    ///
    /// - Returns: false, with nothing changed, when the buckets differ or the count passes 64 bits.
    mutating func addExplicit(_ delta: HistogramValue) -> Bool {
        guard boundsHash == delta.boundsHash, positive.counts.count == delta.positive.counts.count, addTotals(delta)
        else { return false }
        positive.merge(delta.positive)
        return true
    }

    /// Adds an exponential histogram, which is changed on the way to the same scale and zero threshold.
    ///
    /// - Returns: false, with nothing changed, when the count passes 64 bits.
    mutating func addExponential(_ delta: inout HistogramValue) -> Bool {
        guard addTotals(delta) else { return false }
        let common = min(scale, delta.scale)
        setScale(common)
        delta.setScale(common)
        alignZero(&delta)
        zeroCount = ExponentialBuckets.sum(zeroCount, delta.zeroCount)
        let steps = max(
            ExponentialBuckets.stepsToFit(positive, delta.positive, limit: Self.maximumBuckets),
            ExponentialBuckets.stepsToFit(negative, delta.negative, limit: Self.maximumBuckets))
        downscale(by: steps)
        delta.downscale(by: steps)
        positive.merge(delta.positive)
        negative.merge(delta.negative)
        return true
    }

    /// Brings an exponential histogram as it came to at most `maximumBuckets` buckets a side, none at the ends empty.
    mutating func normalizeExponential() {
        positive.trim()
        negative.trim()
        let nothing = ExponentialBuckets()
        downscale(
            by: max(
                ExponentialBuckets.stepsToFit(positive, nothing, limit: Self.maximumBuckets),
                ExponentialBuckets.stepsToFit(negative, nothing, limit: Self.maximumBuckets)))
    }

    /// Sums, minima and maxima are kept as long as every delta has them.
    private mutating func addTotals(_ delta: HistogramValue) -> Bool {
        let (total, overflow) = count.addingReportingOverflow(delta.count)
        if overflow { return false }
        count = total
        sum = sum.flatMap { sum in delta.sum.map { sum + $0 } }
        minimum = minimum.flatMap { minimum in delta.minimum.map { Swift.min(minimum, $0) } }
        maximum = maximum.flatMap { maximum in delta.maximum.map { Swift.max(maximum, $0) } }
        return true
    }

    private mutating func setScale(_ scale: Int32) {
        if self.scale > scale { downscale(by: Int64(self.scale) - Int64(scale)) }
    }

    private mutating func downscale(by steps: Int64) {
        guard steps > 0 else { return }
        scale = Int32(clamping: Int64(scale) - steps)
        positive.downscale(by: steps)
        negative.downscale(by: steps)
    }

    /// Widens both zero buckets to one threshold: the larger one, or the upper bound of the populated bucket that this
    /// one lies in.
    private mutating func alignZero(_ delta: inout HistogramValue) {
        guard zeroThreshold != delta.zeroThreshold else { return }
        var threshold = max(zeroThreshold, delta.zeroThreshold)
        // Three rounds at most: only a populated bucket raises the threshold, and then to a bound between buckets.
        while zeroThreshold != threshold || delta.zeroThreshold != threshold {
            threshold = widenZero(to: threshold)
            threshold = delta.widenZero(to: threshold)
        }
    }

    /// Counts the buckets that reach below `threshold` as zero.
    ///
    /// - Returns: the new threshold, which is larger when it would cut through a populated bucket.
    private mutating func widenZero(to threshold: Double) -> Double {
        guard threshold > zeroThreshold else { return zeroThreshold }
        zeroThreshold = threshold
        let index = ExponentialBuckets.index(of: threshold, scale: scale)
        if positive.isPopulated(index) || negative.isPopulated(index) {
            zeroThreshold = max(threshold, ExponentialBuckets.upperBound(index, scale: scale))
        }
        zeroCount = ExponentialBuckets.sum(zeroCount, positive.removeBuckets(upTo: index))
        zeroCount = ExponentialBuckets.sum(zeroCount, negative.removeBuckets(upTo: index))
        positive.trim()
        negative.trim()
        return zeroThreshold
    }
}
