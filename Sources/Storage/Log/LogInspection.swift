/// What a log's directory holds, found without changing or locking it.
package struct LogInspection: Sendable {
    /// One of its files.
    package struct Segment: Sendable {
        /// Sequences of its records.
        package var sequences: Range<UInt64>
        package var bytes: Int
        /// Records that can be read.
        package var all = RecordTotals()
        /// Of those, what is not released.
        package var live = RecordTotals()
        /// Places without a readable record.
        package var damaged = 0
        /// Whether it was ended properly; the one in use is not.
        package var isEnded = false
    }

    /// A record's description.
    package struct Record: Sendable {
        package var header: RecordHeader
        package var isReleased: Bool
    }

    package var segments: [Segment] = []
    /// Bytes and number of the files with damaged records.
    package var keptAside = (files: 0, bytes: 0)

    package init() {}

    /// Sums over all segments.
    package var live: RecordTotals { segments.reduce(into: RecordTotals()) { $0.add($1.live) } }
    /// Bytes of all segments.
    package var bytes: Int { segments.reduce(0) { $0 + $1.bytes } }
    /// Places without a readable record.
    package var damaged: Int { segments.reduce(0) { $0 + $1.damaged } }
}

extension SegmentedLog {
    /// Looks at a log that is not open here; it may be in use elsewhere. Reads all headers and no contents.
    ///
    /// - Parameter body: called for each record, in order.
    /// - Throws: `.version`, or what the disk says.
    package func inspect(_ body: (LogInspection.Record) -> Void = { _ in }) throws(StorageError) -> LogInspection {
        let names = try files.list(directory).sorted()
        var result = LogInspection()
        for name in names where FileNames.isCorrupt(name) {
            result.keptAside.files += 1
            result.keptAside.bytes += (try? files.open(path(name), .read).size()) ?? 0
        }
        // Without any readable header nothing can be told from damage.
        salt = try knownSalt(names)?.salt ?? 0
        for name in names {
            guard let first = FileNames.first(ofSegment: name) else { continue }
            do throws(StorageError) {
                result.segments.append(try inspectSegment(first, body))
            } catch {
                // It was delivered meanwhile.
                guard error.kind == .missing else { throw error }
            }
        }
        return result
    }

    private func inspectSegment(
        _ first: UInt64, _ body: (LogInspection.Record) -> Void
    ) throws(StorageError) -> LogInspection.Segment {
        let file = try files.open(path(FileNames.segment(first)), .read)
        defer { file.close() }
        let size = try file.size()
        var released: [ReleaseEntry] = []
        do throws(StorageError) {
            try forEachRelease(of: first) { if let entry = $0 { released.append(entry) } }
        } catch {
            guard error.kind == .missing else { throw error }
        }
        var report = LogInspection.Segment(sequences: first..<first, bytes: size)
        var walk = SegmentWalk(file, first: first, salt: salt, limit: size)
        while true {
            switch try walk.next() {
            case .record(let header, _):
                report.sequences = first..<header.sequence + 1
                report.all.add(header)
                let isReleased = released.contains {
                    header.sequence >= $0.first && header.sequence - $0.first < $0.count
                }
                if !isReleased { report.live.add(header) }
                body(LogInspection.Record(header: header, isReleased: isReleased))
            case .footer: report.isEnded = true
            case .damaged: report.damaged += 1
            case .tail(_, let isCutShort):
                if !isCutShort { report.damaged += 1 }
                return report
            case .end: return report
            }
        }
    }
}
