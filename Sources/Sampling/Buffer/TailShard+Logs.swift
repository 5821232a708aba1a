package import OTLP

/// Log records that follow the decision about their trace (`log_correlation`).
extension TailShard {
    /// Takes the runs of log records of a request that `belongs` says are this shard's: they wait for the decision about
    /// their trace, or follow the one that was taken. `batch` is the one that `runs` were read from.
    ///
    /// - Returns: false when memory was refused for a part; the rest is held.
    package mutating func takeLogs(
        _ runs: borrowing TraceRuns, of batch: TelemetryBatch, now: Int64, where belongs: (TraceRun) -> Bool
    ) -> Bool {
        beginRequest()
        var known = [UInt32](repeating: EnvelopeTable.none, count: runs.envelopeCount)
        var isComplete = true
        for run in runs.runs where belongs(run) {
            if known[run.envelope] == EnvelopeTable.none {
                let (resource, scope) = runs.envelope(run.envelope)
                guard let envelope = envelope(resource, scope) else {
                    isComplete = false
                    continue
                }
                known[run.envelope] = envelope
            }
            let isTaken = addLogs(batch, run, envelope: known[run.envelope], now)
            isComplete = isComplete && isTaken
        }
        endRequest(now: now)
        return isComplete
    }

    /// Complete requests of log records that go on; see `takeKept`.
    package mutating func takeKeptLogs(all: Bool = true) -> [KeptRequest] {
        if all { keptLogs.finish() }
        return keptLogs.take()
    }

    private mutating func addLogs(
        _ batch: TelemetryBatch, _ run: TraceRun, envelope: UInt32, _ now: Int64
    ) -> Bool {
        let id = (high: run.high, low: run.low)
        if run.high == 0, run.low == 0 {
            counts.tracelessLogs += run.items.count
            return passLogs(batch, run.items, envelope)
        }
        var slot = table.find(id.high, id.low)
        if slot == TraceTable.none {
            let second = Self.second(now)
            if let entry = sampledCache.find(id.high, id.low, second: second), let detail = entry.detail {
                counts.keptLogs += run.items.count
                let policy = detail.policy < 0 ? nil : Int(detail.policy)
                let threshold = Threshold(rejected: detail.rejected)
                let verdict = Verdict(decision: .sampled, policy: policy, threshold: threshold)
                return passLogs(batch, run.items, envelope, verdict)
            }
            if nonSampledCache.find(id.high, id.low, second: second) != nil {
                counts.discardedLogs += run.items.count
                return !settings.isDryRun || passLogs(batch, run.items, envelope, Verdict(decision: .notSampled))
            }
            slot = table.insert(id.high, id.low, now: now)
            guard slot != TraceTable.none else { return false }
        }
        guard let segment = copy(batch, run.items, areLogs: true), let record = append(segment, slot, envelope) else {
            removeIfEmpty(slot)
            return false
        }
        record.pointee.logs += UInt32(run.items.count)
        return true
    }

    /// Hands log records on at once; with a verdict, as late ones of its trace.
    private mutating func passLogs(
        _ batch: TelemetryBatch, _ items: Range<Int>, _ envelope: UInt32, _ verdict: Verdict? = nil
    ) -> Bool {
        guard let segment = copy(batch, items, areLogs: true) else { return false }
        if let verdict {
            emit(segment, envelope, verdict, .late, (0, 0))
        } else {
            pass(segment, envelope)
        }
        arena.release(segment)
        return true
    }

    private mutating func pass(_ segment: UnsafeMutablePointer<Segment>, _ envelope: UInt32) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        keptLogs.append(
            segment.content, spans: segment.pointee.items, of: envelopes[envelope], .none, attributes: none)
    }

    /// Of a trace that no span came of: there is no decision, and none is remembered.
    mutating func releaseLogs(_ slot: UInt32) {
        guard let record = table.records.map({ $0[Int(slot)] }) else { return }
        counts.unmatchedLogs += Int(record.logs)
        var next = record.head
        while let segment = next {
            next = segment.pointee.next
            let envelope = segment.pointee.envelope
            if settings.keepsUnmatchedLogs { pass(segment, envelope) }
            envelopes.release(envelope)
            arena.release(segment)
        }
        table.remove(slot)
    }
}
