internal import Glibc

/// A trace that is held.
struct TraceRecord {
    struct Link {
        var previous: UInt32
        var next: UInt32
    }

    var high: UInt64
    var low: UInt64
    /// Nanoseconds, as the driver tells them.
    var firstSeen: Int64
    var lastSeen: Int64
    /// When a root span came; `Int64.max` before.
    var rootSeen: Int64
    var head: UnsafeMutablePointer<Segment>?
    var tail: UnsafeMutablePointer<Segment>?
    /// The first segment of the present request.
    var fresh: UnsafeMutablePointer<Segment>?
    /// Bytes of its spans.
    var bytes: Int
    var spans: UInt32
    /// Log records that wait for its decision; not in `bytes`.
    var logs: UInt32
    /// The request that came last.
    var generation: UInt32
    /// For a trace that is to be kept at its time (`span-ingest`), the policy; `nothingPending` otherwise.
    var pendingPolicy: Int32
    var links: InlineArray<3, Link>

    static let nothingPending: Int32 = -1
    /// To be kept by a policy that is no more.
    static let formerPolicy: Int32 = -2
}

/// The orders in which traces fall due: each trace waits the same time in a list, so its order is that of entry.
enum TraceList: Int, CaseIterable {
    /// By the first span; every trace is in it.
    case age
    /// By the root span.
    case root
    /// By the last span.
    case idle
}

/// Traces by id, and in the orders of `TraceList`. Slots are stable until `shrink`. One owner; not thread-safe.
struct TraceTable: ~Copyable {
    static let none = UInt32.max
    private static let initialCapacity = 256

    private(set) var records: UnsafeMutablePointer<TraceRecord>?
    private var capacity = 0
    /// Slots in use or free; those beyond were never used.
    private var used = 0
    private var free = TraceTable.none
    private(set) var count = 0
    /// Open-addressed: slots by id; `none` is empty.
    private var index: UnsafeMutablePointer<UInt32>?
    private var indexMask = -1
    private var heads = InlineArray<3, UInt32>(repeating: TraceTable.none)
    private var tails = InlineArray<3, UInt32>(repeating: TraceTable.none)
    private let seeds: (UInt64, UInt64)

    /// - Parameter seeds: random, so that nobody can choose ids that fall together.
    init(seeds: (UInt64, UInt64)) { self.seeds = seeds }

    deinit {
        Glibc.free(records)
        Glibc.free(index)
    }

    var heldBytes: Int { used * MemoryLayout<TraceRecord>.stride + (indexMask + 1) * 4 }

    @inline(__always)
    private func home(_ high: UInt64, _ low: UInt64) -> Int {
        Int(truncatingIfNeeded: mixed(high, low, seeds)) & indexMask
    }

    /// The slot of a trace; `none` when it is not held.
    @inline(__always)
    func find(_ high: UInt64, _ low: UInt64) -> UInt32 {
        guard let index, let records else { return Self.none }
        var position = home(high, low)
        while index[position] != Self.none {
            let slot = index[position]
            if records[Int(slot)].low == low, records[Int(slot)].high == high { return slot }
            position = (position + 1) & indexMask
        }
        return Self.none
    }

    /// Adds a trace that is not held, at the end of `age`; `none` when memory is refused.
    mutating func insert(_ high: UInt64, _ low: UInt64, now: Int64) -> UInt32 {
        guard growIndex(), let slot = takeSlot(), let records, let index else { return Self.none }
        let link = TraceRecord.Link(previous: Self.none, next: Self.none)
        (records + Int(slot)).initialize(
            to: TraceRecord(
                high: high, low: low, firstSeen: now, lastSeen: now, rootSeen: .max, bytes: 0, spans: 0, logs: 0,
                generation: 0,
                pendingPolicy: TraceRecord.nothingPending, links: InlineArray(repeating: link)))
        var position = home(high, low)
        while index[position] != Self.none { position = (position + 1) & indexMask }
        index[position] = slot
        count += 1
        append(slot, to: .age)
        return slot
    }

    private mutating func takeSlot() -> UInt32? {
        if free != Self.none, let records {
            let slot = free
            free = records[Int(slot)].links[0].next
            return slot
        }
        if used == capacity {
            let target = max(Self.initialCapacity, capacity * 2)
            guard target < Int(Self.none),
                let moved = realloc(records, target * MemoryLayout<TraceRecord>.stride)
            else { return nil }
            records = moved.assumingMemoryBound(to: TraceRecord.self)
            capacity = target
        }
        used += 1
        return UInt32(used - 1)
    }

    /// Keeps the index at most half full.
    private mutating func growIndex() -> Bool {
        guard (count + 1) * 2 > indexMask + 1 else { return true }
        return rebuildIndex(max(Self.initialCapacity * 2, (indexMask + 1) * 2))
    }

