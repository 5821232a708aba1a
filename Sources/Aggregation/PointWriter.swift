internal import OTLP

/// Writes one data point. Field numbers are those of OTLP's metrics.proto.
struct PointWriter {
    let definition: MetricInstrument
    let cell: Cell
    let start: UInt64
    let time: UInt64
    /// The point has the flag NO_RECORDED_VALUE and no value.
    let hasEnded: Bool

    /// Appends the point as field 1 of the metric's data.
    func write(_ record: UnsafeMutableRawPointer, into writer: inout WireWriter) {
        let begin = writer.count
        let header = record.assumingMemoryBound(to: SeriesHeader.self)
        let value = record + cell.offset
        writer.append(field: 2, fixed64: start)
        writer.append(field: 3, fixed64: time)
        switch cell.form {
        case .sum, .doubleSum, .fixedPointSum:
            attributes(header.pointee.attributes, 7, &writer)
            if hasEnded { flag(8, &writer) } else { number(value, &writer) }
            exemplars(header.pointee.exemplars, 5, &writer)
        case .histogram:
            attributes(header.pointee.attributes, 9, &writer)
            histogram(value.assumingMemoryBound(to: HistogramCell.self), &writer)
            exemplars(header.pointee.exemplars, 8, &writer)
        case .exponential:
            attributes(header.pointee.attributes, 1, &writer)
            exponential(value.assumingMemoryBound(to: ExponentialCell.self).pointee, &writer)
            exemplars(header.pointee.exemplars, 11, &writer)
        }
        writer.wrap(since: begin, field: 1)
    }

    private func flag(_ field: UInt32, _ writer: inout WireWriter) {
        writer.append(tag: field, .varint)
        writer.append(varint: 1)
    }

    /// The attributes are stored as fields of number 1.
    private func attributes(_ stored: UnsafeRawBufferPointer, _ field: UInt32, _ writer: inout WireWriter) {
        if field == 1 {
            writer.append(stored)
        } else {
            var walk = WireFields(stored)
            while let attribute = walk.next() { writer.append(field: field, bytes: attribute.payload) }
        }
        if !definition.attribute.isEmpty {
            definition.attribute.withUnsafeBytes { writer.append(field: field, bytes: $0) }
        }
    }

    private func number(_ value: UnsafeMutableRawPointer, _ writer: inout WireWriter) {
        switch definition.kind {
        case .sum:
            writer.append(field: 6, fixed64: UInt64(bitPattern: value.load(as: Int64.self)))
        case .fixedPointSum(let convert):
            writer.append(field: 4, fixed64: convert(value.load(as: Int128.self)).bitPattern)
        case .doubleSum, .histogram, .exponentialHistogram:
            writer.append(field: 4, fixed64: value.load(as: Double.self).bitPattern)
        }
    }

    private func histogram(_ histogram: UnsafeMutablePointer<HistogramCell>, _ writer: inout WireWriter) {
        guard !hasEnded else {
            writer.append(field: 4, fixed64: 0)
            return flag(10, &writer)
        }
        let counts = UnsafeMutableRawPointer(histogram + 1).assumingMemoryBound(to: UInt64.self)
        var total: UInt64 = 0
        for bucket in 0...cell.boundCount { total = saturatingSum(total, counts[bucket]) }
        writer.append(field: 4, fixed64: total)
        writer.append(field: 5, fixed64: histogram.pointee.sum.bitPattern)
        writer.append(tag: 6, .lengthDelimited)
        writer.append(varint: UInt64(cell.boundCount + 1) * 8)
        for bucket in 0...cell.boundCount { writer.append(fixed64: counts[bucket]) }
        if cell.boundCount > 0 {
            writer.append(tag: 7, .lengthDelimited)
            writer.append(varint: UInt64(cell.boundCount) * 8)
            for bound in 0..<cell.boundCount { writer.append(fixed64: cell.bounds[bound].bitPattern) }
        }
        if definition.recordsMinMax, total > 0 {
            writer.append(field: 11, fixed64: histogram.pointee.minimum.bitPattern)
            writer.append(field: 12, fixed64: histogram.pointee.maximum.bitPattern)
        }
    }

    private func exponential(_ histogram: ExponentialCell, _ writer: inout WireWriter) {
        guard !hasEnded else {
            writer.append(field: 4, fixed64: 0)
            return flag(10, &writer)
        }
        var total = histogram.zeroCount
        var used = histogram.counts == nil ? 0 : Int(histogram.length)
        for position in 0..<used { total = saturatingSum(total, histogram.counts?[position] ?? 0) }
        while used > 0, histogram.counts?[used - 1] == 0 { used -= 1 }
        writer.append(field: 4, fixed64: total)
        writer.append(field: 5, fixed64: histogram.sum.bitPattern)
        writer.append(tag: 6, .varint)
        writer.append(varint: Self.zigzag(used > 0 ? histogram.scale : 0))
        if histogram.zeroCount > 0 { writer.append(field: 7, fixed64: histogram.zeroCount) }
        if used > 0 {
            let buckets = writer.count
            writer.append(tag: 1, .varint)
            writer.append(varint: Self.zigzag(histogram.first))
            let counts = writer.count
            for position in 0..<used { writer.append(varint: histogram.counts?[position] ?? 0) }
            writer.wrap(since: counts, field: 2)
            writer.wrap(since: buckets, field: 8)
        }
        if definition.recordsMinMax, total > 0 {
            writer.append(field: 12, fixed64: histogram.minimum.bitPattern)
            writer.append(field: 13, fixed64: histogram.maximum.bitPattern)
        }
    }

    private static func zigzag(_ value: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: (value << 1) ^ (value >> 31)))
    }

    private func exemplars(
        _ list: UnsafeMutablePointer<ExemplarList>?, _ field: UInt32, _ writer: inout WireWriter
    ) {
        guard let list, !hasEnded else { return }
        for position in 0..<Int(list.pointee.count) {
            let exemplar = ExemplarList.entries(list)[position]
            let begin = writer.count
            writer.append(field: 2, fixed64: exemplar.time)
            writer.append(field: 3, fixed64: exemplar.value.bitPattern)
            withUnsafeBytes(of: exemplar.spanID) { writer.append(field: 4, bytes: $0) }
            withUnsafeBytes(of: exemplar.traceID) { writer.append(field: 5, bytes: $0) }
            writer.wrap(since: begin, field: field)
        }
    }
}
