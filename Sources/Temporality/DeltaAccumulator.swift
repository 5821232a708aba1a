package import OTLP

/// Bounds of a `DeltaAccumulator`.
package struct DeltaLimits: Sendable, Equatable {
    /// What becomes of points of new streams when there is no room.
    package enum Overflow: Sendable, Equatable {
        /// They are dropped and counted.
        case drop
        /// They are added up, for each metric of each scope, in one series with the attribute
        /// `otel.metric.overflow=true`, of which there are at most `maximumOverflowStreams`.
        case series
    }

    /// Most streams with a state of their own.
    package var maximumStreams: Int
    /// Bytes of state from which on no stream is added.
    package var maximumBytes: Int
    /// A stream without a point for longer than this is forgotten, and begins anew with the next one.
    package var maximumStale: Duration
    package var overflow: Overflow

    /// otelcol has no bound; this one is 1,000,000 streams: 55 MB of sums.
    package static let defaultStreams = 1_000_000
    /// 256 MiB.
    package static let defaultBytes = 268_435_456
    /// otelcol's: 5 minutes.
    package static let defaultStale = Duration.seconds(300)
    /// Most series with `otel.metric.overflow`.
    package static let maximumOverflowStreams = 1024

    package init(
        maximumStreams: Int = Self.defaultStreams, maximumBytes: Int = Self.defaultBytes,
        maximumStale: Duration = Self.defaultStale, overflow: Overflow = .drop
    ) {
        self.maximumStreams = maximumStreams
        self.maximumBytes = maximumBytes
        self.maximumStale = maximumStale
        self.overflow = overflow
    }
}

/// Why a delta was not added.
package enum DeltaDropReason: Int, Sendable, CaseIterable {
    /// It begins before the stream does: two writers, or a repetition from before a restart.
    case olderStart
    /// It is not newer than the last one.
    case outOfOrder
    /// There is no room for its stream.
    case limit
    /// It is malformed, has no value, or has buckets that do not fit its bounds.
    case invalid
}

/// What became of one delta point.
package enum DeltaOutcome: Sendable, Equatable {
    /// The cumulative point was written.
    case cumulative
    /// The point of the overflow series was written; it holds the streams that found no room.
    case overflow
    case dropped(DeltaDropReason)
}

/// What became of the points of some metrics.
package struct DeltaCounts: Sendable {
    /// Points that went into a cumulative one.
    package var accumulated = 0
    /// By `DeltaDropReason`.
    private var drops = InlineArray<4, Int>(repeating: 0)

    package init() {}

    /// Points that were dropped for a reason.
    package func dropped(_ reason: DeltaDropReason) -> Int { drops[reason.rawValue] }

    /// Points that were dropped.
    package var dropped: Int { DeltaDropReason.allCases.reduce(0) { $0 + dropped($1) } }

    mutating func drop(_ reason: DeltaDropReason) { drops[reason.rawValue] += 1 }
}

