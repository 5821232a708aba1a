import OTLP
import TestSupport
import Testing

@testable import Aggregation

@Suite struct LimitTests {
    static let calls = [[MetricInstrument(name: "calls", kind: .sum)]]

    @Test func beyondTheLimitASeriesOfItsOwnCounts() throws {
        var options = settings(Self.calls)
        options.seriesLimit = 10
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        for service in ["a", "b"] {
            for index in 0..<1000 {
                aggregator.measure(attributes([("service.name", service)]), [("n", "\(index)")]) { series, _ in
                    series.add(1, to: 0)
                }
            }
        }
        for now: UInt64 in [10, 20] {
            let points = try aggregator.points(at: now)
            for service in ["a", "b"] {
                let own = points.filter { $0.resource == ["service.name=\(service)"] }
                #expect(own.count == 11)
                #expect(own.total == 1000)
                let overflow = own.filter { $0.attributes == ["otel.metric.overflow=true"] }
                #expect(overflow.count == 1 && overflow.first?.int == 990)
            }
        }
    }

    @Test func manyDistinctValuesStayWithinTheMemoryAndTotalsAreExact() throws {
        var options = settings(Self.calls)
        options.memoryLimit = 2 << 20
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        let resource = attributes([("service.name", "a")])
        for index in 0..<60_000 {
            aggregator.measure(resource, [("n", "value \(index)")]) { series, _ in series.add(2, to: 0) }
        }
        let points = try aggregator.points(at: 10)
        #expect(points.total == 120_000)
        #expect(points.count > 4096 && points.count < 20_000)
        #expect(points.contains { $0.attributes == ["otel.metric.overflow=true"] })
        #expect(aggregator.heldBytes <= 2 << 20)
        #expect(aggregator.dropped == 0)
    }

    @Test func whoeverCountsTheMemoryMayRefuseIt() throws {
        let aggregator = MetricAggregator(settings(Self.calls), start: 0, processors: 1) { $0 < 40_000 }
        let resource = attributes([("service.name", "a")])
        for index in 0..<2000 {
            aggregator.measure(resource, [("n", "\(index)")]) { series, _ in series.add(1, to: 0) }
        }
        let points = try aggregator.points(at: 10)
        #expect(points.total == 2000)
        // Not even a resource had room.
        #expect(points.count == 1)
        #expect(points.first?.resource == ["otel.metric.overflow=true"])
    }

    @Test func resourcesBeyondTheirLimitAreWrittenOnceMore() throws {
        var options = settings(Self.calls)
        options.resourceLimit = 3
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        for service in 0..<5 {
            aggregator.measure(attributes([("service.name", "\(service)")]), [], now: UInt64(service + 1)) {
                series, _ in
                series.add(1, to: 0)
            }
        }
        #expect(try aggregator.points(at: 10).count == 5)
        let left = try aggregator.points(at: 20)
        #expect(Set(left.flatMap(\.resource)) == ["service.name=2", "service.name=3", "service.name=4"])
        // One that comes back begins anew.
        aggregator.measure(attributes([("service.name", "0")]), [], now: 25) { series, _ in series.add(4, to: 0) }
        let again = try aggregator.points(at: 30).first { $0.resource == ["service.name=0"] }
        #expect(again?.int == 4 && again?.start == 25)
    }

    @Test func resourcesMayBeToldApartByFewAttributes() throws {
        var options = settings(Self.calls)
        options.resourceKeyAttributes = ["service.name"]
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        for process in 0..<5 {
            aggregator.measure(attributes([("service.name", "a"), ("pid", "\(process)")]), []) { series, _ in
                series.add(1, to: 0)
            }
        }
        let points = try aggregator.points(at: 10)
        #expect(points.count == 1 && points.first?.int == 5)
        #expect(points.first?.resource == ["service.name=a", "pid=0"])
    }

    @Test func valuesThatAreNoneRecordNothing() throws {
        let aggregator = MetricAggregator(settings(ModelTests.families), start: 0, processors: 1)
        let resource = attributes([])
        aggregator.measure(resource, []) { series, _ in
            series.add(-1, to: 0)
            series.add(double: .nan, to: 1)
            series.add(1, to: 1)
            series.add(1, to: 9)
            series.record(1, in: 0)
            series.add(fixedPoint: -1, to: 2)
        }
        aggregator.measure(resource, [], family: 1) { series, _ in
            for value in [-1, Double.nan, .infinity] {
                series.record(value, in: 0)
                series.record(value, in: 1)
            }
        }
        #expect(try aggregator.points(at: 10).isEmpty)
        aggregator.measure(resource, []) { series, _ in
            series.add(Int64.max, to: 0)
            series.add(Int64.max, to: 0)
            series.add(fixedPoint: .max, to: 2)
            series.add(fixedPoint: .max, to: 2)
        }
        aggregator.measure(resource, [], family: 1) { series, _ in
            series.record(3, times: .max, in: 0)
            series.record(3, times: .max, in: 0)
            series.record(3, times: .max, in: 1)
            series.record(3, times: .max, in: 1)
        }
        let points = try aggregator.points(at: 20)
        #expect(points.first { $0.metric == "sum" }?.int == .max)
        #expect(points.first { $0.metric == "explicit" }?.count == .max)
        #expect(points.first { $0.metric == "exponential" }?.count == .max)
    }
}
