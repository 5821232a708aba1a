internal import OTLP

/// Log records that follow the decision about their trace (`log_correlation`).
extension TailShard {
    /// Complete requests of log records that go on; see `takeKept`.
    package mutating func takeKeptLogs(all: Bool = true) -> [KeptRequest] {
        if all { keptLogs.finish() }
        return keptLogs.take()
    }

    /// Log records wait for the decision about their trace, or follow the one that was taken.
    mutating func addLogs(
        _ batch: TelemetryBatch, _ run: TraceRun, envelope: UInt32, _ now: Int64
    ) -> Bool {
        let id = (high: run.high, low: run.low)
        if run.high == 0, run.low == 0 {
            counts.tracelessLogs += run.items.count
            return passLogs(batch, run.items, envelope, logsEntry(id))
        }
        var slot = table.find(id.high, id.low)
        if slot == TraceTable.none {
            let second = Self.second(now)
            if let entry = sampledCache.find(id.high, id.low, second: second), let detail = entry.detail {
                counts.keptLogs += run.items.count
                let policy = detail.policy < 0 ? nil : Int(detail.policy)
                let threshold = Threshold(rejected: detail.rejected)
                let verdict = Verdict(decision: .sampled, policy: policy, threshold: threshold)
                let late = lateEntry(id, .sampled, entry, isAboutSpans: false)
                return passLogs(batch, run.items, envelope, late, verdict)
            }
            if let entry = nonSampledCache.find(id.high, id.low, second: second) {
                counts.discardedLogs += run.items.count
                guard settings.isDryRun else {
                    finishRun()
                    return true
                }
                let late = lateEntry(id, .notSampled, entry, isAboutSpans: false)
                return passLogs(batch, run.items, envelope, late, Verdict(decision: .notSampled))
            }
            slot = table.insert(id.high, id.low, now: now)
            guard slot != TraceTable.none else { return refuseRun() }
        }
        guard let segment = copy(batch, run.items, areLogs: true), let record = append(segment, slot, envelope) else {
            removeIfEmpty(slot)
            return refuseRun()
        }
        record.pointee.logs += UInt32(run.items.count)
        return true
    }

    /// Hands log records on at once; with a verdict, as late ones of its trace.
    private mutating func passLogs(
        _ batch: TelemetryBatch, _ items: Range<Int>, _ envelope: UInt32, _ entry: DecisionEntry,
        _ verdict: Verdict? = nil
    ) -> Bool {
        guard let segment = copy(batch, items, areLogs: true) else { return refuseRun() }
        if let verdict {
            emit(segment, envelope, verdict, .late, (0, 0))
        } else {
            pass(segment, envelope)
        }
        arena.release(segment)
        if isDurable { keptLogs.note(entry) }
        return true
    }

    private mutating func pass(_ segment: UnsafeMutablePointer<Segment>, _ envelope: UInt32) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        keptLogs.append(
            segment.content, spans: segment.pointee.items, of: envelopes[envelope], .none, attributes: none,
            record: isDurable ? segment.pointee.record : nil)
    }

    /// Of a trace that no span came of: there is no decision, and none is remembered.
    mutating func releaseLogs(_ slot: UInt32) {
        guard let record = table.records.map({ $0[Int(slot)] }) else { return }
        counts.unmatchedLogs += Int(record.logs)
        var next = record.head
        while let segment = next {
            next = segment.pointee.next
            let envelope = segment.pointee.envelope
            if settings.keepsUnmatchedLogs {
                pass(segment, envelope)
            } else if isDurable {
                done.note(segment.pointee.record)
            }
            envelopes.release(envelope)
            arena.release(segment)
        }
        if isDurable {
            let entry = logsEntry((record.high, record.low))
            if settings.keepsUnmatchedLogs { keptLogs.note(entry) } else { decided.append(entry) }
        }
        table.remove(slot)
    }
}
