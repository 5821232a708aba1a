internal import CPrefetch
internal import Glibc

/// A bounded memory of spans that were counted, so that a request that is sent again does not count twice.
///
/// Holds at least the last `capacity` / 2 and at most the last `capacity` spans, in two halves: when the young half is
/// full it becomes the old one, and the old one is forgotten. 16 bytes a span: of each a keyed hash of 64 bits is kept,
/// by which one span in 10^14 is taken for another. One owner: shard it by trace id, or lock it.
package final class CountedSpans {
    /// Slots of a half in a row. The rows of both halves lie beside each other.
    fileprivate static var row: Int { 8 }
    /// Rows of both halves in 4 KiB.
    fileprivate static var rowsOfPage: Int { 32 }

    /// What fingerprints are made with: random, so that nobody can choose spans that collide.
    package struct Key: Sendable {
        private let words: (UInt64, UInt64, UInt64)

        package init() {
            words = (.random(in: .min ... .max), .random(in: .min ... .max), .random(in: .min ... .max))
        }

        /// What stands for a span.
        package func fingerprint(traceID: (UInt64, UInt64), spanID: UInt64) -> Fingerprint {
            let trace = (traceID.0 ^ words.0).multipliedFullWidth(by: traceID.1 ^ words.1)
            let mixed = (trace.high ^ trace.low ^ words.2).multipliedFullWidth(by: spanID ^ 0x9E37_79B9_7F4A_7C15)
            return Fingerprint(value: max(1, mixed.high ^ mixed.low ^ trace.low), trace: trace.high ^ trace.low)
        }
    }

    /// What stands for a span.
    package struct Fingerprint {
        /// The keyed hash by which it is known; never 0. The answer of `insert`, after that.
        package fileprivate(set) var value: UInt64
        /// The same for all spans of a trace.
        fileprivate var trace: UInt64

        /// The first row where it may be. Those of a trace lie in one page of memory: what comes together is looked for
        /// together, and finding a page is half of the way.
        @inline(__always)
        fileprivate func row(_ mask: Int) -> Int {
            let page = Int(truncatingIfNeeded: trace >> 24) & ~(CountedSpans.rowsOfPage &- 1)
            let row = Int(truncatingIfNeeded: value >> 16) & (CountedSpans.rowsOfPage &- 1)
            return (page | row) & mask
        }

        /// Where it is looked for when that and the one beside it are full, and from there on: anywhere, so that long
        /// traces are no burden.
        fileprivate func nextRow(_ mask: Int) -> Int { Int(truncatingIfNeeded: value >> 32) & mask }
    }

    /// Most spans that are remembered.
    package let capacity: Int
    /// Rows of both halves in turn. A row is filled from its beginning, what finds it full goes to another one; 0 is
    /// free. At most half of the slots of a half are taken. A row is a cache line.
    private let slots: UnsafeMutablePointer<UInt64>
    /// What was allocated, for `free`.
    private let block: UnsafeMutableRawPointer
    private let mask: Int
    private let key: Key
    /// Which half is the young one: 0 or `row`.
    private var young = 0
    private var youngCount = 0

    /// - Parameters:
    ///   - capacity: rounded up to a power of two, within 64...2^26.
    ///   - key: of the fingerprints that it is given.
    package init(capacity: Int = 65_536, key: Key = Key()) {
        var size = 64
        while size < min(capacity, 1 << 26) { size *= 2 }
        self.capacity = size
        mask = size / Self.row - 1
        // Zeroed pages cost no memory until a span lands on them.
        block = Self.zeroed(size * 2 * MemoryLayout<UInt64>.size + Self.page)
        slots = block.alignedUp(toMultipleOf: Self.page).bindMemory(to: UInt64.self, capacity: size * 2)
        self.key = key
    }

    deinit { free(block) }

    /// Bytes.
    private static var page: Int { rowsOfPage * 2 * row * MemoryLayout<UInt64>.size }

    private static func zeroed(_ size: Int) -> UnsafeMutableRawPointer {
        if let block = calloc(size, 1) { return block }
        // Does not return without memory.
        let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        memset(block, 0, size)
        return block
    }

    /// Where the spans of a memory lie, for bringing them near; for any thread, while the memory lives.
    package struct Places: @unchecked Sendable {
        // Unchecked: nothing is read or written.
        fileprivate let slots: UnsafeMutablePointer<UInt64>
        fileprivate let mask: Int

        /// Asks for the places of a span, which takes a while, before they are needed.
        package func prefetch(_ fingerprint: Fingerprint) {
            let row = slots + fingerprint.row(mask) &* (2 &* CountedSpans.row)
            martlet_prefetch(row)
            martlet_prefetch(row + CountedSpans.row)
        }
    }

    package var places: Places { Places(slots: slots, mask: mask) }

    /// Remembers a span. False when it was remembered already: it has been counted.
    package func insert(traceID: (UInt64, UInt64), spanID: UInt64) -> Bool {
        insert(key.fingerprint(traceID: traceID, spanID: spanID))
    }

    /// Remembers many spans, by their fingerprints; sets the value of each to 1 when it is new, to 0 when it was
    /// remembered.
    package func insert(_ fingerprints: UnsafeMutableBufferPointer<Fingerprint>) {
        for index in fingerprints.indices { fingerprints[index].value = insert(fingerprints[index]) ? 1 : 0 }
    }

    @inline(__always)
    private func insert(_ fingerprint: Fingerprint) -> Bool {
        let value = fingerprint.value
        let row = slots + fingerprint.row(mask) &* (2 &* Self.row)
        let old = row + (young ^ Self.row)
        let new = row + young
        // Without branches that depend on where things lie.
        var found = 0
        var used = 0
        for place in 0..<Self.row {
            found |= (old[place] == value ? 1 : 0) | (new[place] == value ? 1 : 0)
            used &+= new[place] == 0 ? 0 : 1
        }
        if old[Self.row &- 1] != 0 || used == Self.row { return insertBeyond(fingerprint) }
        if found != 0 { return false }
        new[used] = value
        noteInsertion()
        return true
    }

    /// The same for a span one of whose rows is full.
    @inline(never)
    private func insertBeyond(_ fingerprint: Fingerprint) -> Bool {
        if find(fingerprint, young ^ Self.row).isThere { return false }
        let (slot, isThere) = find(fingerprint, young)
        if isThere { return false }
        slots[slot] = fingerprint.value
        noteInsertion()
        return true
    }

    @inline(__always)
    private func noteInsertion() {
        youngCount &+= 1
        if youngCount >= capacity / 2 { turn() }
    }

    /// Where a fingerprint is in a half, or the free slot where it would be.
    private func find(_ fingerprint: Fingerprint, _ half: Int) -> (slot: Int, isThere: Bool) {
        let first = fingerprint.row(mask)
        if let found = find(fingerprint.value, half, first) { return found }
        // The one beside it is in the same page.
        if let found = find(fingerprint.value, half, first ^ 1) { return found }
        var row = fingerprint.nextRow(mask)
        while true {
            if let found = find(fingerprint.value, half, row) { return found }
            row = (row + 1) & mask
        }
    }

    /// The same within a row; nil when the row is full of others.
    private func find(_ value: UInt64, _ half: Int, _ row: Int) -> (slot: Int, isThere: Bool)? {
        for place in 0..<Self.row {
            let slot = row * (2 * Self.row) + half + place
            if slots[slot] == value { return (slot, true) }
            if slots[slot] == 0 { return (slot, false) }
        }
        return nil
    }

    /// The young half becomes the old one, and an empty one the young one.
    private func turn() {
        young ^= Self.row
        youngCount = 0
        for row in 0...mask {
            (slots + (row * 2 * Self.row + young)).update(repeating: 0, count: Self.row)
        }
    }
}
