internal import GenAI
internal import OTLP

extension TailShard {
    // MARK: Time

    private static let lists: [(list: TraceList, trigger: DecisionTrigger)] = [
        (.age, .wait), (.root, .root), (.idle, .lastSpan),
    ]

    /// When the first trace of a list falls due.
    private func due(_ list: TraceList) -> Int64 {
        let slot = table.first(list)
        guard slot != TraceTable.none, let record = table.records.map({ $0 + Int(slot) }) else { return .max }
        let (from, wait) =
            switch list {
            case .age: (record.pointee.firstSeen, settings.decisionWait)
            case .root: (record.pointee.rootSeen, settings.waitAfterRoot)
            case .idle: (record.pointee.lastSeen, settings.waitAfterLastSpan)
            }
        // Switched off since the trace came.
        guard wait > 0 || list == .age else { return .max }
        let (sum, overflow) = from.addingReportingOverflow(wait)
        return overflow ? .max : sum
    }

    /// When the next trace falls due, in nanoseconds; nil when none is held.
    package var nextDue: Int64? {
        let next = min(due(.age), due(.root), due(.idle))
        return next == .max ? nil : next
    }

    /// Decides about traces that are due, those that waited longest first, until about `limit` spans were read.
    ///
    /// - Returns: whether more are due.
    package mutating func decideDue(now: Int64, limit: Int) -> Bool {
        var left = limit
        while true {
            var first = TraceList.age
            var trigger = DecisionTrigger.wait
            var earliest = Int64.max
            for (list, name) in Self.lists where due(list) < earliest {
                earliest = due(list)
                first = list
                trigger = name
            }
            guard earliest <= now else { return false }
            guard left > 0 else { return true }
            let slot = table.first(first)
            left -= Int(table.records?[Int(slot)].spans ?? 1)
            decide(slot, trigger, now)
        }
    }

    /// Decides about the oldest trace on what is known. False when none is held.
    @discardableResult
    package mutating func decideOldest(_ trigger: DecisionTrigger, now: Int64) -> Bool {
        let slot = table.first(.age)
        guard slot != TraceTable.none else { return false }
        decide(slot, trigger, now)
        return true
    }

    /// Decides about the oldest traces until `traces` of them or `bytes` of their spans are gone, as long as they are
    /// older than `limit`; at most `most` traces.
    package mutating func decideOldest(
        _ trigger: DecisionTrigger, traces: Int, bytes: Int, olderThan limit: Int64, most: Int, now: Int64
    ) {
        let before = (traces: table.count, bytes: arena.liveBytes)
        for _ in 0..<most {
            guard before.traces - table.count < traces, before.bytes - arena.liveBytes < bytes, let oldest,
                oldest <= limit
            else { return }
            decideOldest(trigger, now: now)
        }
    }

    /// At the end: decides about up to `limit` traces, or lets them go undecided (`drop_pending_traces_on_shutdown`).
    ///
    /// - Returns: whether traces are left.
    package mutating func shutDown(now: Int64, limit: Int) -> Bool {
        for _ in 0..<limit {
            if settings.dropsAtShutdown {
                let slot = table.first(.age)
                guard slot != TraceTable.none, let record = table.records?[Int(slot)] else { return false }
                if record.spans == 0 {
                    releaseLogs(slot)
                } else {
                    finish(slot, Verdict(decision: .notSampled), .shutdown, now)
                }
            } else if !decideOldest(.shutdown, now: now) {
                return false
            }
        }
        return table.count > 0
    }

    // MARK: Decisions

    /// Asks the policies about a trace and acts on it.
    mutating func decide(_ slot: UInt32, _ trigger: DecisionTrigger, _ now: Int64) {
        guard let record = table.records.map({ $0 + Int(slot) }) else { return }
        if record.pointee.spans == 0 { return releaseLogs(slot) }
        if settings.evaluatesAtIngest {
            // Everything has been asked as it came.
            let pending = record.pointee.pendingPolicy
            let policy = pending >= 0 ? Int(pending) : nil
            let verdict =
                pending == TraceRecord.nothingPending
                ? Verdict(decision: .notSampled)
                : Verdict(decision: .sampled, policy: policy, threshold: .always)
            return finish(slot, verdict, trigger, now)
        }
        gather(slot, from: record.pointee.head)
        if settings.countsOnce, facts.mayRepeatCalls { countOnce(slot, record) }
        decisions &+= 1
        hasTallies = true
        let isTimed = decisions % PolicyTally.timedEvery == 0
        finish(slot, program.verdict(facts, now: now, isTimed: isTimed, tallies: &tallies), trigger, now)
    }