/// Adds up delta points to cumulative ones, a state for each stream.
///
/// A stream is a resource's attributes, a scope's name, version and attributes, a metric's name, unit, kind and
/// monotonicity, and a point's attributes, in any order. Its cumulative points begin where its first delta did
/// (metrics data model, "Sums: Delta-to-Cumulative"); a stream begins anew when it was silent for longer than
/// `maximumStale`, when the bounds of an explicit histogram change, or when a total passes 64 bits. Exemplars, flags,
/// times and unknown fields of a cumulative point are those of its last delta.
///
/// One owner; not thread-safe. Time is the caller's, and must not run backwards.
package struct DeltaAccumulator: ~Copyable {
    package let limits: DeltaLimits
    let hasher: StreamHasher
    private var table = StreamTable()
    /// When `seen` of the records is 0.
    private let epoch: ContinuousClock.Instant
    private let staleTicks: UInt32

    // Working memory.
    private var delta = DeltaPoint()
    private var state = HistogramValue()
    private var stored = WireWriter()
    var metricBytes = WireWriter()
    var pointBytes = WireWriter()
    var overflowBytes = WireWriter()

    /// Of `seen`: 100 ms.
    private static let ticksPerSecond: Int64 = 10

    /// - Parameters:
    ///   - epoch: the present time.
    ///   - generator: draws the key of the streams' hashes.
    package init(
        _ limits: DeltaLimits, epoch: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator
    ) {
        self.limits = limits
        self.epoch = epoch
        hasher = StreamHasher(using: &generator)
        staleTicks = max(1, Self.ticks(limits.maximumStale))
    }

    /// Streams with a state, overflow series included.
    package var streams: Int { table.count }

    /// Bytes of all states.
    package var heldBytes: Int { table.heldBytes }

    /// Adds one delta point to its stream and appends the fields of the cumulative point to `writer`: the message's
    /// content, without a key and a length.
    ///
    /// - Parameters:
    ///   - point: a data point of the kind. Malformed bytes are dropped as `invalid`.
    ///   - metric: from `identity`.
    /// - Returns: what was written; nothing when the point was dropped.
    package mutating func accumulate(
        _ point: UnsafeRawBufferPointer, _ kind: DeltaKind, of metric: StreamHash, now: ContinuousClock.Instant,
        into writer: inout WireWriter
    ) -> DeltaOutcome {
        guard delta.read(point, kind, hasher) else { return .dropped(.invalid) }
        let tick = Self.ticks(epoch.duration(to: now))
        let hash = hasher.join(metric, delta.attributes)
        guard let position = table.find(hash) else {
            if delta.hasNoValue {
                writer.append(point)
                return .cumulative
            }
            guard table.count - table.overflowCount < limits.maximumStreams, table.heldBytes < limits.maximumBytes,
                let position = begin(hash, kind, tick, isOverflow: false)
            else { return overflow(point, kind, of: metric, tick, into: &writer) }
            write(point, kind, position, isOverflow: false, into: &writer)
            return .cumulative
        }
        if let reason = add(kind, at: position, tick) { return .dropped(reason) }
        if delta.hasNoValue {
            writer.append(point)
        } else {
            write(point, kind, position, isOverflow: false, into: &writer)
        }
        return .cumulative
    }

    /// Forgets the streams without a point for longer than `maximumStale`. Looks at `budget` of them, from the end of
    /// the table; `cursor`, `Int.max` at first, says where the next call goes on.
    ///
    /// - Returns: whether there are more to look at.
    package mutating func expire(now: ContinuousClock.Instant, from cursor: inout Int, budget: Int) -> Bool {
        let tick = Self.ticks(epoch.duration(to: now))
        var position = min(cursor, table.count)
        let last = max(0, position - max(1, budget))
        while position > last {
            position -= 1
            // What moves here was looked at before.
            if let record = table[position], isStale(record.pointee, tick) { table.remove(at: position) }
        }
        cursor = position
        return position > 0
    }

    // MARK: States

    private static func ticks(_ time: Duration) -> UInt32 {
        let (seconds, attoseconds) = time.components
        let tenths = attoseconds / 100_000_000_000_000_000
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: ticksPerSecond)
        return overflow ? .max : UInt32(clamping: whole + tenths)
    }

    @inline(__always)
    private func isStale(_ record: StreamRecord, _ tick: UInt32) -> Bool {
        tick > record.seen && tick - record.seen > staleTicks
    }

    /// Makes a stream of the point at hand.
    private mutating func begin(_ hash: StreamHash, _ kind: DeltaKind, _ tick: UInt32, isOverflow: Bool) -> Int? {
        var record = StreamRecord(
            hash: hash, start: delta.start, time: delta.time, seen: tick, form: .block, isOverflow: isOverflow)
        if kind == .sum { setNumber(&record) }
        guard let position = table.insert(record) else { return nil }
        guard kind == .sum || keep(delta.histogram, kind, at: position) else {
            table.remove(at: position)
            return nil
        }
        return position
    }

    /// Adds the point at hand to a stream. Nil when that worked.
    private mutating func add(_ kind: DeltaKind, at position: Int, _ tick: UInt32) -> DeltaDropReason? {
        guard let record = table[position] else { return .limit }
        let isStale = isStale(record.pointee, tick)
        record.pointee.seen = max(tick, record.pointee.seen)
        if isStale {
            if delta.hasNoValue { return nil }
            return restart(kind, at: position)
        }
        if record.pointee.isOverflow {
            // Deltas of many streams: their order says nothing.
            record.pointee.time = max(record.pointee.time, delta.time)
        } else {
            if delta.start < record.pointee.start { return .olderStart }
            if delta.time <= record.pointee.time { return .outOfOrder }
            record.pointee.time = delta.time
        }
        if delta.hasNoValue { return nil }
        if kind == .sum { return addNumber(record) ? nil : restart(kind, at: position) }
        guard let block = record.pointee.block else { return restart(kind, at: position) }
        state.load(block)
        let isAdded =
            kind == .histogram ? state.addExplicit(delta.histogram) : state.addExponential(&delta.histogram)
        guard isAdded else { return restart(kind, at: position) }
        return keep(state, kind, at: position) ? nil : .limit
    }

    /// Lets a stream begin with the point at hand.
    private mutating func restart(_ kind: DeltaKind, at position: Int) -> DeltaDropReason? {
        guard let record = table[position] else { return .limit }
        record.pointee.start = delta.start
        record.pointee.time = delta.time
        if kind == .sum {
            setNumber(&record.pointee)
            return nil
        }
        return keep(delta.histogram, kind, at: position) ? nil : .limit
    }

    private func setNumber(_ record: inout StreamRecord) {
        switch delta.number {
        case .none: break
        case .int(let value):
            record.form = .int
            record.value = UInt64(bitPattern: value)
        case .double(let value):
            record.form = .double
            record.value = value.bitPattern
        }
    }

    /// False when the sum passes 64 bits or is none.
    private func addNumber(_ record: UnsafeMutablePointer<StreamRecord>) -> Bool {
        let bits = record.pointee.value
        switch (record.pointee.form, delta.number) {
        case (.int, .int(let value)):
            let (sum, overflow) = Int64(bitPattern: bits).addingReportingOverflow(value)
            record.pointee.value = UInt64(bitPattern: sum)
            return !overflow
        case (.int, .double(let value)):
            record.pointee.form = .double
            record.pointee.value = (Double(Int64(bitPattern: bits)) + value).bitPattern
        case (.double, .int(let value)):
            record.pointee.value = (Double(bitPattern: bits) + Double(value)).bitPattern
        case (.double, .double(let value)):
            record.pointee.value = (Double(bitPattern: bits) + value).bitPattern
        default: return false
        }
        return !Double(bitPattern: record.pointee.value).isNaN
    }

    /// Puts a histogram's stored form into its block; a larger one when it does not fit. False when there is no room.
    private mutating func keep(_ value: borrowing HistogramValue, _ kind: DeltaKind, at position: Int) -> Bool {
        stored.removeAll()
        value.store(isExponential: kind == .exponentialHistogram, into: &stored)
        guard !stored.overflowed, let record = table[position] else { return false }
        if let block = record.pointee.block, stored.count <= StoredBlock.bytes(block).count {
            StoredBlock.bytes(block).copyMemory(from: stored.bytes)
            return true
        }
        // Streams that are there may grow an eighth beyond the bound that keeps new ones out.
        guard table.heldBytes + stored.count <= limits.maximumBytes + limits.maximumBytes / 8,
            let block = StoredBlock.allocate(stored.count)
        else { return false }
        StoredBlock.bytes(block).copyMemory(from: stored.bytes)
        table.setBlock(block, at: position)
        return true
    }

    // MARK: Points

    /// Adds the point at hand, whose stream found no room, to the overflow series of its metric.
    private mutating func overflow(
        _ point: UnsafeRawBufferPointer, _ kind: DeltaKind, of metric: StreamHash, _ tick: UInt32,
        into writer: inout WireWriter
    ) -> DeltaOutcome {
        guard limits.overflow == .series else { return .dropped(.limit) }
        let hash = hasher.join(metric, Self.overflowMark)
        if let position = table.find(hash) {
            if let reason = add(kind, at: position, tick) { return .dropped(reason) }
            write(point, kind, position, isOverflow: true, into: &writer)
            return .overflow
        }
        guard table.overflowCount < DeltaLimits.maximumOverflowStreams,
            let position = begin(hash, kind, tick, isOverflow: true)
        else { return .dropped(.limit) }
        write(point, kind, position, isOverflow: true, into: &writer)
        return .overflow
    }

    /// Stands for the attributes of an overflow series.
    private static let overflowMark: UInt64 = 0x6F76_6572_666C_6F77

    /// The attribute of an overflow series (metrics SDK, "Overflow attribute").
    private static let overflowKey: StaticString = "otel.metric.overflow"

    /// Appends the point as it came but for the fields that a cumulative one has others of.
    private mutating func write(
        _ point: UnsafeRawBufferPointer, _ kind: DeltaKind, _ position: Int, isOverflow: Bool,
        into writer: inout WireWriter
    ) {
        guard let record = table[position] else { return }
        var replaced = kind.replacedFields
        if isOverflow { replaced |= 1 << 3 | 1 << kind.attributesField }
        var fields = WireFields(point)
        while let field = fields.next() {
            if field.number < 32, replaced & (1 << field.number) != 0 { continue }
            writer.append(field.whole)
        }
        writer.append(field: 2, fixed64: record.pointee.start)
        if isOverflow {
            writer.append(field: 3, fixed64: record.pointee.time)
            let key = UnsafeRawBufferPointer(
                start: Self.overflowKey.utf8Start, count: Self.overflowKey.utf8CodeUnitCount)
            writer.append(field: kind.attributesField, key: key, .bool(true))
        }
        switch record.pointee.form {
        case .int: writer.append(field: 6, fixed64: record.pointee.value)
        case .double: writer.append(field: 4, fixed64: record.pointee.value)
        case .block:
            guard let block = record.pointee.block else { return }
            state.load(block)
            state.write(kind, into: &writer)
        }
    }
}
