/// An append log in segments, in a directory of its own: the rules and the files, without threads and time.
///
/// One thread at a time; every method may block on the disk. `AppendLog` gives it a thread.
///
/// - A record has a sequence, which grows by one and is never used twice, not even after a crash. It is durable once
///   `durableEnd` is above its sequence, and stays until it is released, in any order.
/// - A segment is removed when all its records are released. Releases are kept beside each segment, in a file that is
///   only appended to and goes with it. They are written without delay and synchronised less often: after a crash some
///   released records may come back, never the other way round.
/// - Opening looks through segments without a footer only, that is the last one, and never into contents.
package final class SegmentedLog {
    /// The segment that is appended to.
    struct Active {
        let file: any LogFile
        /// Bytes of it that are durable.
        var syncedBytes: Int
    }

    let directory: String
    let files: any LogFileSystem
    package let options: LogOptions
    var lockFile: (any LogFile)?
    var salt: UInt64 = 0
    /// In order; the last is `active` while that is set.
    var segments: [Segment] = []
    var active: Active?
    /// Sequence of the next record.
    package internal(set) var nextSequence: UInt64 = 1
    /// Records below it are durable, as far as `SyncPolicy` promises.
    package internal(set) var durableEnd: UInt64 = 1
    /// Records that the last `append`, or the `sync` after it, wrote and could not make durable: they do not count.
    private(set) var abandoned: Range<UInt64> = 0..<0
    /// Bytes of all segments.
    package internal(set) var bytes = 0
    /// Damaged places kept aside since the log was opened.
    package internal(set) var damagedPlaces = 0
    /// Bytes in `.corrupt` files.
    var keptAside = 0
    /// Segments that are done with and could not be removed yet.
    var doomed: [UInt64] = []
    var reader: SegmentReader?

    /// - Parameter directory: the log's own; made by `open`, its parent is not.
    package init(directory: String, files: any LogFileSystem, options: LogOptions) {
        self.directory = directory
        self.files = files
        self.options = options
    }

    func path(_ name: String) -> String { directory + "/" + name }

    package var isOpen: Bool { lockFile != nil }

    /// Records that are not released.
    package var liveRecords: Int { segments.reduce(0) { $0 + $1.live } }

    package var segmentCount: Int { segments.count }

    // MARK: Appending

    /// Whether a record of this many bytes, context and body, finds no room within `max_size`.
    package func isFull(for length: Int) -> Bool {
        bytes + RecordHeader.footprint(length) + Self.segmentOverhead > options.maximumBytes
    }

    /// Header and footer of a segment that may have to be begun.
    static let segmentOverhead = SegmentHeader.size + RecordHeader.footprint(RecordHeader.footerLength)

    /// Writes records one after the other; they are durable after `sync`, but for those in `abandoned`. What was not
    /// written leaves no trace.
    func append(_ records: [LogRecord]) -> LogAppend {
        abandoned = 0..<0
        var result = LogAppend(first: nextSequence, count: 0)
        guard isOpen else {
            result.error = StorageError(.closed, "the log in \(directory) is not open")
            return result
        }
        var gathering = AppendGathering(salt: salt)
        do throws(StorageError) {
            while result.count < records.count {
                let record = records[result.count]
                try gathering.begin(record, sequence: nextSequence)
                let file = try segment(for: gathering.length)
                var taken = 1
                let room = options.segmentBytes - (segments.last?.bytes ?? 0)
                while result.count + taken < records.count, gathering.byteCount < room, taken < Self.recordsAtOnce,
                    try gathering.add(records[result.count + taken], within: min(room, roomInLog))
                {
                    taken += 1
                }
                try write(gathering, to: file)
                result.count += taken
                gathering.removeAll()
            }
        } catch {
            result.error = error
        }
        return result
    }

    /// Records in one call of the system's.
    private static let recordsAtOnce = 256

    private var roomInLog: Int { options.maximumBytes - bytes - Self.segmentOverhead }

    /// The file for a record of this many bytes: the present segment or a new one.
    private func segment(for length: Int) throws(StorageError) -> any LogFile {
        if isFull(for: length), active != nil, segments.last?.live == 0 { try seal() }
        guard !isFull(for: length) else {
            throw StorageError(
                .full, "the log in \(directory) has reached max_size (\(options.maximumBytes) bytes)")
        }
        if let last = segments.last, active != nil, last.records > 0,
            last.bytes + RecordHeader.footprint(length) > options.segmentBytes
        {
            try seal()
        }
        if let active { return active.file }
        return try beginSegment()
    }

    private func beginSegment() throws(StorageError) -> any LogFile {
        let name = path(FileNames.segment(nextSequence))
        let file = try files.open(name, .create)
        do throws(StorageError) {
            let header = SegmentHeader(salt: salt, first: nextSequence).encoded()
            let content = StoredBytes(copying: header)
            try file.write(at: 0, [content.buffer])
            if options.sync != .none { try files.syncDirectory(directory) }
        } catch {
            file.close()
            // When even this fails, the next start removes a segment without records.
            try? files.remove(name)
            throw error
        }
        segments.append(Segment(first: nextSequence, bytes: SegmentHeader.size))
        bytes += SegmentHeader.size
        active = Active(file: file, syncedBytes: SegmentHeader.size)
        return file
    }

    private func write(_ gathering: borrowing AppendGathering, to file: any LogFile) throws(StorageError) {
        let index = segments.count - 1
        let start = segments[index].bytes
        do throws(StorageError) {
            try file.write(at: start, gathering.slices)
        } catch {
            // When even this fails, the next write begins at the same place.
            try? file.truncate(to: start)
            throw error
        }
        segments[index].bytes += gathering.byteCount
        segments[index].totals.add(gathering.totals)
        bytes += gathering.byteCount
        nextSequence += UInt64(gathering.totals.records)
        segments[index].end = nextSequence
        if options.sync == .none { durableEnd = nextSequence }
    }

    /// Makes all records durable.
    ///
    /// - Throws: what the disk said. The records that were not durable are then taken back: nobody may rely on a file
    ///   after it could not be synchronised, so the next record begins a new one.
    func sync() throws(StorageError) {
        guard let active, let last = segments.last, last.bytes > active.syncedBytes else { return }
        if options.sync != .none {
            do throws(StorageError) {
                try active.file.sync()
            } catch {
                abandonUnsynced()
                throw error
            }
        }
        self.active?.syncedBytes = last.bytes
        durableEnd = nextSequence
    }

    private func abandonUnsynced() {
        guard let active, !segments.isEmpty else { return }
        let index = segments.count - 1
        abandoned = max(durableEnd, segments[index].first)..<segments[index].end
        // If the file cannot be cut, releases keep the records from coming back; else they come twice, not never.
        for sequence in abandoned { _ = segments[index].release(sequence) }
        if (try? active.file.truncate(to: active.syncedBytes)) != nil {
            bytes -= segments[index].bytes - active.syncedBytes
            segments[index].bytes = active.syncedBytes
        }
        active.file.close()
        self.active = nil
        durableEnd = nextSequence
        removeIfReleased(index)
    }

    /// Ends the present segment.
    func seal() throws(StorageError) {
        try sync()
        guard let active, !segments.isEmpty else { return }
        let index = segments.count - 1
        let footer = AppendGathering.footer(of: segments[index], salt: salt)
        // A footer only spares the next start a look through the segment.
        if (try? active.file.write(at: segments[index].bytes, [footer.buffer])) != nil {
            segments[index].bytes += footer.count
            bytes += footer.count
        } else {
            try? active.file.truncate(to: segments[index].bytes)
        }
        active.file.close()
        self.active = nil
        removeIfReleased(index)
    }

    // MARK: Releasing

    /// The record is done with. Unknown sequences, and those released before, change nothing.
    package func release(_ sequence: UInt64) {
        guard let index = segmentIndex(of: sequence), segments[index].release(sequence) else { return }
        removeIfReleased(index)
    }

    /// The segment that holds a sequence.
    func segmentIndex(of sequence: UInt64) -> Int? {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].end <= sequence { low = middle + 1 } else { high = middle }
        }
        return low < segments.count && segments[low].first <= sequence ? low : nil
    }

    /// Removes a segment that nobody needs and that is not appended to.
    func removeIfReleased(_ index: Int) {
        guard segments[index].live == 0, active == nil || index < segments.count - 1 else { return }
        remove(index)
    }

    func remove(_ index: Int) {
        let segment = segments.remove(at: index)
        bytes -= segment.bytes
        if reader?.first == segment.first { reader = nil }
        doomed.append(segment.first)
        removeDoomed()
    }

    /// The segment goes before its releases: without them it would come back whole.
    private func removeDoomed() {
        doomed.removeAll { first in
            do throws(StorageError) {
                try files.remove(path(FileNames.segment(first)))
                try files.remove(path(FileNames.releases(first)))
                return true
            } catch {
                return false
            }
        }
    }

    /// Writes the releases that are only in memory.
    ///
    /// - Parameter syncing: also makes them durable.
    /// - Throws: the first fault; what was not written is tried again by the next call.
    package func saveReleases(syncing: Bool) throws(StorageError) {
        if !doomed.isEmpty { removeDoomed() }
        var fault: StorageError?
        for index in segments.indices
        where !segments[index].unsaved.isEmpty || (syncing && segments[index].hasUnsynced) {
            do throws(StorageError) { try saveReleases(ofSegment: index, syncing) } catch { fault = error }
        }
        if let fault { throw fault }
    }

    private func saveReleases(ofSegment index: Int, _ syncing: Bool) throws(StorageError) {
        let file = try files.open(path(FileNames.releases(segments[index].first)), .createOrWrite)
        defer { file.close() }
        let entries = segments[index].unsaved
        if !entries.isEmpty {
            let size = entries.count * ReleaseEntry.size
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
            defer { buffer.deallocate() }
            for (position, entry) in entries.enumerated() {
                let start = position * ReleaseEntry.size
                entry.encode(
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + ReleaseEntry.size]),
                    salt: salt)
            }
            try file.write(at: segments[index].releasesBytes, [UnsafeRawBufferPointer(buffer)])
            segments[index].releasesBytes += size
            segments[index].unsaved = []
            segments[index].hasUnsynced = true
        }
        guard syncing else { return }
        try file.sync()
        segments[index].hasUnsynced = false
    }

    // MARK: Closing

    /// Makes everything durable and lets go of the directory. Faults are passed over: what is on the disk counts.
    package func close() {
        guard isOpen else { return }
        if active != nil {
            try? seal()
            active?.file.close()
            active = nil
        }
        try? saveReleases(syncing: options.sync != .none)
        reader = nil
        lockFile?.close()
        lockFile = nil
    }
}
