internal import OTLP

// Exponential histograms become native ones.
extension MetricTranslator {
    /// Of a histogram whose zero bucket has no width.
    private static let defaultZeroThreshold = 1e-128
    /// Scales that a native histogram has; finer ones are merged.
    private static let scales: ClosedRange<Int32> = -4...8

    private struct ExponentialPoint {
        let values: DistributionPoint
        let scale: Int32
        let zeroCount: UInt64
        let zeroThreshold: Double
        /// Buckets messages; empty when there are none.
        let positive: FieldCursor
        let negative: FieldCursor
    }

    /// An exponential histogram's point. Returns why it has no series.
    func exponentialHistogram(_ point: FieldCursor, _ family: MetricFamily, _ sink: any SeriesSink) -> RejectReason? {
        guard let read = readExponential(point) else { return .malformed }
        let values = read.values
        guard read.scale >= Self.scales.lowerBound else { return .scaleTooLow }
        let scaleDown = max(0, read.scale &- Self.scales.upperBound)
        histogram.positive.removeAll()
        histogram.negative.removeAll()
        if !values.isStale {
            guard histogram.positive.read(read.positive, scaleDown: scaleDown),
                histogram.negative.read(read.negative, scaleDown: scaleDown), isConsistent(read)
            else { return .malformedHistogram }
        }
        guard let shape = shapes.shape(attributes, frame, .none, &names) else { return .tooManyNames }
        guard !shape.pointee.isInvalid else { return .invalidLabelName }
        let isEmptied = fill(shape)
        exemplars.removeAll()
        if values.hasExemplars, !values.isStale {
            readExemplars(point, tag: 0x5A, now: milliseconds(values.time))
            sortExemplars(byValue: false)
        }
        let times = sampleTimes(values.time, values.start)
        let name = family.seriesName(.value)
        shape.pointee.labels[shape.pointee.nameSlot].value = name.base
        shape.pointee.labels[shape.pointee.nameSlot].valueCount = name.count
        let series = SeriesPoint(
            labels: finished(shape, isEmptied), exemplars: exemplars.elements, timestamp: times.time,
            start: times.start, role: .value)
        sink.histogram(
            series,
            NativeHistogram(
                schema: read.scale - scaleDown, count: values.isStale ? 0 : values.count,
                sum: values.isStale ? StaleMarker.value : StaleMarker.measured(values.sum ?? 0),
                zeroThreshold: read.zeroThreshold > 0 ? read.zeroThreshold : Self.defaultZeroThreshold,
                zeroCount: values.isStale ? 0 : read.zeroCount, positive: histogram.positive.buckets,
                negative: histogram.negative.buckets))
        return nil
    }

    /// Whether the buckets hold as many observations as the count says; fewer when some were NaN. Prometheus refuses a
    /// whole request for one histogram where that is not so.
    private func isConsistent(_ point: ExponentialPoint) -> Bool {
        let (some, first) = histogram.positive.total.addingReportingOverflow(histogram.negative.total)
        let (all, second) = some.addingReportingOverflow(point.zeroCount)
        guard !first, !second else { return false }
        let isNaN = point.values.sum.map { $0 != $0 } ?? false
        return isNaN ? all <= point.values.count : all == point.values.count
    }

    /// The optimizer of Swift 6.3 loses stores to a nested structure in a loop like this one: plain variables it keeps.
    private func readExponential(_ point: FieldCursor) -> ExponentialPoint? {
        var values = DistributionPoint()
        var scale: Int32 = 0
        var zeroCount: UInt64 = 0
        var zeroThreshold: UInt64 = 0
        var positive = FieldCursor(point.end, point.end)
        var negative = positive
        var cursor = point
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return nil }
            switch tag {
            case 0x0A:
                guard let attribute = cursor.payload(), readAttribute(attribute) else { return nil }
            case 0x11: values.start = cursor.fixed64() ?? 0
            case 0x19: values.time = cursor.fixed64() ?? 0
            case 0x21: values.count = cursor.fixed64() ?? 0
            case 0x29: values.sum = cursor.fixed64().map { Double(bitPattern: $0) }
            case 0x30: scale = zigzag(cursor.varint() ?? 0)
            case 0x39: zeroCount = cursor.fixed64() ?? 0
            case 0x42:
                guard let buckets = cursor.payload() else { return nil }
                positive = buckets
            case 0x4A:
                guard let buckets = cursor.payload() else { return nil }
                negative = buckets
            case 0x50: values.isStale = (cursor.varint() ?? 0) & 1 != 0
            case 0x71: zeroThreshold = cursor.fixed64() ?? 0
            default:
                if tag == 0x5A { values.hasExemplars = true }
                cursor.skipField(tag)
            }
        }
        return ExponentialPoint(
            values: values, scale: scale, zeroCount: zeroCount, zeroThreshold: Double(bitPattern: zeroThreshold),
            positive: positive, negative: negative)
    }
}

