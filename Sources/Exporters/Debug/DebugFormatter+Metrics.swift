internal import Glibc
internal import OTLP

/// The detailed form of metrics.
extension DebugFormatter {
    mutating func putDetailed(_ metric: MetricView, _ number: Int) {
        putHeading("Metric", number)
        text.put("Descriptor:\n")
        putField("     -> Name: ", text: metric.name)
        putField("     -> Description: ", text: metric.description)
        putField("     -> Unit: ", text: metric.unit)
        putField("     -> DataType: ", Self.name(of: metric.data))
        guard let bytes = metric.data.message else { return }
        guard let data = MetricDataView(bytes, arena: arena) else { return putUnreadable() }
        if case .sum = metric.data { putField("     -> IsMonotonic: ", data.isMonotonic ? "true" : "false") }
        switch metric.data {
        case .sum, .histogram, .exponentialHistogram:
            putField("     -> AggregationTemporality: ", Self.name(ofTemporality: data.aggregationTemporality))
        case .gauge, .summary, .empty: break
        }
        for (index, point) in data.dataPoints.enumerated() {
            if text.isFull { return }
            switch metric.data {
            case .gauge, .sum, .empty: putNumber(point, index)
            case .histogram: putHistogram(point, index)
            case .exponentialHistogram: putExponentialHistogram(point, index)
            case .summary: putSummary(point, index)
            }
        }
    }

    private mutating func putNumber(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        putHeading("NumberDataPoints", number)
        guard let point = NumberDataPointView(bytes, arena: arena) else { return putUnreadable() }
        putHead(point.attributes, start: point.startTime, time: point.time)
        switch point.value {
        case .empty: putField("Value: ", "")
        case .int(let value): putField("Value: ", value)
        case .double(let value): putField("Value: ", value)
        }
        putExemplars(point.exemplars)
    }

    private mutating func putHistogram(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        putHeading("HistogramDataPoints", number)
        guard let point = HistogramDataPointView(bytes, arena: arena) else { return putUnreadable() }
        putHead(point.attributes, start: point.startTime, time: point.time)
        putField("Count: ", point.count)
        putFigures(sum: point.sum, minimum: point.minimum, maximum: point.maximum)
        for (index, bound) in point.explicitBounds.enumerated() {
            if text.isFull { return }
            text.put("ExplicitBounds #")
            text.put(index)
            putField(": ", bound)
        }
        for (index, count) in point.bucketCounts.enumerated() {
            if text.isFull { return }
            text.put("Buckets #")
            text.put(index)
            putField(", Count: ", count)
        }
        putExemplars(point.exemplars)
    }

    private mutating func putExponentialHistogram(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        putHeading("ExponentialHistogramDataPoints", number)
        guard let point = ExponentialHistogramDataPointView(bytes, arena: arena),
            let negative = BucketsView(point.negative, arena: arena),
            let positive = BucketsView(point.positive, arena: arena)
        else { return putUnreadable() }
        putHead(point.attributes, start: point.startTime, time: point.time)
        putField("Count: ", point.count)
        putFigures(sum: point.sum, minimum: point.minimum, maximum: point.maximum)
        // Bounds are powers of 2^(2^-scale); the negative range counts away from zero, so it is shown backwards.
        let base = exp2(exp2(Double(-Int64(point.scale))))
        for index in negative.bucketCounts.indices.reversed() {
            if text.isFull { return }
            let exponent = Double(negative.offset) + Double(index)
            putBucket("[", -pow(base, exponent + 1), -pow(base, exponent), ")", negative.bucketCounts[index])
        }
        if point.zeroCount > 0 { putBucket("[", -point.zeroThreshold, point.zeroThreshold, "]", point.zeroCount) }
        for index in positive.bucketCounts.indices {
            if text.isFull { return }
            let exponent = Double(positive.offset) + Double(index)
            putBucket("(", pow(base, exponent), pow(base, exponent + 1), "]", positive.bucketCounts[index])
        }
        putExemplars(point.exemplars)
    }

    /// A line such as `Bucket (1.0, 2.0], Count: 3`; nothing for an empty bucket.
    private mutating func putBucket(
        _ opening: StaticString, _ low: Double, _ high: Double, _ closing: StaticString, _ count: UInt64
    ) {
        if count == 0 { return }
        text.put("Bucket ")
        text.put(opening)
        text.put(low == 0 ? 0 : low)
        text.put(", ")
        text.put(high)
        text.put(closing)
        putField(", Count: ", count)
    }

    private mutating func putSummary(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        putHeading("SummaryDataPoints", number)
        guard let point = SummaryDataPointView(bytes, arena: arena) else { return putUnreadable() }
        putHead(point.attributes, start: point.startTime, time: point.time)
        putField("Count: ", point.count)
        putField("Sum: ", point.sum)
        for (index, bytes) in point.quantileValues.enumerated() {
            if text.isFull { return }
            guard let quantile = ValueAtQuantileView(bytes, arena: arena) else {
                putUnreadable()
                continue
            }
            text.put("QuantileValue #")
            text.put(index)
            text.put(": Quantile ")
            text.put(quantile.quantile)
            putField(", Value ", quantile.value)
        }
    }

    private mutating func putHead(_ attributes: ByteSlices, start: UInt64, time: UInt64) {
        putAttributes("Data point attributes:", attributes)
        putField("StartTimestamp: ", time: start)
        putField("Timestamp: ", time: time)
    }

    private mutating func putFigures(sum: Double?, minimum: Double?, maximum: Double?) {
        if let sum { putField("Sum: ", sum) }
        if let minimum { putField("Min: ", minimum) }
        if let maximum { putField("Max: ", maximum) }
    }

    private mutating func putExemplars(_ exemplars: ByteSlices) {
        if !exemplars.isEmpty { text.put("Exemplars:\n") }
        for (index, bytes) in exemplars.enumerated() {
            if text.isFull { return }
            putHeading("Exemplar", index)
            guard let exemplar = ExemplarView(bytes, arena: arena) else {
                putUnreadable()
                continue
            }
            putField("     -> Trace ID: ", hex: exemplar.traceID)
            putField("     -> Span ID: ", hex: exemplar.spanID)
            putField("     -> Timestamp: ", time: exemplar.time)
            switch exemplar.value {
            case .empty: break
            case .int(let value): putField("     -> Value: ", value)
            case .double(let value): putField("     -> Value: ", value)
            }
            putAttributes("     -> FilteredAttributes:", exemplar.filteredAttributes, indent: "          -> ")
        }
    }

    private static func name(of data: MetricView.Data) -> String {
        switch data {
        case .empty: "Empty"
        case .gauge: "Gauge"
        case .sum: "Sum"
        case .histogram: "Histogram"
        case .exponentialHistogram: "ExponentialHistogram"
        case .summary: "Summary"
        }
    }

    private static func name(ofTemporality temporality: Int32) -> String {
        let names = ["Unspecified", "Delta", "Cumulative"]
        return names.indices.contains(Int(temporality)) ? names[Int(temporality)] : String(temporality)
    }
}
