package import OTLP

/// The traces of one part of all trace ids, from their first span to the decision: a state machine without clock,
/// threads, locks or queues. Spans go in with the time, requests of kept spans come out (`takeKept`).
///
/// A request's spans are copied, run by run, into chunks that are given back whole: the request may go although some of
/// its traces stay. Every trace is decided about once; its later spans follow. One owner; not thread-safe.
package struct TailShard: ~Copyable {
    var settings: TailSettings
    var program: PolicyProgram
    var known: KnownNames
    var arena = SegmentArena()
    var envelopes = EnvelopeTable()
    var table: TraceTable
    var facts: TraceFacts
    var sampledCache: DecisionCache
    var nonSampledCache: DecisionCache
    var kept: KeptSpans
    var keptLogs: KeptSpans
    var reason = WireWriter()
    var repeated = RepeatedCalls()
    var generation: UInt32 = 0
    var decisions = 0
    var maintained: Int64 = 0
    var touched: [UInt32] = []
    var counts = TailCounts()
    var tallies: [PolicyTally]
    /// Whether a log has what is held, and is to be told what is done with.
    let isDurable: Bool
    /// The record that the present, or last, request is.
    var sequence: UInt64 = 0
    var done: [RecordRuns] = []
    var decided: [DecisionEntry] = []

    /// - Parameters:
    ///   - share: of how many shards this is one; the caches are divided.
    ///   - seed: random.
    ///   - isDurable: whether `takeSettled`, and the requests that are kept, say what is done with.
    ///   - account: counts the bytes of a kept request for as long as what it returns lives.
    package init(
        _ settings: TailSettings, _ program: PolicyProgram, share: Int = 1, seed: (UInt64, UInt64),
        isDurable: Bool = false,
        account: (@Sendable (Int) -> (any AnyObject & Sendable)?)? = nil
    ) {
        self.settings = settings
        self.isDurable = isDurable
        kept = KeptSpans(account)
        keptLogs = KeptSpans(account)
        self.program = program
        known = KnownNames(program)
        table = TraceTable(seeds: seed)
        facts = TraceFacts(program.plan)
        let share = max(1, share)
        let cacheSeed = (seed.1 &+ 0x632B_E59B_D9B4_E019, seed.0)
        sampledCache = DecisionCache(
            capacity: (settings.sampledCacheSize + share - 1) / share, hasDetails: true, seeds: cacheSeed)
        nonSampledCache = DecisionCache(
            capacity: (settings.nonSampledCacheSize + share - 1) / share, hasDetails: false, seeds: cacheSeed)
        tallies = Array(repeating: PolicyTally(), count: program.names.count)
    }

    // MARK: Figures

    /// Traces that are held.
    package var traceCount: Int { table.count }
    /// Bytes of spans that are held, headers included.
    package var liveBytes: Int { arena.liveBytes }
    /// Bytes of memory, about.
    package var heldBytes: Int {
        arena.mappedBytes + table.heldBytes + envelopes.heldBytes + kept.openBytes + keptLogs.openBytes
    }
    /// When the oldest trace came; nil without one.
    package var oldest: Int64? {
        let slot = table.first(.age)
        return slot == TraceTable.none ? nil : table.records?[Int(slot)].firstSeen
    }
    /// Whether there is nothing to wait for: no trace, no memory to give back, no kept span to take.
    package var isIdle: Bool { table.count == 0 && arena.spareCount == 0 && kept.isEmpty && keptLogs.isEmpty }

    /// What happened since the last call.
    package mutating func takeCounts() -> TailCounts {
        let lost = kept.lostSpans + keptLogs.lostSpans
        counts.lostSpans += lost - reportedLoss
        reportedLoss = lost
        defer { counts = TailCounts() }
        return counts
    }
    private var reportedLoss = 0

    /// Whether the policies were asked since `takeTallies`.
    package internal(set) var hasTallies = false

    /// What the policies said since the last call, in their order.
    package mutating func takeTallies() -> [PolicyTally] {
        hasTallies = false
        defer { for index in tallies.indices { tallies[index] = PolicyTally() } }
        return tallies
    }

    /// Complete requests of kept spans, each once.
    ///
    /// - Parameter all: also the one that is still being filled. What late spans and traces at a bound leave gathers
    ///   there, so that it does not go on in requests of a few spans.
    package mutating func takeKept(all: Bool = true) -> [KeptRequest] {
        if all { kept.finish() }
        return kept.take()
    }

    // MARK: Spans in

    /// Begins a request. Runs that follow belong to it until `endRequest`.
    ///
    /// - Parameter sequence: its record in the buffer's log, if there is one. Sequences ascend. Each run is said to be done
    ///   with once.
    package mutating func beginRequest(_ sequence: UInt64 = 0) {
        self.sequence = sequence
        generation &+= 1
        if generation == 0 { generation = 1 }
    }

    /// Where runs with this resource and scope go: encoded fields of `ResourceSpans` and `ScopeSpans` without their
    /// children. The number is good until `endRequest`; nil when memory is refused.
    package mutating func envelope(_ resource: UnsafeRawBufferPointer, _ scope: UnsafeRawBufferPointer) -> UInt32? {
        let found = envelopes.find(resource, scope, hash: EnvelopeTable.hash(resource, scope))
        guard found != EnvelopeTable.none else { return nil }
        // Held for the request; `endRequest` lets go.
        envelopes.retain(found)
        borrowed.append(found)
        return found
    }
    private var borrowed: [UInt32] = []

    /// Takes spans of one trace that lie together in a request. `now` is in nanoseconds and does not run backwards.
    ///
    /// - Returns: false when memory is refused; nothing of the run is then held.
    package mutating func add(
        _ batch: TelemetryBatch, items: Range<Int>, traceID high: UInt64, _ low: UInt64, envelope: UInt32, now: Int64
    ) -> Bool {
        var slot = table.find(high, low)
        if slot == TraceTable.none {
            if let taken = addLate(batch, items, high, low, envelope, now) { return taken }
            slot = table.insert(high, low, now: now)
            guard slot != TraceTable.none else { return refuseRun() }
        }
        guard let segment = copy(batch, items, areLogs: false), let record = append(segment, slot, envelope) else {
            removeIfEmpty(slot)
            return refuseRun()
        }
        if record.pointee.spans == 0 { begin(slot, record, now) }
        record.pointee.bytes += Int(segment.pointee.bytes)
        record.pointee.spans += UInt32(segment.pointee.items)
        record.pointee.lastSeen = now
        if record.pointee.generation != generation {
            record.pointee.generation = generation
            record.pointee.fresh = segment
            touched.append(slot)
        }
        return true
    }

    /// The first spans of a trace: its time runs from now on, also when log records of it came before.
    private mutating func begin(_ slot: UInt32, _ record: UnsafeMutablePointer<TraceRecord>, _ now: Int64) {
        counts.newTraces += 1
        guard record.pointee.logs > 0 else { return }
        record.pointee.firstSeen = now
        table.unlink(slot, from: .age)
        table.append(slot, to: .age)
    }

    /// Puts a segment at the end of its trace. Nil when there is no trace.
    mutating func append(
        _ segment: UnsafeMutablePointer<Segment>, _ slot: UInt32, _ envelope: UInt32
    ) -> UnsafeMutablePointer<TraceRecord>? {
        guard let records = table.records else { return nil }
        envelopes.retain(envelope)
        segment.pointee.trace = slot
        segment.pointee.envelope = envelope
        let record = records + Int(slot)
        if let last = record.pointee.tail { last.pointee.next = segment } else { record.pointee.head = segment }
        record.pointee.tail = segment
        return record
    }

    /// Forgets a trace that nothing came into, for lack of memory.
    mutating func removeIfEmpty(_ slot: UInt32) {
        if let record = table.records?[Int(slot)], record.head == nil { table.remove(slot) }
    }

    /// Copies a run into a segment of its own.
    mutating func copy(
        _ batch: TelemetryBatch, _ items: Range<Int>, areLogs: Bool
    ) -> UnsafeMutablePointer<Segment>? {
        let bytes = batch.encodedSize(ofItems: items)
        guard let segment = arena.allocate(bytes) else { return nil }
        let record = UInt32(truncatingIfNeeded: sequence)
        segment.initialize(to: Segment(bytes: bytes, items: items.count, areLogs: areLogs, record: record))
        var target = segment.payload
        for item in batch.items[items] {
            target.storeBytes(of: 0x12, as: UInt8.self)
            target += 1
            var length = UInt64(item.size)
            while length >= 0x80 {
                target.storeBytes(of: UInt8(truncatingIfNeeded: length) | 0x80, as: UInt8.self)
                target += 1
                length >>= 7
            }
            target.storeBytes(of: UInt8(length), as: UInt8.self)
            target += 1
            for part in [batch.payload(of: item), batch.tail(of: item)] where part.count > 0 {
                if let from = part.baseAddress { target.copyMemory(from: from, byteCount: part.count) }
                target += part.count
            }
        }
        return segment
    }

    /// Spans of a trace that was decided about: they follow the decision. Nil when nothing is known of the trace.
    private mutating func addLate(
        _ batch: TelemetryBatch, _ items: Range<Int>, _ high: UInt64, _ low: UInt64, _ envelope: UInt32, _ now: Int64
    ) -> Bool? {
        let second = Self.second(now)
        if let entry = sampledCache.find(high, low, second: second), let detail = entry.detail {
            guard let segment = copy(batch, items, areLogs: false) else { return refuseRun() }
            counts.lateSampledSpans += items.count
            counts.lateAges.append(Double(second - min(entry.decided, second)))
            let threshold = Threshold(rejected: detail.rejected)
            let verdict = Verdict(
                decision: .sampled, policy: detail.policy < 0 ? nil : Int(detail.policy), threshold: threshold,
                randomness: known.randomness(detail.hash, (high, low)))
            emit(segment, envelope, verdict, .late, (high, low))
            arena.release(segment)
            if isDurable { kept.note(lateEntry((high, low), .sampled, entry, isAboutSpans: true)) }
            return true
        }
        if let entry = nonSampledCache.find(high, low, second: second) {
            counts.lateAges.append(Double(second - min(entry.decided, second)))
            counts.lateDiscardedSpans += items.count
            if settings.isDryRun {
                guard let segment = copy(batch, items, areLogs: false) else { return refuseRun() }
                emit(segment, envelope, Verdict(decision: .notSampled), .late, (high, low))
                arena.release(segment)
                if isDurable { kept.note(lateEntry((high, low), .notSampled, entry, isAboutSpans: true)) }
            } else {
                finishRun()
            }
            return true
        }
        return nil
    }

    static func second(_ now: Int64) -> UInt32 { UInt32(truncatingIfNeeded: now / 1_000_000_000) }

    /// Ends a request: traces that it completed, or that became too large by it, are decided about.
    package mutating func endRequest(now: Int64) {
        for slot in touched { settle(slot, now) }
        touched.removeAll(keepingCapacity: true)
        for envelope in borrowed { envelopes.release(envelope) }
        borrowed.removeAll(keepingCapacity: true)
    }

    /// What a request means for a trace that it had spans of.
    private mutating func settle(_ slot: UInt32, _ now: Int64) {
        guard let record = table.records.map({ $0 + Int(slot) }) else { return }
        if settings.maximumTraceBytes > 0, record.pointee.bytes > settings.maximumTraceBytes {
            counts.tooLarge += 1
            return finish(slot, Verdict(decision: .notSampled), .tooLarge, now)
        }
        if settings.evaluatesAtIngest {
            if evaluateFresh(slot, now) { return }
        } else if settings.decidesEarly, program.canDecideEarly {
            gather(slot, from: record.pointee.fresh)
            if let policy = program.sureMatch(facts, now: now) {
                tallies[policy].add(.sampled, spans: facts.spans)
                hasTallies = true
                return finish(
                    slot, Verdict(decision: .sampled, policy: policy, threshold: .always), .early, now)
            }
        }
        if settings.spanLimit > 0, Int(record.pointee.spans) >= settings.spanLimit {
            return decide(slot, .spanLimit, now)
        }
        if settings.byteLimit > 0, record.pointee.bytes >= settings.byteLimit { return decide(slot, .byteLimit, now) }
        schedule(slot, record, now)
    }

    /// `span-ingest`: asks about the request's spans alone. True when that decided.
    private mutating func evaluateFresh(_ slot: UInt32, _ now: Int64) -> Bool {
        guard let record = table.records.map({ $0 + Int(slot) }) else { return false }
        gather(slot, from: record.pointee.fresh)
        let verdict = program.verdict(facts, now: now, tallies: &tallies)
        hasTallies = true
        switch verdict.decision {
        case .sampled where program.hasDrops:
            // A policy that drops may still match.
            if record.pointee.pendingPolicy == TraceRecord.nothingPending {
                record.pointee.pendingPolicy = Int32(verdict.policy ?? 0)
            }
            return false
        case .sampled, .dropped:
            finish(slot, verdict, .ingest, now)
            return true
        default:
            return false
        }
    }

    private mutating func schedule(_ slot: UInt32, _ record: UnsafeMutablePointer<TraceRecord>, _ now: Int64) {
        if settings.waitAfterRoot > 0, record.pointee.rootSeen == .max, hasRoot(from: record.pointee.fresh) {
            record.pointee.rootSeen = now
            table.append(slot, to: .root)
        }
        if settings.waitAfterLastSpan > 0 {
            table.unlink(slot, from: .idle)
            table.append(slot, to: .idle)
        }
    }

    /// Whether one of the spans has no parent.
    private func hasRoot(from segment: UnsafeMutablePointer<Segment>?) -> Bool {
        var next = segment
        while let current = next {
            next = current.pointee.next
            if current.pointee.areLogs { continue }
            guard var fields = FieldCursor(current.pointee.bytes > 0 ? current.content : .nothing) else { continue }
            while let key = fields.key() {
                guard key == 0x12, let span = fields.bytes() else { break }
                if Self.isRoot(span) { return true }
            }
        }
        return false
    }

    private static func isRoot(_ span: UnsafeRawBufferPointer) -> Bool {
        guard var fields = FieldCursor(span) else { return false }
        var isRoot = true
        while let key = fields.key() {
            if key == 0x22 {
                guard let parent = fields.bytes() else { return false }
                isRoot = parent.allSatisfy { $0 == 0 }
            } else if !fields.skip(key & 7) {
                return false
            }
        }
        return isRoot
    }
}
