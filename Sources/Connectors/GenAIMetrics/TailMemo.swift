internal import Glibc

/// How a tail ended: the cost attributes, which a processor writes the same way for one span after the other, but for
/// the numbers. Comparing them takes a third of reading them. One owner.
struct TailMemo: ~Copyable {
    private struct Value {
        var slot: Int
        /// From the beginning of the ending.
        var start: Int
        var size: Int
    }

    /// Bytes of the longest ending that is kept, a multiple of 16.
    private static let maximumSize = 512
    private static let maximumValues = 16
    /// Tails that do not fit before one is learnt anew.
    private static let patience = 4

    /// The ending, then for each of its bytes whether it counts (all bits) or belongs to a number (none).
    private let bytes: UnsafeMutableRawPointer
    private let values: UnsafeMutablePointer<Value>
    private var valueCount = 0
    private var present: UInt64 = 0
    /// Bytes of the ending; 0 without one.
    private(set) var size = 0
    private var misses = 0

    init() {
        bytes = .allocate(byteCount: 2 * Self.maximumSize, alignment: 16)
        values = .allocate(capacity: Self.maximumValues)
    }

    deinit {
        bytes.deallocate()
        values.deallocate()
    }

    private var mask: UnsafeMutableRawPointer { bytes + Self.maximumSize }

    /// Whether a tail ends so.
    @inline(__always)
    func fits(_ tail: UnsafeRawBufferPointer) -> Bool {
        guard size >= 16, tail.count >= size, let base = tail.baseAddress else { return false }
        let ending = base + (tail.count &- size)
        // The last words overlap.
        var different = word(ending, size &- 16)
        var offset = 0
        while offset < size &- 16 {
            different |= word(ending, offset)
            offset &+= 16
        }
        return different[0] | different[1] == 0
    }

    /// What differs in 16 bytes that count.
    @inline(__always)
    private func word(_ ending: UnsafeRawPointer, _ offset: Int) -> SIMD2<UInt64> {
        (ending.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
            ^ bytes.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self))
            & mask.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
    }

    /// Gives the slots the values of a tail that fits.
    @inline(__always)
    func fill(_ slots: inout KeySlots, _ tail: UnsafeRawBufferPointer) {
        guard let base = tail.baseAddress else { return }
        let ending = base + (tail.count &- size)
        for index in 0..<valueCount {
            let value = values[index]
            slots.set(value.slot, UnsafeRawBufferPointer(start: ending + value.start, count: value.size))
        }
    }

    /// Keeps how a tail ends whose attributes are in `slots`: from the one of the slot `cost` on.
    mutating func learn(_ tail: UnsafeRawBufferPointer, _ slots: borrowing KeySlots, cost: Int) {
        misses += 1
        guard size == 0 || misses >= Self.patience, slots.has(cost), let base = tail.baseAddress else { return }
        let value = slots.value(cost)
        guard value.count == 9, let address = value.baseAddress, address > base, address < base + tail.count,
            let start = Self.attributeStart(of: address - base, in: tail), tail.count - start <= Self.maximumSize,
            tail.count - start >= 16
        else { return }
        misses = 0
        size = tail.count - start
        memcpy(bytes, base + start, size)
        memset(mask, 0xFF, size)
        Self.forEachDouble(UnsafeRawBufferPointer(rebasing: tail[start...])) { memset(mask + $0, 0, 8) }
        valueCount = 0
        for slot in 0..<KeySlots.maximumKeys where slots.has(slot) && valueCount < Self.maximumValues {
            let value = slots.value(slot)
            guard let from = value.baseAddress, from >= base + start, from < base + tail.count else { continue }
            (values + valueCount).initialize(to: Value(slot: slot, start: from - base - start, size: value.count))
            valueCount += 1
        }
        // Values that found no room would be lost.
        if valueCount == Self.maximumValues { size = 0 }
    }

    /// Where the attribute begins whose value is at `place`.
    private static func attributeStart(of place: Int, in tail: UnsafeRawBufferPointer) -> Int? {
        var at = 0
        while at + 2 <= tail.count, tail[at] == 0x4A, tail[at + 1] < 0x80 {
            let end = at + 2 + Int(tail[at + 1])
            if place < end { return at }
            at = end
        }
        return nil
    }

    /// Where the numbers of the attributes are whose value is a double.
    private static func forEachDouble(_ attributes: UnsafeRawBufferPointer, _ body: (Int) -> Void) {
        var at = 0
        while at + 2 <= attributes.count, attributes[at] == 0x4A, attributes[at + 1] < 0x80 {
            let end = at + 2 + Int(attributes[at + 1])
            guard end <= attributes.count else { return }
            // The value stands last: its tag, its length, the tag of the double, eight bytes.
            let value = end - 11
            if value > at + 4, attributes[value] == 0x12, attributes[value + 1] == 9, attributes[value + 2] == 0x21,
                Int(attributes[at + 3]) == value - at - 4
            {
                body(end - 8)
            }
            at = end
        }
    }
}
