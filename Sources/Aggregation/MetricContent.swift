internal import OTLP

/// Series by resource and family, with the limits on them. Used by one thread at a time.
final class MetricContent {
    /// Of each family, beside the header of a resource: its series as a list, and how many count for the limit.
    struct FamilyList {
        var head: UInt32
        var count: UInt32
    }

    let settings: AggregationSettings
    let layouts: [SeriesLayout]
    let resources: SeriesTable
    let tables: [SeriesTable]
    /// When the interval of delta points began: nanoseconds since 1970.
    let intervalStart: UInt64
    private let byteLimit: Int
    private let account: @Sendable (Int) -> Bool
    /// Bytes for which `account` has given its consent.
    private var accounted = 0
    /// Bytes of the recorders when they were last looked at.
    var recorderBytes = 0

    /// Steps in which memory is asked for: 64 KiB.
    private static let accountStep = 64 << 10

    init(
        _ settings: AggregationSettings, _ layouts: [SeriesLayout], byteLimit: Int, start: UInt64,
        account: @escaping @Sendable (Int) -> Bool
    ) {
        self.settings = settings
        self.layouts = layouts
        self.byteLimit = byteLimit
        self.account = account
        intervalStart = start
        let lists = MemoryLayout<FamilyList>.stride * layouts.count
        resources = SeriesTable(SeriesLayout([], extra: lists))
        tables = layouts.map { SeriesTable($0) }
    }

    /// An empty content with the same limits, for the interval that begins at `now`.
    convenience init(following other: MetricContent, at now: UInt64) {
        self.init(other.settings, other.layouts, byteLimit: other.byteLimit, start: now, account: other.account)
        accounted = other.accounted
        recorderBytes = other.recorderBytes
    }

    /// Bytes of series and resources.
    var heldBytes: Int { tables.reduce(resources.heldBytes) { $0 + $1.heldBytes } }

    /// Series that are kept, of all resources and families.
    var seriesCount: Int { tables.reduce(0) { $0 + $1.count } }

    func list(_ resource: Int, _ family: Int) -> UnsafeMutablePointer<FamilyList> {
        (resources.record(resource) + MemoryLayout<SeriesHeader>.stride).assumingMemoryBound(to: FamilyList.self)
            + family
    }

    // MARK: Memory

    private func mayGrow(by bytes: Int) -> Bool {
        let held = heldBytes + bytes
        guard held <= byteLimit else { return false }
        let total = held + recorderBytes
        if total <= accounted { return true }
        guard account(total + Self.accountStep) else { return false }
        accounted = total + Self.accountStep
        return true
    }

    /// Tells what is held, which may be less than before, or, for series that grew, more.
    func settleAccount() {
        let total = heldBytes + recorderBytes
        if account(total) { accounted = total }
    }

    // MARK: Resources

    /// The index of the resource that a recorder's record is for.
    func resource(of source: UnsafeMutablePointer<SeriesHeader>) -> Int {
        let identity = ResourceIdentity(source.pointee.key, keys: settings.resourceKeyAttributes)
        let key = identity.key.withUnsafeBytes { Array($0) }
        let index = key.withUnsafeBytes { key -> Int? in
            let hash = SeriesHash.of(0, key)
            if let known = resources.find(hash, 0, key) { return known }
            guard mayGrow(by: resources.size(key: key.count, attributes: identity.fields.count)) else { return nil }
            return identity.fields.withUnsafeBytes {
                resources.insert(hash, 0, key, attributes: $0, at: source.pointee.created)
            }
        }
        guard let found = index ?? overflowResource(source.pointee.created) else { return -1 }
        let header = resources.header(found)
        header.pointee.lastSeen = max(header.pointee.lastSeen, source.pointee.lastSeen)
        return found
    }

    /// The resource for those that found no room.
    private func overflowResource(_ now: UInt64) -> Int? {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let hash = SeriesHash.of(1, none)
        if let known = resources.find(hash, 1, none) { return known }
        return Self.overflowAttribute.withUnsafeBytes {
            resources.insert(hash, 1, none, attributes: $0, at: now)
        }
    }

