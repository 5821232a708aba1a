import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// Random traces, split over requests that arrive in any order, against `ReferenceModel`.
@Suite struct TailModelTests {
    static let pattern: AttributeTest.Test = {
        guard let pattern = try? TextPattern("^v1") else { return .text([]) }
        return .pattern([pattern])
    }()

    /// One policy of each kind.
    static let single: [PolicySpec] = [
        PolicySpec("always", .always),
        PolicySpec("slow", .latency(threshold: 400, upper: nil)),
        PolicySpec("window", .latency(threshold: 200, upper: 500)),
        PolicySpec("text", .attribute(AttributeTest(key: "route", .text(["v1/a", "v2/b", ""])), isInverted: false)),
        PolicySpec("pattern", .attribute(AttributeTest(key: "route", pattern), isInverted: false)),
        PolicySpec("tenant", .attribute(AttributeTest(key: "tenant", .text(["gold"])), isInverted: false)),
        PolicySpec("no-route", .attribute(AttributeTest(key: "route", .text(["v1/a"])), isInverted: true)),
        PolicySpec(
            "number", .attribute(AttributeTest(key: "code", .number(minimum: 0, maximum: 2)), isInverted: false)),
        PolicySpec("from", .attribute(AttributeTest(key: "code", .number(minimum: 4, maximum: nil)), isInverted: true)),
        PolicySpec("flag", .attribute(AttributeTest(key: "cached", .bool(true)), isInverted: false)),
        PolicySpec("errors", .statusCode(.error)),
        PolicySpec("ok-or-unset", .statusCode([.ok, .unset])),
        PolicySpec("vendor", .traceState(key: "acme", values: ["1", "2"])),
        PolicySpec("sampled", .traceFlags),
        PolicySpec("count", .spanCount(minimum: 3, maximum: 5)),
        PolicySpec("many", .spanCount(minimum: 4, maximum: nil)),
        PolicySpec("share", .probabilistic(percentage: 30, salt: "default-hash-seed")),
        PolicySpec("spans", .rateLimiting(spansPerSecond: 20, burst: 40)),
        PolicySpec("bytes", .bytesLimiting(bytesPerSecond: 1000, burst: 2000)),
        PolicySpec("sum", .aggregate(AggregateSpec(field: "cost", function: .sum, minimum: 0.05))),
        PolicySpec("most", .aggregate(AggregateSpec(field: "cost", function: .max, minimum: 0.03, maximum: 0.05))),
        PolicySpec("calls", .aggregate(AggregateSpec(field: "route", function: .count, values: ["v1/a"], minimum: 2))),
        PolicySpec("routes", .aggregate(AggregateSpec(field: "route", function: .distinct, minimum: 3))),
    ]

    /// Policies around others.
    static var combined: [PolicySpec] {
        func find(_ name: String) -> PolicySpec { single.first { $0.name == name } ?? single[0] }
        let composite = CompositeSpec(
            spansPerSecond: 60,
            shares: [
                .init(find("errors"), spansPerSecond: 50), .init(find("slow"), spansPerSecond: 40),
                .init(find("always"), spansPerSecond: 10),
            ])
        return [
            PolicySpec("and", .and([find("errors"), find("slow")])),
            PolicySpec("and-inverted", .and([find("no-route"), find("share")])),
            PolicySpec("and-limited", .and([find("tenant"), find("spans")])),
            PolicySpec("not", .not(find("number"))),
            PolicySpec("not-and", .not(PolicySpec("inner", .and([find("errors"), find("tenant")])))),
            PolicySpec("drop", .drop([find("tenant"), find("flag")])),
            PolicySpec("composite", .composite(composite)),
            PolicySpec("same", .span([find("errors"), find("text")], isRoot: false)),
            PolicySpec("same-not", .span([find("errors"), PolicySpec("n", .not(find("tenant")))], isRoot: false)),
            PolicySpec("root", .span([find("pattern"), find("number")], isRoot: true)),
            PolicySpec("not-sum", .not(find("sum"))),
            PolicySpec(
                "and-sum",
                .and([find("sum"), PolicySpec("r", .span([find("ok-or-unset")], isRoot: true)), find("many")])),
            PolicySpec("not-same", .not(PolicySpec("s", .span([find("errors"), find("flag")], isRoot: false)))),
            PolicySpec(
                "composite-sum",
                .composite(
                    CompositeSpec(
                        spansPerSecond: 30,
                        shares: [.init(find("most"), spansPerSecond: 20), .init(find("routes"), spansPerSecond: 20)]))),
        ]
    }

