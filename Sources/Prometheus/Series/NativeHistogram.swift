/// A run of consecutive buckets of a native histogram.
package struct BucketSpan: BitwiseCopyable, Equatable {
    /// Of the first span: index of its first bucket. Of others: empty buckets since the span before.
    package var offset: Int32
    /// Buckets in the span.
    package var length: UInt32
}

/// One sign of a native histogram's buckets. Valid during the sink's call only.
package struct NativeBuckets: BitwiseCopyable {
    /// In order of index.
    package let spans: UnsafeBufferPointer<BucketSpan>
    /// For each bucket of the spans, its count less that of the bucket before; of the first, its count.
    package let deltas: UnsafeBufferPointer<Int64>
}

/// A native histogram with integer counts. Valid during the sink's call only. The sum of all buckets and of `zeroCount`
/// is `count`, or less when `sum` is NaN.
package struct NativeHistogram: BitwiseCopyable {
    /// Bucket factor 2^(2^-schema); -4 to 8.
    package let schema: Int32
    /// Observations.
    package let count: UInt64
    /// Their sum; 0 when unknown, `StaleMarker.value` when the series ends.
    package let sum: Double
    /// Values up to this distance from zero are in the zero bucket.
    package let zeroThreshold: Double
    /// Observations in the zero bucket.
    package let zeroCount: UInt64
    /// Buckets of values above zero.
    package let positive: NativeBuckets
    /// Buckets of values below zero, by magnitude.
    package let negative: NativeBuckets
}

/// The two NaNs of Prometheus.
package enum StaleMarker {
    /// Says that a series has ended. Never written for a value that happens to be NaN.
    package static let value = Double(bitPattern: 0x7FF0_0000_0000_0002)
    /// Every NaN that was measured.
    package static let ordinaryNaN = Double(bitPattern: 0x7FF8_0000_0000_0001)

    /// Whether a value is the marker, bit by bit.
    @inline(__always)
    package static func isStale(_ value: Double) -> Bool { value.bitPattern == 0x7FF0_0000_0000_0002 }

    /// A measured value with one pattern for all NaNs.
    @inline(__always)
    static func measured(_ value: Double) -> Double { value == value ? value : ordinaryNaN }
}
