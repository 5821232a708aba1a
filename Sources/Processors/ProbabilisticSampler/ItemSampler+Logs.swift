internal import Glibc
internal import OTLP
internal import Sampling

extension ItemSampler {
    func sampleLogs(_ batch: TelemetryBatch, _ keeps: inout [Bool], _ tally: inout SamplingTally) {
        let items = batch.items
        var scratch = WireWriter()
        sourceKey.withUnsafeBytes { source in
            priorityKey.withUnsafeBytes { priority in
                let keys = SampledLogRecord.Keys(source: source, priority: priority)
                for index in items.indices {
                    let record = SampledLogRecord(
                        batch.payload(of: items[index]), tail: batch.tail(of: items[index]), keys: keys)
                    keeps[index] = sample(record, batch, index, &tally, &scratch)
                }
            }
        }
    }

    /// The sampling information that came with a log record, in attributes instead of a trace state.
    private struct Arrived {
        var threshold: Threshold?
        var randomness: Randomness?
        /// The attributes are there, be they of use or not.
        var hasThreshold: Bool
        var hasRandomness: Bool
        var isInvalid = false

        init(_ record: SampledLogRecord) {
            hasThreshold = record.threshold != nil
            hasRandomness = record.randomness != nil
            // A value that is no text, or an empty one, counts as none.
            if let digits = Self.text(record.threshold) {
                threshold = Threshold(digits: digits)
                if threshold == nil { isInvalid = true }
            }
            if let digits = Self.text(record.randomness) {
                randomness = Randomness(digits: digits)
                if randomness == nil { isInvalid = true }
            }
        }

        private static func text(_ value: UnsafeRawBufferPointer?) -> UnsafeRawBufferPointer? {
            guard let value, case .text(let text) = SampledValue(value), text.count > 0 else { return nil }
            return text
        }
    }

    private func sample(
        _ record: SampledLogRecord, _ batch: TelemetryBatch, _ index: Int, _ tally: inout SamplingTally,
        _ scratch: inout WireWriter
    ) -> Bool {
        let arrived = Arrived(record)
        var mayWrite = !arrived.isInvalid
        var verdict: SamplingVerdict
        switch rule.kind {
        case .never:
            verdict = SamplingVerdict(threshold: .never, randomness: .maximum, policy: .samplingPriority)
            if arrived.isInvalid {
                verdict.fault = .invalidSamplingState
                verdict.threshold = rule.thresholdOfFault
            }
        case .hash:
            verdict = hashed(record, &scratch)
            if arrived.isInvalid || arrived.threshold != nil || arrived.randomness != nil {
                verdict.fault = arrived.isInvalid ? .invalidSamplingState : .samplingInUse
                verdict.threshold = rule.thresholdOfFault
                mayWrite = false
            }
        case .proportional, .equalizing:
            verdict =
                arrived.isInvalid
                ? SamplingVerdict(
                    threshold: rule.thresholdOfFault, randomness: .maximum, policy: .missingRandomness,
                    fault: .invalidSamplingState)
                : consistent(arrived.randomness, record.traceID, arrived.threshold)
        }
        if let priority = record.priority, let threshold = threshold(ofPriority: priority) {
            verdict.threshold = threshold
            verdict.policy = .samplingPriority
        }
        let isKept = verdict.isKept
        tally.add(verdict.policy, isKept: isKept)
        if let fault = verdict.fault { tally.add(fault) }
        if isKept, mayWrite, !write(verdict, arrived, batch, index) { tally.add(.stateFull) }
        return isKept
    }

    /// Randomness from the trace id or the attribute that the configuration names.
    private func hashed(_ record: SampledLogRecord, _ scratch: inout WireWriter) -> SamplingVerdict {
        let threshold = rule.threshold(after: nil)
        if usesTraceID, record.traceID.count > 0 {
            let randomness = rule.hash.randomness(of: record.traceID)
            return SamplingVerdict(threshold: threshold, randomness: randomness, policy: .traceIDHash)
        }
        scratch.removeAll()
        if let source = record.source, let bytes = Self.hashedBytes(SampledValue(source), &scratch), bytes.count > 0 {
            let randomness = rule.hash.randomness(of: bytes)
            return SamplingVerdict(threshold: threshold, randomness: randomness, policy: .attribute)
        }
        return SamplingVerdict(
            threshold: rule.thresholdOfFault, randomness: .maximum, policy: .missingRandomness,
            fault: .missingRandomness)
    }

