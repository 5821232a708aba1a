internal import OTLP

// Classic histograms and summaries.
extension MetricTranslator {
    /// What a point of a histogram or summary holds beside its buckets.
    struct DistributionPoint {
        var start: UInt64 = 0
        var time: UInt64 = 0
        var count: UInt64 = 0
        var sum: Double?
        var isStale = false
        var hasExemplars = false
    }

    /// A histogram's point: sum, count and buckets. Returns why it has no series.
    func classicHistogram(_ point: FieldCursor, _ family: MetricFamily, _ sink: any SeriesSink) -> RejectReason? {
        histogram.counts.removeAll()
        histogram.bounds.removeAll()
        guard let values = readHistogram(point) else { return .malformed }
        if let reason = histogram.problem { return reason }
        guard let shape = shapes.shape(attributes, frame, .none, &names),
            let bucketShape = shapes.shape(attributes, frame, .bound, &names)
        else { return .tooManyNames }
        guard !shape.pointee.isInvalid else { return .invalidLabelName }
        let isEmptied = fill(shape)
        _ = fill(bucketShape)
        exemplars.removeAll()
        if values.hasExemplars, !values.isStale {
            readExemplars(point, tag: 0x42, now: milliseconds(values.time))
            sortExemplars(byValue: true)
        }
        let times = sampleTimes(values.time, values.start)
        let none = UnsafeBufferPointer<SeriesExemplar>(start: nil, count: 0)
        writeTotals(values, shape, isEmptied, family, times, sink)
        boundTexts.trim()
        var running: UInt64 = 0
        var used = 0
        let all = exemplars.elements
        // The last bucket, and a bound of infinity, is `+Inf`, which comes last.
        for index in 0..<max(0, histogram.counts.count - 1) where histogram.bounds[index] < .infinity {
            running &+= histogram.counts[index]
            let bound = histogram.bounds[index]
            let first = used
            while used < all.count, all[used].value <= bound { used += 1 }
            let own = used > first ? UnsafeBufferPointer(rebasing: all[first..<used]) : none
            setExtra(bucketShape, boundTexts.text(bound))
            emit(
                bucketShape, isEmptied, family, .bucket, values.isStale ? StaleMarker.value : Double(running), times,
                own, sink)
        }
        let own = used < all.count ? UnsafeBufferPointer(rebasing: all[used...]) : none
        setExtra(bucketShape, TextSlice("+Inf"))
        emit(
            bucketShape, isEmptied, family, .bucket, values.isStale ? StaleMarker.value : Double(values.count), times,
            own, sink)
        return nil
    }

