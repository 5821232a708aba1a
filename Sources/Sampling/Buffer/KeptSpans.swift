package import OTLP

/// Spans, or log records, that go on: requests to hand to the next stage.
package struct KeptRequest: Sendable {
    /// An `ExportTraceServiceRequest`, or an `ExportLogsServiceRequest`.
    package let bytes: WireBytes
    /// Spans or log records in it.
    package let items: Int
    /// Runs of a durable buffer's log that it has, and decisions that are done with once the next stage has taken this
    /// request and those before it.
    package var runs: [RecordRuns] = []
    package var decisions: [DecisionEntry] = []
}

/// Puts kept spans, or kept log records, together to requests: both kinds of request have the same field numbers. One
/// owner; not thread-safe.
struct KeptSpans: ~Copyable {
    /// Bytes from which on a request is complete: 256 KiB.
    static let targetBytes = 256 << 10

    private var writer = WireWriter()
    private var stripped = WireWriter()
    private var spans = 0
    private var openHash: Int?
    private var resourceStart = 0
    private var scopeStart = 0
    private var finished: [KeptRequest] = []
    private var runs: [RecordRuns] = []
    private var decisions: [DecisionEntry] = []
    /// Spans that did not fit into memory.
    private(set) var lostSpans = 0
    private let account: Accounting?

    /// Counts bytes as held for as long as what it returns lives.
    typealias Accounting = @Sendable (Int) -> (any AnyObject & Sendable)?

    init(_ account: Accounting?) { self.account = account }

    /// Whether there is nothing to take.
    var isEmpty: Bool { spans == 0 && finished.isEmpty }
    /// Bytes of the request that is being filled.
    var openBytes: Int { writer.count }

    /// What a span gets on its way out.
    struct Edit {
        /// The threshold of the rules; see `Verdict.threshold`.
        var threshold: Threshold?
        var randomness: Randomness?
        /// Of the trace id; for spans that carry none.
        var idRandomness: Randomness
        /// Whether trace states are written at all.
        var writesThreshold: Bool

        /// As it came.
        static let none = Edit(
            threshold: nil, randomness: nil, idRandomness: Randomness(truncating: 0), writesThreshold: false)

        /// Nothing changes.
        var isPlain: Bool { !writesThreshold || threshold == .always }
    }

    /// Adds a run of spans.
    ///
    /// - Parameters:
    ///   - attributes: encoded fields that each span gets in addition.
    ///   - repeats: places in the run, ascending, of spans whose cost is counted on another span.
    ///   - record: which record of the buffer's log the run is from; nil without a log.
    mutating func append(
        _ run: UnsafeRawBufferPointer, spans count: Int, of envelope: EnvelopeTable.Envelope, _ edit: Edit,
        attributes: UnsafeRawBufferPointer, repeats: ArraySlice<Int> = [], record: UInt32? = nil
    ) {
        if let record { runs.note(record) }
        if openHash != envelope.hash { open(envelope) }
        if edit.isPlain, attributes.count == 0, repeats.isEmpty {
            writer.append(run)
        } else {
            appendEdited(run, edit, attributes, repeats)
        }
        spans += count
        if writer.count >= Self.targetBytes { finish() }
    }

    /// What was appended last is all of a trace up to a record, or all that came late: `entry` goes along with it.
    mutating func note(_ entry: DecisionEntry) {
        if spans > 0 {
            decisions.note(entry)
        } else if let last = finished.indices.last {
            finished[last].decisions.note(entry)
        }
    }

    private mutating func open(_ envelope: EnvelopeTable.Envelope) {
        close()
        openHash = envelope.hash
        resourceStart = writer.count
        writer.append(envelope.resource)
        scopeStart = writer.count
        writer.append(envelope.scope)
    }

    private mutating func close() {
        guard openHash != nil else { return }
        writer.wrap(since: scopeStart, field: 2)
        writer.wrap(since: resourceStart, field: 1)
        openHash = nil
    }