    /// The bytes of a value that are hashed: those of a text or of bytes, else its text as otelcol writes it. Nil for
    /// lists and maps.
    static func hashedBytes(_ value: SampledValue, _ scratch: inout WireWriter) -> UnsafeRawBufferPointer? {
        switch value {
        case .text(let bytes), .bytes(let bytes): return bytes
        case .bool(let flag): scratch.append(flag ? "true" : "false")
        case .int(let number): append("\(number)", to: &scratch)
        case .double(let number): append(decimalText(number), to: &scratch)
        case .other: return nil
        }
        return scratch.bytes
    }

    private static func append(_ text: String, to scratch: inout WireWriter) {
        for byte in text.utf8 { scratch.append(byte: byte) }
    }

    /// A number as Go's JSON writes it: without an exponent from 1e-6 to below 1e21.
    private static func decimalText(_ number: Double) -> String {
        guard number.isFinite else {
            return "json: unsupported value: " + (number.isNaN ? "NaN" : number > 0 ? "+Inf" : "-Inf")
        }
        // Digits and exponent of the shortest text: `1.5e-07`, `0.25`, `100.0`.
        var digits: [UInt8] = []
        var point = 0
        var exponent = 0
        var hasPoint = false
        var text = Array(number.magnitude.description.utf8)[...]
        if let e = text.firstIndex(of: 0x65) {
            exponent = Int(String(decoding: text[(e + 1)...], as: UTF8.self)) ?? 0
            text = text[..<e]
        }
        for byte in text {
            if byte == 0x2E {
                hasPoint = true
            } else {
                digits.append(byte)
                if !hasPoint { point += 1 }
            }
        }
        point += exponent
        let leading = digits.prefix { $0 == 0x30 }.count
        digits.removeFirst(leading)
        point -= leading
        while digits.last == 0x30 { digits.removeLast() }
        let sign = number.sign == .minus ? "-" : ""
        guard !digits.isEmpty else { return sign + "0" }
        return sign + decimalText(digits, point, number.magnitude < 1e-6 || number.magnitude >= 1e21)
    }

    /// `digits` with the decimal point after the first `point` of them.
    private static func decimalText(_ digits: [UInt8], _ point: Int, _ hasExponent: Bool) -> String {
        func text(_ digits: some Sequence<UInt8>) -> String { String(decoding: Array(digits), as: UTF8.self) }
        if hasExponent {
            let rest = digits.count > 1 ? "." + text(digits.dropFirst()) : ""
            return text(digits.prefix(1)) + rest + "e" + (point > 0 ? "+" : "-") + "\((point - 1).magnitude)"
        }
        if point <= 0 { return "0." + String(repeating: "0", count: -point) + text(digits) }
        if digits.count <= point { return text(digits) + String(repeating: "0", count: point - digits.count) }
        return text(digits.prefix(point)) + "." + text(digits.dropFirst(point))
    }

    /// The percentage in the attribute that the configuration names: 0 and less than 0 keep nothing; nil when it is no
    /// number.
    private func threshold(ofPriority value: UnsafeRawBufferPointer) -> Threshold? {
        let percentage: Double
        switch SampledValue(value) {
        case .int(let number): percentage = Double(number)
        case .double(let number): percentage = number
        case .text, .bytes, .bool, .other: return nil
        }
        guard !percentage.isNaN else { return nil }
        guard percentage < 100 else { return .always }
        return Threshold(probability: percentage / 100, precision: precision) ?? .never
    }

    /// False when the batch cannot grow.
    private func write(_ verdict: SamplingVerdict, _ arrived: Arrived, _ batch: TelemetryBatch, _ index: Int) -> Bool {
        var isWritten = true
        var digits = WireWriter()
        if rule.kind == .hash, verdict.policy != .missingRandomness, verdict.fault != .missingRandomness {
            verdict.randomness.append(to: &digits)
            isWritten = set(SampledLogRecord.randomnessKey, digits.bytes, arrived.hasRandomness, batch, index)
        }
        if verdict.fault != .inconsistentThreshold, let threshold = arrived.threshold, threshold >= verdict.threshold {
            return isWritten
        }
        digits.removeAll()
        verdict.threshold.append(to: &digits)
        return set(SampledLogRecord.thresholdKey, digits.bytes, arrived.hasThreshold, batch, index) && isWritten
    }

    private func set(
        _ key: StaticString, _ text: UnsafeRawBufferPointer, _ isThere: Bool, _ batch: TelemetryBatch, _ index: Int
    ) -> Bool {
        let key = UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
        return isThere
            ? batch.setAttribute(key, .text(text), ofItem: index)
            : batch.appendAttribute(key, .text(text), toItem: index)
    }
}