/// A `sint32` as it is on the wire.
func zigzag(_ value: UInt64) -> Int32 {
    let low = UInt32(truncatingIfNeeded: value)
    return Int32(bitPattern: low >> 1) ^ -Int32(bitPattern: low & 1)
}

/// Buckets in the layout of native histograms: spans, and differences of counts.
struct BucketLayout: ~Copyable {
    /// Empty buckets that are written out rather than begin a new span.
    private static let largestGap = 2

    private var spans = Scratch<BucketSpan>()
    private var deltas = Scratch<Int64>()
    /// Observations in all buckets.
    private(set) var total: UInt64 = 0
    private var lastIndex = 0
    private var lastCount: Int64 = 0

    var buckets: NativeBuckets { NativeBuckets(spans: spans.elements, deltas: deltas.elements) }

    mutating func removeAll() {
        spans.removeAll()
        deltas.removeAll()
        total = 0
        lastCount = 0
    }

    /// Reads a Buckets message, merging 2^scaleDown buckets each. OTLP's bucket i covers (base^i, base^(i+1)], and
    /// native histograms number a bucket by its upper bound. False when it is malformed or numbers overflow.
    mutating func read(_ message: FieldCursor, scaleDown: Int32) -> Bool {
        guard let offset = Self.offset(message) else { return false }
        // By 63 every bucket is in one of two: more makes no difference.
        let shift = Int(min(scaleDown, 63))
        var position = Int(offset)
        var merged: (index: Int, count: UInt64) = (position >> shift, 0)
        var cursor = message
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return false }
            guard tag == 0x12 || tag == 0x10 else {
                cursor.skipField(tag)
                continue
            }
            // Packed or not.
            var values = cursor
            if tag == 0x12 {
                guard let packed = cursor.payload() else { return false }
                values = packed
            }
            repeat {
                guard tag == 0x10 || !values.isAtEnd else { break }
                guard let count = values.varint() else { return false }
                if position >> shift != merged.index {
                    guard append(merged.index, merged.count) else { return false }
                    merged = (position >> shift, 0)
                }
                let (sum, overflows) = merged.count.addingReportingOverflow(count)
                guard !overflows else { return false }
                merged.count = sum
                position += 1
            } while tag == 0x12
            if tag == 0x10 { cursor = values }
        }
        return append(merged.index, merged.count)
    }

    private static func offset(_ message: FieldCursor) -> Int32? {
        var offset: Int32 = 0
        var cursor = message
        while !cursor.isAtEnd {
            guard let tag = cursor.varint() else { return nil }
            if tag == 0x08 {
                guard let value = cursor.varint() else { return nil }
                offset = zigzag(value)
            } else {
                cursor.skipField(tag)
            }
        }
        return offset
    }

    /// Adds a bucket of OTLP's index unless it is empty. False when numbers do not fit.
    private mutating func append(_ index: Int, _ count: UInt64) -> Bool {
        if count == 0 { return true }
        let native = index + 1
        let (sum, overflows) = total.addingReportingOverflow(count)
        guard !overflows, let count = Int64(exactly: count), let offset = Int32(exactly: native) else { return false }
        total = sum
        let gap = native - lastIndex - 1
        if spans.count == 0 {
            spans.append(BucketSpan(offset: offset, length: 0))
        } else if gap > Self.largestGap {
            guard let gap = Int32(exactly: gap) else { return false }
            spans.append(BucketSpan(offset: gap, length: 0))
        } else {
            for _ in 0..<gap { appendToSpan(0) }
        }
        appendToSpan(count)
        lastIndex = native
        return true
    }

    private mutating func appendToSpan(_ count: Int64) {
        let last = spans.count - 1
        spans[last].length += 1
        deltas.append(count - lastCount)
        lastCount = count
    }
}
