import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// When a shard decides, what follows a decision, and what comes out.
@Suite struct TailShardTests {
    private func trace(_ number: UInt64) -> (high: UInt64, low: UInt64) {
        (number << 32, number &* 0x9E37_79B9_7F4A_7C15)
    }

    private func span(_ trace: UInt64, _ id: UInt64, root: Bool = false, status: Int = 0) -> TestSpan {
        var span = TestSpan(trace: self.trace(trace), id: trace << 8 | id)
        span.parent = root ? 0 : trace << 8 | 1
        span.status = status
        span.resource = [("service.name", .text("shop"))]
        return span
    }

    private func box(_ policies: [PolicySpec], _ change: (inout TailSettings) -> Void = { _ in }) throws -> ShardBox {
        var settings = TailSettings()
        settings.decisionWait = 10 * second
        change(&settings)
        return ShardBox(settings, try PolicyProgram(policies))
    }

    private let errors = PolicySpec("errors", .statusCode(.error))
    private let always = PolicySpec("all", .always)

    private func decide(_ box: ShardBox, _ now: Int64) -> Bool { box.value.decideDue(now: now, limit: .max) }

    @Test func decisionsFallDueAfterTheFirstSpan() throws {
        let box = try box([always])
        try box.send([span(1, 1, root: true)], now: 5 * second)
        try box.send([span(2, 1)], now: 6 * second)
        try box.send([span(1, 2)], now: 14 * second)
        #expect(box.value.nextDue == 15 * second)
        _ = decide(box, 15 * second - 1)
        #expect(try box.kept() == [])
        _ = decide(box, 15 * second)
        #expect(try box.kept().map(\.id) == [1 << 8 | 1, 1 << 8 | 2])
        #expect(box.value.nextDue == 16 * second)
        let counts = box.value.takeCounts()
        #expect(counts.triggers[DecisionTrigger.wait.rawValue] == 1)
        #expect(counts.removalAges == [10])
    }

    @Test func aRootOrSilenceBringsTheDecisionForward() throws {
        let box = try box([always]) {
            $0.waitAfterRoot = 2 * second
            $0.waitAfterLastSpan = 4 * second
        }
        try box.send([span(1, 2)], now: 0)
        try box.send([span(1, 1, root: true)], now: second)
        try box.send([span(2, 2)], now: second)
        try box.send([span(2, 3)], now: 3 * second)
        try box.send([span(3, 1)], now: 3 * second)
        #expect(box.value.nextDue == 3 * second)
        _ = decide(box, 3 * second)
        #expect(Set(try box.kept().map(\.trace)) == [trace(1).low])
        #expect(box.value.nextDue == 7 * second)
        // A span that comes moves the end of the silence, not the root's.
        try box.send([span(3, 2)], now: 6 * second)
        _ = decide(box, 7 * second)
        #expect(Set(try box.kept().map(\.trace)) == [trace(2).low])
        _ = decide(box, 10 * second)
        #expect(Set(try box.kept().map(\.trace)) == [trace(3).low])
        let triggers = box.value.takeCounts().triggers
        #expect(triggers[DecisionTrigger.root.rawValue] == 1)
        #expect(triggers[DecisionTrigger.lastSpan.rawValue] == 2)
    }

    @Test func limitsDecideAtOnce() throws {
        let box = try box([always]) { $0.spanLimit = 3 }
        try box.send([span(1, 1), span(1, 2)], now: 0)
        #expect(try box.kept() == [])
        try box.send([span(1, 3), span(1, 4)], now: 1)
        #expect(try box.kept().count == 4)
        let bytes = try self.box([always]) { $0.byteLimit = 150 }
        try bytes.send([span(1, 1)], now: 0)
        #expect(try bytes.kept() == [])
        try bytes.send([span(1, 2), span(1, 3)], now: 1)
        #expect(try bytes.kept().count == 3)
        #expect(bytes.value.takeCounts().triggers[DecisionTrigger.byteLimit.rawValue] == 1)
    }

    @Test func aTraceThatIsTooLargeIsNotSampled() throws {
        let box = try box([always]) { $0.maximumTraceBytes = 100 }
        try box.send([span(1, 1), span(1, 2), span(2, 1)], now: 0)
        try box.send([span(1, 3)], now: 1)
        _ = decide(box, 10 * second)
        #expect(try box.kept().map(\.trace) == [trace(2).low])
        let counts = box.value.takeCounts()
        #expect(counts.tooLarge == 1)
        #expect(counts.lateDiscardedSpans == 1)
    }

    @Test func lateSpansFollowTheDecision() throws {
        let box = try box([errors])
        try box.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        _ = decide(box, 10 * second)
        #expect(try box.kept().count == 1)
        // An error that comes too late does not turn the decision.
        try box.send([span(1, 2), span(2, 2, status: 2)], now: 13 * second)
        #expect(try box.kept().map(\.id) == [1 << 8 | 2])
        #expect(box.value.traceCount == 0)
        let counts = box.value.takeCounts()
        #expect(counts.lateSampledSpans == 1)
        #expect(counts.lateDiscardedSpans == 1)
        #expect(counts.lateAges == [3, 3])
        #expect(box.value.liveBytes == 0)
    }

    @Test func theCacheForgetsTheOldest() throws {
        let box = try box([errors]) {
            $0.sampledCacheSize = 8
            $0.nonSampledCacheSize = 8
        }
        for number in 1...200 { try box.send([span(UInt64(number), 1)], now: Int64(number) * second) }
        _ = decide(box, 500 * second)
        _ = box.value.takeCounts()
        // Of 200 decisions eight are known; spans of the others begin new traces.
        for number in 1...200 { try box.send([span(UInt64(number), 2)], now: 501 * second) }
        #expect(box.value.takeCounts().lateDiscardedSpans == 8)
        #expect(box.value.traceCount == 192)
    }

