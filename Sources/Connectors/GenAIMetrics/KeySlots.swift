internal import Aggregation
internal import Glibc
internal import OTLP

/// Attribute keys and a slot for the value of each: what one walk over a span fills. One owner.
///
/// Values are encoded AnyValue messages that point into the span.
struct KeySlots: ~Copyable {
    private struct Entry {
        /// The key's first bytes, and zeros.
        var words: InlineArray<3, SIMD2<UInt64>>
        /// Where the key is in `bytes`.
        var start: Int
        var count: Int
        /// `maximumKeys` for a key that has none, and is known so that it is passed over.
        var slot: Int
        /// Of `present`; 0 for a key that has no slot.
        var bit: UInt64
    }

    /// Bytes of the longest key that is compared in one go, whatever its length: branches that depend on a length go
    /// wrong too often.
    private static var wholeKey: Int { 48 }

    private static let tableBits: UInt64 = 9

    /// Open-addressed: an index of `entries` + 1; 0 is free. At a load of less than a half.
    private let table: UnsafeMutablePointer<UInt16>
    private let entries: UnsafeMutablePointer<Entry>
    private var entryCount: Int
    private let bytes: UnsafeMutablePointer<UInt8>
    private var byteCount: Int
    /// As many bytes that count as there are in `wholeKey`, then as many that do not.
    private let mask: UnsafeMutableRawPointer
    /// By slot, and one for all that has none. A slot counts when its bit in `present` is set.
    let values: UnsafeMutablePointer<UnsafeRawBufferPointer>
    /// By slot: the entry whose key came after it last, + 1; spans of one emitter have the same keys in the same order.
    private let successors: UnsafeMutablePointer<UInt16>
    var last = 0
    /// Further keys that may be remembered.
    private var othersLeft = Self.maximumOthers
    var present: UInt64 = 0
    var plans = KeyPlans()

    /// Most keys: a bit of `present` for each.
    static let maximumKeys = 64
    /// Keys without a slot that are remembered at most, and bytes of the longest: spans have few others, or too many.
    private static let maximumOthers = 64
    private static let longestOther = 64

