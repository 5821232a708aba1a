internal import Glibc
internal import OTLP
internal import Sampling

/// Decides about the items of batches, and writes into those that stay with what probability they did. Stateless.
struct ItemSampler: Sendable {
    let rule: SamplingRule
    let usesTraceID: Bool
    let precision: Int
    let sourceKey: [UInt8]
    let priorityKey: [UInt8]

    init(_ settings: ProbabilisticSamplerSettings) {
        rule = SamplingRule(settings)
        usesTraceID = settings.source == .traceID
        precision = settings.precision
        sourceKey = settings.fromAttribute
        priorityKey = settings.priorityAttribute
    }

    /// Leaves in `batch` what is kept. The caller owns it.
    func sample(_ batch: TelemetryBatch) -> SamplingTally {
        var tally = SamplingTally()
        var keeps = [Bool](repeating: false, count: batch.items.count)
        switch batch.signal {
        case .traces: sampleSpans(batch, &keeps, &tally)
        case .logs: sampleLogs(batch, &keeps, &tally)
        case .metrics: return tally
        }
        batch.filterItems { keeps[$0] }
        return tally
    }

    // MARK: Spans

    private func sampleSpans(_ batch: TelemetryBatch, _ keeps: inout [Bool], _ tally: inout SamplingTally) {
        let items = batch.items
        var scratch = WireWriter(capacity: TraceState.maximumBytes)
        for index in items.indices {
            let span = SampledSpan(batch.payload(of: items[index]), tail: batch.tail(of: items[index]))
            var state: TraceState?
            var verdict = verdict(on: span, &state)
            if let priority = span.priority, let isKept = Self.isWanted(priority) {
                verdict.threshold = isKept ? .always : .never
                verdict.policy = .samplingPriority
            }
            let isKept = verdict.isKept
            keeps[index] = isKept
            tally.add(verdict.policy, isKept: isKept)
            if let fault = verdict.fault { tally.add(fault) }
            guard isKept, let state else { continue }
            if !write(verdict, state, span, batch, index, &scratch) { tally.add(.stateFull) }
        }
    }

    /// `state` is what may be changed when the span stays: nil when the span is not to be touched.
    @inline(__always)
    private func verdict(on span: SampledSpan, _ state: inout TraceState?) -> SamplingVerdict {
        let found: TraceState
        do throws(TraceStateError) {
            found = try TraceState(span.traceState)
        } catch {
            let policy: SamplingPolicy =
                switch rule.kind {
                case .never: .samplingPriority
                case .hash: .traceIDHash
                case .proportional, .equalizing: .missingRandomness
                }
            let randomness = rule.kind == .hash ? rule.hash.randomness(of: span.traceID) : .maximum
            return SamplingVerdict(
                threshold: rule.thresholdOfFault, randomness: randomness, policy: policy, fault: .invalidSamplingState)
        }
        switch rule.kind {
        case .never:
            state = found
            return SamplingVerdict(threshold: .never, randomness: .maximum, policy: .samplingPriority)
        case .hash:
            let randomness = rule.hash.randomness(of: span.traceID)
            guard found.threshold == nil, found.randomness == nil else {
                return SamplingVerdict(
                    threshold: rule.thresholdOfFault, randomness: randomness, policy: .traceIDHash,
                    fault: .samplingInUse)
            }
            state = found
            return SamplingVerdict(
                threshold: rule.threshold(after: nil), randomness: randomness, policy: .traceIDHash)
        case .proportional, .equalizing:
            state = found
            return consistent(found.randomness, span.traceID, found.threshold)
        }
    }

    /// The decision by explicit randomness or the trace id.
    @inline(__always)
    func consistent(
        _ explicit: Randomness?, _ traceID: UnsafeRawBufferPointer, _ arriving: Threshold?
    ) -> SamplingVerdict {
        guard let randomness = explicit ?? Randomness(traceID: traceID) else {
            return SamplingVerdict(
                threshold: rule.thresholdOfFault, randomness: .maximum, policy: .missingRandomness,
                fault: .missingRandomness)
        }
        let policy: SamplingPolicy = explicit == nil ? .traceIDW3C : .samplingRandomness
        if let arriving, !arriving.keeps(randomness) {
            return SamplingVerdict(
                threshold: rule.thresholdOfFault, randomness: randomness, policy: policy, fault: .inconsistentThreshold)
        }
        return SamplingVerdict(
            threshold: rule.threshold(after: arriving), randomness: randomness, policy: policy)
    }

    /// Writes what a kept span's threshold is. Thresholds only rise: one that came and is higher stays, unless it is
    /// inconsistent. False when it does not fit.
    private func write(
        _ verdict: SamplingVerdict, _ state: TraceState, _ span: SampledSpan, _ batch: TelemetryBatch, _ index: Int,
        _ scratch: inout WireWriter
    ) -> Bool {
        let addsRandomness = rule.kind == .hash
        if verdict.fault != .inconsistentThreshold, let arriving = state.threshold {
            if arriving > verdict.threshold || state.states(verdict.threshold) { return true }
        }
        scratch.removeAll()
        let edit = state.append(
            threshold: verdict.threshold, addingRandomness: addsRandomness ? verdict.randomness : nil, to: &scratch)
        guard edit != .full(dropsThreshold: false) else { return false }
        return batch.setTraceState(scratch.bytes, ofItem: index, hasTraceState: span.hasTraceState) && edit == .written
    }

    /// Reads `sampling.priority` as OpenTracing has it: 0 is no, more is yes; nil for anything else.
    private static func isWanted(_ value: UnsafeRawBufferPointer) -> Bool? {
        let number: Double
        switch SampledValue(value) {
        case .int(let value): number = value > 0 ? 1 : value < 0 ? -1 : 0
        case .double(let value): number = value
        case .text(let text):
            guard let value = Self.number(text) else { return nil }
            number = value
        case .bytes, .bool, .other: return nil
        }
        return number == 0 ? false : number > 0 ? true : nil
    }

    /// The number that a text is, without spaces around it; nil for anything else and beyond 63 bytes.
    private static func number(_ text: UnsafeRawBufferPointer) -> Double? {
        guard let first = text.first, first > 0x20, text.count < 64 else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer -> Double? in
            guard let base = buffer.baseAddress else { return nil }
            for (index, byte) in text.enumerated() { buffer[index] = CChar(bitPattern: byte) }
            buffer[text.count] = 0
            var end: UnsafeMutablePointer<CChar>?
            let value = strtod(base, &end)
            return end == base + text.count ? value : nil
        }
    }
}