    /// Compares a trace's calls; when the facts counted one that repeats another, or the other way round, they are
    /// gathered again.
    private mutating func countOnce(_ slot: UInt32, _ record: UnsafeMutablePointer<TraceRecord>) {
        repeated.find(record.pointee.head, envelopes)
        counts.repeatedCalls += repeated.priced.count
        counts.repeatedCost += repeated.cost
        if program.plan.sumsUsage { gather(slot, from: record.pointee.head, repeats: repeated.places) }
    }

    /// Reads a trace's spans, from a segment on, for the policies.
    ///
    /// - Parameter repeats: places of spans whose usage does not count; nil goes by what the spans say.
    mutating func gather(_ slot: UInt32, from segment: UnsafeMutablePointer<Segment>?, repeats: [Int]? = nil) {
        guard let record = table.records.map({ $0 + Int(slot) }) else { return }
        facts.begin((record.pointee.high, record.pointee.low), repeats: repeats)
        var last = EnvelopeTable.none
        var bits = ConditionBits()
        var next = segment
        while let current = next {
            next = current.pointee.next
            if current.pointee.areLogs { continue }
            let index = current.pointee.envelope
            if index != last {
                last = index
                let envelope = envelopes[index]
                bits = envelope.resourceBits
                if !envelope.hasBits {
                    bits = facts.resourceBits(envelope.resource)
                    envelopes.setResourceBits(bits, of: index)
                }
                facts.add(resource: envelope.resource, scope: envelope.scope)
            }
            facts.add(run: current.content, resourceBits: bits)
        }
    }

    /// Acts on a decision: hands the spans on or lets them go, and remembers it.
    mutating func finish(_ slot: UInt32, _ verdict: Verdict, _ trigger: DecisionTrigger, _ now: Int64) {
        guard let record = table.records.map({ $0[Int(slot)] }) else { return }
        var verdict = verdict
        verdict.policy = verdict.policy.map { Int(known.policy($0)) }
        counts.triggers[trigger.rawValue] += 1
        counts.removalAges.append(Double(now - record.firstSeen) * 1e-9)
        var entry = DecisionEntry(
            high: record.high, low: record.low, upTo: sequence, isAboutSpans: true, isAboutLogs: true,
            outcome: verdict.isSampled ? .sampled : .notSampled, decided: Self.second(now))
        switch verdict.decision {
        case .sampled: counts.sampledTraces += 1
        case .dropped: counts.droppedTraces += 1
        default: counts.notSampledTraces += 1
        }
        if verdict.isSampled {
            counts.sampledSpans += Int(record.spans)
            let detail = DecisionCache.Detail(
                rejected: verdict.threshold?.rejected ?? DecisionCache.Detail.unknown,
                policy: Int32(verdict.policy ?? -1), hash: verdict.randomness == nil ? 0 : known.hash)
            sampledCache.insert(record.high, record.low, second: Self.second(now), detail: detail)
            entry.describe(detail)
        } else {
            counts.discardedSpans += Int(record.spans)
            nonSampledCache.insert(record.high, record.low, second: Self.second(now))
        }
        if verdict.isSampled {
            counts.keptLogs += Int(record.logs)
        } else {
            counts.discardedLogs += Int(record.logs)
        }
        let isKept = verdict.isSampled || settings.isDryRun
        var repeats = repeated.priced[...]
        var place = 0
        var next = record.head
        while let segment = next {
            next = segment.pointee.next
            let envelope = segment.pointee.envelope
            var ofRun: ArraySlice<Int> = []
            if !segment.pointee.areLogs {
                let end = place + segment.pointee.items
                if let first = repeats.first, first < end {
                    let start = place
                    ofRun = repeats.prefix { $0 < end }.map { $0 - start }[...]
                    repeats = repeats.dropFirst(ofRun.count)
                }
                place = end
            }
            if isKept {
                emit(segment, envelope, verdict, trigger, (record.high, record.low), repeats: ofRun)
            } else if isDurable {
                done.note(segment.pointee.record)
            }
            envelopes.release(envelope)
            arena.release(segment)
        }
        if isDurable { settle(entry, isKept: isKept, logs: record.logs) }
        repeated.clear()
        table.remove(slot)
    }

