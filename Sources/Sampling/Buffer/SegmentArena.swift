internal import Glibc

/// The head of a run of spans, or log records, of one trace that came in one piece; the run's bytes follow it. The bytes
/// are `spans` fields of a `ScopeSpans`, or `log_records` fields of a `ScopeLogs`, which have the same number; key and
/// length included, as they leave again.
struct Segment {
    static let headerBytes = 28
    /// In `trace`, when nobody holds the segment any more.
    static let dead = UInt32.max

    var next: UnsafeMutablePointer<Segment>?
    /// Slot of the trace.
    var trace: UInt32
    /// Index in the envelope table.
    var envelope: UInt32
    /// Bytes of the run.
    var bytes: UInt32
    /// Spans in the run, or log records with `logFlag`.
    private var count: UInt32
    /// Which record of the buffer's log it is from: the low half of the sequence. 0 in a buffer without one.
    var record: UInt32

    private static let logFlag: UInt32 = 1 << 31

    init(bytes: Int, items: Int, areLogs: Bool, record: UInt32) {
        next = nil
        self.record = record
        trace = Self.dead
        envelope = 0
        self.bytes = UInt32(bytes)
        count = UInt32(items) | (areLogs ? Self.logFlag : 0)
    }

    /// Spans or log records in the run.
    var items: Int { Int(count & ~Self.logFlag) }
    /// Whether they are log records.
    var areLogs: Bool { count & Self.logFlag != 0 }
}

extension UnsafeMutablePointer<Segment> {
    /// Where the run begins.
    @inline(__always)
    var payload: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + Segment.headerBytes }

    /// The run.
    @inline(__always)
    var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: payload, count: Int(pointee.bytes)) }
}

/// Memory for segments: chunks from the system, filled from front to back and given back whole.
///
/// Traces are decided about in the order in which they come, so chunks empty in that order too; one that a few
/// long-lived traces keep is emptied by moving them (`sparsest`, `move`). A segment larger than a chunk gets a mapping
/// of its own. One owner; not thread-safe.
struct SegmentArena: ~Copyable {
    /// Size and alignment of a chunk: 256 KiB.
    static let chunkBytes = 256 << 10
    /// Largest run: what a request may hold.
    static let maximumRun = Int(Int32.max)
    private static let headerBytes = 64

    struct Chunk {
        var next: UnsafeMutablePointer<Chunk>?
        var previous: UnsafeMutablePointer<Chunk>?
        /// Bytes of the mapping.
        var mapped: Int
        /// End of the last segment, from the start of the chunk.
        var used: Int
        /// Bytes of segments that are held.
        var live: Int
    }

    typealias ChunkPointer = UnsafeMutablePointer<Chunk>

    /// Chunks with segments, newest first.
    private var chunks: ChunkPointer?
    private var current: ChunkPointer?
    private var spare: ChunkPointer?
    private(set) var spareCount = 0
    private var leastSpare = 0
    /// Bytes of held segments, headers included.
    private(set) var liveBytes = 0
    /// Bytes taken from the system, spare chunks included.
    private(set) var mappedBytes = 0
    /// Chunks that hold segments.
    private(set) var chunkCount = 0

    init() {}

    deinit {
        Self.unmapAll(chunks)
        Self.unmapAll(spare)
    }

    private static func unmapAll(_ first: ChunkPointer?) {
        var next = first
        while let chunk = next {
            next = chunk.pointee.next
            munmap(chunk, chunk.pointee.mapped)
        }
    }

    /// Bytes that a run of `bytes` takes.
    @inline(__always)
    static func size(_ bytes: Int) -> Int { (Segment.headerBytes + bytes + 7) & ~7 }

    /// Room for a run of `bytes`; nil when the system refuses memory. The header is uninitialised but for its size.
    @inline(__always)
    mutating func allocate(_ bytes: Int) -> UnsafeMutablePointer<Segment>? {
        guard bytes >= 0, bytes <= Self.maximumRun else { return nil }
        let size = Self.size(bytes)
        if let current, current.pointee.mapped - current.pointee.used >= size { return take(size, current) }
        return allocateInNewChunk(size)
    }

    @inline(__always)
    private mutating func take(_ size: Int, _ chunk: ChunkPointer) -> UnsafeMutablePointer<Segment> {
        let start = UnsafeMutableRawPointer(chunk) + chunk.pointee.used
        chunk.pointee.used += size
        chunk.pointee.live += size
        liveBytes += size
        return start.assumingMemoryBound(to: Segment.self)
    }

