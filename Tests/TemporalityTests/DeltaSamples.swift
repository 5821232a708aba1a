import OTLP
import TestSupport

@testable import Temporality

/// A data point for requests of tests.
struct SamplePoint {
    enum Value: Equatable {
        case none
        case int(Int64)
        case double(Double)
        case histogram(bounds: [Double], counts: [UInt64])
        case exponential(SampleExponential)
    }

    var attributes: [(String, String)] = []
    var start: UInt64
    var time: UInt64
    var value: Value
    /// Histograms only; the count is that of the buckets.
    var sum: Double?
    var minimum: Double?
    var maximum: Double?
    var flags: UInt64 = 0
    var exemplar: Double?
    /// A field that no schema has.
    var unknown: UInt64?
}

struct SampleExponential: Equatable {
    var scale: Int32 = 0
    var zeroCount: UInt64 = 0
    var zeroThreshold = 0.0
    var positive: (offset: Int32, counts: [UInt64]) = (0, [])
    var negative: (offset: Int32, counts: [UInt64]) = (0, [])

    static func == (left: SampleExponential, right: SampleExponential) -> Bool {
        left.scale == right.scale && left.zeroCount == right.zeroCount && left.zeroThreshold == right.zeroThreshold
            && left.positive == right.positive && left.negative == right.negative
    }
}

/// One metric of one scope of one resource.
struct SampleMetric {
    var resource: [(String, String)] = [("service.name", "a")]
    var scope = "scope"
    var name = "m"
    var unit = "1"
    var kind = DeltaKind.sum
    var isMonotonic = true
    /// 1 is delta.
    var temporality: UInt64 = 1
    var points: [SamplePoint]
}

extension WireWriter {
    mutating func text(_ field: UInt32, _ text: String) {
        Array(text.utf8).withUnsafeBytes { append(field: field, bytes: $0) }
    }

    mutating func fixed(_ field: UInt32, _ bits: UInt64) {
        append(tag: field, .fixed64)
        append(fixed64: bits)
    }

    mutating func varint(_ field: UInt32, _ value: UInt64) {
        append(tag: field, .varint)
        append(varint: value)
    }

    mutating func attributes(_ field: UInt32, _ attributes: [(String, String)]) {
        for (key, value) in attributes {
            Array(key.utf8).withUnsafeBytes { key in
                Array(value.utf8).withUnsafeBytes { append(field: field, key: key, .text($0)) }
            }
        }
    }

    mutating func message(_ field: UInt32, _ body: (inout WireWriter) -> Void) {
        let start = count
        body(&self)
        wrap(since: start, field: field)
    }
}

extension SamplePoint {
    /// The encoded message. `isPacked` false writes repeated numbers one by one.
    func encoded(_ kind: DeltaKind, isPacked: Bool = true) -> [UInt8] {
        var writer = WireWriter()
        writer.attributes(kind.attributesField, attributes)
        writer.fixed(2, start)
        writer.fixed(3, time)
        if flags != 0 { writer.varint(kind == .sum ? 8 : 10, flags) }
        if let sum { writer.fixed(5, sum.bitPattern) }
        if let minimum { writer.fixed(kind == .histogram ? 11 : 12, minimum.bitPattern) }
        if let maximum { writer.fixed(kind == .histogram ? 12 : 13, maximum.bitPattern) }
        if let exemplar {
            writer.message(kind == .sum ? 5 : kind == .histogram ? 8 : 11) { $0.fixed(3, exemplar.bitPattern) }
        }
        if let unknown { writer.varint(999, unknown) }
        switch value {
        case .none: break
        case .int(let number): writer.fixed(6, UInt64(bitPattern: number))
        case .double(let number): writer.fixed(4, number.bitPattern)
        case .histogram(let bounds, let counts):
            writer.fixed(4, counts.reduce(0, &+))
            if isPacked {
                writer.message(6) { writer in for count in counts { writer.append(fixed64: count) } }
                writer.message(7) { writer in for bound in bounds { writer.append(fixed64: bound.bitPattern) } }
            } else {
                for count in counts { writer.fixed(6, count) }
                for bound in bounds { writer.fixed(7, bound.bitPattern) }
            }
        case .exponential(let value):
            let all = value.positive.counts + value.negative.counts
            writer.fixed(4, all.reduce(value.zeroCount, &+))
            writer.varint(6, HistogramValue.zigZag(Int64(value.scale)))
            writer.fixed(7, value.zeroCount)
            for (field, side) in [(UInt32(8), value.positive), (9, value.negative)] {
                writer.message(field) { writer in
                    writer.varint(1, HistogramValue.zigZag(Int64(side.offset)))
                    if isPacked {
                        writer.message(2) { writer in for count in side.counts { writer.append(varint: count) } }
                    } else {
                        for count in side.counts { writer.varint(2, count) }
                    }
                }
            }
            if value.zeroThreshold != 0 { writer.fixed(14, value.zeroThreshold.bitPattern) }
        }
        return Array(writer.bytes)
    }
}

