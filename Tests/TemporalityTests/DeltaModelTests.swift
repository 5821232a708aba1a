import OTLP
import TestSupport
import Testing

@testable import Temporality

/// What one stream should be, kept the slow way.
private struct ModelStream {
    var start: UInt64
    var time: UInt64
    var seen: Int
    var value: SamplePoint.Value
    var sum: Double?
    var minimum: Double?
    var maximum: Double?
    /// Every bucket of every delta of an exponential histogram: side, scale, index, count.
    var buckets: [(isPositive: Bool, scale: Int32, index: Int64, count: UInt64)] = []
    var lowestScale: Int32 = .max
    var zeroCount: UInt64 = 0

    init(_ point: SamplePoint, seen: Int) {
        start = point.start
        time = point.time
        self.seen = seen
        value = point.value
        sum = point.sum
        minimum = point.minimum
        maximum = point.maximum
        if case .exponential(let delta) = point.value { add(delta) }
    }

    /// False when the stream must begin anew.
    mutating func add(_ point: SamplePoint) -> Bool {
        switch (value, point.value) {
        case (.int(let left), .int(let right)): value = .int(left + right)
        case (.int(let left), .double(let right)): value = .double(Double(left) + right)
        case (.double(let left), .int(let right)): value = .double(left + Double(right))
        case (.double(let left), .double(let right)): value = .double(left + right)
        case (.histogram(let bounds, let left), .histogram(let others, let right)):
            if bounds != others { return false }
            value = .histogram(bounds: bounds, counts: zip(left, right).map { $0 + $1 })
        case (.exponential, .exponential(let delta)): add(delta)
        default: return false
        }
        time = point.time
        sum = sum.flatMap { sum in point.sum.map { sum + $0 } }
        minimum = minimum.flatMap { minimum in point.minimum.map { min(minimum, $0) } }
        maximum = maximum.flatMap { maximum in point.maximum.map { max(maximum, $0) } }
        return true
    }

    private mutating func add(_ delta: SampleExponential) {
        lowestScale = min(lowestScale, delta.scale)
        zeroCount += delta.zeroCount
        for (isPositive, side) in [(true, delta.positive), (false, delta.negative)] {
            for (index, count) in side.counts.enumerated() where count > 0 {
                buckets.append((isPositive, delta.scale, Int64(side.offset) + Int64(index), count))
            }
        }
    }

    /// The point that should leave.
    func point(like delta: SamplePoint) -> SamplePoint {
        var point = delta
        point.start = start
        point.value = value
        point.sum = sum
        point.minimum = minimum
        point.maximum = maximum
        point.unknown = nil
        if case .exponential = value { point.value = .exponential(exponential()) }
        return point
    }

    /// The finest scale at which both sides have 160 buckets or less, tried out one by one.
    private func exponential() -> SampleExponential {
        var scale = lowestScale
        while true {
            var result = SampleExponential(scale: scale, zeroCount: zeroCount)
            result.positive = side(true, scale)
            result.negative = side(false, scale)
            if result.positive.counts.count <= 160, result.negative.counts.count <= 160 { return result }
            scale -= 1
        }
    }

    private func side(_ isPositive: Bool, _ scale: Int32) -> (offset: Int32, counts: [UInt64]) {
        var sums: [Int64: UInt64] = [:]
        for bucket in buckets where bucket.isPositive == isPositive {
            sums[bucket.index >> Int64(bucket.scale - scale), default: 0] += bucket.count
        }
        guard let low = sums.keys.min(), let high = sums.keys.max() else { return (0, []) }
        return (Int32(low), (low...high).map { sums[$0] ?? 0 })
    }
}

/// The whole, kept the slow way.
private struct Model {
    var streams: [String: ModelStream] = [:]
    var now = 0
    let limit: Int
    let stale: Int

    mutating func take(_ key: String, _ point: SamplePoint) -> Result<SamplePoint, ModelDrop> {
        guard var stream = streams[key] else {
            if streams.count >= limit { return .failure(ModelDrop(reason: .limit)) }
            let made = ModelStream(point, seen: now)
            streams[key] = made
            return .success(made.point(like: point))
        }
        let isStale = now - stream.seen > stale
        stream.seen = now
        defer { streams[key] = stream }
        if isStale {
            stream = ModelStream(point, seen: now)
        } else {
            if point.start < stream.start { return .failure(ModelDrop(reason: .olderStart)) }
            if point.time <= stream.time { return .failure(ModelDrop(reason: .outOfOrder)) }
            if !stream.add(point) { stream = ModelStream(point, seen: now) }
        }
        return .success(stream.point(like: point))
    }

    mutating func expire() { streams = streams.filter { now - $0.value.seen <= stale } }
}

private struct ModelDrop: Error {
    var reason: DeltaDropReason
}

