/// Texts that say what went wrong, each with a category, looked for all at once: one pass over a message, however many
/// they are. Immutable. Its owner frees it with `deallocate`.
struct ErrorTexts {
    /// Bytes of the shortest text: as many as a place in a message is first judged by.
    static let shortest = 4

    private struct Text {
        var start: Int
        var count: Int
        var category: ErrorCategory
        /// The next text with the same hash of its first bytes, counted from 1; 0 at the end.
        var next: UInt32
    }

    private static let hashBits: UInt32 = 12

    /// A bit for each hash that some text begins with: 512 bytes, so that a message that holds none of them touches
    /// little else.
    private let filter: UnsafeMutablePointer<UInt64>
    /// By hash: the first text that begins so, counted from 1; 0 for none.
    private let heads: UnsafeMutablePointer<UInt32>
    private let texts: UnsafeMutablePointer<Text>
    private let bytes: UnsafeMutablePointer<UInt8>

    /// - Parameter all: in lower case, `shortest` bytes at least, the most telling first.
    init(_ all: [(text: [UInt8], category: ErrorCategory)]) {
        filter = .allocate(capacity: 1 << Int(Self.hashBits - 6))
        filter.initialize(repeating: 0, count: 1 << Int(Self.hashBits - 6))
        heads = .allocate(capacity: 1 << Int(Self.hashBits))
        heads.initialize(repeating: 0, count: 1 << Int(Self.hashBits))
        texts = .allocate(capacity: max(1, all.count))
        let total = all.reduce(0) { $0 + $1.text.count }
        bytes = .allocate(capacity: max(1, total))
        var position = 0
        for (index, item) in all.enumerated() {
            for (offset, byte) in item.text.enumerated() { (bytes + position + offset).initialize(to: byte) }
            (texts + index).initialize(
                to: Text(start: position, count: item.text.count, category: item.category, next: 0))
            position += item.text.count
        }
        // From the last to the first, so that those with one hash are met in their order.
        for index in all.indices.reversed() where texts[index].count >= Self.shortest {
            let hash = Self.hash(UnsafeRawPointer(bytes + texts[index].start))
            filter[hash >> 6] |= 1 << UInt64(hash & 63)
            texts[index].next = heads[hash]
            heads[hash] = UInt32(truncatingIfNeeded: index + 1)
        }
    }

    func deallocate() {
        filter.deallocate()
        heads.deallocate()
        texts.deallocate()
        bytes.deallocate()
    }

    /// The category of the first of the texts that stands anywhere in `message`, in any case; nil for none.
    func category(of message: UnsafeRawBufferPointer) -> ErrorCategory? {
        guard message.count >= Self.shortest, let base = message.baseAddress else { return nil }
        var best = Int.max
        for place in 0...(message.count - Self.shortest) {
            let hash = Self.hash(base + place)
            guard filter[hash &>> 6] & 1 &<< UInt64(hash & 63) != 0 else { continue }
            best = min(best, first(hash, base + place, message.count - place))
        }
        return best == .max ? nil : texts[best].category
    }

    /// The first of the texts with a hash that stands at `place`; Int.max for none.
    @inline(never)
    private func first(_ hash: Int, _ place: UnsafeRawPointer, _ room: Int) -> Int {
        var index = Int(heads[hash]) - 1
        while index >= 0 {
            let text = texts[index]
            if text.count <= room, stands(text, at: place) { return index }
            index = Int(text.next) - 1
        }
        return .max
    }

    private func stands(_ text: Text, at place: UnsafeRawPointer) -> Bool {
        for offset in 0..<text.count
        where foldASCII(place.load(fromByteOffset: offset, as: UInt8.self)) != bytes[text.start + offset] {
            return false
        }
        return true
    }

    /// Of the four bytes at `place`, the same for letters in any case.
    @inline(__always)
    private static func hash(_ place: UnsafeRawPointer) -> Int {
        // Other bytes that differ in this bit only are told apart by the comparison.
        let word = place.loadUnaligned(as: UInt32.self) | 0x2020_2020
        return Int((word &* 0x9E37_79B1) &>> (32 &- hashBits))
    }
}
