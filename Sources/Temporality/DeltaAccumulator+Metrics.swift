package import OTLP

/// What became of a metric.
package enum DeltaMetricOutcome: Sendable, Equatable {
    /// It is no delta metric; nothing was written.
    case unchanged
    /// The cumulative metric was written, with that many points.
    case cumulative(points: Int)
    /// All its points were dropped; nothing was written.
    case empty
}

/// What a walk over a metric's fields finds.
private struct MetricHead {
    var kind: DeltaKind?
    var temporality: UInt64 = 0
    var isMonotonic = false
    var name = UnsafeRawBufferPointer(start: nil, count: 0)
    var unit = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Of `AggregationTemporality`.
    static let delta: UInt64 = 1
    static let cumulative: UInt64 = 2

    init(_ parts: (UnsafeRawBufferPointer, UnsafeRawBufferPointer)) {
        read(parts.0)
        if parts.1.count > 0 { read(parts.1) }
    }

    private mutating func read(_ message: UnsafeRawBufferPointer) {
        var fields = WireFields(message)
        while let field = fields.next() {
            guard field.type == .lengthDelimited else { continue }
            if field.number == 1 { name = field.payload }
            if field.number == 3 { unit = field.payload }
            guard let kind = DeltaKind(rawValue: field.number) else { continue }
            self.kind = kind
            var data = WireFields(field.payload)
            while let inner = data.next() {
                if inner.type != .varint { continue }
                if inner.number == 2 { temporality = inner.bits }
                if inner.number == 3 { isMonotonic = inner.bits != 0 }
            }
        }
    }

    var deltaKind: DeltaKind? { temporality == Self.delta ? kind : nil }
}

/// The scope that metrics come from, whose identity is found out when a delta metric asks for it. Not to be used with
/// more than one accumulator, nor when the messages are gone.
package struct DeltaScope {
    private let resource: UnsafeRawBufferPointer
    private let scope: UnsafeRawBufferPointer
    private var known: StreamHash?

    /// - Parameters:
    ///   - resource: a `ResourceMetrics` message.
    ///   - scope: a `ScopeMetrics` message of it.
    package init(resource: UnsafeRawBufferPointer, scope: UnsafeRawBufferPointer) {
        self.resource = resource
        self.scope = scope
    }

    mutating func identity(_ hasher: StreamHasher) -> StreamHash {
        if let known { return known }
        var whole = StreamHash()
        var envelope = WireFields(resource)
        while let field = envelope.next() {
            if field.number == 1 { whole.add(hasher.attributes(field.payload, field: 1)) }
        }
        envelope = WireFields(scope)
        while let field = envelope.next() {
            guard field.number == 1 else { continue }
            whole = hasher.join(whole, hasher.attributes(field.payload, field: 3))
            var inner = WireFields(field.payload)
            while let part = inner.next() {
                guard part.number == 1 || part.number == 2, part.payload.count > 0 else { continue }
                whole = hasher.join(hasher.join(whole, UInt64(part.number)), hasher.hash(part.payload))
            }
        }
        known = whole
        return whole
    }
}

extension DeltaAccumulator {
    /// The identity of a metric within its scope.
    package func identity(
        scope: inout DeltaScope, name: UnsafeRawBufferPointer, unit: UnsafeRawBufferPointer, kind: DeltaKind,
        isMonotonic: Bool
    ) -> StreamHash {
        let scope = scope.identity(hasher)
        let names = hasher.join(hasher.hash(name), hasher.hash(unit))
        return hasher.join(hasher.join(scope, names), UInt64(kind.rawValue) << 1 | (isMonotonic ? 1 : 0))
    }

