import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// Policies that change while traces are held.
@Suite struct TailReloadTests {
    private func span(_ trace: UInt64, _ id: UInt64, status: Int = 0) -> TestSpan {
        var span = TestSpan(trace: (trace << 32, trace &* 0x9E37_79B9_7F4A_7C15), id: trace << 8 | id)
        span.status = status
        span.resource = [("tenant", .text(trace % 2 == 0 ? "gold" : "free"))]
        return span
    }

    private var settings: TailSettings {
        var settings = TailSettings()
        settings.decisionWait = 10 * second
        settings.writesReason = true
        return settings
    }

    private let errors = PolicySpec("errors", .statusCode(.error))
    private let gold = PolicySpec(
        "gold", .attribute(AttributeTest(key: "tenant", .text(["gold"])), isInverted: false))

    @Test func heldTracesAreDecidedAnewAndDecisionsHold() throws {
        let box = ShardBox(settings, try PolicyProgram([errors]))
        try box.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        _ = box.value.decideDue(now: 10 * second, limit: .max)
        #expect(try box.kept().map(\.trace) == [span(1, 1).trace.low])
        // Of the resource something is known by the first program: another trace has the same.
        try box.send([span(4, 1), span(3, 1, status: 2)], now: 11 * second)
        #expect(box.value.takeTallies().map(\.sampled.traces) == [1])
        box.value.replace(
            settings, try PolicyProgram([gold, PolicySpec("more", .spanCount(minimum: 9, maximum: nil))]))
        #expect(box.value.traceCount == 2)
        _ = box.value.decideDue(now: 21 * second, limit: .max)
        #expect(try box.kept().map(\.trace) == [span(4, 1).trace.low])
        #expect(box.value.takeTallies().map(\.sampled.traces) == [1, 0])
        // The first decisions are followed, under the name that they were taken by.
        try box.send([span(1, 2), span(2, 2)], now: 22 * second)
        let late = try box.kept()
        #expect(late.map(\.trace) == [span(1, 1).trace.low])
        #expect(late.first?.attributes["tailsampling.policy"] == "errors")
    }

    @Test func waitsChange() throws {
        var first = settings
        first.waitAfterLastSpan = 2 * second
        let box = ShardBox(first, try PolicyProgram([errors]))
        try box.send([span(1, 1, status: 2)], now: 0)
        #expect(box.value.nextDue == 2 * second)
        var next = settings
        next.decisionWait = 60 * second
        box.value.replace(next, try PolicyProgram([errors]))
        #expect(box.value.nextDue == 60 * second)
        box.value.replace(first, try PolicyProgram([errors]))
        try box.send([span(1, 2), span(2, 1)], now: second)
        #expect(box.value.nextDue == 3 * second)
        _ = box.value.decideDue(now: 3 * second, limit: .max)
        #expect(try box.kept().count == 2)
    }

    @Test func bucketsAndRatesOfPoliciesThatStayGoOn() throws {
        let limited = PolicySpec("limited", .rateLimiting(spansPerSecond: 1, burst: 2))
        let share = CompositeSpec(
            spansPerSecond: 1, shares: [CompositeSpec.Share(PolicySpec("all", .always), spansPerSecond: 1)])
        let composite = PolicySpec("composite", .composite(share))
        let inner = PolicySpec("and", .and([limited]))
        for (policy, changed) in [
            (limited, PolicySpec("limited", .rateLimiting(spansPerSecond: 1, burst: 3))),
            (inner, PolicySpec("other", .and([limited]))),
            (composite, PolicySpec("composite", .composite(CompositeSpec(spansPerSecond: 2, shares: share.shares)))),
        ] {
            let program = try PolicyProgram([policy])
            let box = ShardBox(settings, program)
            for trace in 1...6 { try box.send([span(UInt64(trace), 1)], now: 0) }
            for _ in 0..<3 { box.value.decideOldest(.wait, now: 0) }
            let before = try box.kept().count
            #expect(before == 2 || before == 1)
            let same = try PolicyProgram([errors, policy], former: program)
            box.value.replace(settings, same)
            box.value.decideOldest(.wait, now: 0)
            #expect(try box.kept().isEmpty, "\(policy.name): what was taken stays taken")
            box.value.replace(settings, try PolicyProgram([changed], former: same))
            box.value.decideOldest(.wait, now: 0)
            #expect(try box.kept().count == 1, "\(changed.name): another policy begins anew")
        }
    }

    @Test func ratesByKeyGoOn() throws {
        var spec = AdaptiveSpec(.throughput(10), keys: ["tenant"])
        spec.interval = second
        let program = try PolicyProgram([PolicySpec("adaptive", .adaptive(spec))])
        let again = try PolicyProgram([errors, PolicySpec("adaptive", .adaptive(spec))], former: program)
        spec.maximumKeys = 3
        let changed = try PolicyProgram([PolicySpec("adaptive", .adaptive(spec))], former: program)
        #expect(again.adaptiveSamplers.first?.sampler === program.adaptiveSamplers.first?.sampler)
        #expect(changed.adaptiveSamplers.first?.sampler !== program.adaptiveSamplers.first?.sampler)
    }

    @Test func theHashOfADecisionIsKept() throws {
        var settings = settings
        settings.writesReason = false
        func half(_ salt: String) -> PolicySpec { PolicySpec("half", .probabilistic(percentage: 50, salt: salt)) }
        let box = ShardBox(settings, try PolicyProgram([half("one")]))
        for trace in 1...20 { try box.send([span(UInt64(trace), 1)], now: 0) }
        _ = box.value.decideDue(now: 10 * second, limit: .max)
        let states = Dictionary(try box.kept().map { ($0.trace, $0.state) }, uniquingKeysWith: { $1 })
        #expect(states.count > 3)
        _ = box.value.takeTallies()
        box.value.replace(settings, try PolicyProgram([half("two")]))
        for trace in 1...20 { try box.send([span(UInt64(trace), 2)], now: 11 * second) }
        for span in try box.kept() { #expect(span.state == states[span.trace]) }
    }

    /// With `span-ingest` a trace may be kept already, and wait for policies that drop.
    @Test func whatIsToBeKeptStaysSo() throws {
        var settings = settings
        settings.evaluatesAtIngest = true
        let drop = PolicySpec("drop", .drop([PolicySpec("ok", .statusCode(.ok))]))
        let box = ShardBox(settings, try PolicyProgram([errors, gold, drop]))
        try box.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        box.value.replace(settings, try PolicyProgram([drop, gold]))
        _ = box.value.decideDue(now: 10 * second, limit: .max)
        let kept = try box.kept()
        #expect(kept.count == 2)
        #expect(kept.map { $0.attributes["tailsampling.policy"] } == [nil, "gold"])
    }
}
