package import GenAI

/// When and how traces are decided about. Times are in nanoseconds; 0 switches an optional bound off.
package struct TailSettings: Sendable {
    /// `decision_wait`: from the first span.
    package var decisionWait: Int64 = 30_000_000_000
    /// `decision_wait_after_root_received`.
    package var waitAfterRoot: Int64 = 0
    /// `decision_wait_after_last_span`: a trace that nothing came to for so long is complete.
    package var waitAfterLastSpan: Int64 = 0
    /// `span_limit`: a trace of so many spans is decided about at once.
    package var spanLimit = 0
    /// `byte_limit`: the same for encoded bytes.
    package var byteLimit = 0
    /// `maximum_trace_size_bytes`: a larger trace is not sampled.
    package var maximumTraceBytes = 0
    /// `decide_early`: a match that no further span can change is a decision.
    package var decidesEarly = false
    /// `sampling_strategy: span-ingest`.
    package var evaluatesAtIngest = false
    /// `decision_cache`: traces that are remembered.
    package var sampledCacheSize = Self.defaultSampledCache
    package var nonSampledCacheSize = Self.defaultNonSampledCache
    /// `record_threshold`: kept spans get their `th`.
    package var writesThreshold = true
    /// `record_reason`: kept spans get attributes that say why.
    package var writesReason = false
    /// `dry_run`: everything is kept, with attributes that say what would have happened.
    package var isDryRun = false
    /// `count_once`: of spans that record the same call one counts in sums of usage, and the others lose their cost.
    package var countsOnce = true
    /// `log_correlation::unmatched`: log records go on whose trace has not come by the time of its decision.
    package var keepsUnmatchedLogs = true
    /// `drop_pending_traces_on_shutdown`.
    package var dropsAtShutdown = false

    package static let defaultSampledCache = 65_536
    package static let defaultNonSampledCache = 524_288

    package init() {}
}

/// Why a trace was decided about when it was.
package enum DecisionTrigger: Int, Sendable, CaseIterable {
    /// `decision_wait` is over.
    case wait
    case root
    case lastSpan
    case spanLimit
    case byteLimit
    /// A match that nothing can change.
    case early
    /// The spans of one request were enough (`span-ingest`).
    case ingest
    /// Larger than `maximum_trace_size_bytes`.
    case tooLarge
    /// `num_traces` is reached, and it was the oldest.
    case traceCount
    /// `maximum_buffer_bytes` is reached, and it was the oldest.
    case bufferBytes
    /// The memory budget is used up, and it was the oldest.
    case memory
    /// The log on the disk is nearly full, and it was among those that keep its oldest part.
    case storage
    case shutdown
    /// Spans of a trace that had been decided about.
    case late

    /// In metrics and attributes.
    package var name: StaticString {
        switch self {
        case .wait: "decision_wait"
        case .root: "root"
        case .lastSpan: "last_span"
        case .spanLimit: "span_limit"
        case .byteLimit: "byte_limit"
        case .early: "early"
        case .ingest: "ingest"
        case .tooLarge: "too_large"
        case .traceCount: "num_traces"
        case .bufferBytes: "buffer_bytes"
        case .memory: "memory"
        case .storage: "storage"
        case .shutdown: "shutdown"
        case .late: "late"
        }
    }
}

/// What a shard has done since it was last asked.
package struct TailCounts: Sendable {
    package var newTraces = 0
    /// Traces by decision: sampled, not sampled, dropped.
    package var sampledTraces = 0
    package var notSampledTraces = 0
    package var droppedTraces = 0
    package var sampledSpans = 0
    package var discardedSpans = 0
    package var lateSampledSpans = 0
    package var lateDiscardedSpans = 0
    package var tooLarge = 0
    /// Spans whose cost was found to repeat that of another span, and what it adds up to.
    package var repeatedCalls = 0
    package var repeatedCost = Money.zero
    /// Log records by what became of them: kept with their trace, let go with it, without a decision to follow, and
    /// without a trace id.
    package var keptLogs = 0
    package var discardedLogs = 0
    package var unmatchedLogs = 0
    package var tracelessLogs = 0
    /// Spans and log records for which there was no memory.
    package var lostSpans = 0
    /// Traces by trigger, in the order of `DecisionTrigger`.
    package var triggers = [Int](repeating: 0, count: DecisionTrigger.allCases.count)
    /// Seconds from the first span to the decision, a value for each trace.
    package var removalAges: [Double] = []
    /// Seconds from the decision to a late run of spans, a value for each run.
    package var lateAges: [Double] = []

    package init() {}
}
