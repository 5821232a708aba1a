import Glibc

/// Prices calls, and remembers what names resolve to, so that all but the first look-up of a name cost nanoseconds.
///
/// Not for concurrent use: one thread at a time has a reader (`PriceBook.withReader`). It holds less than 1 MB,
/// whatever names come: 1,024 remembered names, two to a place, and 2,048 rows. Names longer than 239
/// bytes together are looked up every time.
package final class PriceReader {
    private static let slotCount = 1024
    private static let slotBytes = 256
    private static let keyOffset = 16
    private static let maximumKeyBytes = slotBytes - keyOffset - 1
    private static let maximumRows = 2048

    private struct Slot {
        var tag: UInt32
        var firstRow: UInt32
        var rowCount: UInt16
        var providerLength: UInt8
        var modelLength: UInt8
        var isUsed: UInt8
    }

    private let book: PriceBook
    private var catalog: PriceCatalog
    private var generation: Int
    private let seed: UInt64
    private let slots: UnsafeMutableRawPointer
    private let rows: UnsafeMutablePointer<MatchedPrice>
    private var rowCount = 0
    let prepared = PreparedCalls()

    init(_ book: PriceBook) {
        self.book = book
        (catalog, generation) = book.current()
        seed = UInt64.random(in: .min ... .max)
        slots = .allocate(byteCount: Self.slotCount * Self.slotBytes, alignment: 64)
        memset(slots, 0, Self.slotCount * Self.slotBytes)
        // Pages of it that are never written cost no memory.
        rows = .allocate(capacity: Self.maximumRows)
    }

    deinit {
        slots.deallocate()
        rows.deallocate()
    }

    /// What a call cost. `provider` and `model` are as the call names them (an empty provider is "not known"); they are
    /// read during the call only. `time` is the call's start in Unix nanoseconds; 0 is "not known", which takes the
    /// prices of the newest day. Reloaded prices count from the next call on.
    package func cost(
        of usage: TokenUsage, provider: UnsafeRawBufferPointer, model: UnsafeRawBufferPointer,
        serviceTier: ServiceTier = .standard, operation: CallMode = .unknown, at time: UInt64
    ) -> CostResult {
        if operation == .none { return CostResult(.notBillable) }
        if model.isEmpty { return CostResult(.missingModel) }
        let found = find(provider, model)
        if found.isEmpty { return CostResult(.unknownModel) }
        let day = time == 0 ? PriceDay.never - 1 : PriceDay.of(time)
        for index in found.indices where found[index].row.holds(on: day) {
            var result = Costing.cost(
                of: usage, row: found[index].row, tier: serviceTier, mode: operation, time: time)
            result.match = found[index].match
            result.reference = found[index].reference
            return result
        }
        var result = CostResult(.unknownPrice)
        result.match = found[0].match
        return result
    }

    /// The rows of a name, remembered or looked up. Valid until the next call.
    func find(_ provider: UnsafeRawBufferPointer, _ model: UnsafeRawBufferPointer) -> UnsafeBufferPointer<MatchedPrice>
    {
        if isOutdated { refresh() }
        guard provider.count + model.count <= Self.maximumKeyBytes else {
            return remember(catalog.resolve(provider: provider, model: model), in: nil)
        }
        let hash = NameHash.of(provider, model, seed: seed)
        let first = Int(truncatingIfNeeded: hash) & (Self.slotCount - 2)
        for index in first...(first + 1) {
            let slot = slots + index * Self.slotBytes
            let header = slot.load(as: Slot.self)
            guard header.tag == UInt32(truncatingIfNeeded: hash >> 32), header.isUsed != 0,
                Int(header.providerLength) == provider.count, Int(header.modelLength) == model.count,
                Self.equals(slot + Self.keyOffset, provider),
                Self.equals(slot + Self.keyOffset + provider.count, model)
            else { continue }
            return UnsafeBufferPointer(start: rows + Int(header.firstRow), count: Int(header.rowCount))
        }
        let isFirstFree = (slots + first * Self.slotBytes).load(as: Slot.self).isUsed == 0
        // A bit of the hash chooses who gives way.
        let slot = slots + (first + (isFirstFree ? 0 : Int(hash >> 20 & 1))) * Self.slotBytes
        let found = remember(catalog.resolve(provider: provider, model: model), in: slot)
        // `remember` may clear the slots: this one is written afterwards.
        let key = slot + Self.keyOffset
        if let start = provider.baseAddress { memcpy(key, start, provider.count) }
        if let start = model.baseAddress { memcpy(key + provider.count, start, model.count) }
        let firstRow = found.baseAddress.map { $0 - UnsafePointer(rows) } ?? 0
        slot.storeBytes(
            of: Slot(
                tag: UInt32(truncatingIfNeeded: hash >> 32), firstRow: UInt32(firstRow), rowCount: UInt16(found.count),
                providerLength: UInt8(provider.count), modelLength: UInt8(model.count), isUsed: 1),
            as: Slot.self)
        return found
    }

    private static func equals(_ stored: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) -> Bool {
        guard let start = text.baseAddress else { return true }
        return memcmp(stored, start, text.count) == 0
    }

    /// Copies rows to where `find` points. Rows that belong to no slot are overwritten by the next ones.
    private func remember(
        _ found: [MatchedPrice], in slot: UnsafeMutableRawPointer?
    ) -> UnsafeBufferPointer<MatchedPrice> {
        if rowCount + found.count > Self.maximumRows { clear() }
        guard found.count <= Self.maximumRows else { return UnsafeBufferPointer(start: rows, count: 0) }
        let start = rows + rowCount
        for (index, row) in found.enumerated() { (start + index).initialize(to: row) }
        if slot != nil { rowCount += found.count }
        return UnsafeBufferPointer(start: start, count: found.count)
    }

    /// Prices were reloaded since the last call.
    var isOutdated: Bool { book.generation != generation }

    /// Forgets every name, and takes the book's current catalogue.
    func refresh() {
        (catalog, generation) = book.current()
        clear()
        prepared.removeAll()
    }

    /// Forgets every name. The catalogue stays: what is being looked up is from it.
    private func clear() {
        memset(slots, 0, Self.slotCount * Self.slotBytes)
        rowCount = 0
    }

    /// The row that a result was computed with; nil for `none`, and when prices were reloaded in between.
    package func describe(_ reference: PriceReference) -> PriceDescription? {
        PriceDescription(reference, in: catalog)
    }
}

/// A hash for names: fast for short keys, seeded, not for security.
enum NameHash {
    private static let factor: UInt64 = 0x9FB2_1C65_1E98_DF25

    static func of(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        let state = add(first, to: seed ^ UInt64(first.count) << 32 ^ UInt64(second.count))
        let mixed = mix(add(second, to: state), factor)
        return mixed
    }

    private static func add(_ bytes: UnsafeRawBufferPointer, to state: UInt64) -> UInt64 {
        guard let start = bytes.baseAddress else { return state }
        var state = state
        var offset = 0
        while offset + 8 <= bytes.count {
            state = mix(state ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self), factor)
            offset += 8
        }
        guard offset < bytes.count else { return state }
        var tail: UInt64 = 0
        if bytes.count >= 8 {
            tail = start.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self)
        } else {
            for index in offset..<bytes.count { tail = tail << 8 | UInt64(bytes[index]) }
        }
        return mix(state ^ tail, factor)
    }

    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
