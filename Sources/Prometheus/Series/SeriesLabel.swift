/// One label of a series, as it lies in memory. The pointers are valid during the sink's call only.
///
/// Every label name is kept as the first half of a remote-write 1.0 `Label`, so that an encoder copies it in one go:
/// `0A <length> <name> 12`. The name itself is the middle of that.
package struct SeriesLabel: BitwiseCopyable {
    /// `0A <length> <name> 12`: field 1 with the name, and the tag of field 2.
    package let encodedName: UnsafePointer<UInt8>
    /// UTF-8; never empty in what a sink gets.
    package internal(set) var value: UnsafePointer<UInt8>
    /// Bytes at `encodedName`.
    package let encodedNameCount: UInt32
    /// Bytes at `value`.
    package internal(set) var valueCount: UInt32
    /// Number of the name in the translator's table, dense from 0, the same for equal attribute keys until the
    /// translator says `namesChanged`. `noID` for the labels of exemplars.
    package let nameID: UInt32
    /// Bytes before the name at `encodedName`.
    let nameOffset: UInt32

    /// `nameID` of a name that is in no table.
    package static let noID = UInt32.max

    /// The name alone, UTF-8.
    @inline(__always)
    package var name: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: encodedName + Int(nameOffset), count: Int(encodedNameCount) - Int(nameOffset) - 1)
    }

    /// The value, UTF-8.
    @inline(__always)
    package var text: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: value, count: Int(valueCount)) }
}

/// One exemplar of a series. Valid during the sink's call only.
package struct SeriesExemplar: BitwiseCopyable {
    /// `trace_id` and `span_id` if there are any, then the filtered attributes if all fit; in this order, not sorted.
    package let labels: UnsafeBufferPointer<SeriesLabel>
    /// What was measured.
    package let value: Double
    /// Milliseconds since 1970.
    package let timestamp: Int64
}

/// Which part of its metric family a series is.
package enum SeriesRole: UInt8, Sendable, BitwiseCopyable {
    /// A gauge's or counter's value, or a native histogram.
    case value
    /// `<name>_sum`.
    case sum
    /// `<name>_count`.
    case count
    /// `<name>_bucket`, with an `le` label.
    case bucket
    /// `<name>` with a `quantile` label.
    case quantile
    /// `target_info`, which belongs to no data point.
    case info

    /// Whether the series is the one of its data point that stands for the point in counts.
    package var countsPoint: Bool { self == .value || self == .count }
}

/// One series at one time. Valid during the sink's call only.
package struct SeriesPoint: BitwiseCopyable {
    /// Sorted by name, unique, without empty values, `__name__` included.
    package let labels: UnsafeBufferPointer<SeriesLabel>
    /// Oldest first for native histograms, at most one for counters, those that fall into the bucket for buckets.
    package let exemplars: UnsafeBufferPointer<SeriesExemplar>
    /// Milliseconds since 1970.
    package let timestamp: Int64
    /// When a counter or histogram began to count, in milliseconds since 1970; 0 when that is unknown.
    package let start: Int64
    /// The part that the series is of the family given with `begin`.
    package let role: SeriesRole
}