    /// A summary's point: sum, count and quantiles. Returns why it has no series.
    func summary(_ point: FieldCursor, _ family: MetricFamily, _ sink: any SeriesSink) -> RejectReason? {
        var values = DistributionPoint(sum: 0)
        histogram.quantiles.removeAll()
        var cursor = point
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return .malformed }
            switch tag {
            case 0x3A:
                guard let attribute = cursor.payload(), readAttribute(attribute) else { return .malformed }
            case 0x11: values.start = cursor.fixed64() ?? 0
            case 0x19: values.time = cursor.fixed64() ?? 0
            case 0x21: values.count = cursor.fixed64() ?? 0
            case 0x29: values.sum = cursor.fixed64().map { Double(bitPattern: $0) }
            case 0x32:
                guard let quantile = cursor.payload(), readQuantile(quantile) else { return .malformed }
            case 0x40: values.isStale = (cursor.varint() ?? 0) & 1 != 0
            default: cursor.skipField(tag)
            }
        }
        guard let shape = shapes.shape(attributes, frame, .none, &names),
            let quantileShape = shapes.shape(attributes, frame, .quantile, &names)
        else { return .tooManyNames }
        guard !shape.pointee.isInvalid else { return .invalidLabelName }
        let isEmptied = fill(shape)
        _ = fill(quantileShape)
        exemplars.removeAll()
        let times = sampleTimes(values.time, values.start)
        writeTotals(values, shape, isEmptied, family, times, sink)
        boundTexts.trim()
        for index in 0..<histogram.quantiles.count {
            let (quantile, value) = histogram.quantiles[index]
            setExtra(quantileShape, boundTexts.text(quantile))
            emit(
                quantileShape, isEmptied, family, .quantile,
                values.isStale ? StaleMarker.value : StaleMarker.measured(value), times, exemplars.elements, sink)
        }
        return nil
    }

    /// `_sum`, if it is known, and `_count`.
    private func writeTotals(
        _ values: DistributionPoint, _ shape: ShapeTable.Address, _ isEmptied: Bool, _ family: MetricFamily,
        _ times: (time: Int64, start: Int64), _ sink: any SeriesSink
    ) {
        let none = UnsafeBufferPointer<SeriesExemplar>(start: nil, count: 0)
        // The end of a series whose sum was never sent does no harm.
        if let sum = values.sum ?? (values.isStale ? 0 : nil) {
            emit(
                shape, isEmptied, family, .sum, values.isStale ? StaleMarker.value : StaleMarker.measured(sum), times,
                none, sink)
        }
        emit(
            shape, isEmptied, family, .count, values.isStale ? StaleMarker.value : Double(values.count), times, none,
            sink)
    }

    private func setExtra(_ shape: ShapeTable.Address, _ text: TextSlice) {
        let slot = shape.pointee.extraSlot
        guard slot >= 0 else { return }
        shape.pointee.labels[slot].value = text.base
        shape.pointee.labels[slot].valueCount = UInt32(truncatingIfNeeded: text.count)
    }

    private func readQuantile(_ message: FieldCursor) -> Bool {
        var quantile = 0.0
        var value = 0.0
        var cursor = message
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return false }
            switch tag {
            case 0x09: quantile = cursor.fixed64().map { Double(bitPattern: $0) } ?? 0
            case 0x11: value = cursor.fixed64().map { Double(bitPattern: $0) } ?? 0
            default: cursor.skipField(tag)
            }
        }
        histogram.quantiles.append((quantile, value))
        return true
    }

    private func readHistogram(_ point: FieldCursor) -> DistributionPoint? {
        var values = DistributionPoint()
        var cursor = point
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return nil }
            switch tag {
            case 0x4A:
                guard let attribute = cursor.payload(), readAttribute(attribute) else { return nil }
            case 0x11: values.start = cursor.fixed64() ?? 0
            case 0x19: values.time = cursor.fixed64() ?? 0
            case 0x21: values.count = cursor.fixed64() ?? 0
            case 0x29: values.sum = cursor.fixed64().map { Double(bitPattern: $0) }
            case 0x32, 0x3A:
                guard var packed = cursor.payload() else { return nil }
                while let bits = packed.fixed64() { histogram.add(bits, isBound: tag == 0x3A) }
            case 0x31, 0x39:
                guard let bits = cursor.fixed64() else { return nil }
                histogram.add(bits, isBound: tag == 0x39)
            case 0x50: values.isStale = (cursor.varint() ?? 0) & 1 != 0
            default:
                if tag == 0x42 { values.hasExemplars = true }
                cursor.skipField(tag)
            }
        }
        return values
    }
}

/// Buckets of the present data point.
struct HistogramBuffers: ~Copyable {
    var counts = Scratch<UInt64>()
    var bounds = Scratch<Double>()
    var quantiles = Scratch<(Double, Double)>()
    var positive = BucketLayout()
    var negative = BucketLayout()

    @inline(__always)
    mutating func add(_ bits: UInt64, isBound: Bool) {
        if isBound { bounds.append(Double(bitPattern: bits)) } else { counts.append(bits) }
    }

    /// What is wrong with the explicit buckets.
    var problem: RejectReason? {
        if counts.count == 0, bounds.count == 0 { return nil }
        guard counts.count == bounds.count + 1 else { return .malformedHistogram }
        for index in 0..<bounds.count {
            // Also false for NaN.
            guard index == 0 ? bounds[0] == bounds[0] : bounds[index] > bounds[index - 1] else {
                return .unsortedBounds
            }
        }
        return nil
    }
}
