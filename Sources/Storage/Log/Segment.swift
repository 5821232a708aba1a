/// What is known in memory about one segment: a few dozen bytes, and a bit for each record that is done with.
struct Segment {
    /// Sequence of its first record; also its name.
    let first: UInt64
    /// One past its last record.
    var end: UInt64
    /// Bytes of its file that count.
    var bytes: Int
    /// Sums over all its records.
    var totals = RecordTotals()
    var released = ReleaseSet()
    /// Releases that are not in its `.ack` file yet; neighbours are joined.
    var unsaved: [ReleaseEntry] = []
    /// Bytes of its `.ack` file.
    var releasesBytes = 0
    /// Whether the file has releases that may not be on the disk.
    var hasUnsynced = false

    init(first: UInt64, bytes: Int) {
        self.first = first
        end = first
        self.bytes = bytes
    }

    var records: Int { Int(end - first) }
    var live: Int { records - released.count }

    func isReleased(_ sequence: UInt64) -> Bool { sequence >= first && released.contains(Int(sequence - first)) }

    /// - Returns: false when it was released before, or is no record of this segment.
    mutating func release(_ sequence: UInt64, isSaved: Bool = false) -> Bool {
        guard sequence >= first, sequence < end, released.insert(Int(sequence - first)) else { return false }
        guard !isSaved else { return true }
        if let last = unsaved.last, last.first + last.count == sequence {
            unsaved[unsaved.count - 1].count += 1
        } else if let last = unsaved.last, sequence + 1 == last.first {
            unsaved[unsaved.count - 1] = ReleaseEntry(first: sequence, count: last.count + 1)
        } else {
            unsaved.append(ReleaseEntry(first: sequence, count: 1))
        }
        return true
    }
}

/// Sums over records.
package struct RecordTotals: Sendable, Equatable {
    package var records = 0
    /// As their owner counts (`LogRecord.items`).
    package var items = 0
    /// Bytes of their bodies, without context, headers and padding.
    package var bytes = 0

    package init() {}

    mutating func add(_ header: RecordHeader) {
        records += 1
        items &+= Int(header.items)
        bytes &+= header.length - header.contextLength
    }

    mutating func add(_ other: RecordTotals) {
        records += other.records
        // The sums of a file may be anything.
        items = max(0, items.addingReportingOverflow(other.items).partialValue)
        bytes = max(0, bytes.addingReportingOverflow(other.bytes).partialValue)
    }
}
