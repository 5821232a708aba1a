internal import COTLP

/// NumberDataPoint, of gauges and sums.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct NumberDataPointView {
    private let message: UnsafePointer<Martlet__View__NumberDataPointView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__number_data_point_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Nanoseconds since 1970.
    package var startTime: UInt64 { message.pointee.start_time_unix_nano }
    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Encoded Exemplar messages.
    package var exemplars: ByteSlices { ByteSlices(message.pointee.exemplars, message.pointee.n_exemplars) }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }

    /// Which member of the value is set.
    package enum Value {
        case empty
        case double(Double)
        case int(Int64)
    }

    /// The member that is set, with its value.
    package var value: Value {
        switch message.pointee.value_case {
        case MARTLET__VIEW__NUMBER_DATA_POINT_VIEW__VALUE_AS_DOUBLE: .double(message.pointee.as_double)
        case MARTLET__VIEW__NUMBER_DATA_POINT_VIEW__VALUE_AS_INT: .int(message.pointee.as_int)
        default: .empty
        }
    }
}

/// HistogramDataPoint.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct HistogramDataPointView {
    private let message: UnsafePointer<Martlet__View__HistogramDataPointView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__histogram_data_point_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Nanoseconds since 1970.
    package var startTime: UInt64 { message.pointee.start_time_unix_nano }
    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Field `count`.
    package var count: UInt64 { message.pointee.count }
    /// Field `_sum_case`.
    package var sum: Double? {
        message.pointee._sum_case == MARTLET__VIEW__HISTOGRAM_DATA_POINT_VIEW___SUM_SUM ? message.pointee.sum : nil
    }
    /// Empty, or one more than `explicitBounds` in valid data.
    package var bucketCounts: NumberSlice<UInt64> {
        NumberSlice(start: message.pointee.bucket_counts, count: message.pointee.n_bucket_counts)
    }
    /// Field `explicit_bounds`.
    package var explicitBounds: NumberSlice<Double> {
        NumberSlice(start: message.pointee.explicit_bounds, count: message.pointee.n_explicit_bounds)
    }
    /// Encoded Exemplar messages.
    package var exemplars: ByteSlices { ByteSlices(message.pointee.exemplars, message.pointee.n_exemplars) }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }
    /// Field `_min_case`.
    package var minimum: Double? {
        message.pointee._min_case == MARTLET__VIEW__HISTOGRAM_DATA_POINT_VIEW___MIN_MIN ? message.pointee.min : nil
    }
    /// Field `_max_case`.
    package var maximum: Double? {
        message.pointee._max_case == MARTLET__VIEW__HISTOGRAM_DATA_POINT_VIEW___MAX_MAX ? message.pointee.max : nil
    }
}

/// ExponentialHistogramDataPoint.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ExponentialHistogramDataPointView {
    private let message: UnsafePointer<Martlet__View__ExponentialHistogramDataPointView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__exponential_histogram_data_point_view__unpack) else {
            return nil
        }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Nanoseconds since 1970.
    package var startTime: UInt64 { message.pointee.start_time_unix_nano }
    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Field `count`.
    package var count: UInt64 { message.pointee.count }
    /// Field `_sum_case`.
    package var sum: Double? {
        message.pointee._sum_case == MARTLET__VIEW__EXPONENTIAL_HISTOGRAM_DATA_POINT_VIEW___SUM_SUM
            ? message.pointee.sum : nil
    }
    /// Field `scale`.
    package var scale: Int32 { message.pointee.scale }
    /// Field `zero_count`.
    package var zeroCount: UInt64 { message.pointee.zero_count }
    /// Encoded Buckets message.
    package var positive: UnsafeRawBufferPointer { message.pointee.positive.slice }
    /// Encoded Buckets message.
    package var negative: UnsafeRawBufferPointer { message.pointee.negative.slice }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }
    /// Encoded Exemplar messages.
    package var exemplars: ByteSlices { ByteSlices(message.pointee.exemplars, message.pointee.n_exemplars) }
    /// Field `_min_case`.
    package var minimum: Double? {
        message.pointee._min_case == MARTLET__VIEW__EXPONENTIAL_HISTOGRAM_DATA_POINT_VIEW___MIN_MIN
            ? message.pointee.min : nil
    }
    /// Field `_max_case`.
    package var maximum: Double? {
        message.pointee._max_case == MARTLET__VIEW__EXPONENTIAL_HISTOGRAM_DATA_POINT_VIEW___MAX_MAX
            ? message.pointee.max : nil
    }
    /// Field `zero_threshold`.
    package var zeroThreshold: Double { message.pointee.zero_threshold }
}

/// ExponentialHistogramDataPoint.Buckets.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct BucketsView {
    private let message: UnsafePointer<Martlet__View__BucketsView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__buckets_view__unpack) else { return nil }
        self.message = message
    }

    /// Field `offset`.
    package var offset: Int32 { message.pointee.offset }
    /// Field `bucket_counts`.
    package var bucketCounts: NumberSlice<UInt64> {
        NumberSlice(start: message.pointee.bucket_counts, count: message.pointee.n_bucket_counts)
    }
}

/// SummaryDataPoint.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct SummaryDataPointView {
    private let message: UnsafePointer<Martlet__View__SummaryDataPointView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__summary_data_point_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var attributes: ByteSlices { ByteSlices(message.pointee.attributes, message.pointee.n_attributes) }
    /// Nanoseconds since 1970.
    package var startTime: UInt64 { message.pointee.start_time_unix_nano }
    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Field `count`.
    package var count: UInt64 { message.pointee.count }
    /// Field `sum`.
    package var sum: Double { message.pointee.sum }
    /// Encoded ValueAtQuantile messages.
    package var quantileValues: ByteSlices {
        ByteSlices(message.pointee.quantile_values, message.pointee.n_quantile_values)
    }
    /// Field `flags`.
    package var flags: UInt32 { message.pointee.flags }
}

/// SummaryDataPoint.ValueAtQuantile.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ValueAtQuantileView {
    private let message: UnsafePointer<Martlet__View__ValueAtQuantileView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__value_at_quantile_view__unpack) else { return nil }
        self.message = message
    }

    /// Field `quantile`.
    package var quantile: Double { message.pointee.quantile }
    /// The member that is set, with its value.
    package var value: Double { message.pointee.value }
}

/// Exemplar.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct ExemplarView {
    private let message: UnsafePointer<Martlet__View__ExemplarView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__exemplar_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded KeyValue messages.
    package var filteredAttributes: ByteSlices {
        ByteSlices(message.pointee.filtered_attributes, message.pointee.n_filtered_attributes)
    }
    /// Nanoseconds since 1970.
    package var time: UInt64 { message.pointee.time_unix_nano }
    /// Field `span_id`.
    package var spanID: UnsafeRawBufferPointer { message.pointee.span_id.slice }
    /// Field `trace_id`.
    package var traceID: UnsafeRawBufferPointer { message.pointee.trace_id.slice }

    /// Which member of the value is set.
    package enum Value {
        case empty
        case double(Double)
        case int(Int64)
    }

    /// The member that is set, with its value.
    package var value: Value {
        switch message.pointee.value_case {
        case MARTLET__VIEW__EXEMPLAR_VIEW__VALUE_AS_DOUBLE: .double(message.pointee.as_double)
        case MARTLET__VIEW__EXEMPLAR_VIEW__VALUE_AS_INT: .int(message.pointee.as_int)
        default: .empty
        }
    }
}
