/// A buffer whose content is in a log too: what it says of what is done with, and how decisions come back.
extension TailShard {
    /// Decisions that are final, and runs that are done with, since the last call; those of kept spans and log records go
    /// with their requests. Empty without a log.
    package mutating func takeSettled() -> (decisions: [DecisionEntry], runs: [RecordRuns]) {
        if decided.isEmpty, done.isEmpty { return ([], []) }
        defer {
            decided = []
            done = []
        }
        return (decided, done)
    }

    /// What the entries refer to. Grows only, and the same way in shards that are given the same policies and decisions.
    package var decisionNames: DecisionNames { known.names }

    /// Remembers decisions of an earlier run. `isMine` says which traces are this shard's.
    package mutating func restore(_ page: DecisionPage, where isMine: (DecisionEntry) -> Bool) {
        let policies = page.names.policies.map { known.index(ofPolicy: $0) }
        let hashes = page.names.hashes.map { known.index(ofHash: $0) }
        for entry in page.entries where isMine(entry) {
            switch entry.outcome {
            case .none: continue
            case .notSampled: nonSampledCache.insert(entry.high, entry.low, second: entry.decided)
            case .sampled:
                let policy = policies.indices.contains(Int(entry.policy)) ? policies[Int(entry.policy)] : -1
                let hash = hashes.indices.contains(Int(entry.hash) - 1) ? hashes[Int(entry.hash) - 1] : 0
                let detail = DecisionCache.Detail(rejected: entry.rejected, policy: policy, hash: hash)
                sampledCache.insert(entry.high, entry.low, second: entry.decided, detail: detail)
            }
        }
    }

    /// A trace was decided about; its runs went to `done`, or to what is kept.
    mutating func settle(_ entry: DecisionEntry, isKept: Bool, logs: UInt32) {
        guard isKept else { return decided.append(entry) }
        guard logs > 0 else { return kept.note(entry) }
        // Two requests for the next stages, and each may be taken without the other.
        kept.note(entry.about(spans: true))
        keptLogs.note(entry.about(spans: false))
    }

    /// A run is let go.
    mutating func finishRun() { if isDurable { done.note(UInt32(truncatingIfNeeded: sequence)) } }

    /// A run finds no memory: its sender is told, and sends it again. Returns false.
    mutating func refuseRun() -> Bool {
        finishRun()
        return false
    }

    /// What late spans, or log records, are done with.
    func lateEntry(
        _ id: (high: UInt64, low: UInt64), _ outcome: DecisionEntry.Outcome,
        _ found: (decided: UInt32, detail: DecisionCache.Detail?), isAboutSpans: Bool
    ) -> DecisionEntry {
        var entry = DecisionEntry(
            high: id.high, low: id.low, upTo: sequence, isAboutSpans: isAboutSpans, isAboutLogs: !isAboutSpans,
            outcome: outcome, decided: found.decided)
        if let detail = found.detail { entry.describe(detail) }
        return entry
    }

    /// Log records that follow no decision.
    func logsEntry(_ id: (high: UInt64, low: UInt64)) -> DecisionEntry {
        DecisionEntry(
            high: id.high, low: id.low, upTo: sequence, isAboutSpans: false, isAboutLogs: true, outcome: .none)
    }
}

extension DecisionEntry {
    mutating func describe(_ detail: DecisionCache.Detail) {
        rejected = detail.rejected
        policy = detail.policy
        hash = detail.hash
    }
}
