internal import OTLP

/// The strings of one remote-write 2.0 request, each once; number 0 is the empty one. Kept in their form on the wire.
struct SymbolTable: ~Copyable {
    struct Symbol: BitwiseCopyable {
        var hash: UInt64
        /// Where the text is in `writer`.
        var offset: UInt32
        var count: UInt32
    }

    /// Slots that stay when the table is emptied, so that a large request does not make every small one pay.
    private static let keptSlots = 32_768

    private var writer = WireWriter()
    private var symbols = Scratch<Symbol>(capacity: 256)
    /// Symbol number; 0 is free, since number 0 is never looked for.
    private var slots = [UInt32](repeating: 0, count: 1024)

    init() { addEmpty() }

    /// The symbols as fields of the request.
    var bytes: UnsafeRawBufferPointer { writer.bytes }
    var byteCount: Int { writer.count }
    /// False once memory was refused: the numbers are then of no use.
    var isComplete: Bool { !writer.overflowed }

    mutating func removeAll() {
        writer.removeAll()
        symbols.removeAll()
        if slots.count > Self.keptSlots {
            slots = [UInt32](repeating: 0, count: 1024)
        } else {
            for index in slots.indices { slots[index] = 0 }
        }
        addEmpty()
    }

    private mutating func addEmpty() {
        writer.append(field: 4, bytes: UnsafeRawBufferPointer(start: nil, count: 0))
        symbols.append(Symbol(hash: 0, offset: 0, count: 0))
    }

    /// The number of a text.
    @inline(__always)
    mutating func number(_ base: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
        if count == 0 { return 0 }
        let hash = ByteHash.add(base, count, to: ByteHash.seed)
        let mask = slots.count &- 1
        var position = Int(truncatingIfNeeded: hash) & mask
        while true {
            let number = slots[position]
            if number == 0 { break }
            let symbol = symbols[Int(number)]
            if symbol.hash == hash, Int(symbol.count) == count, let start = writer.base,
                equalBytes((start + Int(symbol.offset)).assumingMemoryBound(to: UInt8.self), base, count)
            {
                return number
            }
            position = (position &+ 1) & mask
        }
        return add(base, count, hash, position)
    }

    @inline(never)
    private mutating func add(_ base: UnsafePointer<UInt8>, _ count: Int, _ hash: UInt64, _ position: Int) -> UInt32 {
        writer.append(field: 4, bytes: UnsafeRawBufferPointer(start: base, count: count))
        guard !writer.overflowed, writer.count <= Int(UInt32.max) else { return 0 }
        let number = UInt32(truncatingIfNeeded: symbols.count)
        symbols.append(Symbol(hash: hash, offset: UInt32(writer.count - count), count: UInt32(count)))
        slots[position] = number
        if symbols.count * 2 > slots.count { rehash() }
        return number
    }

    private mutating func rehash() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        let mask = slots.count - 1
        for number in 1..<symbols.count {
            var position = Int(truncatingIfNeeded: symbols[number].hash) & mask
            while slots[position] != 0 { position = (position + 1) & mask }
            slots[position] = UInt32(number)
        }
    }
}
