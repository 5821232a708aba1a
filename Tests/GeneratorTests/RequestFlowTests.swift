import Testing

@testable import Generator

@Suite struct RequestFlowTests {
    private static let second: UInt64 = 1_000_000_000

    /// Starts a request at `now`; the flow must have room.
    private func start(_ flow: inout RequestFlow<Int>, at now: UInt64 = 0) throws -> RequestFlow<Int>.Attempt {
        guard case .room = flow.next(at: now) else { throw UnexpectedStep() }
        return flow.start(1, spans: 10, at: now)
    }

    @Test func concurrencyIsABound() throws {
        var flow = RequestFlow<Int>(concurrency: 2)
        let first = try start(&flow)
        _ = try start(&flow)
        guard case .wait(.max) = flow.next(at: 0) else { throw UnexpectedStep() }
        flow.finish(first, .accepted(rejected: 0, reason: ""), at: 5)
        _ = try start(&flow, at: 5)
        #expect(flow.totals.acceptedSpans == 10)
    }

    @Test func whatWaitsToBeSentAgainTakesItsPlace() throws {
        var flow = RequestFlow<Int>(concurrency: 1)
        let attempt = try start(&flow)
        flow.finish(attempt, .later(after: 3 * Self.second, isThrottled: true, "busy"), at: Self.second)
        guard case .wait(4_000_000_000) = flow.next(at: 2 * Self.second) else { throw UnexpectedStep() }
        guard case .resend(let again) = flow.next(at: 4 * Self.second) else { throw UnexpectedStep() }
        #expect(again.number == 2 && again.spans == 10)
        flow.finish(again, .accepted(rejected: 0, reason: ""), at: 5 * Self.second)
        flow.complete()
        guard case .finished = flow.next(at: 5 * Self.second) else { throw UnexpectedStep() }
        #expect(flow.totals.throttled == 1 && flow.totals.resent == 1 && flow.totals.requests == 1)
        #expect(flow.totals.acceptedSpans == 10 && flow.totals.refusedSpans == 0)
    }

    @Test func pausesDoubleWhenTheServerDoesNotSay() throws {
        var flow = RequestFlow<Int>(concurrency: 1)
        var attempt = try start(&flow)
        flow.complete()
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        while true {
            flow.finish(attempt, .later(after: nil, isThrottled: false, "502"), at: now)
            guard case .wait(let due) = flow.next(at: now) else { break }
            pauses.append((due - now) / 1_000_000)
            now = due
            guard case .resend(let again) = flow.next(at: now) else { throw UnexpectedStep() }
            attempt = again
        }
        #expect(pauses == [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000])
        #expect(flow.totals.refusedSpans == 10 && !flow.totals.gaveUp)
    }

    @Test func aDelayBeyondTheLimitIsARefusal() throws {
        var flow = RequestFlow<Int>(concurrency: 1)
        let attempt = try start(&flow)
        flow.finish(attempt, .later(after: .max, isThrottled: true, "busy"), at: 1)
        #expect(flow.totals.refusedSpans == 10 && flow.totals.lastProblem == "busy")
        _ = try start(&flow, at: 2)
    }

    @Test func nobodyThereEndsTheRun() throws {
        var flow = RequestFlow<Int>(concurrency: 2)
        var attempt = try start(&flow)
        let other = try start(&flow)
        var now: UInt64 = 0
        while true {
            flow.finish(attempt, .unanswered("connection refused"), at: now)
            if flow.totals.gaveUp { break }
            guard case .wait(let due) = flow.next(at: now), case .resend(let again) = flow.next(at: due) else {
                throw UnexpectedStep()
            }
            now = due
            attempt = again
        }
        #expect(now < 5 * Self.second)
        flow.finish(other, .unanswered("connection refused"), at: now)
        guard case .finished = flow.next(at: now) else { throw UnexpectedStep() }
        #expect(flow.totals.refusedSpans == 20 && flow.totals.lastProblem == "connection refused")
    }

    @Test func partsOfARequestMayBeRejected() throws {
        var flow = RequestFlow<Int>(concurrency: 1)
        let first = try start(&flow)
        flow.finish(first, .accepted(rejected: 3, reason: "three"), at: 1)
        let second = try start(&flow, at: 1)
        // More than were sent.
        flow.finish(second, .accepted(rejected: 99, reason: "all"), at: 2)
        #expect(flow.totals.acceptedSpans == 7 && flow.totals.refusedSpans == 13)
        #expect(flow.totals.lastProblem == "all")
    }

    @Test func afterAStopNothingIsSentAgain() throws {
        var flow = RequestFlow<Int>(concurrency: 2)
        let first = try start(&flow)
        let second = try start(&flow)
        flow.finish(first, .later(after: 1, isThrottled: true, "busy"), at: 1)
        flow.stop()
        flow.complete()
        guard case .wait(.max) = flow.next(at: 10) else { throw UnexpectedStep() }
        flow.finish(second, .later(after: 1, isThrottled: true, "busy"), at: 11)
        guard case .finished = flow.next(at: 11) else { throw UnexpectedStep() }
        #expect(flow.totals.refusedSpans == 20)
    }

    @Test func percentilesAreWithinABucket() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(50) == nil)
        for value in 1...10_000 { histogram.record(microseconds: UInt64(value)) }
        for (percent, exact) in [(50.0, 5000.0), (99, 9900), (100, 10_000)] {
            let found = Double(histogram.percentile(percent) ?? 0)
            #expect(found >= exact && found <= exact * (1 + 1.0 / 32))
        }
        var extremes = LatencyHistogram()
        for value in [0, .max] as [UInt64] { extremes.record(microseconds: value) }
        #expect(extremes.percentile(1) == 0)
        #expect(extremes.percentile(100) == (1 << 40) - 1)
    }
}
