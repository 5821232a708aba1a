internal import Glibc

/// Names and a number for each, found without a String: an open-addressed table at a load of at most one quarter, over
/// one block of bytes. Immutable once built. Its owner frees it with `deallocate`.
struct NameTable {
    private struct Entry {
        var start: UInt32
        var count: UInt32
        var hash: UInt32
        var value: UInt32
    }

    /// Bytes of the longest name that is looked up in any case.
    static let longestFolded = 64

    private let slots: UnsafeMutablePointer<UInt16>
    private let mask: UInt32
    private let entries: UnsafeMutablePointer<Entry>
    private let bytes: UnsafeMutablePointer<UInt8>
    let count: Int

    /// Of equal names the first counts. At most 16,383 names.
    init(_ names: [(name: [UInt8], value: Int)]) {
        count = names.count
        var size = 16
        while size < names.count * 4 { size *= 2 }
        mask = UInt32(size - 1)
        slots = .allocate(capacity: size)
        slots.initialize(repeating: 0, count: size)
        entries = .allocate(capacity: max(1, names.count))
        let total = names.reduce(0) { $0 + $1.name.count }
        // Eight bytes beyond the last name, so that whole words can be compared.
        bytes = .allocate(capacity: total + 8)
        bytes.initialize(repeating: 0, count: total + 8)
        var position = 0
        for (index, item) in names.enumerated() {
            for (offset, byte) in item.name.enumerated() { bytes[position + offset] = byte }
            let hash = Self.hash(UnsafeRawPointer(bytes + position), item.name.count)
            entries[index] = Entry(
                start: UInt32(position), count: UInt32(item.name.count), hash: hash, value: UInt32(item.value))
            position += item.name.count
            var slot = hash & mask
            while slots[Int(slot)] != 0 { slot = (slot &+ 1) & mask }
            slots[Int(slot)] = UInt16(index + 1)
        }
    }

    func deallocate() {
        slots.deallocate()
        entries.deallocate()
        bytes.deallocate()
    }

    /// The value of a name; -1 when it is not there.
    @inline(__always)
    func find(_ name: UnsafeRawPointer, _ count: Int) -> Int {
        let position = position(of: name, count)
        return position < 0 ? -1 : value(at: position)
    }

    /// Which of the names it is, in the order they were given; -1 when it is not there.
    @inline(__always)
    func position(of name: UnsafeRawPointer, _ count: Int) -> Int {
        let hash = Self.hash(name, count)
        var slot = hash & mask
        while true {
            let index = slots[Int(slot)]
            if index == 0 { return -1 }
            let entry = entries[Int(index) &- 1]
            if entry.hash == hash, Int(entry.count) == count,
                Self.equal(name, UnsafeRawPointer(bytes + Int(entry.start)), count)
            {
                return Int(index) &- 1
            }
            slot = (slot &+ 1) & mask
        }
    }

    /// Whether it is the name at a position.
    @inline(__always)
    func isName(_ name: UnsafeRawPointer, _ count: Int, at position: Int) -> Bool {
        let entry = entries[position]
        return Int(entry.count) == count && Self.equal(name, UnsafeRawPointer(bytes + Int(entry.start)), count)
    }

    @inline(__always)
    func value(at position: Int) -> Int { Int(entries[position].value) }

    @inline(__always)
    func find(_ name: UnsafeRawBufferPointer) -> Int {
        guard name.count > 0, let base = name.baseAddress else { return -1 }
        return find(base, name.count)
    }

    /// As `find`, with ASCII letters in any case; the table's names are in lower case.
    @inline(__always)
    func findFolded(_ name: UnsafeRawBufferPointer) -> Int {
        let exact = find(name)
        return exact >= 0 ? exact : findFoldedSlowly(name)
    }

    @inline(never)
    private func findFoldedSlowly(_ name: UnsafeRawBufferPointer) -> Int {
        guard name.count <= Self.longestFolded else { return -1 }
        var hasUpperCase = false
        for position in 0..<name.count where name[position] &- 0x41 < 26 { hasUpperCase = true }
        guard hasUpperCase else { return -1 }
        return withUnsafeTemporaryAllocation(byteCount: Self.longestFolded, alignment: 8) { folded in
            for position in 0..<name.count { folded[position] = foldASCII(name[position]) }
            return find(UnsafeRawBufferPointer(rebasing: folded[..<name.count]))
        }
    }

    /// Mixes the length with the first, the middle and the last eight bytes.
    @inline(__always)
    private static func hash(_ name: UnsafeRawPointer, _ count: Int) -> UInt32 {
        var first: UInt64
        var last: UInt64
        var middle: UInt64 = 0
        if count >= 8 {
            first = name.loadUnaligned(as: UInt64.self)
            last = name.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            middle = name.loadUnaligned(fromByteOffset: (count &>> 1) &- 4, as: UInt64.self)
        } else if count >= 4 {
            first = UInt64(name.loadUnaligned(as: UInt32.self))
            last = UInt64(name.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
        } else {
            first = 0
            last = 0
            for position in 0..<count {
                first = first &<< 8 | UInt64(name.loadUnaligned(fromByteOffset: position, as: UInt8.self))
            }
        }
        last = last &* 0x9E37_79B9_7F4A_7C15
        middle = (middle &<< 31 | middle &>> 33) &* 0xC2B2_AE3D_27D4_EB4F
        var mixed = (first ^ last ^ middle &+ UInt64(truncatingIfNeeded: count)) &* 0xD6E8_FEB8_6659_FD93
        mixed ^= mixed &>> 32
        return UInt32(truncatingIfNeeded: mixed)
    }

    /// Without a loop for what most names are long: overlapping words from both ends.
    @inline(__always)
    static func equal(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        if count >= 16 {
            if count > 48 { return memcmp(left, right, count) == 0 }
            let middle = count &>> 1 &- 8
            let quarter = count > 32 ? 16 : middle
            let upper = count > 32 ? count &- 32 : middle
            return
                (pair(left, right, 0) | pair(left, right, count &- 16) | pair(left, right, quarter)
                | pair(left, right, upper)) == 0
        }
        guard count >= 8 else { return memcmp(left, right, count) == 0 }
        return (word(left, right, 0) | word(left, right, count &- 8)) == 0
    }

    /// What differs in the 8 bytes at `offset`.
    @inline(__always)
    private static func word(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            ^ right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// What differs in the 16 bytes at `offset`.
    @inline(__always)
    private static func pair(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        word(left, right, offset) | word(left, right, offset &+ 8)
    }
}
