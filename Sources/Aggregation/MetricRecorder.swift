/// Takes the measurements of one thread at a time: what it has is moved to the aggregator's store at each collection,
/// and when it grows over its share of memory. See `MetricAggregator.withRecorder`.
package final class MetricRecorder {
    /// A resource within this recorder, valid until the next call of `resource`, and not beyond `withRecorder`.
    package struct Resource: Equatable {
        let index: UInt32
    }

    /// Highest `tag` that a caller may use.
    package static let maximumTag = UInt32.max - 1
    /// The tag of the series for what is beyond the limits.
    static let overflowTag = UInt32.max

    let tables: UnsafeMutablePointer<Unmanaged<SeriesTable>>
    let familyCount: Int
    private let resources: SeriesTable
    private let byteLimit: Int
    private let store: MetricStore
    private let exemplarLimit: Int
    /// Nanoseconds since 1970; of the caller of `withRecorder`.
    fileprivate(set) package var now: UInt64 = 0

    init(_ layouts: [SeriesLayout], resourceLayout: SeriesLayout, store: MetricStore, byteLimit: Int, exemplars: Int) {
        familyCount = layouts.count
        tables = .allocate(capacity: max(1, layouts.count))
        for (index, layout) in layouts.enumerated() {
            (tables + index).initialize(to: Unmanaged.passRetained(SeriesTable(layout)))
        }
        resources = SeriesTable(resourceLayout)
        self.store = store
        self.byteLimit = byteLimit
        exemplarLimit = exemplars
    }

    deinit {
        for index in 0..<familyCount { tables[index].release() }
        tables.deallocate()
    }

    func begin(_ now: UInt64) { self.now = now }

    var heldBytes: Int {
        var bytes = resources.heldBytes
        for index in 0..<familyCount { bytes += tables[index]._withUnsafeGuaranteedRef { $0.heldBytes } }
        return bytes
    }

    /// A resource by its encoded Resource message (which may be empty). The bytes are copied. Resources with the same
    /// attributes in another order are the same in what is written.
    package func resource(_ message: UnsafeRawBufferPointer) -> Resource {
        let hash = SeriesHash.of(0, message)
        if let index = resources.find(hash, 0, message) {
            resources.header(index).pointee.lastSeen = now
            return Resource(index: UInt32(index))
        }
        if heldBytes + message.count > byteLimit { drain() }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let index = resources.insert(hash, 0, message, attributes: none, at: now)
        return Resource(index: index.map { UInt32($0) } ?? .max)
    }

    /// The series of a resource that `key` and `tag` (up to `maximumTag`) stand for; nil when it is not there yet.
    ///
    /// Two sets of attributes must have different keys or tags, and one set always the same; how the caller makes keys
    /// is its own business, as long as it does so in one way for a family.
    @inline(__always)
    package func series(
        _ family: Int, _ resource: Resource, tag: UInt32, key: UnsafeRawBufferPointer
    ) -> Series? {
        guard family >= 0, family < familyCount else { return nil }
        let tag = UInt64(resource.index) << 32 | UInt64(tag)
        let hash = SeriesHash.of(tag, key)
        let now = now
        return tables[family]._withUnsafeGuaranteedRef { table -> Series? in
            guard let index = table.find(hash, tag, key) else { return nil }
            let record = table.record(index)
            record.assumingMemoryBound(to: SeriesHeader.self).pointee.lastSeen = now
            return Series(record: record, table: table)
        }
    }

    /// Adds the series that `series` did not find.
    ///
    /// - Parameters:
    ///   - attributes: the attributes as fields of number 1 (as in a Resource message; see
    ///     `WireWriter.append(field:key:_:)`), in the order in which they are written. Copied.
    /// - Returns: nil when memory was refused; the measurement is then counted by `MetricAggregator.dropped`.
    package func addSeries(
        _ family: Int, _ resource: Resource, tag: UInt32, key: UnsafeRawBufferPointer,
        attributes: UnsafeRawBufferPointer
    ) -> Series? {
        guard family >= 0, family < familyCount, resource.index != .max, tag != Self.overflowTag else {
            store.countDropped()
            return nil
        }
        let tag = UInt64(resource.index) << 32 | UInt64(tag)
        let hash = SeriesHash.of(tag, key)
        if heldBytes + key.count + attributes.count > byteLimit { drainSeries() }
        let now = now
        return tables[family]._withUnsafeGuaranteedRef { table -> Series? in
            guard let index = table.insert(hash, tag, key, attributes: attributes, at: now) else {
                store.countDropped()
                return nil
            }
            return Series(record: table.record(index), table: table)
        }
    }

    /// As `Series.addExemplar`, with the limit of the settings; free when there is none.
    @inline(__always)
    package func addExemplar(
        _ value: Double, time: UInt64, traceID: UnsafeRawBufferPointer, spanID: UnsafeRawBufferPointer,
        to series: Series
    ) {
        guard exemplarLimit > 0 else { return }
        series.addExemplar(value, time: time, traceID: traceID, spanID: spanID, limit: exemplarLimit)
    }

    /// Moves all that was measured to the store. Resources and series are invalid afterwards.
    func drain() {
        drainSeries()
        resources.removeAll(keeping: Self.keptRecords)
    }

    /// Records whose memory is kept for the next ones.
    private static let keptRecords = 1 << 16

    private func drainSeries() {
        var isEmpty = true
        for family in 0..<familyCount where tables[family]._withUnsafeGuaranteedRef({ $0.count }) > 0 {
            isEmpty = false
        }
        guard !isEmpty else { return }
        store.withLock { content in
            var indices = [Int](repeating: -1, count: resources.used)
            for family in 0..<familyCount {
                tables[family]._withUnsafeGuaranteedRef { table in
                    for index in 0..<table.used {
                        let resource = Int(table.header(index).pointee.tag >> 32)
                        guard resource < indices.count else { continue }
                        if indices[resource] < 0 {
                            indices[resource] = content.resource(of: resources.header(resource))
                        }
                        if !content.merge(table, index, family: family, resource: indices[resource]) {
                            store.countDropped()
                        }
                    }
                    table.removeAll(keeping: Self.keptRecords)
                }
            }
        }
    }
}
