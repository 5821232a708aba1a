import OTLP
import TestSupport
import Testing

@testable import Temporality

@Suite struct DeltaAccumulatorTests {
    private func sum(_ start: UInt64, _ time: UInt64, _ value: SamplePoint.Value, _ attribute: String = "x")
        -> SampleMetric
    {
        SampleMetric(points: [SamplePoint(attributes: [("k", attribute)], start: start, time: time, value: value)])
    }

    @Test func sumsAddUpFromTheFirstStart() throws {
        var run = DeltaRun()
        let first = try run.run(sum(10, 20, .int(3))).points
        #expect(first.map(\.start) == [10])
        #expect(first.map(\.value) == [.int(3)])
        let second = try run.run(sum(20, 30, .int(4))).points
        #expect(second.map(\.start) == [10])
        #expect(second.map(\.time) == [30])
        #expect(second.map(\.value) == [.int(7)])
        // A gap loses nothing of what was counted.
        let third = try run.run(sum(90, 95, .double(0.5))).points
        #expect(third.map(\.value) == [.double(7.5)])
    }

    @Test func whatComesLateIsDroppedAndCounted() throws {
        var run = DeltaRun()
        _ = try run.run(sum(10, 20, .int(3)))
        let older = try run.run(sum(5, 30, .int(1)))
        #expect(older.points.isEmpty)
        #expect(older.counts.dropped(.olderStart) == 1)
        let again = try run.run(sum(10, 20, .int(3)))
        #expect(again.counts.dropped(.outOfOrder) == 1)
        #expect(again.counts.accumulated == 0)
        #expect(try run.run(sum(20, 21, .int(1))).points.map(\.value) == [.int(4)])
    }

    @Test func otherMetricsPassUntouched() throws {
        var run = DeltaRun()
        var cumulative = sum(10, 20, .int(3))
        cumulative.temporality = 2
        let bytes = request([cumulative])
        let batch = try metrics(bytes)
        _ = run.accumulator.accumulate(batch, now: DeltaRun.epoch)
        #expect(batch.isPristine)
        let streams = run.streams
        #expect(streams == 0)
        let traces = try SampleRequests.batch(.traces, items: 2)
        _ = run.accumulator.accumulate(traces, now: DeltaRun.epoch)
        #expect(traces.isPristine)
    }

    @Test func emptiedMetricsLeaveTheBatchAndPointsAreCounted() throws {
        var run = DeltaRun()
        _ = try run.run(sum(10, 20, .int(3)))
        var other = sum(10, 20, .int(3), "other")
        other.points.append(SamplePoint(attributes: [("k", "x")], start: 10, time: 20, value: .int(9)))
        let batch = try metrics(request([sum(10, 20, .int(3)), other]))
        #expect(batch.itemCount == 3)
        let counts = run.accumulator.accumulate(batch, now: DeltaRun.epoch)
        #expect(batch.items.count == 1)
        #expect(batch.itemCount == 1)
        #expect(counts.dropped(.outOfOrder) == 2)
        #expect(counts.dropped == 2)
        #expect(counts.accumulated == 1)
        let all = try metrics(request([sum(10, 20, .int(3))]))
        _ = run.accumulator.accumulate(all, now: DeltaRun.epoch)
        #expect(all.isEmpty)
        #expect(encoded(all).isEmpty)
    }

    @Test func identitiesDiffer() throws {
        var run = DeltaRun()
        var all: [SampleMetric] = [sum(1, 2, .int(1))]
        for change in 0..<7 {
            var metric = sum(1, 2, .int(1))
            switch change {
            case 0: metric.name = "n"
            case 1: metric.unit = "s"
            case 2: metric.isMonotonic = false
            case 3: metric.scope = "other"
            case 4: metric.resource = [("service.name", "b")]
            case 5: metric.resource = []
            default: metric.points[0].attributes = []
            }
            all.append(metric)
        }
        let counts = try run.run(request(all)).counts
        #expect(counts.accumulated == all.count)
        let streams = run.streams
        #expect(streams == all.count)
    }

    @Test func aTotalBeyond64BitsBeginsAnew() throws {
        var run = DeltaRun()
        _ = try run.run(sum(10, 20, .int(.max)))
        let point = try #require(try run.run(sum(20, 30, .int(5))).points.first)
        #expect(point.value == .int(5))
        #expect(point.start == 20)
        let full = SamplePoint.Value.histogram(bounds: [1], counts: [.max, 0])
        _ = try run.run(SampleMetric(kind: .histogram, points: [SamplePoint(start: 1, time: 2, value: full)]))
        let one = SamplePoint.Value.histogram(bounds: [1], counts: [1, 0])
        let next = try run.run(SampleMetric(kind: .histogram, points: [SamplePoint(start: 2, time: 3, value: one)]))
        #expect(next.points.map(\.value) == [one])
        #expect(next.points.map(\.start) == [2])
    }

