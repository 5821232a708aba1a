/// Records as slices for one write: headers and padding are made here, contents stay where they are.
struct AppendGathering: ~Copyable {
    private let salt: UInt64
    private(set) var slices: [UnsafeRawBufferPointer] = []
    private(set) var byteCount = 0
    private(set) var totals = RecordTotals()
    /// Context and body of the record that `begin` took.
    private(set) var length = 0
    /// Headers and contexts, which the slices point to.
    private var heads: [StoredBytes] = []
    /// Whatever the slices point to lives as long.
    private var contents: [any LogContent] = []
    private var next: UInt64 = 0

    /// Zeros that fill up to the alignment.
    private static let padding = StoredBytes(copying: [UInt8](repeating: 0, count: RecordHeader.alignment))

    init(salt: UInt64) { self.salt = salt }

    /// Takes the first record of a write.
    mutating func begin(_ record: LogRecord, sequence: UInt64) throws(StorageError) {
        removeAll()
        next = sequence
        _ = try add(record, within: .max)
    }

    /// Takes another record, when it fits.
    mutating func add(_ record: LogRecord, within room: Int) throws(StorageError) -> Bool {
        let parts = record.content.slices
        let size = parts.reduce(record.context.count) { $0 + $1.count }
        guard size <= LogOptions.maximumRecordBytes, record.context.count <= RecordHeader.maximumContext else {
            throw StorageError(
                .tooLarge, "a record of \(size) bytes is above the limit of \(LogOptions.maximumRecordBytes)")
        }
        guard RecordHeader.footprint(size) <= room - byteCount else { return false }
        guard let head = StoredBytes(count: RecordHeader.size + record.context.count) else {
            throw StorageError(.io, "no memory for a record's header")
        }
        var sum = CRC32C()
        record.context.withUnsafeBytes { context in
            sum.add(context)
            for (offset, byte) in context.enumerated() { head.mutableBuffer[RecordHeader.size + offset] = byte }
        }
        for part in parts { sum.add(part) }
        let header = RecordHeader(
            length: size, sequence: next, items: UInt32(clamping: record.items), contextLength: record.context.count,
            kind: record.kind, contentSum: sum.value)
        header.encode(into: head.mutableBuffer, salt: salt)
        slices.append(head.buffer)
        slices.append(contentsOf: parts)
        let padding = header.footprint - RecordHeader.size - size
        if padding > 0 { slices.append(UnsafeRawBufferPointer(rebasing: Self.padding.buffer[0..<padding])) }
        heads.append(head)
        contents.append(record.content)
        length = size
        byteCount += header.footprint
        totals.add(header)
        next += 1
        return true
    }

    mutating func removeAll() {
        slices.removeAll(keepingCapacity: true)
        heads.removeAll(keepingCapacity: true)
        contents.removeAll(keepingCapacity: true)
        byteCount = 0
        totals = RecordTotals()
    }

    /// The record that ends a segment.
    static func footer(of segment: Segment, salt: UInt64) -> StoredBytes {
        let size = RecordHeader.footprint(RecordHeader.footerLength)
        let bytes = StoredBytes(copying: [UInt8](repeating: 0, count: size))
        let buffer = bytes.mutableBuffer
        guard buffer.count == size else { return bytes }
        buffer.put(UInt64(segment.totals.items), at: RecordHeader.size)
        buffer.put(UInt64(segment.totals.bytes), at: RecordHeader.size + 8)
        var sum = CRC32C()
        let content = RecordHeader.size..<RecordHeader.size + RecordHeader.footerLength
        sum.add(UnsafeRawBufferPointer(rebasing: buffer[content]))
        let header = RecordHeader(
            length: RecordHeader.footerLength, sequence: segment.end, items: 0, contextLength: 0,
            kind: RecordHeader.footerKind, contentSum: sum.value)
        header.encode(into: buffer, salt: salt)
        return bytes
    }
}
