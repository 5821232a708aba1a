// The files of a disk queue from anywhere. Check sums cannot be guessed, so the input says what to build: raw bytes,
// records, footers and releases with right sums and any fields. Opening, looking, reading, writing must neither trap nor
// go on for ever.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzQueueFiles(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    var input = Input(bytes: UnsafeBufferPointer(start: data, count: size))
    let files = FuzzFiles()
    files.files["q/log"] = Node(SegmentHeader(salt: salt, first: 0).encoded())
    for first: UInt64 in [1, 5, 1000] where !input.isEmpty {
        let (segment, releases) = build(first, &input)
        files.files["q/" + FileNames.segment(first)] = Node(segment)
        if !releases.isEmpty { files.files["q/" + FileNames.releases(first)] = Node(releases) }
    }
    var options = LogOptions()
    options.segmentBytes = 300
    for _ in 0..<2 {
        _ = try? SegmentedLog(directory: "q", files: files, options: options).inspect()
        let log = SegmentedLog(directory: "q", files: files, options: options)
        guard (try? log.open()) != nil else { return 0 }
        var next: UInt64 = 0
        while next < log.nextSequence {
            guard let read = try? log.read(from: next, maximumBytes: 100) else { break }
            if read.next <= next { fatalError("reading stands still") }
            next = read.next
            for record in read.records where record.sequence & 1 == 0 { log.release(record.sequence) }
        }
        let written = log.append([LogRecord(kind: 1, items: 1, content: ByteContent([1, 2, 3]))])
        if (try? log.sync()) == nil || written.count != 1 { fatalError("a record is not taken") }
        guard let read = try? log.read(from: written.first, maximumBytes: 1), read.records.first?.bytes.count == 3
        else {
            fatalError("a record does not come back")
        }
        log.close()
    }
    return 0
}

private let salt: UInt64 = 77

private struct Input {
    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    var isEmpty: Bool { position >= bytes.count }

    mutating func byte() -> UInt8 {
        guard !isEmpty else { return 0 }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func number() -> UInt64 {
        var value: UInt64 = 0
        for _ in 0...byte() & 7 { value = value << 8 | UInt64(byte()) }
        return value
    }
}

/// A segment and its releases.
private func build(_ first: UInt64, _ input: inout Input) -> ([UInt8], [UInt8]) {
    var segment = SegmentHeader(salt: salt, first: first).encoded()
    var releases: [UInt8] = []
    var sequence = first
    for _ in 0..<20 where !input.isEmpty {
        switch input.byte() % 6 {
        case 0:
            for _ in 0..<input.byte() { segment.append(input.byte()) }
        case 1:
            let entry = ReleaseEntry(first: input.number(), count: input.number())
            var bytes = [UInt8](repeating: 0, count: ReleaseEntry.size)
            bytes.withUnsafeMutableBytes { entry.encode(into: $0, salt: salt) }
            releases += bytes
        case 2:
            for _ in 0..<input.byte() % 40 { releases.append(input.byte()) }
        case 3:
            append(
                &segment, sequence: input.number(), length: Int(input.number() & 0xFFFF_FFFF), kind: input.byte(),
                &input)
        case 4:
            append(&segment, sequence: input.number(), length: 16, kind: RecordHeader.footerKind, &input)
        default:
            append(&segment, sequence: sequence, length: Int(input.byte()), kind: 1, &input)
            sequence += 1
        }
    }
    return (segment, releases)
}

private func append(
    _ segment: inout [UInt8], sequence: UInt64, length: Int, kind: UInt8, _ input: inout Input
) {
    while segment.count % 8 != 0 { segment.append(0) }
    var content: [UInt8] = []
    for _ in 0..<min(length, 64) { content.append(input.byte()) }
    var sum = CRC32C()
    content.withUnsafeBytes { sum.add($0) }
    let header = RecordHeader(
        length: length, sequence: sequence, items: UInt32(truncatingIfNeeded: sequence),
        contextLength: Int(input.byte()),
        kind: kind, contentSum: sum.value)
    var bytes = [UInt8](repeating: 0, count: RecordHeader.size)
    bytes.withUnsafeMutableBytes { header.encode(into: $0, salt: salt) }
    segment += bytes + content
    while segment.count % 8 != 0 { segment.append(0) }
}

private final class Node {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// Files in memory; the fuzzer is one thread.
private final class FuzzFiles: LogFileSystem, @unchecked Sendable {
    var files: [String: Node] = [:]

    func list(_ directory: String) throws(StorageError) -> [String] { files.keys.map { String($0.dropFirst(2)) } }
    func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {}

    func open(_ path: String, _ mode: LogFileMode) throws(StorageError) -> any LogFile {
        if let node = files[path], mode != .create { return FuzzFile(node) }
        guard mode == .create || mode == .createOrWrite, files[path] == nil else { throw StorageError(.missing, path) }
        let node = Node([])
        files[path] = node
        return FuzzFile(node)
    }

    func remove(_ path: String) throws(StorageError) { files[path] = nil }
    func syncDirectory(_ path: String) throws(StorageError) {}
    func lock(_ path: String) throws(StorageError) -> any LogFile { FuzzFile(Node([])) }
    func random() -> UInt64 { 5 }
}

private final class FuzzFile: LogFile {
    private let node: Node

    init(_ node: Node) { self.node = node }

    func size() throws(StorageError) -> Int { node.bytes.count }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int {
        guard offset < node.bytes.count else { return 0 }
        let count = min(buffer.count, node.bytes.count - offset)
        buffer.copyBytes(from: node.bytes[offset..<offset + count])
        return count
    }

    func write(at offset: Int, _ slices: [UnsafeRawBufferPointer]) throws(StorageError) {
        let data = slices.flatMap { Array($0) }
        while node.bytes.count < offset + data.count { node.bytes.append(0) }
        node.bytes.replaceSubrange(offset..<offset + data.count, with: data)
    }

    func sync() throws(StorageError) {}

    func truncate(to size: Int) throws(StorageError) {
        if size < node.bytes.count { node.bytes.removeSubrange(size...) }
    }

    func close() {}
}
