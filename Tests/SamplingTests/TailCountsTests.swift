import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// That shares and adjusted counts are right.
@Suite struct TailCountsTests {
    @Test func noErrorIsLostAtOnePercent() throws {
        var settings = TailSettings()
        settings.decisionWait = second
        let policies = [
            PolicySpec("errors", .statusCode(.error)),
            PolicySpec("some", .probabilistic(percentage: 1, salt: "default-hash-seed")),
        ]
        let box = ShardBox(settings, try PolicyProgram(policies))
        var random = SeededRandom(77)
        var errors = Set<UInt64>()
        var kept: [KeptSpan] = []
        for round in 0..<100 {
            let spans = (0..<200).flatMap { index -> [TestSpan] in
                let id = (high: random.next(), low: random.next())
                let hasError = index % 2 == 0
                if hasError { errors.insert(id.low) }
                return (1...2).map { number in
                    var span = TestSpan(trace: id, id: UInt64(round * 1000 + index * 2 + number))
                    if hasError, number == 2 { span.status = 2 }
                    return span
                }
            }
            // The error comes in a request of its own.
            let now = Int64(round) * second
            try box.send(spans.filter { $0.status != 2 }, now: now)
            try box.send(spans.filter { $0.status == 2 }, now: now + 1000)
            _ = box.value.decideDue(now: now + second, limit: .max)
            kept += try box.kept()
        }
        #expect(errors.count == 10_000)
        #expect(errors.subtracting(kept.map(\.trace)).isEmpty)
        let others = kept.count { !errors.contains($0.trace) } / 2
        #expect(abs(Double(others) - 100) < 3 * 10)
        // Errors stand for themselves, the others for about a hundred: together for all.
        var total = 0.0
        for span in kept { total += try adjustedCount(span.state) }
        #expect(abs(total - 40_000) < 3 * 2 * (100.0 * 9900).squareRoot())
    }

    private func adjustedCount(_ state: String) throws -> Double {
        let bytes = Array(state.utf8)
        return try bytes.withUnsafeBytes { try TraceState($0).threshold?.adjustedCount } ?? 1
    }

    @Test(arguments: [0.1, 1, 10, 33.3, 90]) func theShareOfAMillionTraces(_ percentage: Double) throws {
        let program = try PolicyProgram([PolicySpec("p", .probabilistic(percentage: percentage, salt: "s"))])
        var facts = TraceFacts(program.plan)
        var tallies = [PolicyTally()]
        var random = SeededRandom(UInt64(percentage * 10) + 3)
        var kept = 0.0
        var adjusted = 0.0
        let count = 1_000_000.0
        for _ in 0..<Int(count) {
            facts.begin((random.next(), random.next()))
            let verdict = program.verdict(facts, now: 0, tallies: &tallies)
            guard verdict.isSampled else { continue }
            kept += 1
            let threshold = try #require(verdict.threshold)
            adjusted += threshold.adjustedCount
            let randomness = try #require(verdict.randomness)
            if !threshold.keeps(randomness) { Issue.record("inconsistent threshold") }
        }
        let share = percentage / 100
        let error = (count * share * (1 - share)).squareRoot()
        #expect(abs(kept - count * share) < 3 * error)
        #expect(abs(adjusted - count) < 3 * error / share)
    }

    /// Computed with Go's math/big, as otelcol does: (2^64 - 1) × percentage / 100.
    @Test func limitsAreThoseOfTheReference() {
        #expect(ProbabilityRule.limit(0.1) == 1_844_674_407_370_955_263)
        #expect(ProbabilityRule.limit(0.5) == 9_223_372_036_854_775_807)
        #expect(ProbabilityRule.limit(1) == .max)
        #expect(ProbabilityRule.limit(0) == 0)
        #expect(ProbabilityRule.limit(0x1p-70) == 0)
    }

    private func state(_ text: String, _ policies: [PolicySpec], low: UInt64) throws -> String? {
        var settings = TailSettings()
        settings.decisionWait = second
        let box = ShardBox(settings, try PolicyProgram(policies))
        var span = TestSpan(trace: (1, low), id: 1)
        span.state = text
        try box.send([span], now: 0)
        _ = box.value.decideDue(now: second, limit: .max)
        return try box.kept().first?.state
    }

    @Test func thresholdsThatCameAreCombined() throws {
        let half = [PolicySpec("half", .probabilistic(percentage: 50, salt: "a"))]
        let all = [PolicySpec("all", .always)]
        // A quarter came; half of it is an eighth… of which this one is, by its `rv`.
        #expect(try state("ot=th:c;rv:ffffffffffffff,x=y", half, low: 1) == "ot=rv:ffffffffffffff;th:e,x=y")
        #expect(try state("ot=th:c;rv:d0000000000000", half, low: 1) == nil)
        #expect(try state("ot=th:c;rv:d0000000000000", all, low: 1) == "ot=th:c;rv:d0000000000000")
        #expect(try state("ot=th:c", half, low: 0x00F0_0000_0000_0000) == "ot=th:e")
        // What limits a rate has no probability.
        let limited = [PolicySpec("limited", .rateLimiting(spansPerSecond: 10, burst: 10))]
        #expect(try state("ot=th:c;rv:ffffffffffffff", limited, low: 1) == "ot=rv:ffffffffffffff")
        #expect(try state("x=y", limited, low: 1) == "x=y")
        // The least threshold of those that keep it.
        #expect(try state("ot=th:c;rv:ffffffffffffff", half + all, low: 1) == "ot=th:c;rv:ffffffffffffff")
        // Not valid: nothing in it is believed or changed.
        #expect(try state("ot=th:zz", all, low: 1) == "ot=th:zz")
    }

