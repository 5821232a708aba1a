internal import Glibc

/// What is kept of one stream: 48 bytes, and for histograms a block beside it.
struct StreamRecord {
    /// What `value` holds.
    enum Form: UInt8 {
        case int
        case double
        /// The address of a `StoredBlock` with a `HistogramValue`.
        case block
    }

    var hash: StreamHash
    /// Start of the cumulative sum, in nanoseconds since 1970.
    var start: UInt64
    /// Time of the last delta, in nanoseconds since 1970.
    var time: UInt64
    var value: UInt64 = 0
    /// When a point came last, in ticks of the table's owner.
    var seen: UInt32
    var form: Form
    /// The series of all streams that found no room.
    var isOverflow = false

    var block: UnsafeMutableRawPointer? {
        form == .block ? UnsafeMutableRawPointer(bitPattern: UInt(value)) : nil
    }
}

/// Records by hash: a dense array, and an open-addressed index of positions in it. One owner; not thread-safe.
///
/// Removing a record moves the last one into its place. The array grows by half; what it reserves beyond its records
/// has not been touched and takes no memory.
struct StreamTable: ~Copyable {
    private var records: UnsafeMutablePointer<StreamRecord>?
    private var capacity = 0
    /// Position + 1 of a record; 0 is free. At most three quarters are taken.
    private var slots: UnsafeMutablePointer<UInt32>?
    private var slotCount = 0
    /// Records in the table.
    private(set) var count = 0
    /// Records with `isOverflow`.
    private(set) var overflowCount = 0
    /// Bytes of the blocks.
    private var blockBytes = 0

    /// Most records: positions are of 32 bits.
    static let maximumCount = Int(UInt32.max) - 1

    deinit {
        for position in 0..<count { StoredBlock.release(records?[position].block) }
        free(records)
        free(slots)
    }

    /// Bytes of the records, the index and the blocks.
    var heldBytes: Int {
        count * MemoryLayout<StreamRecord>.stride + slotCount * MemoryLayout<UInt32>.stride + blockBytes
    }

    /// The record at a position below `count`. Valid until the table changes.
    @inline(__always)
    subscript(position: Int) -> UnsafeMutablePointer<StreamRecord>? {
        position >= 0 && position < count ? records.map { $0 + position } : nil
    }

    /// The position of the record with that hash.
    @inline(__always)
    func find(_ hash: StreamHash) -> Int? {
        guard let slots, let records, slotCount > 0 else { return nil }
        let mask = slotCount &- 1
        var slot = Int(truncatingIfNeeded: hash.low) & mask
        while slots[slot] != 0 {
            let position = Int(slots[slot]) &- 1
            if records[position].hash == hash { return position }
            slot = (slot &+ 1) & mask
        }
        return nil
    }

    /// Adds a record, whose hash the table must not have.
    ///
    /// - Returns: its position; nil when memory is refused.
    mutating func insert(_ record: StreamRecord) -> Int? {
        guard count < Self.maximumCount, growRecords(), growSlots(), let records, let slots else { return nil }
        (records + count).initialize(to: record)
        let mask = slotCount - 1
        var slot = Int(truncatingIfNeeded: record.hash.low) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(count + 1)
        count += 1
        if record.isOverflow { overflowCount += 1 }
        return count - 1
    }

    /// Removes a record with its block. The last one moves to `position`.
    mutating func remove(at position: Int) {
        guard position >= 0, position < count, let records, let slots else { return }
        if records[position].isOverflow { overflowCount -= 1 }
        setBlock(nil, at: position)
        clearSlot(of: position)
        let last = count - 1
        if position < last {
            let moved = slot(of: last)
            records[position] = records[last]
            slots[moved] = UInt32(position + 1)
        }
        count = last
    }

    /// The slot that holds a position, which must be in the table.
    private func slot(of position: Int) -> Int {
        guard let slots, let records else { return 0 }
        let mask = slotCount - 1
        var slot = Int(truncatingIfNeeded: records[position].hash.low) & mask
        while slots[slot] != UInt32(position + 1) { slot = (slot + 1) & mask }
        return slot
    }

    /// Frees the slot of a position, and moves those behind it that would not be found any more.
    private mutating func clearSlot(of position: Int) {
        guard let slots, let records else { return }
        let mask = slotCount - 1
        var hole = slot(of: position)
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let home = Int(truncatingIfNeeded: records[Int(slots[next]) - 1].hash.low) & mask
            // It may move when its home is not between the hole and where it stands.
            if (next - home) & mask >= (next - hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = 0
    }

    /// Gives a record another `StoredBlock`, and frees the one that it has.
    mutating func setBlock(_ block: UnsafeMutableRawPointer?, at position: Int) {
        guard let record = self[position], record.pointee.form == .block else { return }
        let old = record.pointee.block
        if old != block {
            release(old)
            if let block { blockBytes += StoredBlock.size(block) }
        }
        record.pointee.value = UInt64(UInt(bitPattern: block))
    }

    private mutating func release(_ block: UnsafeMutableRawPointer?) {
        guard let block else { return }
        blockBytes -= StoredBlock.size(block)
        StoredBlock.release(block)
    }

    private mutating func growRecords() -> Bool {
        guard count == capacity else { return true }
        let wanted = max(64, capacity + capacity / 2)
        let size = MemoryLayout<StreamRecord>.stride
        guard let moved = realloc(records, wanted * size) else { return false }
        records = moved.bindMemory(to: StreamRecord.self, capacity: wanted)
        capacity = wanted
        return true
    }

    private mutating func growSlots() -> Bool {
        guard (count + 1) * 4 > slotCount * 3 else { return true }
        let wanted = max(64, slotCount * 2)
        guard let memory = calloc(wanted, MemoryLayout<UInt32>.stride) else { return false }
        let grown = memory.bindMemory(to: UInt32.self, capacity: wanted)
        if let records {
            for position in 0..<count {
                var slot = Int(truncatingIfNeeded: records[position].hash.low) & (wanted - 1)
                while grown[slot] != 0 { slot = (slot + 1) & (wanted - 1) }
                grown[slot] = UInt32(position + 1)
            }
        }
        free(slots)
        slots = grown
        slotCount = wanted
        return true
    }
}