    /// Hands a segment's spans, or log records, on. The verdict's policy is an index in `known.policies`.
    mutating func emit(
        _ segment: UnsafeMutablePointer<Segment>, _ envelope: UInt32, _ verdict: Verdict, _ trigger: DecisionTrigger,
        _ id: (high: UInt64, low: UInt64), repeats: ArraySlice<Int> = []
    ) {
        reason.removeAll()
        let areLogs = segment.pointee.areLogs
        if settings.writesReason || settings.isDryRun { writeReason(verdict, trigger, field: areLogs ? 6 : 9) }
        if areLogs {
            keptLogs.append(
                segment.content, spans: segment.pointee.items, of: envelopes[envelope], .none, attributes: reason.bytes,
                record: isDurable ? segment.pointee.record : nil)
            return
        }
        let edit = KeptSpans.Edit(
            threshold: verdict.threshold, randomness: verdict.randomness,
            idRandomness: Randomness(truncating: id.low),
            writesThreshold: settings.writesThreshold && !settings.isDryRun)
        kept.append(
            segment.content, spans: segment.pointee.items, of: envelopes[envelope], edit,
            attributes: reason.bytes, repeats: repeats, record: isDurable ? segment.pointee.record : nil)
    }

    // MARK: Reasons

    /// - Parameter field: number of the attributes: 9 in a span, 6 in a log record.
    private mutating func writeReason(_ verdict: Verdict, _ trigger: DecisionTrigger, field: UInt32) {
        if settings.isDryRun {
            let decision: StaticString =
                switch verdict.decision {
                case .sampled: "sampled"
                case .dropped: "dropped"
                default: "not_sampled"
                }
            write(field, "tailsampling.decision", decision)
        }
        if let policy = verdict.policy, known.policies.indices.contains(policy) {
            Array(known.policies[policy].utf8).withUnsafeBytes { name in
                reason.append(field: field, key: Self.bytes("tailsampling.policy"), .text(name))
            }
        }
        write(field, "tailsampling.trigger", trigger.name)
        if verdict.isSampled, let threshold = verdict.threshold {
            reason.append(field: field, key: Self.bytes("tailsampling.rate"), .double(threshold.adjustedCount))
        }
        if trigger == .late {
            reason.append(field: field, key: Self.bytes("tailsampling.cached_decision"), .bool(true))
        }
    }

    private mutating func write(_ field: UInt32, _ key: StaticString, _ value: StaticString) {
        reason.append(field: field, key: Self.bytes(key), .text(Self.bytes(value)))
    }

    private static func bytes(_ text: StaticString) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    // MARK: Giving back

    /// Whether a second has passed since this last said so.
    package mutating func isMaintenanceDue(now: Int64) -> Bool {
        guard now - maintained >= 1_000_000_000 else { return false }
        maintained = now
        return true
    }

    /// Gives memory back that a burst has left. To be called about once a second; does a bounded amount of work.
    package mutating func maintain() {
        arena.trim()
        table.shrink()
        var moves = 8
        while moves > 0,
            arena.chunkCount * SegmentArena.chunkBytes > arena.liveBytes * 13 / 10 + 4 * SegmentArena.chunkBytes,
            let chunk = arena.sparsest()
        {
            moves -= 1
            guard let records = table.records else { return }
            arena.empty(chunk) { old, new in Self.relink(records + Int(old.pointee.trace), old, new) }
        }
    }

    /// A segment has moved: who pointed at the old place points at the new one.
    private static func relink(
        _ record: UnsafeMutablePointer<TraceRecord>, _ old: UnsafeMutablePointer<Segment>,
        _ new: UnsafeMutablePointer<Segment>
    ) {
        if record.pointee.head == old {
            record.pointee.head = new
        } else {
            var next = record.pointee.head
            while let segment = next, segment.pointee.next != old { next = segment.pointee.next }
            next?.pointee.next = new
        }
        if record.pointee.tail == old { record.pointee.tail = new }
        if record.pointee.fresh == old { record.pointee.fresh = new }
    }
}