/// A request of these metrics, each in a resource of its own.
func request(_ metrics: [SampleMetric], isPacked: Bool = true) -> [UInt8] {
    var writer = WireWriter()
    for metric in metrics {
        writer.message(1) { writer in
            writer.message(1) { $0.attributes(1, metric.resource) }
            writer.message(2) { writer in
                writer.message(1) { $0.text(1, metric.scope) }
                writer.message(2) { writer in
                    writer.text(1, metric.name)
                    writer.text(3, metric.unit)
                    writer.message(metric.kind.rawValue) { writer in
                        for point in metric.points {
                            point.encoded(metric.kind, isPacked: isPacked).withUnsafeBytes {
                                writer.append(field: 1, bytes: $0)
                            }
                        }
                        writer.varint(2, metric.temporality)
                        if metric.kind == .sum, metric.isMonotonic { writer.varint(3, 1) }
                    }
                }
            }
        }
    }
    return Array(writer.bytes)
}

func metrics(_ bytes: [UInt8]) throws -> TelemetryBatch {
    try TelemetryBatch(SampleRequests.wire(bytes), signal: .metrics)
}

func encoded(_ batch: TelemetryBatch) -> [UInt8] {
    var writer = WireWriter()
    batch.encode(into: &writer)
    return Array(writer.bytes)
}

/// What a reader of the result sees: protobuf-c's decoding, nothing of the accumulator's.
struct SeenMetric {
    var name: String
    var temporality: Int32
    var points: [SamplePoint]
}

func seen(_ batch: TelemetryBatch) throws -> [SeenMetric] {
    // Scanned anew: what the accumulator writes must be valid.
    let batch = try metrics(encoded(batch))
    let arena = WireArena(limit: 1 << 26)
    return batch.items.compactMap { item in
        guard let metric = MetricView(batch.payload(of: item), arena: arena) else { return nil }
        var found = SeenMetric(name: String(decoding: metric.name, as: UTF8.self), temporality: 0, points: [])
        let bytes: UnsafeRawBufferPointer
        switch metric.data {
        case .sum(let data), .histogram(let data), .exponentialHistogram(let data), .gauge(let data): bytes = data
        default: return nil
        }
        guard let data = MetricDataView(bytes, arena: arena) else { return nil }
        found.temporality = data.aggregationTemporality
        for raw in data.dataPoints {
            switch metric.data {
            case .histogram: found.points += seenHistogram(raw, arena)
            case .exponentialHistogram: found.points += seenExponential(raw, arena)
            default: found.points += seenNumber(raw, arena)
            }
        }
        return found
    }
}

private func seenAttributes(_ attributes: ByteSlices, _ arena: WireArena) -> [(String, String)] {
    attributes.map { raw in
        guard let attribute = KeyValueView(raw, arena: arena) else { return ("?", "?") }
        let key = String(decoding: attribute.key, as: UTF8.self)
        switch AnyValueView(attribute.value, arena: arena)?.value {
        case .string(let text): return (key, String(decoding: text, as: UTF8.self))
        case .bool(let flag): return (key, flag ? "true" : "false")
        default: return (key, "?")
        }
    }
}

