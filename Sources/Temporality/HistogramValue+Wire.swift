internal import OTLP

extension HistogramValue {
    /// Appends the fields of a histogram's data point that hold what was counted. Bounds are not among them.
    func write(_ kind: DeltaKind, into writer: inout WireWriter) {
        writer.append(field: 4, fixed64: count)
        if let sum { writer.append(field: 5, fixed64: sum.bitPattern) }
        if kind == .histogram {
            let counts = positive.counts
            if !counts.isEmpty {
                writer.append(tag: 6, .lengthDelimited)
                writer.append(varint: UInt64(counts.count * 8))
                for count in counts { writer.append(fixed64: count) }
            }
            if let minimum { writer.append(field: 11, fixed64: minimum.bitPattern) }
            if let maximum { writer.append(field: 12, fixed64: maximum.bitPattern) }
            return
        }
        if scale != 0 {
            writer.append(tag: 6, .varint)
            writer.append(varint: Self.zigZag(Int64(scale)))
        }
        if zeroCount != 0 { writer.append(field: 7, fixed64: zeroCount) }
        Self.write(positive, field: 8, into: &writer)
        Self.write(negative, field: 9, into: &writer)
        if let minimum { writer.append(field: 12, fixed64: minimum.bitPattern) }
        if let maximum { writer.append(field: 13, fixed64: maximum.bitPattern) }
        if zeroThreshold != 0 { writer.append(field: 14, fixed64: zeroThreshold.bitPattern) }
    }

    /// A `Buckets` message; nothing for no buckets.
    private static func write(_ buckets: ExponentialBuckets, field: UInt32, into writer: inout WireWriter) {
        if buckets.isEmpty { return }
        let start = writer.count
        if buckets.offset != 0 {
            writer.append(tag: 1, .varint)
            writer.append(varint: zigZag(buckets.offset))
        }
        let counts = writer.count
        for count in buckets.counts { writer.append(varint: count) }
        writer.wrap(since: counts, field: 2)
        writer.wrap(since: start, field: field)
    }
}

extension WireWriter {
    /// Appends a fixed64 field.
    @inline(__always)
    mutating func append(field: UInt32, fixed64 bits: UInt64) {
        append(tag: field, .fixed64)
        append(fixed64: bits)
    }
}
