/// A bounded memory of spans that were counted, so that a request that is sent again does not count twice.
///
/// Holds at least the last `capacity` / 2 and at most the last `capacity` spans, in two halves: when the young half is
/// full it becomes the old one, and the old one is forgotten. 48 bytes a span, taken at the start. One owner: shard it
/// by trace id, or lock it.
package struct CountedSpans: ~Copyable {
    private struct Half {
        var entries: [(trace: (UInt64, UInt64), span: UInt64)]
        var count = 0
        private let mask: Int

        init(size: Int) {
            entries = [((UInt64, UInt64), UInt64)](repeating: ((0, 0), 0), count: size)
            mask = size - 1
        }

        func contains(_ trace: (UInt64, UInt64), _ span: UInt64) -> Bool {
            let entry = entries[slot(trace, span)]
            return entry.span != 0 || entry.trace != (0, 0)
        }

        mutating func insert(_ trace: (UInt64, UInt64), _ span: UInt64) {
            entries[slot(trace, span)] = (trace, span)
            count += 1
        }

        mutating func removeAll() {
            for index in entries.indices { entries[index] = ((0, 0), 0) }
            count = 0
        }

        /// Where the span is, or the free slot where it would be. At most half of the slots are taken, so there is one.
        private func slot(_ trace: (UInt64, UInt64), _ span: UInt64) -> Int {
            var mixed = (trace.0 &* 0x9E37_79B9_7F4A_7C15 ^ trace.1 ^ span &* 0xC2B2_AE3D_27D4_EB4F)
            mixed ^= mixed >> 29
            mixed = mixed &* 0xD6E8_FEB8_6659_FD93
            var slot = Int(truncatingIfNeeded: mixed >> 32) & mask
            while true {
                let entry = entries[slot]
                if entry.span == span && entry.trace == trace || entry.span == 0 && entry.trace == (0, 0) {
                    return slot
                }
                slot = (slot + 1) & mask
            }
        }
    }

    /// Most spans that are remembered.
    package let capacity: Int
    private var young: Half
    private var old: Half

    /// - Parameter capacity: rounded up to a power of two, within 64...2^26.
    package init(capacity: Int = 65_536) {
        var size = 64
        while size < min(capacity, 1 << 26) { size *= 2 }
        self.capacity = size
        young = Half(size: size)
        old = Half(size: size)
    }

    /// Remembers a span. False when it was remembered already: it has been counted.
    package mutating func insert(traceID: (UInt64, UInt64), spanID: UInt64) -> Bool {
        if young.contains(traceID, spanID) || old.contains(traceID, spanID) { return false }
        if young.count >= capacity / 2 {
            swap(&young, &old)
            young.removeAll()
        }
        young.insert(traceID, spanID)
        return true
    }
}