    static func trace(_ number: UInt64, _ random: inout SeededRandom) -> [TestSpan] {
        let id = (high: random.next(), low: random.next())
        let routes = ["v1/a", "v1/b", "v2/b", "v3", ""]
        return (0..<Int.random(in: 1...7, using: &random)).map { index in
            let start = 1_000_000_000_000 + UInt64.random(in: 0...300_000_000, using: &random)
            var span = TestSpan(trace: id, id: number << 8 | UInt64(index + 1), start: start, end: start)
            span.end += UInt64.random(in: 0...300_000_000, using: &random)
            if index > 0 { span.parent = number << 8 | 1 }
            span.status = Int.random(in: 0...9, using: &random) == 0 ? 2 : Int.random(in: 0...1, using: &random)
            span.flags = UInt32.random(in: 0...1, using: &random)
            if Int.random(in: 0...5, using: &random) == 0 {
                span.state = "x=y,acme=\(Int.random(in: 1...4, using: &random))"
            }
            if Bool.random(using: &random), let route = routes.randomElement(using: &random) {
                span.attributes.append(("route", .text(route)))
            }
            if Int.random(in: 0...2, using: &random) == 0 {
                let number = Int64.random(in: 0...9, using: &random)
                span.attributes.append(
                    ("code", Bool.random(using: &random) ? .int(number) : .double(Double(number) / 2)))
            }
            if Bool.random(using: &random) { span.attributes.append(("cached", .bool(Bool.random(using: &random)))) }
            if Bool.random(using: &random) {
                span.attributes.append(("cost", .double(Double(Int.random(in: 0...64, using: &random)) / 1024)))
            }
            span.resource = [("service.name", .text("s\(Int.random(in: 0...2, using: &random))"))]
            if Int.random(in: 0...3, using: &random) == 0 { span.resource.append(("tenant", .text("gold"))) }
            return span
        }
    }

    /// The encoded size that `bytes_limiting` goes by: the spans, and each resource once in a row as they arrived.
    static func bytes(_ spans: [TestSpan]) throws -> Int {
        var size = 0
        for (index, span) in spans.enumerated() {
            var writer = WireWriter()
            span.encode(into: &writer)
            writer.wrap(since: 0, field: 2)
            size += writer.count
            if index > 0, TestSpan.resourceKey(span) == TestSpan.resourceKey(spans[index - 1]) { continue }
            var resource = WireWriter()
            for (key, value) in span.resource { TestSpan.append(key, value, field: 1, to: &resource) }
            resource.wrap(since: 0, field: 1)
            size += resource.count
        }
        return size
    }

    /// Runs traces through shards and the model and compares which spans come out.
    private func compare(_ policies: [PolicySpec], traces count: Int, shards: Int, seed: UInt64, first: Bool = false)
        throws
    {
        var random = SeededRandom(seed)
        var settings = TailSettings()
        settings.decisionWait = 10 * second
        settings.writesThreshold = false
        let program = try PolicyProgram(policies, stopsAtFirstMatch: first)
        var model = ReferenceModel(policies, stopsAtFirstMatch: first)
        var boxes = (0..<shards).map { ShardBox(settings, program, UInt64($0), share: shards) }
        let choice = ShardChoice(count: shards, seed: (seed, 7))
        var expected = Set<UInt64>()
        var kept: [KeptSpan] = []
        // Requests of about ten traces whose spans are mixed; a trace's spans come within a second of each other.
        var now: Int64 = 0
        var sent = 0
        var allSpans = 0
        while sent < count {
            let group = (0..<min(10, count - sent)).map { Self.trace(UInt64(sent + $0 + 1), &random) }
            sent += group.count
            allSpans += group.reduce(0) { $0 + $1.count }
            var spans = group.flatMap { $0 }
            spans.shuffle(using: &random)
            var arrivals: [UInt64: [TestSpan]] = [:]
            var order: [UInt64] = []
            while !spans.isEmpty {
                now += Int64.random(in: 1...40, using: &random) * 1_000_000
                let part = Array(spans.prefix(Int.random(in: 1...8, using: &random)))
                spans.removeFirst(part.count)
                for span in part {
                    if arrivals[span.trace.low] == nil { order.append(span.trace.low) }
                    arrivals[span.trace.low, default: []].append(span)
                }
                try ShardBox.send(part, to: boxes, choice, now: now)
            }
            // The traces of this group are decided about one by one, in the order in which they came.
            now += 11 * second
            for id in order {
                guard let trace = arrivals[id] else { continue }
                let shard = choice.shard(trace[0].trace.high, trace[0].trace.low)
                let isDecided = boxes[shard].value.decideOldest(.wait, now: now)
                #expect(isDecided)
                if model.decide(trace, bytes: try Self.bytes(trace), now: now).isKept {
                    expected.formUnion(trace.map(\.id))
                }
            }
            for index in boxes.indices { kept += try KeptSpan.all(in: boxes[index].value.takeKept()) }
        }
        if policies.count == 1, !["always", "drop"].contains(policies[0].name) {
            #expect(!expected.isEmpty, "\(policies[0].name) keeps nothing")
            #expect(expected.count < allSpans, "\(policies[0].name) keeps everything")
        }
        let names = policies.map(\.name).joined(separator: "+")
        #expect(Set(kept.map(\.id)) == expected, "\(names), seed \(seed)")
        #expect(kept.count == expected.count, "\(names): no span twice")
        for index in boxes.indices {
            let left = (boxes[index].value.traceCount, boxes[index].value.liveBytes, boxes[index].value.envelopes.count)
            #expect(left == (0, 0, 0))
        }
        boxes = []
    }

