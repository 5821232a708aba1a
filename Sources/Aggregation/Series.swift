/// A set of attributes that is measured: one series of each instrument of its family.
///
/// An address within the recorder that gave it: valid until the recorder's next call of `addSeries` or `resource`, and
/// not beyond `withRecorder`. Instruments are given by their index in the family; an index or a kind that does not fit
/// records nothing.
package struct Series {
    let record: UnsafeMutableRawPointer
    /// Of the table's layout.
    private let cells: UnsafeMutablePointer<Cell>
    private let cellCount: Int
    /// Of the recorder, which keeps it alive.
    unowned(unsafe) let table: SeriesTable

    @inline(__always)
    init(record: UnsafeMutableRawPointer, table: SeriesTable) {
        self.record = record
        self.table = table
        cells = table.cells
        cellCount = table.cellCount
    }

    @inline(__always)
    private var header: UnsafeMutablePointer<SeriesHeader> { record.assumingMemoryBound(to: SeriesHeader.self) }

    /// The address of a cell of the given form, marked as having a value.
    @inline(__always)
    private func cell(_ instrument: Int, _ form: Cell.Form) -> UnsafeMutableRawPointer? {
        guard instrument >= 0, instrument < cellCount else { return nil }
        let cell = cells + instrument
        guard cell.pointee.form == form else { return nil }
        header.pointee.marks |= cell.pointee.mark
        return record + cell.pointee.offset
    }

    /// Adds to a `sum`. Negative values record nothing; at Int64.max the sum stays.
    package func add(_ value: Int64, to instrument: Int) {
        guard value >= 0, let sum = cell(instrument, .sum)?.assumingMemoryBound(to: Int64.self) else { return }
        let (result, overflow) = sum.pointee.addingReportingOverflow(value)
        sum.pointee = overflow ? .max : result
    }

    /// Adds to a `doubleSum`. Negative values, infinity and NaN record nothing.
    package func add(double value: Double, to instrument: Int) {
        guard value >= 0, value.isFinite, let sum = cell(instrument, .doubleSum)?.assumingMemoryBound(to: Double.self)
        else { return }
        sum.pointee += value
    }

    /// Adds to a `fixedPointSum`, in its unit. Negative values record nothing; at Int128.max the sum stays.
    package func add(fixedPoint value: Int128, to instrument: Int) {
        guard value >= 0, let sum = cell(instrument, .fixedPointSum)?.assumingMemoryBound(to: Int128.self) else {
            return
        }
        let (result, overflow) = sum.pointee.addingReportingOverflow(value)
        sum.pointee = overflow ? .max : result
    }

    /// Records a value in a histogram of either kind, `times` times. Negative values, infinity and NaN record nothing.
    package func record(_ value: Double, times: UInt64 = 1, in instrument: Int) {
        guard value >= 0, value.isFinite, instrument >= 0, instrument < cellCount else { return }
        let cell = cells + instrument
        let address = record + cell.pointee.offset
        switch cell.pointee.form {
        case .histogram:
            let histogram = address.assumingMemoryBound(to: HistogramCell.self)
            histogram.pointee.sum += times == 1 ? value : value * Double(times)
            if value < histogram.pointee.minimum { histogram.pointee.minimum = value }
            if value > histogram.pointee.maximum { histogram.pointee.maximum = value }
            let counts = UnsafeMutableRawPointer(histogram + 1).assumingMemoryBound(to: UInt64.self)
            let bucket = Self.bucket(of: value, cell.pointee.bounds, cell.pointee.boundCount)
            counts[bucket] = saturatingSum(counts[bucket], times)
        case .exponential:
            let histogram = address.assumingMemoryBound(to: ExponentialCell.self)
            histogram.pointee.sum += times == 1 ? value : value * Double(times)
            histogram.pointee.minimum = min(histogram.pointee.minimum, value)
            histogram.pointee.maximum = max(histogram.pointee.maximum, value)
            if value == 0 {
                histogram.pointee.zeroCount = saturatingSum(histogram.pointee.zeroCount, times)
            } else {
                table.grew(by: histogram.pointee.add(value, times, maxSize: cell.pointee.maxSize))
            }
        case .sum, .doubleSum, .fixedPointSum:
            return
        }
        header.pointee.marks |= cell.pointee.mark
    }

    /// The bucket of a value: the number of bounds below it.
    @inline(__always)
    static func bucket(of value: Double, _ bounds: UnsafeMutablePointer<Double>, _ count: Int) -> Int {
        guard count > 0 else { return 0 }
        // Halving without branches: where a duration falls cannot be predicted.
        var first = 0
        var rest = count
        while rest > 1 {
            let half = rest &>> 1
            first = bounds[first &+ half &- 1] < value ? first &+ half : first
            rest &-= half
        }
        return bounds[first] < value ? first &+ 1 : first
    }

    /// A whole number for an adjusted count, such that the numbers given to a series add up to the counts: what is cut
    /// off is carried to the next one, and the first carry of a series is random, so that no series is favoured.
    @inline(__always)
    package func whole(_ count: AdjustedCount) -> UInt64 {
        if count.fraction == 0 { return count.whole }
        let (carry, overflow) = header.pointee.carry.addingReportingOverflow(count.fraction)
        header.pointee.carry = carry
        return overflow ? count.whole &+ 1 : count.whole
    }

    /// Keeps a measurement as an exemplar of all instruments of the family, while there is room.
    ///
    /// - Parameters:
    ///   - time: nanoseconds since 1970.
    ///   - traceID: 16 bytes; others keep nothing.
    ///   - spanID: 8 bytes; others keep nothing.
    package func addExemplar(
        _ value: Double, time: UInt64, traceID: UnsafeRawBufferPointer, spanID: UnsafeRawBufferPointer, limit: Int
    ) {
        guard traceID.count == 16, spanID.count == 8 else { return }
        let exemplar = Exemplar(
            time: time, value: value,
            traceID: (
                traceID.loadUnaligned(as: UInt64.self), traceID.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            ), spanID: spanID.loadUnaligned(as: UInt64.self))
        table.grew(by: ExemplarList.append(exemplar, to: &header.pointee.exemplars, limit: limit))
    }
}