private func seenExemplar(_ exemplars: ByteSlices, _ arena: WireArena) -> Double? {
    guard let raw = exemplars.first, case .double(let value)? = ExemplarView(raw, arena: arena)?.value else {
        return nil
    }
    return value
}

private func seenNumber(_ raw: UnsafeRawBufferPointer, _ arena: WireArena) -> [SamplePoint] {
    guard let view = NumberDataPointView(raw, arena: arena) else { return [] }
    var point = SamplePoint(
        attributes: seenAttributes(view.attributes, arena), start: view.startTime, time: view.time, value: .none)
    point.flags = UInt64(view.flags)
    point.exemplar = seenExemplar(view.exemplars, arena)
    switch view.value {
    case .empty: break
    case .int(let value): point.value = .int(value)
    case .double(let value): point.value = .double(value)
    }
    return [point]
}

private func seenHistogram(_ raw: UnsafeRawBufferPointer, _ arena: WireArena) -> [SamplePoint] {
    guard let view = HistogramDataPointView(raw, arena: arena) else { return [] }
    var point = SamplePoint(
        attributes: seenAttributes(view.attributes, arena), start: view.startTime, time: view.time,
        value: .histogram(bounds: Array(view.explicitBounds), counts: Array(view.bucketCounts)))
    point.sum = view.sum
    point.minimum = view.minimum
    point.maximum = view.maximum
    point.exemplar = seenExemplar(view.exemplars, arena)
    return view.count == view.bucketCounts.reduce(0, &+) ? [point] : []
}

private func seenExponential(_ raw: UnsafeRawBufferPointer, _ arena: WireArena) -> [SamplePoint] {
    guard let view = ExponentialHistogramDataPointView(raw, arena: arena),
        let positive = BucketsView(view.positive, arena: arena),
        let negative = BucketsView(view.negative, arena: arena)
    else { return [] }
    let value = SampleExponential(
        scale: view.scale, zeroCount: view.zeroCount, zeroThreshold: view.zeroThreshold,
        positive: (positive.offset, Array(positive.bucketCounts)),
        negative: (negative.offset, Array(negative.bucketCounts)))
    var point = SamplePoint(
        attributes: seenAttributes(view.attributes, arena), start: view.startTime, time: view.time,
        value: .exponential(value))
    point.sum = view.sum
    point.minimum = view.minimum
    point.maximum = view.maximum
    point.exemplar = seenExemplar(view.exemplars, arena)
    let total = positive.bucketCounts.reduce(negative.bucketCounts.reduce(view.zeroCount, &+), &+)
    return view.count == total ? [point] : []
}

/// An accumulator with its clock.
struct DeltaRun: ~Copyable {
    static let epoch = ContinuousClock.now
    var accumulator: DeltaAccumulator
    var now = Duration.zero

    init(_ limits: DeltaLimits = DeltaLimits(), seed: UInt64 = 1) {
        var generator = SeededGenerator(seed: seed)
        accumulator = DeltaAccumulator(limits, epoch: Self.epoch, using: &generator)
    }

    /// What leaves, and the counts.
    mutating func run(_ bytes: [UInt8]) throws -> (metrics: [SeenMetric], counts: DeltaCounts) {
        let batch = try metrics(bytes)
        let counts = accumulator.accumulate(batch, now: Self.epoch + now)
        let seen = try seen(batch)
        return (seen, counts)
    }

    mutating func run(_ metric: SampleMetric) throws -> (points: [SamplePoint], counts: DeltaCounts) {
        let (metrics, counts) = try run(request([metric]))
        return (metrics.first?.points ?? [], counts)
    }

    var streams: Int { accumulator.streams }
    var heldBytes: Int { accumulator.heldBytes }

    mutating func expire(budget: Int = 1000) {
        var cursor = Int.max
        while accumulator.expire(now: Self.epoch + now, from: &cursor, budget: budget) {}
    }
}