    /// - Parameter keys: the slot of each is its place. At most `maximumKeys`; of equal ones the first counts.
    init(_ keys: [String]) {
        let keys = keys.prefix(Self.maximumKeys).map { Array($0.utf8) }
        table = .allocate(capacity: 1 << Int(Self.tableBits))
        table.initialize(repeating: 0, count: 1 << Int(Self.tableBits))
        entries = .allocate(capacity: Self.maximumKeys + Self.maximumOthers)
        entryCount = keys.count
        byteCount = keys.reduce(0) { $0 + $1.count }
        let room = byteCount + Self.maximumOthers * Self.longestOther
        bytes = .allocate(capacity: room)
        bytes.initialize(repeating: 0, count: room)
        mask = .allocate(byteCount: 2 * Self.wholeKey, alignment: 16)
        memset(mask, 0xFF, Self.wholeKey)
        memset(mask + Self.wholeKey, 0, Self.wholeKey)
        values = .allocate(capacity: Self.maximumKeys + 1)
        values.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: Self.maximumKeys + 1)
        successors = .allocate(capacity: Self.maximumKeys + Self.maximumOthers + 1)
        successors.initialize(repeating: 0, count: Self.maximumKeys + Self.maximumOthers + 1)
        var position = 0
        for (index, key) in keys.enumerated() {
            for (offset, byte) in key.enumerated() { bytes[position + offset] = byte }
            (entries + index).initialize(
                to: Self.entry(bytes, position, key.count, slot: index, bit: 1 << UInt64(index)))
            Self.place(index, UnsafePointer(bytes + position), key.count, table)
            position += key.count
        }
    }

    private static func entry(
        _ bytes: UnsafeMutablePointer<UInt8>, _ start: Int, _ count: Int, slot: Int, bit: UInt64
    ) -> Entry {
        var words = InlineArray<3, SIMD2<UInt64>>(repeating: .zero)
        withUnsafeMutableBytes(of: &words) { words in
            for offset in 0..<min(count, wholeKey) { words[offset] = bytes[start + offset] }
        }
        return Entry(words: words, start: start, count: count, slot: slot, bit: bit)
    }

    private static func place(
        _ index: Int, _ key: UnsafePointer<UInt8>, _ count: Int, _ table: UnsafeMutablePointer<UInt16>
    ) {
        var place = hash(key, count)
        while table[place] != 0 { place = (place + 1) & (1 << Int(tableBits) - 1) }
        table[place] = UInt16(index + 1)
    }

    deinit {
        table.deallocate()
        entries.deallocate()
        bytes.deallocate()
        values.deallocate()
        mask.deallocate()
        successors.deallocate()
    }

    @inline(__always)
    private static func hash(_ key: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var word: UInt64 = 0
        if count >= 8 {
            word = UnsafeRawPointer(key + (count &- 8)).loadUnaligned(as: UInt64.self)
        } else {
            for index in 0..<count { word = word &<< 8 | UInt64(key[index]) }
        }
        return Int(truncatingIfNeeded: ((word ^ UInt64(count)) &* 0x9E37_79B9_7F4A_7C15) &>> (64 &- tableBits))
    }

    // MARK: Filling

    /// Begins a span.
    @inline(__always)
    mutating func begin() {
        present = 0
        last = 0
    }

    /// Takes the attribute of an encoded KeyValue. Of equal keys the last counts.
    ///
    /// - Parameter room: bytes that may be read from `message` on; `size` at least.
    @inline(__always)
    mutating func take(_ message: UnsafePointer<UInt8>, _ size: Int, room: Int) {
        // A key of less than 128 bytes, then the value, whose length is one byte, then nothing: nearly all of them.
        guard size >= 4, message[0] == 0x0A, message[1] < 0x80 else { return takeSlowly(message, size) }
        let count = Int(message[1])
        guard count &+ 4 <= size, message[2 &+ count] == 0x12, Int(message[3 &+ count]) == size &- count &- 4,
            message[3 &+ count] < 0x80
        else { return takeSlowly(message, size) }
        take(
            message + 2, count, UnsafeRawBufferPointer(start: message + (4 &+ count), count: size &- count &- 4),
            room: room &- 2)
    }

    @inline(__always)
    private mutating func take(
        _ key: UnsafePointer<UInt8>, _ count: Int, _ value: UnsafeRawBufferPointer, room: Int
    ) {
        let guess = Int(successors[last])
        if guess != 0, isKey(key, count, guess &- 1, room: room) { return take(guess &- 1, value) }
        find(key, count, value)
    }

    @inline(never)
    private mutating func find(_ key: UnsafePointer<UInt8>, _ count: Int, _ value: UnsafeRawBufferPointer) {
        var place = Self.hash(key, count)
        while true {
            let index = Int(table[place])
            guard index != 0 else { return learn(key, count) }
            if isKey(key, count, index &- 1, room: 0) {
                successors[last] = UInt16(truncatingIfNeeded: index)
                return take(index &- 1, value)
            }
            place = (place &+ 1) & (1 &<< Int(Self.tableBits) &- 1)
        }
    }

    /// The slot of a key, its bit, and what `last` is after it; of no slot for a key that is not known.
    func known(_ key: UnsafePointer<UInt8>, _ count: Int) -> (slot: Int, bit: UInt64, entry: Int) {
        var place = Self.hash(key, count)
        while table[place] != 0 {
            let index = Int(table[place]) - 1
            if isKey(key, count, index, room: 0) { return (entries[index].slot, entries[index].bit, index + 1) }
            place = (place + 1) & (1 << Int(Self.tableBits) - 1)
        }
        return (Self.maximumKeys, 0, 0)
    }

    /// Remembers a key without a slot, while there is room.
    private mutating func learn(_ key: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0, count <= Self.longestOther, othersLeft > 0 else { return }
        othersLeft -= 1
        memcpy(bytes + byteCount, key, count)
        (entries + entryCount).initialize(
            to: Self.entry(bytes, byteCount, count, slot: Self.maximumKeys, bit: 0))
        Self.place(entryCount, key, count, table)
        byteCount += count
        entryCount += 1
        successors[last] = UInt16(truncatingIfNeeded: entryCount)
        last = entryCount
    }

    @inline(__always)
    private mutating func take(_ index: Int, _ value: UnsafeRawBufferPointer) {
        values[entries[index].slot] = value
        present |= entries[index].bit
        last = index &+ 1
    }

    /// Gives a slot, of `maximumKeys`, its value.
    @inline(__always)
    mutating func set(_ slot: Int, _ value: UnsafeRawBufferPointer) {
        values[slot] = value
        present |= 1 &<< UInt64(slot)
    }

    @inline(__always)
    private func isKey(_ key: UnsafePointer<UInt8>, _ count: Int, _ index: Int, room: Int) -> Bool {
        let entry = entries + index
        guard entry.pointee.count == count else { return false }
        let other = UnsafeRawPointer(key)
        guard room >= Self.wholeKey, count <= Self.wholeKey else {
            return memcmp(bytes + entry.pointee.start, other, count) == 0
        }
        let mask = UnsafeRawPointer(mask + (Self.wholeKey &- count))
        let different =
            differing(entry.pointee.words[0], other, mask) | differing(entry.pointee.words[1], other + 16, mask + 16)
            | differing(entry.pointee.words[2], other + 32, mask + 32)
        return different[0] | different[1] == 0
    }

    /// What differs in 16 bytes that count.
    @inline(__always)
    private func differing(
        _ word: SIMD2<UInt64>, _ other: UnsafeRawPointer, _ mask: UnsafeRawPointer
    ) -> SIMD2<UInt64> {
        (word ^ other.loadUnaligned(as: SIMD2<UInt64>.self)) & mask.loadUnaligned(as: SIMD2<UInt64>.self)
    }

    private mutating func takeSlowly(_ message: UnsafePointer<UInt8>, _ size: Int) {
        let pair = UnsafeRawBufferPointer(start: message, count: size)
        let key = WireFields.payload(of: 1, in: pair)
        let value = WireFields.payload(of: 2, in: pair)
        guard key.count > 0, value.count > 0, let base = key.baseAddress else { return }
        take(base.assumingMemoryBound(to: UInt8.self), key.count, value, room: 0)
    }

    // MARK: Reading

    @inline(__always)
    func has(_ slot: Int) -> Bool { present & 1 &<< UInt64(slot) != 0 }

    /// The encoded AnyValue of a slot; without an address when it has none.
    @inline(__always)
    func value(_ slot: Int) -> UnsafeRawBufferPointer {
        has(slot) ? values[slot] : UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// The text of a slot; empty when it has none.
    @inline(__always)
    func text(_ slot: Int) -> UnsafeRawBufferPointer {
        let value = value(slot)
        guard value.count >= 2, value[0] == 0x0A, value[1] < 0x80, Int(value[1]) == value.count &- 2 else {
            return WireFields.payload(of: 1, in: value)
        }
        return UnsafeRawBufferPointer(rebasing: value[2...])
    }

    /// The int of a slot that is a count; -1 when it is none.
    @inline(__always)
    func count(_ slot: Int) -> Int64 {
        let value = value(slot)
        guard value.count >= 2, value[0] == 0x18, let base = value.baseAddress else { return -1 }
        let size = value.count &- 1
        if size <= 4 {
            // Without a branch for the length, which changes from span to span. An attribute's value stands behind its
            // key, so that four bytes that end with it are the span's.
            let bits = UInt32(littleEndian: (base + (size &- 3)).loadUnaligned(as: UInt32.self))
            let word = bits &>> UInt32(truncatingIfNeeded: 8 &* (4 &- size))
            let rest = UInt32(0x0080_8080) & (1 &<< UInt32(truncatingIfNeeded: 8 &* (size &- 1)) &- 1)
            if word & 0x8080_8080 == rest {
                return Int64(
                    word & 0x7F | word &>> 1 & 0x3F80 | word &>> 2 & 0x1F_C000 | word &>> 3 & 0xFE0_0000)
            }
        }
        var result: UInt64 = 0
        var shift: UInt64 = 0
        for index in 1..<value.count {
            guard shift < 63 else { return -1 }
            result |= UInt64(value[index] & 0x7F) &<< shift
            if value[index] < 0x80 { return result <= UInt64(Int64.max) ? Int64(result) : -1 }
            shift &+= 7
        }
        return -1
    }

    /// The double of a slot; nil when it is none, or not finite.
    @inline(__always)
    func double(_ slot: Int) -> Double? {
        let value = value(slot)
        guard value.count == 9, value[0] == 0x21, let base = value.baseAddress else { return nil }
        let number = Double(bitPattern: UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 1, as: UInt64.self)))
        return number.isFinite ? number : nil
    }
}
