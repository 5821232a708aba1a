/// What stands before the cells of a series: 64 bytes, one cache line.
struct SeriesHeader {
    var hash: UInt64
    /// High half: the index of the resource; low half: the caller's.
    var tag: UInt64
    /// The key, then the attributes. From `malloc`.
    var blob: UnsafeMutableRawPointer?
    var keyCount: UInt32
    var attributeCount: UInt32
    /// First and last measurement, nanoseconds since 1970.
    var created: UInt64
    var lastSeen: UInt64
    var exemplars: UnsafeMutablePointer<ExemplarList>?
    /// The next series of the same resource, or the next free record; an index counted from 1, 0 at the end.
    var next: UInt32
    /// What adjusted counts have left over, in 65,536ths.
    var carry: UInt16
    /// A bit for each cell that has a measurement, and `wasWritten`.
    var marks: UInt16

    /// Of `marks`: a point was written, so that the start time is fixed.
    static let wasWritten: UInt16 = 1 << 15
    /// Instruments for which `marks` has a bit. One bit is left over and never set.
    static let maximumCells = 14

    var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: blob, count: Int(keyCount)) }
    var attributes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: blob.map { $0 + Int(keyCount) }, count: Int(attributeCount))
    }
}

/// Where the value of one instrument lies in a record, and of what form it is.
struct Cell {
    enum Form: UInt8 {
        /// Int64.
        case sum
        /// Double.
        case doubleSum
        /// Int128.
        case fixedPointSum
        /// `HistogramCell`, then a UInt64 for each bucket.
        case histogram
        /// `ExponentialCell`.
        case exponential
    }

    var form: Form
    /// From the start of the record.
    var offset: Int
    /// Upper bounds of a histogram's buckets.
    var bounds: UnsafeMutablePointer<Double>
    var boundCount: Int
    /// Of an exponential histogram.
    var maxSize: Int
    /// Of `SeriesHeader.marks`.
    var mark: UInt16
}

/// The beginning of a histogram's cell.
struct HistogramCell {
    var sum: Double
    var minimum: Double
    var maximum: Double
}

/// The records of one family: a header and a cell for each instrument. Immutable.
final class SeriesLayout: @unchecked Sendable {
    // Sendable: the memory behind the pointers is written in `init` only.

    let cells: UnsafeMutablePointer<Cell>
    let cellCount: Int
    /// Bytes of a record, a multiple of 16.
    let stride: Int
    let instruments: [MetricInstrument]
    private let bounds: UnsafeMutablePointer<Double>

    /// - Parameter extra: bytes after the cells.
    init(_ instruments: [MetricInstrument], extra: Int = 0) {
        let instruments = Array(instruments.prefix(SeriesHeader.maximumCells))
        self.instruments = instruments
        cellCount = instruments.count
        cells = .allocate(capacity: max(1, instruments.count))
        var boundTotal = 1
        for instrument in instruments {
            if case .histogram(let bounds) = instrument.kind { boundTotal += bounds.count }
        }
        bounds = .allocate(capacity: boundTotal)
        bounds.initialize(repeating: 0, count: boundTotal)
        var bound = bounds
        var sizes: [(size: Int, alignment: Int)] = []
        for (index, instrument) in instruments.enumerated() {
            var cell = Cell(
                form: .sum, offset: 0, bounds: bound, boundCount: 0, maxSize: 0, mark: 1 << UInt16(index))
            var size = MemoryLayout<Int64>.size
            var alignment = size
            switch instrument.kind {
            case .sum: break
            case .doubleSum: cell.form = .doubleSum
            case .fixedPointSum:
                cell.form = .fixedPointSum
                size = MemoryLayout<Int128>.size
                alignment = MemoryLayout<Int128>.alignment
            case .histogram(let values):
                cell.form = .histogram
                cell.boundCount = values.count
                for value in values {
                    bound.pointee = value
                    bound += 1
                }
                size = MemoryLayout<HistogramCell>.stride + (values.count + 1) * MemoryLayout<UInt64>.stride
            case .exponentialHistogram(let maxSize):
                cell.form = .exponential
                cell.maxSize = min(max(2, maxSize), 2000)
                size = MemoryLayout<ExponentialCell>.stride
            }
            (cells + index).initialize(to: cell)
            sizes.append((size, alignment))
        }
        // Those that must lie at a multiple of 16 first: nothing is left free in between.
        var offset = MemoryLayout<SeriesHeader>.stride
        for alignment in [MemoryLayout<Int128>.alignment, MemoryLayout<Int64>.alignment] {
            for index in sizes.indices where sizes[index].alignment == alignment {
                cells[index].offset = offset
                offset += sizes[index].size
            }
        }
        stride = (offset + extra + 15) & ~15
    }

    deinit {
        cells.deallocate()
        bounds.deallocate()
    }
}

/// Sums that stay at the limit instead of wrapping: counts may be weighted by numbers from the wire.
@inline(__always)
func saturatingSum(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
}
