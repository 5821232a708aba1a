package import OTLP

/// How many traces a run makes, and how they are put into requests.
package struct GeneratorPlan: Sendable {
    package var profile = TraceProfile.genai
    package var seed: UInt64
    /// `service.name` of all spans; nil for the profile's own services.
    package var service: String?
    /// Traces in all; nil for no limit.
    package var traces: Int?
    /// How long to go on; nil for no limit.
    package var duration: Duration?
    /// Traces a second; 0 for as fast as they are taken.
    package var rate = 0.0
    /// Spans of a request. The spans of a trace may lie in several requests, as those of real services do.
    package var batch = 512

    /// The default profile, without any limit.
    package init(seed: UInt64) { self.seed = seed }
}

/// One request's worth of spans. One owner.
package struct GeneratedRequest: ~Copyable {
    /// An `ExportTraceServiceRequest`.
    package var bytes: WireWriter
    /// Spans in it.
    package var spans: Int
}

/// Makes requests as they become due. One owner; not thread-safe.
package struct TraceProducer: ~Copyable {
    /// What comes next.
    package enum Next: ~Copyable {
        case request(GeneratedRequest)
        /// Nothing before this time, monotonic nanoseconds.
        case wait(until: UInt64)
        /// Nothing any more.
        case exhausted
        /// The allocator refused; the spans are lost.
        case outOfMemory
    }

    /// Spans wait no longer than this for a request to become full, in nanoseconds.
    static let flushAfter: UInt64 = 1_000_000_000

    private var generator: TraceGenerator
    private var pacer: TracePacer
    private let batch: Int
    /// When the oldest waiting span was made, or earlier; monotonic nanoseconds.
    private var waitingSince: UInt64 = 0

    /// - Parameter start: monotonic nanoseconds; the plan's duration and rate count from here.
    package init(_ plan: GeneratorPlan, start: UInt64) {
        generator = TraceGenerator(profile: plan.profile, seed: plan.seed, service: plan.service)
        pacer = TracePacer(
            start: start, traces: plan.traces, duration: plan.duration.map { $0.wholeNanoseconds }, rate: plan.rate)
        batch = max(1, plan.batch)
    }

    /// What has been generated so far.
    package var totals: TraceTotals { generator.totals }

    /// - Parameters:
    ///   - now: monotonic nanoseconds.
    ///   - time: nanoseconds since 1970; traces that are made now end then.
    ///   - stopping: makes no further traces.
    package mutating func next(now: UInt64, time: UInt64, stopping: Bool = false) -> Next {
        while generator.pendingSpans < batch, !stopping, pacer.take(at: now) {
            if generator.pendingSpans == 0 { waitingSince = now }
            generator.makeTrace(endingAt: time)
        }
        let pending = generator.pendingSpans
        let isLast = stopping || pacer.isExhausted(at: now)
        if pending == 0 { return isLast ? .exhausted : .wait(until: pacer.nextEvent) }
        let flush = waitingSince.addingReportingOverflow(Self.flushAfter).partialValue
        guard pending >= batch || isLast || now >= flush else { return .wait(until: min(flush, pacer.nextEvent)) }
        waitingSince = now
        let request = generator.takeRequest(maximum: batch)
        return request.bytes.overflowed ? .outOfMemory : .request(request)
    }
}

extension Duration {
    /// 0 for negative ones, the largest number for those that do not fit.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (scaled, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowed) = scaled.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return overflow || overflowed ? .max : sum
    }
}
