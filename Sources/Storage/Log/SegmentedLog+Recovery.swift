extension SegmentedLog {
    /// What `open` goes by while it looks at the files.
    private struct Found {
        var recovery = LogRecovery()
        var releases: Set<UInt64> = []
        /// Highest sequence that any file has seen.
        var highest: UInt64 = 0
    }

    /// Locks the directory, which is made unless it is there, and finds out what it holds. Call once, first.
    ///
    /// Reads a header and a footer of each segment, the releases, and the headers of the last segment and of those that
    /// are partly released; no contents.
    ///
    /// - Throws: `.locked`, `.version`, or what the disk says; the log is then not open. Damaged bytes are no error.
    package func open() throws(StorageError) -> LogRecovery {
        try files.makeDirectory(directory, permissions: 0o700)
        let lock = try files.lock(path(FileNames.lock))
        do throws(StorageError) {
            let names = try files.list(directory).sorted()
            try readSalt(names)
            var found = Found()
            found.releases = Set(names.compactMap(FileNames.first(ofReleases:)))
            for name in names where FileNames.isCorrupt(name) {
                keptAside += (try? files.open(path(name), .read).size()) ?? 0
            }
            for name in names {
                guard let first = FileNames.first(ofSegment: name) else { continue }
                try recoverSegment(first, &found)
            }
            try dropOrphans(found)
            for index in segments.indices.reversed() where segments[index].live == 0 { remove(index) }
            // Above everything that was ever used: a release must never meet another record of the same sequence.
            nextSequence = max(found.highest, segments.last?.end ?? 1, 1)
            guard nextSequence <= RecordHeader.highestUse else {
                throw StorageError(
                    .io, "a file in \(directory) has a number that no log reaches: remove it, or use another directory")
            }
            durableEnd = nextSequence
            for index in segments.indices { found.recovery.live.add(try liveTotals(of: index)) }
            found.recovery.sequences = (segments.first?.first ?? nextSequence)..<nextSequence
            found.recovery.damaged = damagedPlaces
            lockFile = lock
            return found.recovery
        } catch {
            lock.close()
            segments = []
            bytes = 0
            throw error
        }
    }

    /// The salt is in a file of its own, and in each segment in case that one is damaged.
    private func readSalt(_ names: [String]) throws(StorageError) {
        let known = try knownSalt(names)
        salt = known?.salt ?? files.random()
        if known?.isInPlace != true { try writeSalt() }
    }

    /// The salt that the first readable header has, and whether that is the one of the `log` file.
    func knownSalt(_ names: [String]) throws(StorageError) -> (salt: UInt64, isInPlace: Bool)? {
        for name in [FileNames.log] + names.filter({ FileNames.first(ofSegment: $0) != nil })
        where names.contains(name) {
            switch try header(of: name) {
            case .header(let header): return (header.salt, name == FileNames.log)
            case .otherVersion(let version): throw otherVersion(name, version)
            case .damaged: continue
            }
        }
        return nil
    }

    private func otherVersion(_ name: String, _ version: UInt32) -> StorageError {
        StorageError(
            .version,
            "\(path(name)) has format version \(version), this build knows \(SegmentHeader.version);"
                + " use the build that wrote it, or another directory")
    }

    private func writeSalt() throws(StorageError) {
        let file = try files.open(path(FileNames.log), .createOrWrite)
        defer { file.close() }
        let content = StoredBytes(copying: SegmentHeader(salt: salt, first: 0).encoded())
        try file.write(at: 0, [content.buffer])
        try file.sync()
        try files.syncDirectory(directory)
    }

    private func header(of name: String) throws(StorageError) -> SegmentHeader.Reading {
        let file = try files.open(path(name), .read)
        defer { file.close() }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: SegmentHeader.size, alignment: 8)
        defer { buffer.deallocate() }
        let count = try file.read(at: 0, into: buffer)
        return SegmentHeader.read(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
    }

    // MARK: Segments

    private func recoverSegment(_ first: UInt64, _ found: inout Found) throws(StorageError) {
        let name = FileNames.segment(first)
        if case .otherVersion(let version) = try header(of: name) { throw otherVersion(name, version) }
        let file = try files.open(path(name), .write)
        defer { file.close() }
        let size = try file.size()
        var segment = Segment(first: first, bytes: size)
        if !(try readFooter(file, &segment)) { try lookThrough(file, &segment, &found) }
        found.highest = max(found.highest, segment.end, first)
        if found.releases.remove(first) != nil { try readReleases(&segment, &found) }
        guard segment.records > 0 else {
            // A crash came between its creation and its first record.
            try files.remove(path(name))
            try files.remove(path(FileNames.releases(first)))
            return
        }
        segments.append(segment)
        bytes += segment.bytes
    }

    /// Sums and end of a segment that was ended properly.
    private func readFooter(_ file: any LogFile, _ segment: inout Segment) throws(StorageError) -> Bool {
        let size = RecordHeader.footprint(RecordHeader.footerLength)
        guard segment.bytes >= SegmentHeader.size + size else { return false }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { buffer.deallocate() }
        guard try file.read(at: segment.bytes - size, into: buffer) == size,
            let header = RecordHeader(UnsafeRawBufferPointer(buffer), salt: salt),
            header.kind == RecordHeader.footerKind, header.length == RecordHeader.footerLength,
            header.sequence >= segment.first,
            header.sequence - segment.first <= UInt64(segment.bytes / RecordHeader.size)
        else { return false }
        let content = RecordHeader.size..<RecordHeader.size + RecordHeader.footerLength
        var sum = CRC32C()
        sum.add(UnsafeRawBufferPointer(rebasing: buffer[content]))
        guard sum.value == header.contentSum else { return false }
        let bytes = UnsafeRawBufferPointer(buffer)
        segment.end = header.sequence
        segment.totals.records = segment.records
        segment.totals.items = Int(clamping: bytes.number(at: RecordHeader.size, as: UInt64.self))
        segment.totals.bytes = Int(clamping: bytes.number(at: RecordHeader.size + 8, as: UInt64.self))
        return true
    }

    /// Finds the end of a segment without a footer, cuts off what is behind it, and ends it properly.
    private func lookThrough(
        _ file: any LogFile, _ segment: inout Segment, _ found: inout Found
    ) throws(StorageError) {
        var walk = SegmentWalk(file, first: segment.first, salt: salt, limit: segment.bytes)
        var end = min(SegmentHeader.size, segment.bytes)
        search: while true {
            switch try walk.next() {
            case .record(let header, _):
                segment.end = header.sequence + 1
                segment.totals.add(header)
                end = walk.offset
            // Left for the reader, which keeps them aside.
            case .damaged: continue
            case .footer(let header, let offset):
                // Its sums are damaged; it still says what lies before it.
                segment.end = max(segment.end, header.sequence)
                end = offset
            case .tail(let range, let isCutShort):
                if !isCutShort, try !isEmpty(file, range) { keepAside(file, segment.first, range) }
                found.recovery.tornBytes += range.count
                break search
            case .end: break search
            }
        }
        guard segment.records > 0 else { return }
        try file.truncate(to: end)
        segment.bytes = end
        let footer = AppendGathering.footer(of: segment, salt: salt)
        try file.write(at: end, [footer.buffer])
        if options.sync != .none { try file.sync() }
        segment.bytes += footer.count
    }

    /// Whether a run of bytes is zeros: a file that grew before its content came.
    private func isEmpty(_ file: any LogFile, _ range: Range<Int>) throws(StorageError) -> Bool {
        guard let bytes = StoredBytes(count: min(range.count, 1 << 20)) else { return false }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(bytes.count, range.upperBound - offset)
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes.mutableBuffer[0..<count])
            let read = try file.read(at: offset, into: part)
            guard read > 0 else { return true }
            if part[0..<read].contains(where: { $0 != 0 }) { return false }
            offset += read
        }
        return true
    }

    /// The sums over a segment's records that are not released.
    private func liveTotals(of index: Int) throws(StorageError) -> RecordTotals {
        let segment = segments[index]
        guard segment.released.count > 0 else { return segment.totals }
        let file = try files.open(path(FileNames.segment(segment.first)), .read)
        defer { file.close() }
        var walk = SegmentWalk(file, first: segment.first, salt: salt, limit: segment.bytes)
        var totals = RecordTotals()
        while true {
            switch try walk.next() {
            case .record(let header, _): if !segment.isReleased(header.sequence) { totals.add(header) }
            case .damaged, .footer: continue
            case .tail, .end: return totals
            }
        }
    }

    // MARK: Releases

    private func readReleases(_ segment: inout Segment, _ found: inout Found) throws(StorageError) {
        var size = 0
        try forEachRelease(of: segment.first) { entry in
            size += ReleaseEntry.size
            guard let entry else { return }
            let last = entry.first + entry.count
            found.highest = max(found.highest, last)
            let from = max(entry.first, segment.first)
            let to = min(last, segment.end)
            guard from < to else { return }
            for sequence in from..<to { _ = segment.release(sequence, isSaved: true) }
        }
        segment.releasesBytes = size
    }

    /// Calls `body` for each whole entry; with nil for a damaged one.
    func forEachRelease(
        of first: UInt64, _ body: (ReleaseEntry?) -> Void
    ) throws(StorageError) {
        let file = try files.open(path(FileNames.releases(first)), .read)
        defer { file.close() }
        guard let bytes = StoredBytes(count: ReleaseEntry.size * 4096) else { return }
        var offset = 0
        while true {
            let read = try file.read(at: offset, into: bytes.mutableBuffer)
            let whole = read - read % ReleaseEntry.size
            for start in stride(from: 0, to: whole, by: ReleaseEntry.size) {
                body(
                    ReleaseEntry(
                        UnsafeRawBufferPointer(rebasing: bytes.buffer[start..<start + ReleaseEntry.size]), salt: salt))
            }
            guard read == bytes.count else { return }
            offset += read
        }
    }

    /// Removes releases whose segment is gone. Their sequences still count as used.
    private func dropOrphans(_ found: consuming Found) throws(StorageError) {
        for first in found.releases { try files.remove(path(FileNames.releases(first))) }
    }
}