    @Test func anErrorDecidesEarlyAndTheRestStreams() throws {
        let box = try box([errors, PolicySpec("some", .probabilistic(percentage: 1, salt: "x"))]) {
            $0.decidesEarly = true
        }
        try box.send([span(1, 1), span(2, 1)], now: 0)
        #expect(try box.kept() == [])
        try box.send([span(1, 2, status: 2)], now: second)
        #expect(try box.kept().count == 2)
        try box.send([span(1, 3)], now: 2 * second)
        #expect(try box.kept().count == 1)
        #expect(box.value.traceCount == 1)
    }

    @Test func whatMayBeOverruledDoesNotDecideEarly() throws {
        let drop = PolicySpec("drop", .drop([PolicySpec("ok", .statusCode(.ok))]))
        let box = try box([errors, drop]) { $0.decidesEarly = true }
        try box.send([span(1, 1, status: 2)], now: 0)
        try box.send([span(1, 2, status: 1)], now: 1)
        _ = decide(box, 10 * second)
        #expect(try box.kept() == [])
        #expect(box.value.takeCounts().droppedTraces == 1)
    }

    @Test func spanIngestDecidesOnEachRequest() throws {
        let box = try box([errors]) { $0.evaluatesAtIngest = true }
        try box.send([span(1, 1)], now: 0)
        try box.send([span(1, 2, status: 2)], now: 1)
        #expect(try box.kept().count == 2)
        try box.send([span(2, 1)], now: 2)
        _ = decide(box, 20 * second)
        #expect(try box.kept() == [])
        let counts = box.value.takeCounts()
        #expect(counts.triggers[DecisionTrigger.ingest.rawValue] == 1)
        #expect(counts.notSampledTraces == 1)
    }

    @Test func spanIngestWaitsForPoliciesThatDrop() throws {
        let drop = PolicySpec("drop", .drop([PolicySpec("ok", .statusCode(.ok))]))
        let box = try box([errors, drop]) { $0.evaluatesAtIngest = true }
        try box.send([span(1, 1, status: 2), span(2, 1, status: 2)], now: 0)
        #expect(try box.kept() == [])
        try box.send([span(1, 2, status: 1)], now: 1)
        _ = decide(box, 20 * second)
        #expect(try box.kept().map(\.trace) == [trace(2).low])
    }

    @Test func reasonsAndDryRun() throws {
        let box = try box([errors]) { $0.writesReason = true }
        try box.send([span(1, 1, status: 2)], now: 0)
        _ = decide(box, 10 * second)
        try box.send([span(1, 2)], now: 11 * second)
        let kept = try box.kept()
        #expect(kept[0].attributes["tailsampling.policy"] == "errors")
        #expect(kept[0].attributes["tailsampling.trigger"] == "decision_wait")
        #expect(kept[0].attributes["tailsampling.rate"] == "1.0")
        #expect(kept[1].attributes["tailsampling.trigger"] == "late")
        #expect(kept[1].attributes["tailsampling.cached_decision"] == "true")

        let dry = try self.box([errors]) { $0.isDryRun = true }
        try dry.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        _ = decide(dry, 10 * second)
        try dry.send([span(2, 2)], now: 11 * second)
        let marked = try dry.kept().map { $0.attributes["tailsampling.decision"] }
        #expect(marked == ["sampled", "not_sampled", "not_sampled"])
    }

    @Test func atTheEndEverythingIsDecided() throws {
        let box = try box([errors])
        try box.send([span(1, 1, status: 2), span(2, 1)], now: 0)
        let isMore = box.value.shutDown(now: 1, limit: 100)
        #expect(!isMore)
        #expect(try box.kept().map(\.trace) == [trace(1).low])
        let dropping = try self.box([errors]) { $0.dropsAtShutdown = true }
        try dropping.send([span(1, 1, status: 2)], now: 0)
        _ = dropping.value.shutDown(now: 1, limit: 100)
        #expect(try dropping.kept() == [])
        #expect(dropping.value.takeCounts().triggers[DecisionTrigger.shutdown.rawValue] == 1)
    }

    @Test func resourcesStayWithTheirSpans() throws {
        let box = try box([always])
        var spans: [TestSpan] = []
        for index in 1...30 {
            var one = span(UInt64(index % 3 + 1), UInt64(index))
            one.resource = [("service.name", .text("s\(index % 4)"))]
            spans.append(one)
        }
        try box.send(spans, now: 0)
        _ = decide(box, 10 * second)
        let kept = try box.kept()
        #expect(kept.count == 30)
        for one in kept {
            #expect(String(decoding: one.resource, as: UTF8.self).contains("s\(Int(one.id & 0xFF) % 4)"))
        }
    }

    @Test func unknownFieldsAndLargeSpansSurvive() throws {
        let box = try box([always])
        var large = span(1, 1)
        large.attributes = [("prompt", .text(String(repeating: "long ", count: 80_000)))]
        try box.send([large, span(1, 2)], now: 0)
        #expect(box.value.heldBytes > 400_000)
        _ = decide(box, 10 * second)
        let kept = try box.kept()
        #expect(kept[0].attributes["prompt"]?.utf8.count == 400_000)
        #expect(kept.count == 2)
    }
}
