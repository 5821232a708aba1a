internal import Aggregation
internal import Glibc
internal import OTLP

/// Attribute keys and a slot for the value of each: what one walk over a span fills. One owner.
///
/// Values are encoded AnyValue messages that point into the span.
struct KeySlots: ~Copyable {
    private struct Entry {
        var start: UInt32
        var count: UInt32
        var slot: Int32
    }

    private static let tableBits: UInt64 = 9

    /// Open-addressed: an index of `entries` + 1; 0 is free. At a load of less than a half.
    private let table: UnsafeMutablePointer<UInt16>
    private let entries: UnsafeMutablePointer<Entry>
    private let bytes: UnsafeMutablePointer<UInt8>
    /// By slot. A slot counts when its bit in `present` is set.
    private let values: UnsafeMutablePointer<UnsafeRawBufferPointer>
    /// By slot: the entry whose key came after it last, + 1; spans of one emitter have the same keys in the same order.
    private let successors: UnsafeMutablePointer<UInt16>
    private var last = 0
    private(set) var present: UInt64 = 0

    /// Most keys: a bit of `present` for each.
    static let maximumKeys = 64

    /// - Parameter keys: the slot of each is its place. At most `maximumKeys`; of equal ones the first counts.
    init(_ keys: [String]) {
        let keys = keys.prefix(Self.maximumKeys).map { Array($0.utf8) }
        table = .allocate(capacity: 1 << Int(Self.tableBits))
        table.initialize(repeating: 0, count: 1 << Int(Self.tableBits))
        entries = .allocate(capacity: max(1, keys.count))
        let total = keys.reduce(0) { $0 + $1.count }
        bytes = .allocate(capacity: total + 8)
        bytes.initialize(repeating: 0, count: total + 8)
        values = .allocate(capacity: Self.maximumKeys)
        values.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: Self.maximumKeys)
        successors = .allocate(capacity: Self.maximumKeys + 1)
        successors.initialize(repeating: 0, count: Self.maximumKeys + 1)
        var position = 0
        for (index, key) in keys.enumerated() {
            for (offset, byte) in key.enumerated() { bytes[position + offset] = byte }
            (entries + index).initialize(
                to: Entry(start: UInt32(position), count: UInt32(key.count), slot: Int32(index)))
            position += key.count
            var place = Self.hash(UnsafePointer(bytes + position - key.count), key.count)
            while table[place] != 0 { place = (place + 1) & (1 << Int(Self.tableBits) - 1) }
            table[place] = UInt16(index + 1)
        }
    }

    deinit {
        table.deallocate()
        entries.deallocate()
        bytes.deallocate()
        values.deallocate()
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
    @inline(__always)
    mutating func take(_ message: UnsafePointer<UInt8>, _ size: Int) {
        // A key of less than 128 bytes, then the value, whose length is one byte, then nothing: nearly all of them.
        guard size >= 4, message[0] == 0x0A, message[1] < 0x80 else { return takeSlowly(message, size) }
        let count = Int(message[1])
        guard count &+ 4 <= size, message[2 &+ count] == 0x12, Int(message[3 &+ count]) == size &- count &- 4,
            message[3 &+ count] < 0x80
        else { return takeSlowly(message, size) }
        take(
            message + 2, count,
            UnsafeRawBufferPointer(start: message + (4 &+ count), count: size &- count &- 4))
    }

    @inline(__always)
    private mutating func take(_ key: UnsafePointer<UInt8>, _ count: Int, _ value: UnsafeRawBufferPointer) {
        let guess = Int(successors[last])
        if guess != 0, isKey(key, count, guess &- 1) { return take(guess &- 1, value) }
        find(key, count, value)
    }

    private mutating func find(_ key: UnsafePointer<UInt8>, _ count: Int, _ value: UnsafeRawBufferPointer) {
        var place = Self.hash(key, count)
        while true {
            let index = Int(table[place])
            guard index != 0 else { return }
            if isKey(key, count, index &- 1) {
                successors[last] = UInt16(truncatingIfNeeded: index)
                return take(index &- 1, value)
            }
            place = (place &+ 1) & (1 &<< Int(Self.tableBits) &- 1)
        }
    }

    @inline(__always)
    private mutating func take(_ index: Int, _ value: UnsafeRawBufferPointer) {
        set(Int(entries[index].slot), value)
        last = index &+ 1
    }

    /// Gives a slot, of `maximumKeys`, its value.
    @inline(__always)
    mutating func set(_ slot: Int, _ value: UnsafeRawBufferPointer) {
        values[slot] = value
        present |= 1 &<< UInt64(slot)
    }

    @inline(__always)
    private func isKey(_ key: UnsafePointer<UInt8>, _ count: Int, _ index: Int) -> Bool {
        let entry = entries[index]
        guard Int(entry.count) == count else { return false }
        let own = UnsafeRawPointer(bytes + Int(entry.start))
        let other = UnsafeRawPointer(key)
        guard count >= 8 else { return memcmp(own, other, count) == 0 }
        var offset = count &- 8
        while offset > 0 {
            if own.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                != other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            {
                return false
            }
            offset &-= 8
        }
        return own.loadUnaligned(as: UInt64.self) == other.loadUnaligned(as: UInt64.self)
    }

    private mutating func takeSlowly(_ message: UnsafePointer<UInt8>, _ size: Int) {
        let pair = UnsafeRawBufferPointer(start: message, count: size)
        let key = WireFields.payload(of: 1, in: pair)
        let value = WireFields.payload(of: 2, in: pair)
        guard key.count > 0, value.count > 0, let base = key.baseAddress else { return }
        take(base.assumingMemoryBound(to: UInt8.self), key.count, value)
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
        guard value.count >= 2, value[0] == 0x18 else { return -1 }
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