    /// Adds the points of a delta metric to their streams and appends the cumulative metric's content to `writer`.
    ///
    /// - Parameters:
    ///   - metric: a `Metric` message; `tail`, mostly empty, are fields that were appended to it.
    ///   - counts: grows by what became of the points.
    package mutating func accumulate(
        metric: UnsafeRawBufferPointer, tail: UnsafeRawBufferPointer, of scope: inout DeltaScope,
        now: ContinuousClock.Instant, counts: inout DeltaCounts, into writer: inout WireWriter
    ) -> DeltaMetricOutcome {
        let head = MetricHead((metric, tail))
        guard let kind = head.deltaKind else { return .unchanged }
        let identity = identity(
            scope: &scope, name: head.name, unit: head.unit, kind: kind, isMonotonic: head.isMonotonic)
        let start = writer.count
        var points = 0
        for message in [metric, tail] {
            var fields = WireFields(message)
            while let field = fields.next() {
                guard field.number == kind.rawValue, field.type == .lengthDelimited else {
                    writer.append(field.whole)
                    continue
                }
                let data = writer.count
                points += accumulate(data: field.payload, kind, identity, now, &counts, &writer)
                writer.wrap(since: data, field: kind.rawValue)
            }
        }
        if points == 0 {
            writer.truncate(to: start)
            return .empty
        }
        return .cumulative(points: points)
    }

    /// Writes the content of a `Sum`, `Histogram` or `ExponentialHistogram`.
    ///
    /// - Returns: its points.
    private mutating func accumulate(
        data: UnsafeRawBufferPointer, _ kind: DeltaKind, _ metric: StreamHash, _ now: ContinuousClock.Instant,
        _ counts: inout DeltaCounts, _ writer: inout WireWriter
    ) -> Int {
        var points = 0
        var point = WireWriter()
        var overflow = WireWriter()
        swap(&point, &pointBytes)
        swap(&overflow, &overflowBytes)
        overflow.removeAll()
        var fields = WireFields(data)
        while let field = fields.next() {
            guard field.number == 1, field.type == .lengthDelimited else {
                if field.number != 2 { writer.append(field.whole) }
                continue
            }
            point.removeAll()
            switch accumulate(field.payload, kind, of: metric, now: now, into: &point) {
            case .cumulative:
                counts.accumulated += 1
                points += 1
                writer.append(field: 1, bytes: point.bytes)
            case .overflow:
                counts.accumulated += 1
                // Each one holds those before it.
                swap(&point, &overflow)
            case .dropped(let reason):
                counts.drop(reason)
            }
        }
        if overflow.count > 0 {
            points += 1
            writer.append(field: 1, bytes: overflow.bytes)
        }
        writer.append(tag: 2, .varint)
        writer.append(varint: MetricHead.cumulative)
        swap(&point, &pointBytes)
        swap(&overflow, &overflowBytes)
        return points
    }

    /// Makes the delta metrics of a batch cumulative. Metrics that lose all points leave the batch, which may be empty
    /// then.
    ///
    /// - Returns: what became of the points of delta metrics.
    package mutating func accumulate(_ batch: TelemetryBatch, now: ContinuousClock.Instant) -> DeltaCounts {
        var counts = DeltaCounts()
        guard batch.signal == .metrics else { return counts }
        var emptied: Set<Int> = []
        var writer = WireWriter()
        swap(&writer, &metricBytes)
        for resource in batch.resources {
            for scope in batch.scopes[resource.scopes] {
                var identity = DeltaScope(resource: batch.message(of: resource), scope: batch.message(of: scope))
                for index in scope.items {
                    let item = batch.items[index]
                    writer.removeAll()
                    let outcome = accumulate(
                        metric: batch.payload(of: item), tail: batch.tail(of: item),
                        of: &identity, now: now, counts: &counts, into: &writer)
                    switch outcome {
                    case .unchanged: break
                    case .empty: emptied.insert(index)
                    case .cumulative(let points):
                        if writer.overflowed || !batch.replaceItem(index, with: writer.bytes, points: points) {
                            emptied.insert(index)
                        }
                    }
                }
            }
        }
        swap(&writer, &metricBytes)
        if !emptied.isEmpty { batch.filterItems { !emptied.contains($0) } }
        return counts
    }
}