    /// Completes the request that is being written.
    mutating func finish() {
        guard spans > 0 else { return }
        close()
        if writer.overflowed {
            lostSpans += spans
            writer = WireWriter()
        } else {
            // A copy of the right size: what the writer has beyond its content would be held too.
            let bytes = WireBytes(copying: writer.bytes, accounting: account?(writer.count))
            if bytes.count == writer.count {
                finished.append(KeptRequest(bytes: bytes, items: spans, runs: runs, decisions: decisions))
            } else {
                lostSpans += spans
            }
            writer.removeAll()
        }
        spans = 0
        // What is lost stays in the log, if there is one, and is decided about again at the next start.
        if !runs.isEmpty { runs = [] }
        if !decisions.isEmpty { decisions = [] }
    }

    /// The requests that are complete, each once.
    mutating func take() -> [KeptRequest] {
        if finished.isEmpty { return [] }
        defer { finished = [] }
        return finished
    }

    // MARK: Spans that change

    private mutating func appendEdited(
        _ run: UnsafeRawBufferPointer, _ edit: Edit, _ attributes: UnsafeRawBufferPointer, _ repeats: ArraySlice<Int>
    ) {
        guard var fields = FieldCursor(run) else { return }
        var repeats = repeats
        var place = 0
        while let key = fields.key() {
            guard key == 0x12, var span = fields.bytes() else { return }
            let start = writer.count
            if repeats.first == place {
                repeats.removeFirst()
                writeWithoutCost(span)
                if !stripped.overflowed { span = stripped.bytes }
            }
            place += 1
            if edit.isPlain {
                writer.append(span)
            } else {
                append(span, edit)
            }
            writer.append(attributes)
            writer.wrap(since: start, field: 2)
        }
    }

    /// Writes a span to `stripped` with the status `aggregate` in place of what its call cost.
    private mutating func writeWithoutCost(_ span: UnsafeRawBufferPointer) {
        stripped.removeAll()
        guard var fields = FieldCursor(span) else { return }
        var from = fields.at
        while let key = fields.key() {
            var isCost = false
            if key == 0x4A {
                guard let attribute = fields.bytes() else { break }
                isCost = KeyValue(attribute).map { CallState.isCost($0.key) } ?? false
            } else if !fields.skip(key & 7) {
                break
            }
            if !isCost { stripped.append(UnsafeRawBufferPointer(start: from, count: fields.at - from)) }
            from = fields.at
        }
        let (key, value): (StaticString, StaticString) = ("gen_ai.cost.status", "aggregate")
        stripped.append(
            field: 9, key: UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount),
            .text(UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount)))
    }

    /// A span with the trace state that belongs to it from now on.
    private mutating func append(_ span: UnsafeRawBufferPointer, _ edit: Edit) {
        let start = writer.count
        var state = UnsafeRawBufferPointer(start: nil, count: 0)
        guard var fields = FieldCursor(span) else { return }
        var from = fields.at
        while let key = fields.key() {
            if key == 0x1A {
                guard let payload = fields.bytes() else { break }
                state = payload
            } else {
                guard fields.skip(key & 7) else { break }
                writer.append(UnsafeRawBufferPointer(start: from, count: fields.at - from))
            }
            from = fields.at
        }
        let stateStart = writer.count
        if !appendTraceState(state, edit) {
            writer.truncate(to: stateStart)
            // As it came, byte for byte.
            writer.truncate(to: start)
            writer.append(span)
        } else if writer.count > stateStart {
            writer.wrap(since: stateStart, field: 3)
        }
    }

    /// Writes the new trace state. False when the old one stays.
    private mutating func appendTraceState(_ bytes: UnsafeRawBufferPointer, _ edit: Edit) -> Bool {
        guard let state = try? TraceState(bytes) else { return false }
        var threshold: Threshold?
        if let rule = edit.threshold {
            let combined = max(state.threshold ?? .always, rule)
            let randomness = state.randomness ?? edit.randomness ?? edit.idRandomness
            threshold = combined.keeps(randomness) ? combined : nil
        }
        if threshold == nil, state.threshold == nil { return false }
        let result = state.append(
            threshold: threshold, addingRandomness: threshold == nil ? nil : edit.randomness, to: &writer)
        return result != .full(dropsThreshold: false)
    }
}