    @inline(never)
    private mutating func allocateInNewChunk(_ size: Int) -> UnsafeMutablePointer<Segment>? {
        let isLarge = size > Self.chunkBytes - Self.headerBytes
        let chunk: ChunkPointer
        if !isLarge, let reused = spare {
            spare = reused.pointee.next
            spareCount -= 1
            leastSpare = min(leastSpare, spareCount)
            chunk = reused
        } else {
            let page = 4096
            let mapped = isLarge ? (size + Self.headerBytes + page - 1) & ~(page - 1) : Self.chunkBytes
            guard let new = Self.map(mapped) else { return nil }
            new.initialize(to: Chunk(mapped: mapped, used: 0, live: 0))
            mappedBytes += mapped
            chunk = new
        }
        chunk.pointee.used = Self.headerBytes
        chunk.pointee.live = 0
        chunk.pointee.previous = nil
        chunk.pointee.next = chunks
        chunks?.pointee.previous = chunk
        chunks = chunk
        chunkCount += 1
        if !isLarge {
            let old = current
            current = chunk
            // Nothing more comes into the old one.
            if let old, old.pointee.live == 0 { retire(old) }
        }
        return take(size, chunk)
    }

    /// A mapping that starts at a multiple of `chunkBytes`.
    private static func map(_ bytes: Int) -> ChunkPointer? {
        let whole = bytes + chunkBytes
        guard let start = mmap(nil, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else { return nil }
        let address = UInt(bitPattern: start)
        let aligned = (address + UInt(chunkBytes) - 1) & ~UInt(chunkBytes - 1)
        let before = Int(aligned - address)
        if before > 0 { munmap(start, before) }
        let after = whole - before - bytes
        if after > 0 { munmap(start + before + bytes, after) }
        return (start + before).assumingMemoryBound(to: Chunk.self)
    }

    @inline(__always)
    private static func chunk(of segment: UnsafeMutablePointer<Segment>) -> ChunkPointer? {
        ChunkPointer(bitPattern: UInt(bitPattern: segment) & ~UInt(chunkBytes - 1))
    }

    /// Lets go of a segment, which must not be touched afterwards.
    @inline(__always)
    mutating func release(_ segment: UnsafeMutablePointer<Segment>) {
        guard let chunk = Self.chunk(of: segment) else { return }
        let size = Self.size(Int(segment.pointee.bytes))
        segment.pointee.trace = Segment.dead
        liveBytes -= size
        chunk.pointee.live -= size
        if chunk.pointee.live == 0 {
            if chunk == current { chunk.pointee.used = Self.headerBytes } else { retire(chunk) }
        }
    }

    /// An empty chunk becomes spare, or goes back to the system when it has an odd size.
    private mutating func retire(_ chunk: ChunkPointer) {
        if let previous = chunk.pointee.previous {
            previous.pointee.next = chunk.pointee.next
        } else {
            chunks = chunk.pointee.next
        }
        chunk.pointee.next?.pointee.previous = chunk.pointee.previous
        chunkCount -= 1
        if chunk.pointee.mapped != Self.chunkBytes {
            unmap(chunk)
        } else {
            chunk.pointee.next = spare
            spare = chunk
            spareCount += 1
        }
    }

    private mutating func unmap(_ chunk: ChunkPointer) {
        let mapped = chunk.pointee.mapped
        mappedBytes -= mapped
        munmap(chunk, mapped)
    }

    /// Chunks that `trim` gives back at once: 128 MiB, some milliseconds in which the arena's requests wait.
    private static let mostTrimmed = 512

    /// Gives back most of the chunks, at least one, that were spare all the time since the last call: three of four, so that
    /// after a burst little is left in a few seconds, and load that comes in waves keeps some.
    mutating func trim() {
        var surplus = min(leastSpare - leastSpare / 4, Self.mostTrimmed)
        while surplus > 0, let chunk = spare {
            spare = chunk.pointee.next
            spareCount -= 1
            surplus -= 1
            unmap(chunk)
        }
        leastSpare = spareCount
    }

    // MARK: Moving

    /// The full chunk with the least in it, if moving that pays: less than half is held.
    func sparsest() -> ChunkPointer? {
        var found: ChunkPointer?
        var next = chunks
        while let chunk = next {
            next = chunk.pointee.next
            guard chunk != current, chunk.pointee.mapped == Self.chunkBytes,
                chunk.pointee.live < Self.chunkBytes / 2
            else { continue }
            if let best = found, best.pointee.live <= chunk.pointee.live { continue }
            found = chunk
        }
        return found
    }

    /// Copies each held segment of `chunk` elsewhere and tells `moved` the old and the new place, which relinks them;
    /// the chunk is empty afterwards. Stops early when memory is refused.
    mutating func empty(
        _ chunk: ChunkPointer, moved: (UnsafeMutablePointer<Segment>, UnsafeMutablePointer<Segment>) -> Void
    ) {
        var position = Self.headerBytes
        let used = chunk.pointee.used
        while position < used {
            let old = (UnsafeMutableRawPointer(chunk) + position).assumingMemoryBound(to: Segment.self)
            let size = Self.size(Int(old.pointee.bytes))
            position += size
            guard old.pointee.trace != Segment.dead else { continue }
            guard let new = allocate(Int(old.pointee.bytes)) else { return }
            memcpy(new, old, size)
            moved(old, new)
            let isLast = chunk.pointee.live == size
            release(old)
            if isLast { return }
        }
    }
}
