internal import OTLP

/// The normal form: one line for each span, log record or data point.
extension DebugFormatter {
    mutating func putLine(_ span: SpanView) {
        text.put(text: span.name)
        text.put(" ")
        text.put(hex: span.traceID)
        text.put(" ")
        text.put(hex: span.spanID)
        text.put(" ")
        putPairs(span.attributes)
        text.endLine()
    }

    mutating func putLine(_ record: LogRecordView) {
        if let body = AnyValueView(record.body, arena: arena)?.value {
            putPlain(body)
        } else {
            text.put("(unreadable)")
        }
        text.put(" ")
        putPairs(record.attributes)
        text.endLine()
    }

    /// A line for each data point; one for a metric without any.
    mutating func putLines(_ metric: MetricView) {
        guard let data = metric.data.message.flatMap({ MetricDataView($0, arena: arena) }), !data.dataPoints.isEmpty
        else {
            text.put(text: metric.name)
            text.endLine()
            return
        }
        for bytes in data.dataPoints {
            if text.isFull { return }
            text.put(text: metric.name)
            switch metric.data {
            case .gauge, .sum, .empty: putNumber(bytes)
            case .histogram: putHistogram(bytes)
            case .exponentialHistogram: putExponentialHistogram(bytes)
            case .summary: putSummary(bytes)
            }
            text.endLine()
        }
    }

    private mutating func putNumber(_ bytes: UnsafeRawBufferPointer) {
        guard let point = NumberDataPointView(bytes, arena: arena) else { return text.put(" (unreadable)") }
        putLabels(point.attributes)
        switch point.value {
        case .empty: break
        case .int(let value): text.put(value)
        case .double(let value): text.put(value)
        }
    }

    private mutating func putHistogram(_ bytes: UnsafeRawBufferPointer) {
        guard let point = HistogramDataPointView(bytes, arena: arena) else { return text.put(" (unreadable)") }
        putLabels(point.attributes)
        putFigures(count: point.count, sum: point.sum, minimum: point.minimum, maximum: point.maximum)
        for (index, count) in point.bucketCounts.enumerated() {
            if text.isFull { return }
            if index < point.explicitBounds.count {
                text.put("le")
                text.put(point.explicitBounds[index])
                text.put("=")
            }
            text.put(count)
            text.put(" ")
        }
    }

    private mutating func putExponentialHistogram(_ bytes: UnsafeRawBufferPointer) {
        guard let point = ExponentialHistogramDataPointView(bytes, arena: arena) else {
            return text.put(" (unreadable)")
        }
        putLabels(point.attributes)
        putFigures(count: point.count, sum: point.sum, minimum: point.minimum, maximum: point.maximum)
    }

    private mutating func putSummary(_ bytes: UnsafeRawBufferPointer) {
        guard let point = SummaryDataPointView(bytes, arena: arena) else { return text.put(" (unreadable)") }
        putLabels(point.attributes)
        putFigures(count: point.count, sum: point.sum, minimum: nil, maximum: nil)
        for bytes in point.quantileValues {
            guard let quantile = ValueAtQuantileView(bytes, arena: arena) else { continue }
            text.put("q")
            text.put(quantile.quantile)
            text.put("=")
            text.put(quantile.value)
            text.put(" ")
        }
    }

    private mutating func putFigures(count: UInt64, sum: Double?, minimum: Double?, maximum: Double?) {
        text.put("count=")
        text.put(count)
        text.put(" ")
        putFigure("sum=", sum)
        putFigure("min=", minimum)
        putFigure("max=", maximum)
    }

    private mutating func putFigure(_ label: StaticString, _ value: Double?) {
        guard let value else { return }
        text.put(label)
        text.put(value)
        text.put(" ")
    }

    /// `{key=value,key=value} `.
    private mutating func putLabels(_ attributes: ByteSlices) {
        text.put("{")
        for (index, attribute) in attributes.enumerated() {
            if text.isFull { return }
            if index > 0 { text.put(",") }
            putPair(attribute)
        }
        text.put("} ")
    }
}
