internal import Glibc

/// Records of one layout, found by a number and bytes: open addressing over records that never move. One owner, used
/// by one thread at a time.
final class SeriesTable {
    let layout: SeriesLayout
    /// Of the layout, at hand.
    let cells: UnsafeMutablePointer<Cell>
    let cellCount: Int
    let stride: Int
    /// High half: that of the hash; low half: the record, counted from 1. 0 is free.
    private(set) var slots: UnsafeMutablePointer<UInt64>
    private(set) var slotCount: Int
    private var chunks: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var chunkCount = 0
    private var chunkCapacity = 16
    /// Records handed out so far, free ones included.
    private(set) var used = 0
    /// Records in use.
    private(set) var count = 0
    private var freeHead: UInt32 = 0
    /// Bytes of records, keys, attributes, exemplars and buckets.
    private(set) var heldBytes = 0

    private static let chunkShift = 6
    private static let chunkRecords = 1 << chunkShift
    private static let firstSlots = 64
    /// Most records: their indices fit the slots, and the bytes any memory limit.
    private static let maximumRecords = 1 << 30

    init(_ layout: SeriesLayout) {
        self.layout = layout
        cells = layout.cells
        cellCount = layout.cellCount
        stride = layout.stride
        slotCount = Self.firstSlots
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: 0, count: slotCount)
        chunks = .allocate(capacity: chunkCapacity)
        heldBytes = slotCount * 8
    }

    deinit {
        for index in 0..<used { release(index) }
        for chunk in 0..<chunkCount { free(chunks[chunk]) }
        chunks.deallocate()
        slots.deallocate()
    }

    /// The record at an index below `used`.
    @inline(__always)
    func record(_ index: Int) -> UnsafeMutableRawPointer {
        chunks[index &>> Self.chunkShift] + (index & (Self.chunkRecords - 1)) &* stride
    }

    @inline(__always)
    func header(_ index: Int) -> UnsafeMutablePointer<SeriesHeader> {
        record(index).assumingMemoryBound(to: SeriesHeader.self)
    }

    /// The index of a record; nil when there is none.
    @inline(__always)
    func find(_ hash: UInt64, _ tag: UInt64, _ key: UnsafeRawBufferPointer) -> Int? {
        let mask = slotCount &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = slots[slot]
            if entry == 0 { return nil }
            if entry &>> 32 == hash &>> 32 {
                let index = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF) &- 1
                let header = header(index)
                if header.pointee.tag == tag, Int(header.pointee.keyCount) == key.count {
                    guard key.count > 0, let base = key.baseAddress, let own = header.pointee.blob else { return index }
                    if SeriesHash.equal(own, base, key.count) { return index }
                }
            }
            slot = (slot &+ 1) & mask
        }
    }

    /// Bytes that one more record takes, without what it grows by later.
    func size(key: Int, attributes: Int) -> Int { layout.stride + 16 + key + attributes }

    /// Adds a record that is not there yet; its cells are empty. Nil when memory is refused.
    func insert(
        _ hash: UInt64, _ tag: UInt64, _ key: UnsafeRawBufferPointer, attributes: UnsafeRawBufferPointer, at now: UInt64
    ) -> Int? {
        guard key.count <= Int(Int32.max), attributes.count <= Int(Int32.max), used < Self.maximumRecords,
            (count + 1) * 2 <= slotCount || growSlots(), let index = takeRecord()
        else { return nil }
        var blob: UnsafeMutableRawPointer?
        let bytes = key.count + attributes.count
        if bytes > 0 {
            guard let memory = malloc(bytes) else {
                giveBack(index)
                return nil
            }
            if let from = key.baseAddress { memcpy(memory, from, key.count) }
            if let from = attributes.baseAddress { memcpy(memory + key.count, from, attributes.count) }
            blob = memory
        }
        let record = record(index)
        memset(record, 0, layout.stride)
        record.bindMemory(to: SeriesHeader.self, capacity: 1).initialize(
            to: SeriesHeader(
                hash: hash, tag: tag, blob: blob, keyCount: UInt32(key.count),
                attributeCount: UInt32(attributes.count), created: now, lastSeen: now, exemplars: nil, next: 0,
                carry: UInt16(truncatingIfNeeded: (hash ^ now) &* 0x9E37_79B9_7F4A_7C15 >> 48), marks: 0))
        for cell in 0..<layout.cellCount {
            let cell = layout.cells[cell]
            if cell.form == .histogram {
                (record + cell.offset).assumingMemoryBound(to: HistogramCell.self).pointee.minimum = .infinity
            } else if cell.form == .exponential {
                (record + cell.offset).assumingMemoryBound(to: ExponentialCell.self).pointee = .empty
            }
        }
        place(hash, index)
        count += 1
        heldBytes += size(key: key.count, attributes: attributes.count)
        return index
    }

    /// Adds to `heldBytes` what cells have grown by.
    @inline(__always)
    func grew(by bytes: Int) { heldBytes &+= bytes }

    private func place(_ hash: UInt64, _ index: Int) {
        let mask = slotCount - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = (hash >> 32) << 32 | UInt64(index + 1)
    }

    private func growSlots() -> Bool {
        let old = slots
        let wanted = slotCount * 2
        slots = .allocate(capacity: wanted)
        slots.initialize(repeating: 0, count: wanted)
        heldBytes += (wanted - slotCount) * 8
        slotCount = wanted
        old.deallocate()
        placeAll()
        return true
    }

    private func placeAll() {
        for index in 0..<used where header(index).pointee.marks != Self.unused {
            place(header(index).pointee.hash, index)
        }
    }

    /// `marks` of a record that is not in use. Those of one in use never have all bits: see `maximumCells`.
    static let unused = UInt16.max

    private func takeRecord() -> Int? {
        if freeHead > 0 {
            let index = Int(freeHead) - 1
            freeHead = header(index).pointee.next
            return index
        }
        if used == chunkCount << Self.chunkShift {
            guard let chunk = malloc(layout.stride << Self.chunkShift) else { return nil }
            if chunkCount == chunkCapacity {
                let moved = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: chunkCapacity * 2)
                moved.moveInitialize(from: chunks, count: chunkCount)
                chunks.deallocate()
                chunks = moved
                chunkCapacity *= 2
            }
            (chunks + chunkCount).initialize(to: chunk)
            chunkCount += 1
        }
        used += 1
        return used - 1
    }

    private func giveBack(_ index: Int) {
        let header = record(index).bindMemory(to: SeriesHeader.self, capacity: 1)
        header.pointee.marks = Self.unused
        header.pointee.next = freeHead
        freeHead = UInt32(index + 1)
    }

    /// Whether the record at an index below `used` is in use.
    func isInUse(_ index: Int) -> Bool { header(index).pointee.marks != Self.unused }

    /// Frees what a record points to.
    private func release(_ index: Int) {
        let header = header(index)
        guard header.pointee.marks != Self.unused else { return }
        free(header.pointee.blob)
        header.pointee.blob = nil
        heldBytes -= size(key: Int(header.pointee.keyCount), attributes: Int(header.pointee.attributeCount))
        heldBytes -= ExemplarList.free(&header.pointee.exemplars)
        let record = record(index)
        for cell in 0..<layout.cellCount where layout.cells[cell].form == .exponential {
            let buckets = (record + layout.cells[cell].offset).assumingMemoryBound(to: ExponentialCell.self)
            free(buckets.pointee.counts)
            buckets.pointee.counts = nil
            heldBytes -= Int(buckets.pointee.capacity) * 8
        }
    }

    /// Takes a record out. `rebuild` must follow before the next look-up.
    func remove(_ index: Int) {
        release(index)
        giveBack(index)
        count -= 1
    }

    /// Makes the slots anew after removals.
    func rebuild() {
        slots.update(repeating: 0, count: slotCount)
        placeAll()
    }

    /// Takes all records out; keeps the memory of the records themselves for the next ones, up to `keeping` of them.
    func removeAll(keeping kept: Int = .max) {
        for index in 0..<used { release(index) }
        used = 0
        count = 0
        freeHead = 0
        let chunksToKeep = kept >> Self.chunkShift
        while chunkCount > chunksToKeep {
            chunkCount -= 1
            free(chunks[chunkCount])
        }
        if slotCount > Self.firstSlots, slotCount / 4 > kept {
            slots.deallocate()
            heldBytes -= (slotCount - Self.firstSlots) * 8
            slotCount = Self.firstSlots
            slots = .allocate(capacity: slotCount)
            slots.initialize(repeating: 0, count: slotCount)
        } else {
            slots.update(repeating: 0, count: slotCount)
        }
    }
}
