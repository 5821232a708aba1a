import OTLP
import TestSupport
import Testing

@testable import Aggregation

/// Start times, expiry, the end of series, exemplars.
@Suite struct TimeTests {
    static let families = [
        [
            MetricInstrument(name: "calls", kind: .sum),
            MetricInstrument(name: "duration", kind: .histogram(bounds: [10])),
            MetricInstrument(name: "growth", kind: .exponentialHistogram(maxSize: 160)),
        ]
    ]
    let resource = attributes([("service.name", "a")])

    private func call(_ aggregator: MetricAggregator, _ name: String, now: UInt64) {
        aggregator.measure(resource, [("n", name)], now: now) { series, _ in
            series.add(1, to: 0)
            series.record(5, in: 1)
            series.record(5, in: 2)
        }
    }

    @Test func cumulativePointsBeginWithTheirSeries() throws {
        let aggregator = MetricAggregator(settings(Self.families), start: 100, processors: 1)
        call(aggregator, "x", now: 150)
        #expect(try aggregator.points(at: 200).allSatisfy { $0.start == 150 && $0.time == 200 })
        call(aggregator, "y", now: 250)
        call(aggregator, "x", now: 260)
        let points = try aggregator.points(at: 300)
        #expect(points.count == 6)
        for point in points { #expect(point.start == (point.attributes == ["n=x"] ? 150 : 250)) }
        #expect(points.first { $0.attributes == ["n=x"] }?.int == 2)
        // Without a measurement, the same again.
        #expect(try aggregator.points(at: 400).count == 6)
    }

    @Test func deltaPointsFollowEachOther() throws {
        var options = settings(Self.families)
        options.temporality = .delta
        let aggregator = MetricAggregator(options, start: 100, processors: 1)
        call(aggregator, "x", now: 150)
        #expect(try aggregator.points(at: 200).allSatisfy { $0.start == 100 && $0.time == 200 })
        #expect(try aggregator.points(at: 300).isEmpty)
        call(aggregator, "x", now: 350)
        let points = try aggregator.points(at: 400)
        #expect(points.count == 3 && points.allSatisfy { $0.start == 300 && $0.time == 400 })
        #expect(points.first?.int == 1)
    }

    @Test func seriesExpire() throws {
        var options = settings(Self.families)
        options.seriesExpiration = 100
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        call(aggregator, "x", now: 10)
        call(aggregator, "y", now: 80)
        #expect(try aggregator.points(at: 110).count == 6)
        let left = try aggregator.points(at: 120)
        #expect(left.count == 3 && left.allSatisfy { $0.attributes == ["n=y"] && $0.flags == 0 })
        call(aggregator, "x", now: 150)
        let again = try aggregator.points(at: 160).filter { $0.attributes == ["n=x"] }
        #expect(again.first?.int == 1 && again.allSatisfy { $0.start == 150 })
        _ = try aggregator.points(at: 1000)
        #expect(try aggregator.points(at: 1001).isEmpty)
        #expect(aggregator.seriesCount == 0)
    }

    @Test func resourcesExpire() throws {
        var options = settings(Self.families)
        options.resourceExpiration = 100
        options.marksEnd = true
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        call(aggregator, "x", now: 10)
        call(aggregator, "y", now: 80)
        #expect(try aggregator.points(at: 179).allSatisfy { $0.flags == 0 })
        let ends = try aggregator.points(at: 180)
        #expect(ends.count == 6)
        #expect(ends.allSatisfy { $0.flags == 1 && $0.int == nil && $0.sum == nil && $0.buckets.isEmpty })
        #expect(try aggregator.points(at: 181).isEmpty)
    }

    @Test func theEndIsToldAfterTheLastValue() throws {
        var options = settings(Self.families)
        options.marksEnd = true
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        call(aggregator, "x", now: 10)
        #expect(try aggregator.points(at: 20).count == 3)
        let points = try aggregator.points(at: 5_000_000, isFinal: true)
        #expect(points.map(\.flags) == [0, 0, 0, 1, 1, 1])
        let times: [UInt64] = [5_000_000, 5_000_000, 5_000_000, 6_000_000, 6_000_000, 6_000_000]
        #expect(points.map(\.time) == times)
    }

    @Test func exemplarsAreTheFirstOfTheirInterval() throws {
        var options = settings(Self.families)
        options.exemplarLimit = 3
        let aggregator = MetricAggregator(options, start: 0, processors: 1)
        let trace = [UInt8](1...16)
        let span = [UInt8](1...8)
        for value in 1...5 {
            aggregator.measure(resource, []) { series, recorder in
                series.record(Double(value), in: 1)
                trace.withUnsafeBytes { trace in
                    span.withUnsafeBytes { span in
                        recorder.addExemplar(
                            Double(value), time: UInt64(value), traceID: trace, spanID: span, to: series)
                        let none = UnsafeRawBufferPointer(start: nil, count: 0)
                        recorder.addExemplar(9, time: 9, traceID: none, spanID: span, to: series)
                    }
                }
            }
        }
        let point = try #require(try aggregator.points(at: 10).first)
        #expect(point.exemplars.map(\.value) == [1, 2, 3])
        #expect(point.exemplars.map(\.time) == [1, 2, 3])
        #expect(point.exemplars.allSatisfy { $0.traceID == trace && $0.spanID == span })
        #expect(try aggregator.points(at: 20).first?.exemplars.isEmpty == true)
    }
}