/// Random deltas through the accumulator and through the model.
private struct ModelRun: ~Copyable {
    var generator: SeededGenerator
    var model: Model
    var run: DeltaRun
    var written = 0
    /// By reason: the model's less the accumulator's.
    var drops: [Int]
    var modelDrops = [0, 0, 0, 0]

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        let limit = 20 + generator.below(100)
        model = Model(limit: limit, stale: 30)
        run = DeltaRun(DeltaLimits(maximumStreams: limit, maximumStale: .seconds(30.5)), seed: seed)
        drops = [0, 0, 0, 0]
    }

    mutating func metric() -> SampleMetric {
        let kind: DeltaKind = [.sum, .histogram, .exponentialHistogram][generator.below(3)]
        // One name for all kinds: they are streams of their own.
        var metric = SampleMetric(name: "m\(generator.below(2))", kind: kind, points: [])
        metric.resource = [("service.name", "s\(generator.below(3))"), ("host.name", "h")]
        if generator.below(2) == 0 { metric.resource.reverse() }
        metric.scope = "scope\(generator.below(2))"
        metric.isMonotonic = kind != .sum || generator.below(2) == 0
        for _ in 0..<1 + generator.below(4) { metric.points.append(point(kind)) }
        return metric
    }

    private mutating func point(_ kind: DeltaKind) -> SamplePoint {
        var attributes = [("a", "\(generator.below(4))"), ("b", "x"), ("a long attribute name", "and a long value")]
        if generator.below(2) == 0 { attributes.reverse() }
        let time = UInt64(1_000_000 + model.now * 10 + generator.below(12))
        let start = generator.below(20) == 0 ? UInt64(generator.below(1_000_000)) : time - UInt64(generator.below(20))
        var point = SamplePoint(attributes: attributes, start: start, time: time, value: value(kind))
        if kind != .sum {
            if generator.below(50) != 0 { point.sum = Double(generator.below(1000)) }
            if generator.below(50) != 0 { point.minimum = Double(generator.below(1000)) }
            if generator.below(50) != 0 { point.maximum = Double(generator.below(1000)) }
        }
        if generator.below(3) == 0 { point.exemplar = Double(generator.below(9)) }
        if generator.below(3) == 0 { point.unknown = 7 }
        return point
    }

    private mutating func value(_ kind: DeltaKind) -> SamplePoint.Value {
        switch kind {
        case .sum:
            let number = Int64(generator.below(1 << 40))
            return generator.below(4) == 0 ? .double(Double(number) / 8) : .int(number)
        case .histogram:
            let bounds = generator.below(40) == 0 ? [1.0, 2] : [0.5, 10, 1000]
            return .histogram(
                bounds: bounds, counts: (0...bounds.count).map { _ in UInt64(generator.below(300)) })
        case .exponentialHistogram:
            var value = SampleExponential(scale: Int32(generator.below(10)) - 2)
            value.zeroCount = UInt64(generator.below(3))
            value.positive = side()
            value.negative = side()
            return .exponential(value)
        }
    }

    private mutating func side() -> (Int32, [UInt64]) {
        let count = generator.below(3) == 0 ? 0 : generator.below(generator.below(4) == 0 ? 400 : 40)
        let spread = generator.below(5) == 0 ? 4000 : 60
        return (Int32(generator.below(spread) - spread / 2), (0..<count).map { _ in UInt64(generator.below(4)) })
    }

    mutating func step() throws {
        model.now += generator.below(30) == 0 ? generator.below(60) : generator.below(3)
        run.now = .seconds(model.now)
        if generator.below(40) == 0 {
            run.expire(budget: 1 + generator.below(50))
            model.expire()
        }
        let sent = (0..<1 + generator.below(3)).map { _ in metric() }
        let (left, counts) = try run.run(request(sent, isPacked: generator.below(2) == 0))
        var expected: [[SamplePoint]] = []
        for metric in sent {
            let points = metric.points.compactMap { point in expect(metric, point) }
            if !points.isEmpty { expected.append(points) }
        }
        #expect(left.count == expected.count)
        for (metric, points) in zip(left, expected) {
            #expect(metric.temporality == 2)
            #expect(metric.points.count == points.count)
            for (left, right) in zip(metric.points, points) { expectEqual(left, right) }
        }
        written += counts.accumulated
        for reason in DeltaDropReason.allCases { drops[reason.rawValue] -= counts.dropped(reason) }
        let streams = run.streams
        #expect(streams == model.streams.count)
    }

    private mutating func expect(_ metric: SampleMetric, _ point: SamplePoint) -> SamplePoint? {
        let resource = metric.resource.map { "\($0)" }.sorted()
        let attributes = point.attributes.map { "\($0)" }.sorted()
        let key = "\(resource) \(metric.scope) \(metric.name) \(metric.kind) \(metric.isMonotonic) \(attributes)"
        switch model.take(key, point) {
        case .success(let point): return point
        case .failure(let drop):
            drops[drop.reason.rawValue] += 1
            modelDrops[drop.reason.rawValue] += 1
            return nil
        }
    }
}

/// Equal but for what a reader cannot see.
func expectEqual(_ left: SamplePoint, _ right: SamplePoint, _ location: SourceLocation = #_sourceLocation) {
    #expect(left.attributes.map { "\($0)" } == right.attributes.map { "\($0)" }, sourceLocation: location)
    #expect(left.start == right.start, sourceLocation: location)
    #expect(left.time == right.time, sourceLocation: location)
    #expect(left.value == right.value, sourceLocation: location)
    #expect(left.sum == right.sum, sourceLocation: location)
    #expect(left.minimum == right.minimum, sourceLocation: location)
    #expect(left.maximum == right.maximum, sourceLocation: location)
    #expect(left.exemplar == right.exemplar, sourceLocation: location)
}

@Suite struct DeltaModelTests {
    @Test(arguments: 1...12)
    func theAccumulatorDoesWhatTheModelDoes(_ seed: Int) throws {
        var run = ModelRun(seed: UInt64(seed))
        for _ in 0..<800 { try run.step() }
        #expect(run.written > 500)
        #expect(run.drops == [0, 0, 0, 0])
        // The run went where it should.
        #expect(run.modelDrops[DeltaDropReason.olderStart.rawValue] > 20)
        #expect(run.modelDrops[DeltaDropReason.outOfOrder.rawValue] > 20)
        #expect(run.modelDrops[DeltaDropReason.limit.rawValue] > 20)
    }
}
