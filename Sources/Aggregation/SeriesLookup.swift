internal import CPrefetch

/// The look-up of a series, one of several that are made at once: see `MetricRecorder.prepare`. Plain data of the
/// caller, which leaves the bytes of the key as they are until the look-up is done.
package struct SeriesLookup {
    let key: UnsafeRawPointer
    var keyCount = 0
    var tag: UInt64 = 0
    var hash: UInt64 = 0
    /// The index of the record that it is, by its hash; -1 without one.
    var candidate = -1

    /// - Parameter key: where the key of the series is going to be.
    package init(key: UnsafeRawPointer) { self.key = key }

    /// Says which series is meant, as `MetricRecorder.series` does.
    ///
    /// - Parameter keyCount: bytes of the key, which is in place.
    package mutating func set(_ resource: MetricRecorder.Resource, tag: UInt32, keyCount: Int) {
        self.tag = UInt64(resource.index) << 32 | UInt64(tag)
        self.keyCount = keyCount
    }

    var keyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: key, count: keyCount) }
}

extension MetricRecorder {
    /// Begins to look up several series of a family: asks for the memory that they are in, all at a time, which is far
    /// away when there are many. `series(_:_:)` finishes each.
    package func prepare(_ family: Int, _ lookups: UnsafeMutableBufferPointer<SeriesLookup>) {
        guard family >= 0, family < familyCount else { return }
        tables[family]._withUnsafeGuaranteedRef { table in
            for index in lookups.indices {
                let hash = SeriesHash.of(lookups[index].tag, lookups[index].keyBytes)
                lookups[index].hash = hash
                table.prefetchSlot(hash)
            }
            for index in lookups.indices {
                lookups[index].candidate = table.candidate(lookups[index].hash)
                table.prefetchRecord(lookups[index].candidate)
            }
            for index in lookups.indices { table.prefetchKey(lookups[index].candidate, lookups[index].keyCount) }
        }
    }

    /// The series of a look-up that has been prepared; nil when it is not there yet.
    package func series(_ family: Int, _ lookup: SeriesLookup) -> Series? {
        guard family >= 0, family < familyCount else { return nil }
        let now = now
        return tables[family]._withUnsafeGuaranteedRef { table -> Series? in
            guard let index = table.find(lookup) else { return nil }
            let record = table.record(index)
            record.assumingMemoryBound(to: SeriesHeader.self).pointee.lastSeen = now
            return Series(record: record, table: table)
        }
    }
}

extension SeriesTable {
    @inline(__always)
    fileprivate func prefetchSlot(_ hash: UInt64) {
        martlet_prefetch(slots + (Int(truncatingIfNeeded: hash) & (slotCount &- 1)))
    }

    /// The index of the first record with a hash, or with one that is much like it; -1 without one.
    @inline(__always)
    fileprivate func candidate(_ hash: UInt64) -> Int {
        let mask = slotCount &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = slots[slot]
            if entry == 0 { return -1 }
            if entry &>> 32 == hash &>> 32 { return Int(truncatingIfNeeded: entry & 0xFFFF_FFFF) &- 1 }
            slot = (slot &+ 1) & mask
        }
    }

    private static var line: Int { 64 }

    @inline(__always)
    fileprivate func prefetchRecord(_ index: Int) {
        guard index >= 0 else { return }
        let record = record(index)
        var offset = 0
        while offset < stride {
            martlet_prefetch(record + offset)
            offset &+= Self.line
        }
        martlet_prefetch(record + (stride &- 1))
    }

    @inline(__always)
    fileprivate func prefetchKey(_ index: Int, _ count: Int) {
        guard index >= 0, let key = header(index).pointee.blob else { return }
        var offset = 0
        while offset < count {
            martlet_prefetch(key + offset)
            offset &+= Self.line
        }
    }

    /// As `find` of its parts; less when what is there has stayed as it was.
    @inline(__always)
    fileprivate func find(_ lookup: SeriesLookup) -> Int? {
        let index = lookup.candidate
        // What was taken out in between may have left anything there: only what is the same is taken for it.
        if index >= 0, index < used {
            let header = header(index)
            if header.pointee.tag == lookup.tag, Int(header.pointee.keyCount) == lookup.keyCount,
                header.pointee.marks != Self.unused, let own = header.pointee.blob,
                SeriesHash.equal(own, lookup.key, lookup.keyCount)
            {
                return index
            }
        }
        return find(lookup.hash, lookup.tag, lookup.keyBytes)
    }
}
