internal import Glibc

/// A bounded memory of spans that were counted, so that a request that is sent again does not count twice.
///
/// Holds at least the last `capacity` / 2 and at most the last `capacity` spans, in two halves: when the young half is
/// full it becomes the old one, and the old one is forgotten. 16 bytes a span: of each a keyed hash of 64 bits is kept,
/// by which one span in 10^14 is taken for another. One owner: shard it by trace id, or lock it.
package final class CountedSpans {
    /// Slots of a half in a row. The rows of both halves lie beside each other.
    private static let row = 8

    /// Most spans that are remembered.
    package let capacity: Int
    /// Open-addressed, both halves in turn, a row each; 0 is free. At most half of the slots of a half are taken.
    private let slots: UnsafeMutablePointer<UInt64>
    private let mask: Int
    private let key: (UInt64, UInt64, UInt64)
    /// Which half is the young one: 0 or `row`.
    private var young = 0
    private var youngCount = 0

    /// - Parameter capacity: rounded up to a power of two, within 64...2^26.
    package init(capacity: Int = 65_536) {
        var size = 64
        while size < min(capacity, 1 << 26) { size *= 2 }
        self.capacity = size
        mask = size / Self.row - 1
        // Zeroed pages cost no memory until a span lands on them.
        slots = Self.zeroed(size * 2)
        key = (.random(in: .min ... .max), .random(in: .min ... .max), .random(in: .min ... .max))
    }

    deinit { free(slots) }

    private static func zeroed(_ count: Int) -> UnsafeMutablePointer<UInt64> {
        if let block = calloc(count, MemoryLayout<UInt64>.size) {
            return block.bindMemory(to: UInt64.self, capacity: count)
        }
        // Does not return without memory.
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        slots.initialize(repeating: 0, count: count)
        return slots
    }

    /// What stands for a span in this memory.
    @inline(__always)
    package func fingerprint(traceID: (UInt64, UInt64), spanID: UInt64) -> UInt64 {
        let trace = (traceID.0 ^ key.0).multipliedFullWidth(by: traceID.1 ^ key.1)
        let mixed = (trace.high ^ trace.low ^ key.2).multipliedFullWidth(by: spanID ^ 0x9E37_79B9_7F4A_7C15)
        return max(1, mixed.high ^ mixed.low ^ trace.low)
    }

    /// Brings the places of a span near, so that many can be on their way at once. The answer is of no use.
    @inline(__always)
    package func touch(_ fingerprint: UInt64) -> UInt64 {
        let place = slots + (Int(truncatingIfNeeded: fingerprint >> 16) & mask) &* (2 &* Self.row)
        return place[0] | place[Self.row]
    }

    /// Remembers a span. False when it was remembered already: it has been counted.
    package func insert(traceID: (UInt64, UInt64), spanID: UInt64) -> Bool {
        insert(fingerprint(traceID: traceID, spanID: spanID))
    }

    /// The same for a fingerprint.
    package func insert(_ fingerprint: UInt64) -> Bool {
        if find(fingerprint, young ^ Self.row).isThere { return false }
        let (slot, isThere) = find(fingerprint, young)
        if isThere { return false }
        slots[slot] = fingerprint
        youngCount += 1
        if youngCount >= capacity / 2 { turn() }
        return true
    }

    /// Where a fingerprint is in a half, or the free slot where it would be.
    @inline(__always)
    private func find(_ fingerprint: UInt64, _ half: Int) -> (slot: Int, isThere: Bool) {
        var row = Int(truncatingIfNeeded: fingerprint >> 16) & mask
        var place = Int(truncatingIfNeeded: fingerprint) & (Self.row &- 1)
        while true {
            for _ in 0..<Self.row {
                let slot = row &* (2 &* Self.row) &+ half &+ place
                if slots[slot] == fingerprint { return (slot, true) }
                if slots[slot] == 0 { return (slot, false) }
                place = (place &+ 1) & (Self.row &- 1)
            }
            row = (row &+ 1) & mask
        }
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
