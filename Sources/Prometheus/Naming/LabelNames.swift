internal import Glibc

/// Label names by attribute key, translated once. Numbers are dense from 0 and addresses stable until `removeAll`.
struct LabelNames: ~Copyable {
    struct Entry: BitwiseCopyable {
        /// The attribute key, or the name itself when `isLiteral`.
        var key: UnsafePointer<UInt8>
        /// As in `SeriesLabel`.
        var encodedName: UnsafePointer<UInt8>
        var keyCount: UInt32
        var encodedNameCount: UInt32
        var nameOffset: UInt32
        /// False when the key has no translation.
        var isValid: Bool
        var isLiteral: Bool
    }

    /// Names from which on the table begins anew with the next request.
    static let softLimit = 8192
    /// Bytes of keys and names from which on it does.
    static let softBytes = 1 << 20
    /// Names that one request may bring it to.
    static let hardLimit = 65_536

    private let namer: LabelNamer
    private(set) var entries = Scratch<Entry>(capacity: 64)
    private var store = ByteStore()
    /// Entry number + 1; 0 is free. The count is a power of two, at least twice that of the entries.
    private var slots = [UInt32](repeating: 0, count: 256)

    init(_ namer: LabelNamer) { self.namer = namer }

    var isOverSoftLimit: Bool { entries.count > Self.softLimit || store.heldBytes > Self.softBytes }

    mutating func removeAll() {
        entries.removeAll()
        store.removeAll()
        slots = [UInt32](repeating: 0, count: 256)
    }

    /// The number of an attribute key; nil at the hard limit.
    mutating func number(ofKey key: UnsafeRawBufferPointer) -> Int? { find(key, isLiteral: false) }

    /// The number of a name that is used as it is; nil at the hard limit.
    mutating func number(ofName name: UnsafeRawBufferPointer) -> Int? { find(name, isLiteral: true) }

    /// The same for a name of ours.
    mutating func number(ofName name: StaticString) -> Int? {
        find(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), isLiteral: true)
    }

    /// The name of an entry.
    func name(_ number: Int) -> UnsafeRawBufferPointer {
        let entry = entries[number]
        return UnsafeRawBufferPointer(
            start: entry.encodedName + Int(entry.nameOffset),
            count: Int(entry.encodedNameCount) - Int(entry.nameOffset) - 1)
    }

    /// A label of an entry's name, without a value yet.
    func label(_ number: Int) -> SeriesLabel {
        let entry = entries[number]
        return SeriesLabel(
            encodedName: entry.encodedName, value: entry.encodedName, encodedNameCount: entry.encodedNameCount,
            valueCount: 0, nameID: UInt32(truncatingIfNeeded: number), nameOffset: entry.nameOffset)
    }

    private mutating func find(_ key: UnsafeRawBufferPointer, isLiteral: Bool) -> Int? {
        // Without bytes nothing is read: any address serves.
        let start =
            key.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(("" as StaticString).utf8Start)
        let hash = ByteHash.add(start, key.count, to: isLiteral ? ~ByteHash.seed : ByteHash.seed)
        let mask = slots.count - 1
        var position = Int(truncatingIfNeeded: hash) & mask
        while slots[position] != 0 {
            let number = Int(slots[position]) - 1
            let entry = entries[number]
            if entry.keyCount == key.count, entry.isLiteral == isLiteral, equalBytes(entry.key, start, key.count) {
                return number
            }
            position = (position + 1) & mask
        }
        guard entries.count < Self.hardLimit, key.count <= Int(Int32.max) else { return nil }
        let number = entries.count
        entries.append(makeEntry(key, isLiteral))
        slots[position] = UInt32(number + 1)
        if entries.count * 2 > slots.count { rehash() }
        return number
    }

    private mutating func rehash() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        let mask = slots.count - 1
        for number in 0..<entries.count {
            let entry = entries[number]
            let seed = entry.isLiteral ? ~ByteHash.seed : ByteHash.seed
            var position = Int(truncatingIfNeeded: ByteHash.add(entry.key, Int(entry.keyCount), to: seed)) & mask
            while slots[position] != 0 { position = (position + 1) & mask }
            slots[position] = UInt32(number + 1)
        }
    }

    private mutating func makeEntry(_ key: UnsafeRawBufferPointer, _ isLiteral: Bool) -> Entry {
        let translated = isLiteral ? (key.isEmpty ? nil : Array(key)) : namer.name(key)
        let encoded = EncodedName.make(translated ?? [])
        let copy = store.copy(key)
        let name = encoded.bytes.withUnsafeBytes { store.copy($0) }
        return Entry(
            key: copy, encodedName: name, keyCount: UInt32(key.count), encodedNameCount: UInt32(encoded.bytes.count),
            nameOffset: UInt32(encoded.offset), isValid: translated != nil, isLiteral: isLiteral)
    }
}

/// A name in the form that `SeriesLabel` keeps it in.
enum EncodedName {
    static func make(_ name: [UInt8]) -> (bytes: [UInt8], offset: Int) {
        var bytes: [UInt8] = [0x0A]
        var rest = name.count
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        let offset = bytes.count
        bytes += name
        bytes.append(0x12)
        return (bytes, offset)
    }
}
