internal import OTLP

/// One metric that measurements are turned into. Names and texts are fixed for the life of the aggregator.
package struct MetricInstrument: Sendable {
    /// What is kept for each set of attributes.
    package enum Kind: Sendable {
        /// A monotonic sum of integers from 0, written as `as_int`.
        case sum
        /// A monotonic sum of numbers from 0, written as `as_double`.
        case doubleSum
        /// A monotonic sum of integers in some small unit, such as parts of a dollar: exact whatever the order of the
        /// measurements, at the limits of 128 bits it stays. Written as the Double that the function makes of it.
        case fixedPointSum(@Sendable (Int128) -> Double)
        /// Counts in buckets with the given upper bounds, which are finite and strictly ascending.
        case histogram(bounds: [Double])
        /// Counts in buckets of exponentially growing width, at most `maxSize` (2 to 2,000) of them. The scale begins
        /// at 20 and falls as the range of the values asks for it.
        case exponentialHistogram(maxSize: Int)
    }

    /// UTF-8; see OTLP's Metric.
    package let name: String
    package let description: String
    /// A UCUM unit, such as `ms` or `{token}`; empty for none.
    package let unit: String
    package let kind: Kind
    /// Whether points of histograms carry the least and the greatest value. Of the interval for delta temporality, of
    /// the whole series for cumulative.
    package let recordsMinMax: Bool
    /// An encoded KeyValue that all points have besides the attributes of their series; empty for none.
    let attribute: [UInt8]

    /// - Parameter attribute: one more attribute of all points. Instruments of one family that follow each other, have
    ///   the same name and are of the same kind are written as one metric: they differ in this attribute.
    package init(
        name: String, description: String = "", unit: String = "", kind: Kind, recordsMinMax: Bool = false,
        attribute: (key: String, value: String)? = nil
    ) {
        self.attribute = attribute.map { Self.encoded($0.key, $0.value) } ?? []
        self.name = name
        self.description = description
        self.unit = unit
        self.kind = kind
        self.recordsMinMax = recordsMinMax
    }

    private static func encoded(_ key: String, _ value: String) -> [UInt8] {
        var writer = WireWriter()
        writer.append(field: 1, text: key)
        let start = writer.count
        writer.append(field: 1, text: value)
        writer.wrap(since: start, field: 2)
        return Array(writer.bytes)
    }
}

/// OTLP's AggregationTemporality, with its numbers.
package enum AggregationTemporality: UInt8, Sendable {
    /// A point holds what was measured since the last one.
    case delta = 1
    /// A point holds what was measured since the series began.
    case cumulative = 2
}

/// How measurements are kept and written. Times are nanoseconds.
package struct AggregationSettings: Sendable {
    /// Name and version of the scope that the metrics are written under.
    package var scopeName: String
    package var scopeVersion = ""
    /// The instruments. Those of one inner list, at most 14, share their sets of attributes: one look-up serves all of
    /// them. A series is addressed by the index of its list, an instrument by its index in that list.
    package var families: [[MetricInstrument]]
    package var temporality = AggregationTemporality.cumulative
    /// Most series of one resource and one family; what comes beyond them is counted in a series of its own, with the
    /// attribute `otel.metric.overflow=true`. 0 is no limit but that of memory.
    package var seriesLimit = 0
    /// Resources that are kept; at each collection the least recently seen ones beyond this number are written a last
    /// time and forgotten. Only for cumulative temporality.
    package var resourceLimit = 1000
    /// Attributes by which resources are told apart; empty means all of them.
    package var resourceKeyAttributes: [String] = []
    /// A series, or a resource with all its series, that saw no measurement for this long is written a last time and
    /// forgotten. 0 is never. Only for cumulative temporality.
    package var seriesExpiration: UInt64 = 0
    package var resourceExpiration: UInt64 = 0
    /// Whether the end of a series is told: a point with the flag NO_RECORDED_VALUE instead of the last value when it
    /// is forgotten, and after the last value at the final collection.
    package var marksEnd = false
    /// Exemplars that a point carries: the first ones of each interval. 0 is none.
    package var exemplarLimit = 0
    /// Bytes that series and resources may take; from there on new ones are counted as overflow. At least 1 MiB.
    package var memoryLimit = 64 << 20

    package init(scopeName: String, families: [[MetricInstrument]]) {
        self.scopeName = scopeName
        self.families = families
    }
}

/// How many measurements one stands for: 1, or more when others were sampled away.
package struct AdjustedCount: Sendable, Equatable {
    /// The whole part, from 1 to 2^56.
    package let whole: UInt64
    /// The rest, in 65,536ths.
    package let fraction: UInt16

    /// An unsampled measurement.
    package static let one = AdjustedCount(whole: 1, fraction: 0)

    private init(whole: UInt64, fraction: UInt16) {
        self.whole = whole
        self.fraction = fraction
    }

    /// The count of an item that was kept because its randomness was not below `threshold`:
    /// 2^56 / (2^56 - threshold). Thresholds from 2^56 on, which keep nothing, give 1.
    package init(rejectionThreshold threshold: UInt64) {
        let all: UInt64 = 1 << 56
        guard threshold > 0, threshold < all else {
            self = .one
            return
        }
        let kept = all - threshold
        let (whole, rest) = all.quotientAndRemainder(dividingBy: kept)
        // Below 2^16, since the rest is below the divisor.
        let fraction = kept.dividingFullWidth((rest >> 48, rest << 16)).quotient
        self.init(whole: whole, fraction: UInt16(truncatingIfNeeded: fraction))
    }

    /// The same as a number.
    package var doubleValue: Double { Double(whole) + Double(fraction) / 65_536 }
}
