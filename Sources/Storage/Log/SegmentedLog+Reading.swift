/// Where reading stands, so that the next `read` goes on there.
struct SegmentReader {
    let first: UInt64
    var walk: SegmentWalk

    var file: any LogFile { walk.file }
}

extension SegmentedLog {
    /// Reads durable records that are not released, in order.
    ///
    /// - Parameters:
    ///   - sequence: of the first record that is wanted.
    ///   - maximumBytes: no further record is begun when this many bytes were read; at least one is read.
    /// - Throws: what the disk says. Damaged records are no error: they are kept aside, released, and named in `lost`.
    package func read(from sequence: UInt64, maximumBytes: Int) throws(StorageError) -> LogRead {
        var result = LogRead()
        result.next = sequence
        guard isOpen else { throw StorageError(.closed, "the log in \(directory) is not open") }
        var taken = 0
        while result.next < durableEnd, taken < maximumBytes {
            guard let index = segments.firstIndex(where: { $0.end > result.next && $0.live > 0 }) else {
                result.next = durableEnd
                break
            }
            try read(segment: index, upTo: maximumBytes, &taken, &result)
        }
        return result
    }

    private func read(
        segment index: Int, upTo maximumBytes: Int, _ taken: inout Int, _ result: inout LogRead
    ) throws(StorageError) {
        let segment = segments[index]
        let isActive = active != nil && index == segments.count - 1
        var reader = try reader(for: segment, at: result.next)
        reader.walk.limit = isActive ? active?.syncedBytes ?? segment.bytes : segment.bytes
        self.reader = nil
        let end = min(segment.end, durableEnd)
        result.next = max(result.next, segment.first)
        while taken < maximumBytes {
            switch try reader.walk.next() {
            case .record(let header, let offset):
                // A footer may say that the segment ends before.
                guard header.sequence >= result.next, header.sequence < end else { continue }
                lose(result.next..<header.sequence, &result)
                result.next = header.sequence + 1
                guard !segment.isReleased(header.sequence) else { continue }
                if let record = try content(of: header, at: offset, reader.file) {
                    taken += record.bytes.count
                    result.records.append(record)
                } else {
                    keepAside(reader.file, segment.first, offset..<offset + header.footprint)
                    lose(header.sequence..<header.sequence + 1, &result)
                }
            case .damaged(let range): keepAside(reader.file, segment.first, range)
            case .footer: continue
            case .tail(let range, _):
                if !isActive { keepAside(reader.file, segment.first, range) }
                fallthrough
            case .end:
                if result.next < end { lose(result.next..<end, &result) }
                result.next = max(result.next, end)
                if isActive, segments.last?.first == segment.first { self.reader = reader } else { reader.file.close() }
                return
            }
        }
        self.reader = reader
    }

    /// The reader that stands before `sequence`, or a new one.
    private func reader(for segment: Segment, at sequence: UInt64) throws(StorageError) -> SegmentReader {
        if let reader, reader.first == segment.first, reader.walk.expected <= max(sequence, segment.first) {
            return reader
        }
        reader?.file.close()
        reader = nil
        let file = try files.open(path(FileNames.segment(segment.first)), .read)
        return SegmentReader(
            first: segment.first,
            walk: SegmentWalk(file, first: segment.first, salt: salt, limit: segment.bytes))
    }

    /// Nil when the content's check sum is wrong.
    private func content(
        of header: RecordHeader, at offset: Int, _ file: any LogFile
    ) throws(StorageError) -> StoredRecord? {
        guard let bytes = StoredBytes(count: header.length) else {
            throw StorageError(.io, "no memory for a record of \(header.length) bytes from \(directory)")
        }
        let read = try file.read(at: offset + RecordHeader.size, into: bytes.mutableBuffer)
        var sum = CRC32C()
        sum.add(bytes.buffer)
        guard read == header.length, sum.value == header.contentSum else { return nil }
        return StoredRecord(
            sequence: header.sequence, kind: header.kind, items: Int(header.items),
            contextLength: header.contextLength, bytes: bytes)
    }

    private func lose(_ sequences: Range<UInt64>, _ result: inout LogRead) {
        for sequence in sequences {
            guard let index = segmentIndex(of: sequence), segments[index].release(sequence) else { continue }
            result.lost.append(sequence)
            removeIfReleased(index)
        }
    }

    /// Copies damaged bytes to a file of their own, while there is room for such files.
    func keepAside(_ file: any LogFile, _ first: UInt64, _ range: Range<Int>) {
        damagedPlaces += 1
        guard keptAside + range.count <= LogOptions.maximumKeptAside, let bytes = StoredBytes(count: range.count)
        else { return }
        // Best effort: without it the bytes are only counted.
        guard let read = try? file.read(at: range.lowerBound, into: bytes.mutableBuffer),
            let copy = try? files.open(path(FileNames.corrupt(first, at: range.lowerBound)), .createOrWrite)
        else { return }
        defer { copy.close() }
        guard (try? copy.write(at: 0, [UnsafeRawBufferPointer(rebasing: bytes.buffer[0..<read])])) != nil else {
            return
        }
        keptAside += range.count
    }

    /// Removes the oldest segment to make room for new records, whatever is in it.
    ///
    /// - Returns: what went, nil when there is nothing to remove.
    /// - Throws: what the disk says; nothing is removed then.
    func dropOldest() throws(StorageError) -> LogDrop? {
        if active != nil, segments.count == 1 { try seal() }
        guard let segment = segments.first else { return nil }
        var drop = LogDrop(next: segment.end)
        let file = try files.open(path(FileNames.segment(segment.first)), .read)
        defer { file.close() }
        var walk = SegmentWalk(file, first: segment.first, salt: salt, limit: segment.bytes)
        walking: while true {
            switch try walk.next() {
            case .record(let header, _):
                guard !segment.isReleased(header.sequence) else { continue }
                drop.records.append(
                    LogDrop.Record(
                        sequence: header.sequence, items: Int(header.items),
                        bytes: header.length - header.contextLength))
            case .damaged, .footer: continue
            case .tail, .end: break walking
            }
        }
        remove(0)
        return drop
    }

    /// Records that are not released in segments of which at most this share (0 to 1) is still needed, so that an owner
    /// who releases out of order can write them again and release them here; the present segment is not among them.
    package func stragglers(share: Double) -> [UInt64] {
        let last = active == nil ? segments.count : segments.count - 1
        var result: [UInt64] = []
        for segment in segments[..<max(0, last)] where Double(segment.live) <= share * Double(segment.records) {
            result += (segment.first..<segment.end).filter { !segment.isReleased($0) }
        }
        return result
    }
}
