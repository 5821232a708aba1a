/// When a record counts as taken.
package enum SyncPolicy: String, Sendable, CaseIterable {
    /// When it alone has been made durable: one synchronisation a record.
    case always
    /// When it has been made durable; records that wait at the same time share a synchronisation.
    case group
    /// When it has been written: it survives the end of the process, not that of the machine.
    case none
}

/// Bounds and promises of one log.
package struct LogOptions: Sendable, Equatable {
    /// `fsync`.
    package var sync = SyncPolicy.group
    /// `segment_size`: bytes from which on a new file begins. A larger record gets a file of its own.
    package var segmentBytes = Self.defaultSegmentBytes
    /// `max_size`: most bytes of all files.
    package var maximumBytes = Self.defaultMaximumBytes
    /// Longest wait for a directory that another process has: one that is just ending.
    package var lockTimeout = Duration.seconds(1)
    /// Whether the oldest segment goes when there is no room; otherwise `append` fails with `.full`.
    package var dropsOldest = false

    package init() {}

    /// 32 MiB: after a crash that much is looked through before the start.
    package static let defaultSegmentBytes = 33_554_432
    /// 64 KiB: smaller ones only make files.
    package static let minimumSegmentBytes = 65_536
    /// 8 GiB.
    package static let defaultMaximumBytes = 8_589_934_592
    /// Bytes of damaged records that are kept aside in one log at most, 256 MiB; what is more is only counted.
    package static let maximumKeptAside = 268_435_456
    /// Largest record, context and body: 1 GiB.
    package static let maximumRecordBytes = 1 << 30
}

/// What a log holds when it is opened.
package struct LogRecovery: Sendable, Equatable {
    /// Lowest sequence that may hold a record, and one past the highest: where to `read` from and to.
    package var sequences: Range<UInt64> = 1..<1
    /// Records that are not released.
    package var live = RecordTotals()
    /// Bytes cut off at the ends of segments, left there by writes that a crash cut short.
    package var tornBytes = 0
    /// Damaged places kept aside by now.
    package var damaged = 0

    package init() {}
}

/// Records read back in order.
package struct LogRead: Sendable {
    package var records: [StoredRecord] = []
    /// Where to go on.
    package var next: UInt64 = 0
    /// Records that were found damaged on the way. They are kept aside and released.
    package var lost: [UInt64] = []

    package init() {}
}

/// Records that made room for newer ones.
package struct LogDrop: Sendable, Equatable {
    /// One of them.
    package struct Record: Sendable, Equatable {
        package var sequence: UInt64
        package var items: Int
        /// Of its body.
        package var bytes: Int
    }

    /// Everything below this sequence is gone.
    package var next: UInt64 = 0
    /// Those that were not released.
    package var records: [Record] = []
}

/// How far an `append` came.
struct LogAppend: Equatable {
    /// Sequence of the first record.
    var first: UInt64
    /// Records written, from the first.
    var count: Int
    /// Why the rest was not.
    var error: StorageError?
}