    @Test func invalidPointsAreDropped() throws {
        var run = DeltaRun()
        #expect(try run.run(sum(1, 2, .none)).counts.dropped(.invalid) == 1)
        #expect(try run.run(sum(1, 2, .double(.nan))).counts.dropped(.invalid) == 1)
        let odd = SamplePoint.Value.histogram(bounds: [1, 2], counts: [1, 1])
        let histogram = SampleMetric(kind: .histogram, points: [SamplePoint(start: 1, time: 2, value: odd)])
        #expect(try run.run(histogram).counts.dropped(.invalid) == 1)
        let wide = SamplePoint.Value.exponential(SampleExponential(zeroThreshold: -1, positive: (0, [1])))
        let exponential = SampleMetric(
            kind: .exponentialHistogram, points: [SamplePoint(start: 1, time: 2, value: wide)])
        #expect(try run.run(exponential).counts.dropped(.invalid) == 1)
        let streams = run.streams
        #expect(streams == 0)
    }

    @Test func aPointThatSaysThereIsNoValuePasses() throws {
        var run = DeltaRun()
        var none = sum(20, 30, .none)
        none.points[0].flags = 1
        #expect(try run.run(none).points.map(\.flags) == [1])
        let streams = run.streams
        #expect(streams == 0)
        _ = try run.run(sum(10, 20, .int(3)))
        #expect(try run.run(none).points.map(\.flags) == [1])
        #expect(try run.run(none).counts.dropped(.outOfOrder) == 1)
        #expect(try run.run(sum(30, 40, .int(1))).points.map(\.value) == [.int(4)])
    }

    @Test func silentStreamsAreForgotten() throws {
        var run = DeltaRun(DeltaLimits(maximumStale: .seconds(5)))
        _ = try run.run(sum(10, 20, .int(3)))
        _ = try run.run(sum(10, 20, .int(3), "kept"))
        run.now = .seconds(4)
        _ = try run.run(sum(20, 30, .int(1), "kept"))
        run.now = .seconds(6)
        run.expire(budget: 1)
        let streams = run.streams
        #expect(streams == 1)
        #expect(try run.run(sum(30, 40, .int(1), "kept")).points.map(\.value) == [.int(5)])
        // Anew, older than before.
        #expect(try run.run(sum(1, 2, .int(8))).points.map(\.value) == [.int(8)])
        // Stale, but not looked for yet.
        run.now = .seconds(12)
        let late = try #require(try run.run(sum(2, 3, .int(2))).points.first)
        #expect(late.value == .int(2))
        #expect(late.start == 2)
    }

    // MARK: Bounds

    @Test func newStreamsBeyondTheLimitAreDropped() throws {
        var run = DeltaRun(DeltaLimits(maximumStreams: 2))
        for name in ["a", "b", "c", "d"] {
            let counts = try run.run(sum(1, 2, .int(1), name)).counts
            #expect(counts.dropped(.limit) == (name > "b" ? 1 : 0))
        }
        #expect(try run.run(sum(2, 3, .int(1), "a")).points.map(\.value) == [.int(2)])
        let streams = run.streams
        #expect(streams == 2)
    }

    @Test func newStreamsBeyondTheBytesAreDropped() throws {
        let bounds = (0..<1000).map { Double($0) }
        let counts = (0...1000).map { _ in UInt64(1) << 60 }
        var run = DeltaRun(DeltaLimits(maximumBytes: 50_000))
        var dropped = 0
        for index in 0..<20 {
            let point = SamplePoint(
                attributes: [("k", "\(index)")], start: 1, time: 2, value: .histogram(bounds: bounds, counts: counts))
            dropped += try run.run(SampleMetric(kind: .histogram, points: [point])).counts.dropped(.limit)
        }
        #expect(dropped > 0)
        let heldBytes = run.heldBytes
        #expect(heldBytes <= 57_000)
    }

