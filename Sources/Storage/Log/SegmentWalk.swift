/// Steps through a segment's records by their headers, and finds the way again after damaged bytes.
struct SegmentWalk {
    enum Step: Equatable {
        case record(RecordHeader, offset: Int)
        /// The end of a full segment.
        case footer(RecordHeader, offset: Int)
        /// Bytes that are no record; a record follows.
        case damaged(Range<Int>)
        /// Bytes that are no record, to the end.
        case tail(Range<Int>, isCutShort: Bool)
        case end
    }

    let file: any LogFile
    let salt: UInt64
    let first: UInt64
    /// Bytes of the file that may be looked at.
    var limit: Int
    /// Where the next step begins.
    private(set) var offset = SegmentHeader.size
    /// Lowest sequence that the next record can have.
    private(set) var expected: UInt64

    /// Bytes that are searched at a time.
    private static let searchBytes = 1 << 18

    init(_ file: any LogFile, first: UInt64, salt: UInt64, limit: Int) {
        self.file = file
        self.first = first
        self.salt = salt
        self.limit = limit
        expected = first
    }

    /// - Throws: when the disk cannot be read.
    mutating func next() throws(StorageError) -> Step {
        guard offset < limit else { return .end }
        if let header = try header(at: offset) {
            guard header.footprint <= limit - offset else { return .tail(offset..<limit, isCutShort: true) }
            return pass(header)
        }
        let start = offset
        guard let found = try search(from: start + RecordHeader.alignment) else {
            return .tail(start..<limit, isCutShort: limit - start < RecordHeader.size)
        }
        offset = found
        return .damaged(start..<found)
    }

    private mutating func pass(_ header: RecordHeader) -> Step {
        let start = offset
        offset += header.footprint
        if header.kind == RecordHeader.footerKind { return .footer(header, offset: start) }
        expected = header.sequence + 1
        return .record(header, offset: start)
    }

    private func header(at offset: Int) throws(StorageError) -> RecordHeader? {
        guard limit - offset >= RecordHeader.size else { return nil }
        // Typed errors do not pass through the standard library's closures.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: RecordHeader.size, alignment: 8)
        defer { buffer.deallocate() }
        guard try file.read(at: offset, into: buffer) == RecordHeader.size else { return nil }
        return accept(UnsafeRawBufferPointer(buffer))
    }

    /// A header that can stand here: its check sum is right and its sequence possible. Each record takes a header's
    /// size at least, which bounds the sequence.
    private func accept(_ bytes: UnsafeRawBufferPointer) -> RecordHeader? {
        guard let header = RecordHeader(bytes, salt: salt), header.sequence >= expected,
            header.sequence - first <= UInt64(max(0, limit) / RecordHeader.size)
        else { return nil }
        return header
    }

    /// The next offset at which a whole record begins.
    private func search(from start: Int) throws(StorageError) -> Int? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.searchBytes, alignment: 8)
        defer { buffer.deallocate() }
        var position = start
        while limit - position >= RecordHeader.size {
            let count = min(Self.searchBytes, limit - position)
            let read = try file.read(at: position, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]))
            guard read >= RecordHeader.size else { return nil }
            var at = 0
            while read - at >= RecordHeader.size {
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[at..<at + RecordHeader.size])
                if let header = accept(bytes), header.footprint <= limit - position - at { return position + at }
                at += RecordHeader.alignment
            }
            position += at
        }
        return nil
    }
}