    @Test func aSpanWithoutTraceStateGetsOne() throws {
        var random = SeededRandom(5)
        var seen = 0
        for _ in 0..<200 {
            let id = random.next()
            let policies = [PolicySpec("tenth", .probabilistic(percentage: 10, salt: "a"))]
            guard let text = try state("", policies, low: id) else { continue }
            seen += 1
            let bytes = Array(text.utf8)
            try bytes.withUnsafeBytes { raw in
                let state = try TraceState(raw)
                let randomness = try #require(state.randomness)
                let threshold = try #require(state.threshold)
                #expect(abs(threshold.adjustedCount - 10) < 1e-9)
                #expect(threshold.keeps(randomness))
            }
        }
        #expect((5...40).contains(seen))
    }

    @Test func lateSpansCarryTheThresholdOfTheirTrace() throws {
        var settings = TailSettings()
        settings.decisionWait = second
        let box = ShardBox(
            settings, try PolicyProgram([PolicySpec("tenth", .probabilistic(percentage: 10, salt: "a"))]))
        var random = SeededRandom(6)
        let ids = (0..<300).map { _ in random.next() }
        try box.send(ids.map { TestSpan(trace: (1, $0), id: 1) }, now: 0)
        _ = box.value.decideDue(now: second, limit: .max)
        let first = try box.kept()
        try box.send(ids.map { TestSpan(trace: (1, $0), id: 2) }, now: 2 * second)
        let late = try box.kept()
        #expect(first.count > 10)
        #expect(
            late.map(\.trace) == first.map(\.trace).sorted { ids.firstIndex(of: $0) ?? 0 < ids.firstIndex(of: $1) ?? 0 }
        )
        let states = Dictionary(first.map { ($0.trace, $0.state) }, uniquingKeysWith: { $1 })
        for span in late { #expect(span.state == states[span.trace]) }
    }

    // MARK: Adaptive

    private func rates(_ spec: AdaptiveSpec, seconds: Int, _ load: (Int) -> [(key: String, count: Int)]) throws -> (
        kept: [String: [Double]], total: [Double]
    ) {
        let sampler = AdaptiveSampler(spec)
        var random = SeededRandom(1)
        var kept: [String: [Double]] = [:]
        var total = [Double](repeating: 0, count: seconds)
        for now in 0..<seconds {
            for (key, count) in load(now) {
                for index in 0..<count {
                    let time = Int64(now) * second + Int64(index) * second / Int64(count)
                    let share = sampler.share(of: Array(key.utf8), weight: 1, now: time)
                    guard Double.random(in: 0..<1, using: &random) < share else { continue }
                    kept[key, default: Array(repeating: 0, count: seconds)][now] += 1
                    total[now] += 1
                }
            }
        }
        return (kept, total)
    }

    @Test(arguments: [AdaptiveSpec.Algorithm.ema, .windowed]) func throughputReachesItsGoal(
        _ algorithm: AdaptiveSpec.Algorithm
    ) throws {
        var spec = AdaptiveSpec(.throughput(100), keys: ["k"])
        spec.interval = second
        spec.algorithm = algorithm
        spec.unit = .traces
        let load = [("hot", 600), ("warm", 300), ("mild", 100)]
        let (kept, total) = try rates(spec, seconds: 90) { _ in load }
        let mean = total[60...].reduce(0, +) / 30
        #expect(abs(mean - 100) < 10, "\(mean) a second")
        let shares = load.map { key, count in (kept[key] ?? []).suffix(30).reduce(0, +) / Double(30 * count) }
        #expect(shares[0] < shares[1] && shares[1] < shares[2])
    }

    @Test func whatRareKeysLeaveGoesToOthers() throws {
        var spec = AdaptiveSpec(.throughput(100), keys: ["k"])
        spec.interval = second
        spec.unit = .traces
        let (kept, total) = try rates(spec, seconds: 90) { now in
            [("zz-hot", 900), ("aa-rare", 2)] + (now == 80 ? [("new", 1)] : [])
        }
        #expect(abs(total[60...].reduce(0, +) / 30 - 100) < 10)
        #expect(kept["aa-rare"]?.suffix(30).reduce(0, +) == 60)
        #expect(kept["new"]?[80] == 1, "a new key is kept at once")
    }

    @Test func aPercentageReachesItsGoal() throws {
        var spec = AdaptiveSpec(.percentage(10), keys: ["k"])
        spec.unit = .traces
        let (kept, total) = try rates(spec, seconds: 120) { _ in [("a", 700), ("b", 280), ("c", 20)] }
        let mean = total[60...].reduce(0, +) / 60
        #expect(abs(mean - 100) < 10, "\(mean) of 1000")
        #expect((kept["c"] ?? []).suffix(60).reduce(0, +) / 1200 > 0.9)
    }

    @Test func keysAreBounded() {
        var spec = AdaptiveSpec(.throughput(10), keys: ["k"])
        spec.interval = second
        spec.maximumKeys = 20
        spec.unit = .traces
        let sampler = AdaptiveSampler(spec)
        var kept = 0.0
        for index in 0..<30_000 {
            let now = Int64(index) * second / 1000
            let share = sampler.share(of: Array("key\(index)".utf8), weight: 1, now: now)
            if index > 20_000 { kept += share }
        }
        #expect(sampler.keyCount <= 21)
        #expect(kept < 10_000 * 0.1)
    }
}
