/// What a translator writes to. One owner, one thread; everything that the methods get is valid during the call only,
/// except families, which may be kept.
package protocol SeriesSink: AnyObject {
    /// The series that follow are of this family, until the next `begin`. A family may come several times.
    func begin(_ family: MetricFamily)

    /// A float sample. A value of `StaleMarker.value` ends the series.
    ///
    /// The series of one data point come together: of classic histograms sum, count, buckets by rising bound, `+Inf`;
    /// of summaries sum, count, quantiles.
    func sample(_ point: SeriesPoint, _ value: Double)

    /// A native histogram. A sum of `StaleMarker.value` ends the series.
    func histogram(_ point: SeriesPoint, _ histogram: NativeHistogram)

    /// The numbers of names and families begin anew: whatever was remembered by number is void. Comes at the start of a
    /// translation at most.
    func namesChanged()
}

/// Why a data point has no series. The raw value is a label of a metric.
package enum RejectReason: UInt8, Sendable, CaseIterable {
    case deltaTemporality
    case unspecifiedTemporality
    case invalidMetricName
    case invalidLabelName
    case noValue
    case malformed
    case malformedHistogram
    case unsortedBounds
    case scaleTooLow
    case typeConflict
    case tooManyNames

    /// For metric labels.
    package var label: String {
        switch self {
        case .deltaTemporality: "delta_temporality"
        case .unspecifiedTemporality: "unspecified_temporality"
        case .invalidMetricName: "invalid_metric_name"
        case .invalidLabelName: "invalid_label_name"
        case .noValue: "no_value"
        case .malformed: "malformed"
        case .malformedHistogram: "malformed_histogram"
        case .unsortedBounds: "unsorted_bounds"
        case .scaleTooLow: "scale_too_low"
        case .typeConflict: "type_conflict"
        case .tooManyNames: "too_many_names"
        }
    }

    /// For people.
    package var text: String {
        switch self {
        case .deltaTemporality:
            "delta temporality, which nothing has made cumulative"
        case .unspecifiedTemporality: "no aggregation temporality"
        case .invalidMetricName: "a metric name that leaves nothing after translation"
        case .invalidLabelName: "an attribute key that leaves nothing after translation"
        case .noValue: "no value"
        case .malformed: "malformed data point"
        case .malformedHistogram: "bucket counts that do not fit the bounds or the count"
        case .unsortedBounds: "histogram bounds that do not rise"
        case .scaleTooLow: "an exponential histogram's scale below -4"
        case .typeConflict: "a metric name that the same resource uses with another type"
        case .tooManyNames: "more distinct metric names or attribute keys than fit one request"
        }
    }
}

/// What became of a translation's data points.
package struct TranslationReport: Sendable, Equatable {
    /// Data points that were read.
    package internal(set) var points = 0
    /// Metrics without a data point.
    package internal(set) var emptyMetrics = 0
    private var counts = [Int](repeating: 0, count: RejectReason.allCases.count)

    /// Nothing read.
    package init() {}

    /// Data points without a series, for one reason.
    package func rejected(_ reason: RejectReason) -> Int { counts[Int(reason.rawValue)] }

    /// Data points without a series.
    package var rejected: Int { counts.reduce(0, +) }

    /// The reason of most rejections, if there is any.
    package var mainReason: RejectReason? {
        let most = RejectReason.allCases.max { rejected($0) < rejected($1) }
        return most.flatMap { rejected($0) > 0 ? $0 : nil }
    }

    mutating func reject(_ reason: RejectReason, _ points: Int = 1) {
        counts[Int(reason.rawValue)] += points
    }

    /// Adds what another translation gave.
    package mutating func add(_ other: TranslationReport) {
        points += other.points
        emptyMetrics += other.emptyMetrics
        for index in counts.indices { counts[index] += other.counts[index] }
    }
}
