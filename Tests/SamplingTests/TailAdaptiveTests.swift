import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// Adaptive policies over whole traces, with a clock of their own: each unit comes to its goal.
@Suite struct TailAdaptiveTests {
    private static let tenants = [("hot", 60), ("warm", 30), ("mild", 10)]

    private func trace(_ id: UInt64, _ tenant: String, _ random: inout SeededRandom) -> [TestSpan] {
        let trace = (high: random.next(), low: random.next())
        return (1...Int.random(in: 1...4, using: &random)).map { number in
            var span = TestSpan(trace: trace, id: id << 3 | UInt64(number))
            span.resource = [("tenant.id", .text(tenant))]
            span.attributes = [
                ("gen_ai.usage.input_tokens", .int(Int64.random(in: 100...2000, using: &random))),
                ("gen_ai.usage.output_tokens", .int(Int64.random(in: 10...500, using: &random))),
                ("gen_ai.usage.cost", .double(Double(Int64.random(in: 1...900, using: &random)) / 65_536)),
                ("prompt", .text(String(repeating: "x", count: Int.random(in: 0...800, using: &random)))),
            ]
            return span
        }
    }

    private func amount(_ spans: [TestSpan], _ unit: AdaptiveSpec.Unit) throws -> Double {
        func sum(_ keys: [String]) -> Double {
            var total = 0.0
            for span in spans {
                for (key, value) in span.attributes where keys.contains(key) {
                    switch value {
                    case .int(let number): total += Double(number)
                    case .double(let number): total += number
                    default: break
                    }
                }
            }
            return total
        }
        switch unit {
        case .traces: return 1
        case .spans: return Double(spans.count)
        case .bytes: return Double(try TailModelTests.bytes(spans))
        case .tokens: return sum(["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"])
        case .usd: return sum(["gen_ai.usage.cost"])
        }
    }

    @Test(arguments: AdaptiveSpec.Unit.allCases, AdaptiveSpec.Algorithm.allCases)
    func eachUnitComesToItsGoal(_ unit: AdaptiveSpec.Unit, _ algorithm: AdaptiveSpec.Algorithm) throws {
        // Means of one trace, and of that 30 a second.
        let means: [AdaptiveSpec.Unit: Double] = [
            .traces: 1, .spans: 2.5, .tokens: 2.5 * 1305, .usd: 2.5 * 450.5 / 65_536, .bytes: 1627,
        ]
        let goal = 30 * (means[unit] ?? 1)
        var spec = AdaptiveSpec(.throughput(goal), keys: ["tenant.id"])
        spec.unit = unit
        spec.algorithm = algorithm
        spec.interval = second
        var settings = TailSettings()
        settings.decisionWait = second
        settings.writesThreshold = false
        let box = ShardBox(settings, try PolicyProgram([PolicySpec("adaptive", .adaptive(spec))]))
        var random = SeededRandom(UInt64(unit.rawValue.utf8.count) + 40)
        var amounts: [UInt64: Double] = [:]
        var kept = [Double](repeating: 0, count: 90)
        var all = 0.0
        var rare: [UInt64] = []
        var number: UInt64 = 0
        for now in 0..<90 {
            var spans: [TestSpan] = []
            for (tenant, count) in Self.tenants + (now == 75 || now == 80 ? [("rare \(now)", 1)] : []) {
                for _ in 0..<count {
                    number += 1
                    let trace = trace(number, tenant, &random)
                    let weight = try amount(trace, unit)
                    amounts[trace[0].trace.low] = weight
                    if now >= 60 { all += weight }
                    if count == 1 { rare.append(trace[0].trace.low) }
                    spans += trace
                }
            }
            try box.send(spans, now: Int64(now) * second)
            _ = box.value.decideDue(now: Int64(now) * second, limit: .max)
            for id in Set(try box.kept().map(\.trace)) {
                kept[now] += amounts[id] ?? 0
                // Decided about when its second was over.
                rare.removeAll { $0 == id && now <= 81 }
            }
        }
        let mean = kept[60...].reduce(0, +) / 30
        #expect(abs(mean / goal - 1) < 0.1, "\(unit.rawValue), \(algorithm.rawValue): \(mean) a second for \(goal)")
        #expect(all / 30 > goal * 2.5, "there is more than the goal")
        #expect(rare.isEmpty, "a new key is kept at once")
        let report = try #require(box.value.program.adaptiveReports(limit: 2).first)
        #expect(report.policy == ["adaptive"] && report.unit == unit)
        #expect(report.keys.map(\.name) == ["hot;", "warm;"])
        #expect((report.keys.first?.share ?? 1) < 1)
    }
}