    @Test(arguments: single.indices) func eachPolicyAlone(_ index: Int) throws {
        try compare([Self.single[index]], traces: 400, shards: 1, seed: UInt64(index) + 11)
    }

    @Test(arguments: combined.indices) func eachCombination(_ index: Int) throws {
        try compare([Self.combined[index]], traces: 600, shards: 1, seed: UInt64(index) + 71)
        try compare(
            [Self.single[(index + 9) % Self.single.count], Self.combined[index]], traces: 300, shards: 3,
            seed: UInt64(index) + 171)
    }

    /// Numbers and conditions on one span, inside a policy that drops.
    @Test func numbersMayDropToo() throws {
        for name in ["sum", "most", "routes"] {
            let number = Self.single.first { $0.name == name } ?? Self.single[0]
            let rooted = PolicySpec("r", .span([Self.single[8]], isRoot: true))
            try compare(
                [PolicySpec("drop", .drop([number])), PolicySpec("rest", .not(rooted))], traces: 300, shards: 2, seed: 5
            )
            try compare(
                [PolicySpec("drop", .drop([number, PolicySpec("n", .not(rooted))])), PolicySpec("all", .always)],
                traces: 300, shards: 2, seed: 6)
        }
    }

    @Test func randomSetsOfPolicies() throws {
        var random = SeededRandom(2026)
        let all = Self.single + Self.combined
        for round in 0..<60 {
            var policies = (0..<Int.random(in: 2...6, using: &random)).compactMap { _ in
                all.randomElement(using: &random)
            }
            for index in policies.indices { policies[index].name += "-\(index)" }
            try compare(
                policies, traces: 150, shards: Int.random(in: 1...4, using: &random), seed: UInt64(round) + 1000,
                first: round % 3 == 0)
        }
    }
}

/// A shard that an array can hold.
final class ShardBox {
    var value: TailShard

    init(
        _ settings: TailSettings, _ program: PolicyProgram, _ seed: UInt64 = 1, share: Int = 1, isDurable: Bool = false
    ) {
        value = TailShard(settings, program, share: share, seed: (seed &* 77 &+ 5, 991), isDurable: isDurable)
    }

    /// Gives a request to the shards that its traces belong to.
    static func send(_ spans: [TestSpan], to boxes: [ShardBox], _ choice: ShardChoice, now: Int64) throws {
        let batch = try TestSpan.request(spans)
        let runs = TraceRuns(batch)
        for (index, box) in boxes.enumerated() {
            let isComplete = box.value.take(runs, of: batch, now: now) { choice.shard($0.high, $0.low) == index }
            #expect(isComplete)
        }
    }

    func send(_ spans: [TestSpan], now: Int64) throws {
        try Self.send(spans, to: [self], ShardChoice(count: 1, seed: (1, 1)), now: now)
    }

    func kept() throws -> [KeptSpan] { try KeptSpan.all(in: value.takeKept()) }
}