    /// `otel.metric.overflow=true` as a field of number 1.
    static let overflowAttribute: [UInt8] = {
        var writer = WireWriter()
        let name: StaticString = "otel.metric.overflow"
        writer.append(
            field: 1, key: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), .bool(true))
        return Array(writer.bytes)
    }()

    // MARK: Series

    /// Adds the record at `index` of a recorder's table. `resource` may be negative: then there was no memory at all,
    /// and the measurements are lost, which the caller's `false` counts.
    func merge(_ source: SeriesTable, _ index: Int, family: Int, resource: Int) -> Bool {
        guard resource >= 0 else { return false }
        let from = source.header(index)
        guard let target = series(from, family, resource) else { return false }
        let table = tables[family]
        let to = table.header(target)
        if to.pointee.marks & SeriesHeader.wasWritten == 0 {
            to.pointee.created = min(to.pointee.created, from.pointee.created)
        }
        to.pointee.lastSeen = max(to.pointee.lastSeen, from.pointee.lastSeen)
        to.pointee.marks |= from.pointee.marks
        var grown = SeriesMerge.cells(layouts[family], from: source.record(index), into: table.record(target))
        if let exemplars = from.pointee.exemplars {
            for position in 0..<Int(exemplars.pointee.count) {
                grown += ExemplarList.append(
                    ExemplarList.entries(exemplars)[position], to: &to.pointee.exemplars, limit: settings.exemplarLimit)
            }
        }
        table.grew(by: grown)
        return true
    }

    /// The series for a recorder's record, or the one for what is beyond the limits.
    private func series(_ from: UnsafeMutablePointer<SeriesHeader>, _ family: Int, _ resource: Int) -> Int? {
        let table = tables[family]
        let tag = UInt64(resource) << 32 | from.pointee.tag & 0xFFFF_FFFF
        let key = from.pointee.key
        let hash = SeriesHash.of(tag, key)
        if let known = table.find(hash, tag, key) { return known }
        let list = list(resource, family)
        let hasRoom = settings.seriesLimit == 0 || Int(list.pointee.count) < settings.seriesLimit
        if hasRoom, mayGrow(by: table.size(key: key.count, attributes: Int(from.pointee.attributeCount))),
            let index = table.insert(hash, tag, key, attributes: from.pointee.attributes, at: from.pointee.created)
        {
            list.pointee.count += 1
            link(index, family, resource)
            return index
        }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let overflowTag = UInt64(resource) << 32 | UInt64(MetricRecorder.overflowTag)
        let overflowHash = SeriesHash.of(overflowTag, none)
        if let known = table.find(overflowHash, overflowTag, none) { return known }
        let index = Self.overflowAttribute.withUnsafeBytes {
            table.insert(overflowHash, overflowTag, none, attributes: $0, at: from.pointee.created)
        }
        if let index { link(index, family, resource) }
        return index
    }

    private func link(_ index: Int, _ family: Int, _ resource: Int) {
        let list = list(resource, family)
        tables[family].header(index).pointee.next = list.pointee.head
        list.pointee.head = UInt32(index + 1)
    }

    // MARK: Expiry

    /// Whether a series is forgotten after the collection at `now`.
    func isExpired(_ series: UnsafeMutablePointer<SeriesHeader>, ofExpired resource: Bool, _ now: UInt64) -> Bool {
        if resource { return true }
        return settings.seriesExpiration > 0
            && Self.age(series.pointee.lastSeen, now) >= settings.seriesExpiration
    }

    func isExpired(resource: Int, _ now: UInt64) -> Bool {
        settings.resourceExpiration > 0
            && Self.age(resources.header(resource).pointee.lastSeen, now) >= settings.resourceExpiration
    }

    private static func age(_ time: UInt64, _ now: UInt64) -> UInt64 { now > time ? now - time : 0 }

    /// After a collection: forgets what has expired, the resources beyond their limit, and the exemplars.
    func forget(at now: UInt64) {
        let surplus = resources.count - max(1, settings.resourceLimit)
        guard
            settings.exemplarLimit > 0 || settings.seriesExpiration > 0 || settings.resourceExpiration > 0
                || surplus > 0
        else { return }
        let oldest = surplus > 0 ? leastRecent(surplus) : []
        var removed = [Bool](repeating: false, count: tables.count)
        var hasRemovedResources = false
        for resource in 0..<resources.used where resources.isInUse(resource) {
            let isGone = isExpired(resource: resource, now) || oldest.contains(resource)
            var isEmpty = true
            for family in tables.indices {
                if forgetSeries(of: resource, family, all: isGone, now) { removed[family] = true }
                if list(resource, family).pointee.head != 0 { isEmpty = false }
            }
            if isGone || isEmpty {
                resources.remove(resource)
                hasRemovedResources = true
            }
        }
        for family in tables.indices where removed[family] { tables[family].rebuild() }
        if hasRemovedResources { resources.rebuild() }
    }

    /// True when series were removed.
    private func forgetSeries(of resource: Int, _ family: Int, all: Bool, _ now: UInt64) -> Bool {
        let table = tables[family]
        let list = list(resource, family)
        var kept: UInt32 = 0
        var next = list.pointee.head
        var hasRemoved = false
        while next != 0 {
            let index = Int(next) - 1
            let header = table.header(index)
            next = header.pointee.next
            table.grew(by: -ExemplarList.free(&header.pointee.exemplars))
            if isExpired(header, ofExpired: all, now) {
                if header.pointee.tag & 0xFFFF_FFFF != UInt64(MetricRecorder.overflowTag) { list.pointee.count -= 1 }
                table.remove(index)
                hasRemoved = true
            } else {
                header.pointee.next = kept
                kept = UInt32(index + 1)
            }
        }
        list.pointee.head = kept
        return hasRemoved
    }

    /// The `count` resources that were seen least recently.
    private func leastRecent(_ count: Int) -> Set<Int> {
        let known = (0..<resources.used).filter { resources.isInUse($0) }
        let sorted = known.sorted { resources.header($0).pointee.lastSeen < resources.header($1).pointee.lastSeen }
        return Set(sorted.prefix(count))
    }
}

