package import Config
internal import Pipeline
package import Sampling

/// What a `tail_sampling` section sets.
package struct TailSamplingSettings: Sendable {
    /// When and how traces are decided about.
    package var rules = TailSettings()
    /// `policies`, in their order.
    package var policies: [PolicySpec] = []
    /// `policies`, ready to be asked; nil when there is an error in them. Pipelines do not share it.
    package var stopsAtFirstMatch = false
    /// `num_traces`: most traces that are held.
    package var maximumTraces = 50_000
    /// `maximum_buffer_bytes`: most bytes of spans that are held; nil is half of the memory budget.
    package var maximumBytes: Int?
    /// `block_on_overflow`: requests wait for room; otherwise the oldest trace is decided about.
    package var blocksOnOverflow = false
    /// `storage`: the extension that has what is held on a disk too.
    package var storage: ComponentID?
    /// `num_shards`; nil is one for each core.
    package var shards: Int?

    /// Longest wait for room with `block_on_overflow`.
    package static let overflowTimeout = Duration.seconds(10)
    private static let longestWait = Duration.seconds(86_400)

    package init(from section: ConfigSection) {
        readTimes(section)
        readBounds(section)
        readCache(section)
        rules.countsOnce = section.bool("count_once") ?? true
        let unmatched = section.section("log_correlation").choice("unmatched", ["keep", "drop"])
        rules.keepsUnmatchedLogs = unmatched != "drop"
        storage = section.reference("storage", role: StorageName.role)
        section.refuse(
            "tail_storage", because: "traces are held in memory, and with \"storage\" on a disk too")
        rules.evaluatesAtIngest =
            section.choice("sampling_strategy", ["trace-complete", "span-ingest"]) == "span-ingest"
        stopsAtFirstMatch = section.bool("sample_on_first_match") ?? false
        rules.dropsAtShutdown = section.bool("drop_pending_traces_on_shutdown") ?? false
        rules.decidesEarly = section.bool("decide_early") ?? false
        rules.writesThreshold = section.bool("record_threshold") ?? true
        rules.writesReason = section.bool("record_reason") ?? false
        rules.isDryRun = section.bool("dry_run") ?? false
        policies = PolicyReader.policies(section, "policies")
        checkPolicies(section)
    }

    private mutating func readTimes(_ section: ConfigSection) {
        func time(_ key: String) -> Int64? {
            section.duration(key, in: .zero...Self.longestWait).map(Self.nanoseconds)
        }
        rules.decisionWait = time("decision_wait") ?? rules.decisionWait
        rules.waitAfterRoot = time("decision_wait_after_root_received") ?? 0
        rules.waitAfterLastSpan = time("decision_wait_after_last_span") ?? 0
    }

    private mutating func readBounds(_ section: ConfigSection) {
        maximumTraces = section.integer("num_traces", in: 1...Int(Int32.max)) ?? maximumTraces
        maximumBytes = section.integer("maximum_buffer_bytes", in: 1 << 20...(1 << 50))
        blocksOnOverflow = section.bool("block_on_overflow") ?? false
        shards = section.integer("num_shards", in: 1...256)
        rules.spanLimit = section.integer("span_limit", in: 0...Int(Int32.max)) ?? 0
        rules.byteLimit = section.integer("byte_limit", in: 0...(1 << 50)) ?? 0
        rules.maximumTraceBytes = section.integer("maximum_trace_size_bytes", in: 0...(1 << 50)) ?? 0
        if section.integer("expected_new_traces_per_sec", in: 0...Int(Int32.max)) ?? 0 > 0 {
            section.warn("expected_new_traces_per_sec", "has no effect: memory is taken as traces come")
        }
    }

    /// otelcol's default of 0 keeps decisions for as long as `num_traces` lasts; here that is a cache of the default size.
    private mutating func readCache(_ section: ConfigSection) {
        let cache = section.section("decision_cache")
        let sampled = cache.integer("sampled_cache_size", in: 0...(1 << 30)) ?? 0
        let other = cache.integer("non_sampled_cache_size", in: 0...(1 << 30)) ?? 0
        if sampled > 0 { rules.sampledCacheSize = sampled }
        if other > 0 { rules.nonSampledCacheSize = other }
    }

    private func checkPolicies(_ section: ConfigSection) {
        do throws(PolicyError) {
            _ = try PolicyProgram(policies)
        } catch {
            section.error("policies", "\(error)")
        }
        if rules.writesThreshold, PolicyProgram.hasSeveralSalts(policies) {
            section.warn(
                "policies",
                "have different values of hash_salt: the threshold of what they keep is not known, and left out"
            )
        }
        guard rules.evaluatesAtIngest else { return }
        for policy in policies where policy.rule.needsWholeTrace {
            section.error("policies", "\"\(policy.name)\" cannot be decided with the sampling_strategy \"span-ingest\"")
        }
    }

    /// Keys that differ from those of `former` and that a running sampler cannot follow.
    func fixedParts(changedFrom former: TailSamplingSettings) -> [String] {
        var keys: [String] = []
        if rules.evaluatesAtIngest != former.rules.evaluatesAtIngest { keys.append("sampling_strategy") }
        if shards != former.shards { keys.append("num_shards") }
        if storage != former.storage { keys.append("storage") }
        if rules.sampledCacheSize != former.rules.sampledCacheSize
            || rules.nonSampledCacheSize != former.rules.nonSampledCacheSize
        {
            keys.append("decision_cache")
        }
        return keys
    }

    static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

extension PolicyRule {
    /// Whether spans that come later may change a yes.
    fileprivate var needsWholeTrace: Bool {
        switch self {
        case .rateLimiting, .bytesLimiting, .adaptive, .aggregate: true
        case .latency(_, let upper): upper != nil
        case .spanCount(_, let maximum): maximum != nil
        case .composite(let spec): spec.shares.contains { $0.policy.rule.needsWholeTrace }
        case .and(let parts), .drop(let parts): parts.contains { $0.rule.needsWholeTrace }
        case .not(let part): part.rule.needsWholeTrace
        default: false
        }
    }
}