    private mutating func rebuildIndex(_ size: Int) -> Bool {
        guard let new = malloc(size * 4)?.assumingMemoryBound(to: UInt32.self) else { return false }
        new.initialize(repeating: Self.none, count: size)
        Glibc.free(index)
        index = new
        indexMask = size - 1
        guard let records else { return true }
        var slot = heads[TraceList.age.rawValue]
        while slot != Self.none {
            let record = records + Int(slot)
            var position = home(record.pointee.high, record.pointee.low)
            while new[position] != Self.none { position = (position + 1) & indexMask }
            new[position] = slot
            slot = record.pointee.links[TraceList.age.rawValue].next
        }
        return true
    }

    /// Forgets a trace and takes it out of all lists. Its segments are the caller's.
    mutating func remove(_ slot: UInt32) {
        guard let records, let index else { return }
        for list in TraceList.allCases { unlink(slot, from: list) }
        let record = records[Int(slot)]
        var hole = home(record.high, record.low)
        while index[hole] != slot {
            guard index[hole] != Self.none else { return }
            hole = (hole + 1) & indexMask
        }
        // What was pushed behind its home by the removed one moves up.
        var position = (hole + 1) & indexMask
        while index[position] != Self.none {
            let other = records[Int(index[position])]
            let distance = (position - home(other.high, other.low)) & indexMask
            if distance >= (position - hole) & indexMask {
                index[hole] = index[position]
                hole = position
            }
            position = (position + 1) & indexMask
        }
        index[hole] = Self.none
        records[Int(slot)].links[0].next = free
        free = slot
        count -= 1
    }

    // MARK: Lists

    /// The first trace of a list; `none` when it is empty.
    @inline(__always)
    func first(_ list: TraceList) -> UInt32 { heads[list.rawValue] }

    /// Puts a trace that is not in the list at its end.
    mutating func append(_ slot: UInt32, to list: TraceList) {
        guard let records else { return }
        let last = tails[list.rawValue]
        records[Int(slot)].links[list.rawValue] = TraceRecord.Link(previous: last, next: Self.none)
        if last == Self.none {
            heads[list.rawValue] = slot
        } else {
            records[Int(last)].links[list.rawValue].next = slot
        }
        tails[list.rawValue] = slot
    }

    /// Takes a trace out of a list; one that is not in it stays as it is.
    mutating func unlink(_ slot: UInt32, from list: TraceList) {
        guard let records else { return }
        let link = records[Int(slot)].links[list.rawValue]
        guard link.previous != Self.none || heads[list.rawValue] == slot else { return }
        if link.previous == Self.none {
            heads[list.rawValue] = link.next
        } else {
            records[Int(link.previous)].links[list.rawValue].next = link.next
        }
        if link.next == Self.none {
            tails[list.rawValue] = link.previous
        } else {
            records[Int(link.next)].links[list.rawValue].previous = link.previous
        }
        records[Int(slot)].links[list.rawValue] = TraceRecord.Link(previous: Self.none, next: Self.none)
    }

    // MARK: Giving back

    /// Gives memory back after a burst: when less than an eighth of the slots is used, traces move together. Slots
    /// change; each trace's segments are told.
    mutating func shrink() {
        guard capacity > Self.initialCapacity, count < capacity / 8, let old = records else { return }
        let target = max(Self.initialCapacity, count * 2)
        let bytes = target * MemoryLayout<TraceRecord>.stride
        guard let new = malloc(bytes)?.assumingMemoryBound(to: TraceRecord.self) else { return }
        var places = [UInt32](repeating: Self.none, count: used)
        var slot = heads[TraceList.age.rawValue]
        var next = 0
        while slot != Self.none {
            places[Int(slot)] = UInt32(next)
            (new + next).initialize(to: old[Int(slot)])
            var segment = new[next].head
            while let current = segment {
                current.pointee.trace = UInt32(next)
                segment = current.pointee.next
            }
            next += 1
            slot = old[Int(slot)].links[TraceList.age.rawValue].next
        }
        func place(_ slot: UInt32) -> UInt32 { slot == Self.none ? Self.none : places[Int(slot)] }
        for list in TraceList.allCases.map(\.rawValue) {
            heads[list] = place(heads[list])
            tails[list] = place(tails[list])
            for slot in 0..<next {
                let link = new[slot].links[list]
                new[slot].links[list] = TraceRecord.Link(previous: place(link.previous), next: place(link.next))
            }
        }
        Glibc.free(old)
        records = new
        capacity = target
        used = next
        free = Self.none
        var size = Self.initialCapacity * 2
        while size < (count + 1) * 2 { size *= 2 }
        _ = rebuildIndex(size)
    }
}

/// 64 bits of a trace id that only who knows the seeds can foresee.
@inline(__always)
func mixed(_ high: UInt64, _ low: UInt64, _ seeds: (UInt64, UInt64)) -> UInt64 {
    let product = (high ^ seeds.0).multipliedFullWidth(by: (low ^ seeds.1) | 1)
    let folded = (product.high ^ product.low).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return folded.high ^ folded.low ^ low
}