/// Adds the values of one record to another of the same layout.
enum SeriesMerge {
    /// Returns the bytes by which buckets have grown.
    static func cells(
        _ layout: SeriesLayout, from: UnsafeMutableRawPointer, into: UnsafeMutableRawPointer
    ) -> Int {
        var grown = 0
        let marks = from.assumingMemoryBound(to: SeriesHeader.self).pointee.marks
        for index in 0..<layout.cellCount {
            let cell = layout.cells[index]
            guard marks & cell.mark != 0 else { continue }
            let source = from + cell.offset
            let target = into + cell.offset
            switch cell.form {
            case .sum:
                let sum = target.assumingMemoryBound(to: Int64.self)
                let (result, overflow) = sum.pointee.addingReportingOverflow(source.load(as: Int64.self))
                sum.pointee = overflow ? .max : result
            case .doubleSum:
                target.assumingMemoryBound(to: Double.self).pointee += source.load(as: Double.self)
            case .fixedPointSum:
                let sum = target.assumingMemoryBound(to: Int128.self)
                let (result, overflow) = sum.pointee.addingReportingOverflow(source.load(as: Int128.self))
                sum.pointee = overflow ? .max : result
            case .histogram:
                let to = target.assumingMemoryBound(to: HistogramCell.self)
                let other = source.assumingMemoryBound(to: HistogramCell.self)
                to.pointee.sum += other.pointee.sum
                to.pointee.minimum = min(to.pointee.minimum, other.pointee.minimum)
                to.pointee.maximum = max(to.pointee.maximum, other.pointee.maximum)
                let counts = UnsafeMutableRawPointer(to + 1).assumingMemoryBound(to: UInt64.self)
                let added = UnsafeMutableRawPointer(other + 1).assumingMemoryBound(to: UInt64.self)
                for bucket in 0...cell.boundCount { counts[bucket] = saturatingSum(counts[bucket], added[bucket]) }
            case .exponential:
                grown += target.assumingMemoryBound(to: ExponentialCell.self).pointee.merge(
                    source.assumingMemoryBound(to: ExponentialCell.self).pointee, maxSize: cell.maxSize)
            }
        }
        return grown
    }
}