    @Test func overflowHoldsWhatFindsNoRoom() throws {
        var run = DeltaRun(DeltaLimits(maximumStreams: 1, overflow: .series))
        _ = try run.run(sum(1, 2, .int(1), "a"))
        var many = sum(1, 2, .int(10), "b")
        many.points.append(SamplePoint(attributes: [("k", "c")], start: 0, time: 1, value: .int(20)))
        many.points.append(SamplePoint(attributes: [("k", "a")], start: 2, time: 3, value: .int(1)))
        let (points, counts) = try run.run(many)
        #expect(counts.accumulated == 3)
        #expect(counts.dropped == 0)
        #expect(points.count == 2)
        #expect(points[0].value == .int(2))
        #expect(points[1].value == .int(30))
        #expect(points[1].attributes.map { "\($0)" } == ["(\"otel.metric.overflow\", \"true\")"])
        #expect(points[1].time == 2)
        #expect(points[1].start == 1)
        let histogram = SamplePoint.Value.histogram(bounds: [1], counts: [1, 2])
        var metric = SampleMetric(kind: .histogram, points: [])
        for name in ["a", "b", "c"] {
            metric.points.append(SamplePoint(attributes: [("k", name)], start: 1, time: 2, value: histogram))
        }
        let overflow = try run.run(metric)
        #expect(overflow.points.map(\.value) == [.histogram(bounds: [1], counts: [3, 6])])
    }

    @Test func memoryIsGivenBack() throws {
        var run = DeltaRun(DeltaLimits(maximumStale: .seconds(1)))
        let value = SamplePoint.Value.histogram(bounds: [1], counts: [1, 2])
        for index in 0..<500 {
            let point = SamplePoint(attributes: [("k", "\(index)")], start: 1, time: 2, value: value)
            _ = try run.run(SampleMetric(kind: .histogram, points: [point]))
        }
        let held = run.accumulator.heldBytes
        #expect(held > 500 * 64 && held < 500 * 200)
        run.now = .seconds(9)
        run.expire(budget: 7)
        let streams = run.streams
        #expect(streams == 0)
        let heldBytes = run.heldBytes
        #expect(heldBytes < held / 8)
    }

    // MARK: Hostile bytes

    @Test func truncatedPointsDoNoHarm() throws {
        var run = DeltaRun()
        let exponential = SampleExponential(scale: 3, zeroCount: 1, positive: (-5, [1, 2, 300]), negative: (2, [4]))
        let points: [(DeltaKind, SamplePoint.Value)] = [
            (.sum, .int(5)), (.histogram, .histogram(bounds: [1, 2], counts: [1, 2, 3])),
            (.exponentialHistogram, .exponential(exponential)),
        ]
        var writer = WireWriter()
        for (kind, value) in points {
            var point = SamplePoint(attributes: [("key", "value")], start: 1, time: 2, value: value)
            point.sum = kind == .sum ? nil : 5
            let bytes = point.encoded(kind)
            for end in 0...bytes.count {
                bytes[..<end].withUnsafeBytes {
                    writer.removeAll()
                    let outcome = run.accumulator.accumulate(
                        $0, kind, of: StreamHash(low: UInt64(end), high: 1), now: DeltaRun.epoch, into: &writer)
                    let count = writer.count
                    if case .dropped = outcome { #expect(count == 0) }
                }
            }
        }
    }

    @Test(arguments: 1...20)
    func randomPointsDoNoHarm(_ seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var run = DeltaRun(DeltaLimits(maximumStreams: 8, overflow: .series), seed: UInt64(seed))
        var writer = WireWriter()
        let values: [UInt64] = [0, 1, 2, .max, 1 << 63, 0x7FF0_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x10, 1 << 31]
        for round in 0..<2000 {
            let kind: DeltaKind = [.sum, .histogram, .exponentialHistogram][generator.below(3)]
            var point = WireWriter()
            for _ in 0..<generator.below(10) {
                let field = UInt32(1 + generator.below(15))
                let number = values[generator.below(values.count)] &+ UInt64(generator.below(3))
                switch generator.below(3) {
                case 0: point.fixed(field, number)
                case 1: point.varint(field, number)
                default:
                    point.message(field) { writer in
                        writer.varint(1, values[generator.below(values.count)] &+ UInt64(generator.below(9)))
                        writer.message(2) { writer in
                            for _ in 0..<generator.below(20) { writer.append(varint: values[generator.below(9)]) }
                        }
                    }
                }
            }
            writer.removeAll()
            _ = run.accumulator.accumulate(
                point.bytes, kind, of: StreamHash(low: UInt64(generator.below(4)), high: UInt64(kind.rawValue)),
                now: DeltaRun.epoch + .seconds(round), into: &writer)
            let isWhole = !writer.overflowed
            #expect(isWhole)
        }
    }
}
