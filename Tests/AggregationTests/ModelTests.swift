import OTLP
import TestSupport
import Testing

@testable import Aggregation

/// Random measurements against sums kept in dictionaries.
@Suite struct ModelTests {
    /// What a series should hold. Values are integers, so that sums of Doubles are exact in any order.
    struct Expected: Equatable {
        var sum: Int64 = 0
        var double = 0.0
        var fixed = 0.0
        var count: UInt64 = 0
        var total = 0.0
        var buckets = [UInt64](repeating: 0, count: 5)
        var least = Double.infinity
        var most = 0.0
        var exponentialCount: UInt64 = 0
        var exponentialTotal = 0.0
    }

    static let bounds = [1.0, 10, 100, 1000]
    static let families: [[MetricInstrument]] = [
        [
            MetricInstrument(name: "sum", kind: .sum), MetricInstrument(name: "double", kind: .doubleSum),
            MetricInstrument(name: "fixed", kind: .fixedPointSum { Double($0) / 4 }),
        ],
        [
            MetricInstrument(name: "explicit", unit: "ms", kind: .histogram(bounds: bounds), recordsMinMax: true),
            MetricInstrument(name: "exponential", kind: .exponentialHistogram(maxSize: 20), recordsMinMax: true),
        ],
    ]

    @Test(arguments: [AggregationTemporality.cumulative, .delta], [1, 2, 3] as [UInt64])
    func totalsAreThoseOfTheReference(_ temporality: AggregationTemporality, _ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var options = settings(Self.families)
        options.temporality = temporality
        options.memoryLimit = 64 << 20
        let aggregator = MetricAggregator(options, start: 1000, processors: 2)
        var expected: [String: Expected] = [:]
        var seen: [String: Expected] = [:]
        var now: UInt64 = 1000
        for _ in 0..<40 {
            for _ in 0..<100 {
                now += 1
                step(aggregator, &expected, &generator, now)
            }
            let points = try aggregator.points(at: now)
            if temporality == .cumulative { seen = [:] }
            for point in points {
                #expect(point.temporality == Int32(temporality.rawValue))
                #expect(point.scope == "test")
                #expect(point.time == now && point.start <= now && point.start >= 1000)
                Self.add(point, &seen)
            }
        }
        #expect(seen.count == expected.count)
        for (key, value) in expected { #expect(seen[key] == value, "\(key)") }
    }

    private func step(
        _ aggregator: MetricAggregator, _ expected: inout [String: Expected], _ generator: inout SeededGenerator,
        _ now: UInt64
    ) {
        let service = Int.random(in: 0..<4, using: &generator)
        var pairs = [("service.name", "s\(service)"), ("host", "h")]
        // The order of a resource's attributes makes no other resource.
        if Bool.random(using: &generator) { pairs.reverse() }
        let name = "n\(Int.random(in: 0..<30, using: &generator))"
        let family = Int.random(in: 0..<2, using: &generator)
        let value = Int64.random(in: 0..<2000, using: &generator)
        let times = UInt64.random(in: 1..<4, using: &generator)
        let key = "\(service)/\(family)/\(name)"
        var known = expected[key] ?? Expected()
        aggregator.measure(attributes(pairs), [("name", name)], family: family, now: now) { series, _ in
            if family == 0 {
                series.add(value, to: 0)
                series.add(double: Double(value) + 0.5, to: 1)
                series.add(fixedPoint: Int128(value), to: 2)
                known.sum += value
                known.double += Double(value) + 0.5
                known.fixed += Double(value) / 4
            } else {
                series.record(Double(value), times: times, in: 0)
                series.record(Double(value), times: times, in: 1)
                known.count += times
                known.total += Double(value) * Double(times)
                known.buckets[Self.bounds.firstIndex { Double(value) <= $0 } ?? 4] += times
                known.least = min(known.least, Double(value))
                known.most = max(known.most, Double(value))
                known.exponentialCount += times
                known.exponentialTotal += Double(value) * Double(times)
            }
        }
        expected[key] = known
    }

    private static func add(_ point: MetricPoint, _ seen: inout [String: Expected]) {
        let service = point.resource.first { $0.hasPrefix("service.name=s") }?.last.map(String.init) ?? "?"
        let name = point.attributes.first?.dropFirst(5) ?? "?"
        let family = ["explicit", "exponential"].contains(point.metric) ? 1 : 0
        let key = "\(service)/\(family)/\(name)"
        var known = seen[key] ?? Expected()
        switch point.metric {
        case "sum": known.sum += point.int ?? 0
        case "double": known.double += point.double ?? 0
        case "fixed": known.fixed += point.double ?? 0
        case "explicit":
            known.count += point.count ?? 0
            known.total += point.sum ?? 0
            for bucket in 0..<5 { known.buckets[bucket] += point.buckets[bucket] }
            known.least = min(known.least, point.minimum ?? .infinity)
            known.most = max(known.most, point.maximum ?? 0)
            #expect(point.bounds == bounds && point.unit == "ms")
        default:
            known.exponentialCount += point.count ?? 0
            known.exponentialTotal += point.sum ?? 0
            #expect(point.buckets.count <= 20)
            #expect(point.buckets.reduce(0, +) + (point.zeroCount ?? 0) == point.count)
        }
        seen[key] = known
    }

    /// Four threads at once, more than there are recorders.
    @Test func nothingIsLostBetweenThreads() async throws {
        let aggregator = MetricAggregator(settings(Self.families), start: 0, processors: 2)
        let resource = attributes([("service.name", "s")])
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for index in 0..<2000 {
                        aggregator.measure(resource, [("name", "n\(index % 50)")]) { series, _ in
                            series.add(Int64(task + 1), to: 0)
                        }
                        if index % 500 == 499 { aggregator.collect(at: 5) { _ in } }
                    }
                }
            }
        }
        let points = try aggregator.points(at: 10)
        #expect(points.count == 50)
        #expect(points.total == 20_000)
    }
}
