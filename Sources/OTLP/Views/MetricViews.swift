internal import COTLP

/// Metric.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct MetricView {
    private let message: UnsafePointer<Martlet__View__MetricView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__metric_view__unpack) else { return nil }
        self.message = message
    }

    /// Field `name`.
    package var name: UnsafeRawBufferPointer { message.pointee.name.slice }
    /// Field `description`.
    package var description: UnsafeRawBufferPointer { message.pointee.description.slice }
    /// Field `unit`.
    package var unit: UnsafeRawBufferPointer { message.pointee.unit.slice }

    /// Which kind of metric it is, with the encoded message, to be read with `MetricDataView`.
    package enum Data {
        case empty
        case gauge(UnsafeRawBufferPointer)
        case sum(UnsafeRawBufferPointer)
        case histogram(UnsafeRawBufferPointer)
        case exponentialHistogram(UnsafeRawBufferPointer)
        case summary(UnsafeRawBufferPointer)
    }

    /// The member that is set, with its value.
    package var data: Data {
        switch message.pointee.data_case {
        case MARTLET__VIEW__METRIC_VIEW__DATA_GAUGE: .gauge(message.pointee.gauge.slice)
        case MARTLET__VIEW__METRIC_VIEW__DATA_SUM: .sum(message.pointee.sum.slice)
        case MARTLET__VIEW__METRIC_VIEW__DATA_HISTOGRAM: .histogram(message.pointee.histogram.slice)
        case MARTLET__VIEW__METRIC_VIEW__DATA_EXPONENTIAL_HISTOGRAM:
            .exponentialHistogram(message.pointee.exponential_histogram.slice)
        case MARTLET__VIEW__METRIC_VIEW__DATA_SUMMARY: .summary(message.pointee.summary.slice)
        default: .empty
        }
    }

    /// Encoded KeyValue messages.
    package var metadata: ByteSlices { ByteSlices(message.pointee.metadata, message.pointee.n_metadata) }
}

/// Gauge, Sum, Histogram, ExponentialHistogram or Summary.
///
/// Every slice is valid until the arena is reset. Absent fields read as zero or empty.
package struct MetricDataView {
    private let message: UnsafePointer<Martlet__View__MetricDataView>

    /// Unpacks one message into `arena`; nil when malformed or when the arena is exhausted.
    package init?(_ bytes: UnsafeRawBufferPointer, arena: WireArena) {
        guard let message = arena.unpack(bytes, martlet__view__metric_data_view__unpack) else { return nil }
        self.message = message
    }

    /// Encoded data points, of the type that belongs to the metric's kind.
    package var dataPoints: ByteSlices { ByteSlices(message.pointee.data_points, message.pointee.n_data_points) }
    /// 0 unspecified, 1 delta, 2 cumulative; 0 for gauges and summaries.
    package var aggregationTemporality: Int32 { message.pointee.aggregation_temporality }
    /// Sums only.
    package var isMonotonic: Bool { message.pointee.is_monotonic != 0 }
}
