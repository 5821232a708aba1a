package import OTLP

/// Spans, or log records, of one trace that lie side by side in a request. Both halves of the id are 0 for log records
/// without a trace.
package struct TraceRun: Sendable {
    package var high: UInt64
    package var low: UInt64
    package var items: Range<Int>
    /// Index in `TraceRuns.envelopes`.
    package var envelope: Int
}

/// A request taken apart by traces, and the fields of its resources and scopes without their children.
package struct TraceRuns: ~Copyable {
    /// Where the fields of a resource and of a scope lie.
    package struct Envelope: Sendable {
        fileprivate var resource: Range<Int>
        fileprivate var scope: Range<Int>
    }

    package private(set) var runs: [TraceRun] = []
    private var envelopes: [Envelope] = []
    private var fields = WireWriter()

    /// Reads a batch of spans or of log records. Spans without a valid trace id, which the receiver lets none through of,
    /// are left out.
    package init(_ batch: TelemetryBatch) {
        runs.reserveCapacity(batch.items.count / 4 + 4)
        for resource in batch.resources {
            let resourceStart = fields.count
            Self.appendOthers(batch.message(of: resource), to: &fields)
            let resourceEnd = fields.count
            for scope in batch.scopes[resource.scopes] {
                let scopeStart = fields.count
                Self.appendOthers(batch.message(of: scope), to: &fields)
                envelopes.append(Envelope(resource: resourceStart..<resourceEnd, scope: scopeStart..<fields.count))
                addRuns(batch, scope.items)
            }
        }
    }

    package var envelopeCount: Int { envelopes.count }
    /// Whether some log record names a trace.
    package var hasTraces: Bool { runs.contains { $0.high | $0.low != 0 } }

    /// Resource fields and scope fields of an envelope; valid as long as this value.
    package func envelope(_ index: Int) -> (resource: UnsafeRawBufferPointer, scope: UnsafeRawBufferPointer) {
        let ranges = envelopes[index]
        return (
            UnsafeRawBufferPointer(rebasing: fields.bytes[ranges.resource]),
            UnsafeRawBufferPointer(rebasing: fields.bytes[ranges.scope])
        )
    }

    private mutating func addRuns(_ batch: TelemetryBatch, _ items: Range<Int>) {
        let envelope = envelopes.count - 1
        let isLogs = batch.signal == .logs
        var current: TraceRun?
        for index in items {
            let item = batch.payload(of: batch.items[index])
            let id = isLogs ? Self.traceIDAnywhere(item, key: 0x4A) ?? (0, 0) : Self.traceID(item)
            guard let (high, low) = id else { continue }
            if let run = current, run.high == high, run.low == low, run.items.upperBound == index {
                current?.items = run.items.lowerBound..<index + 1
                continue
            }
            if let run = current { runs.append(run) }
            current = TraceRun(high: high, low: low, items: index..<index + 1, envelope: envelope)
        }
        if let run = current { runs.append(run) }
    }

    /// The id of a span's trace, as two big-endian numbers.
    @inline(__always)
    private static func traceID(_ span: UnsafeRawBufferPointer) -> (UInt64, UInt64)? {
        if span.count >= 18, span[0] == 0x0A, span[1] == 16 {
            return (
                UInt64(bigEndian: span.loadUnaligned(fromByteOffset: 2, as: UInt64.self)),
                UInt64(bigEndian: span.loadUnaligned(fromByteOffset: 10, as: UInt64.self))
            )
        }
        return traceIDAnywhere(span, key: 0x0A)
    }

    private static func traceIDAnywhere(_ item: UnsafeRawBufferPointer, key wanted: UInt64) -> (UInt64, UInt64)? {
        guard var fields = FieldCursor(item) else { return nil }
        var found: (UInt64, UInt64)?
        while let key = fields.key() {
            if key == wanted {
                guard let id = fields.bytes() else { return nil }
                guard id.count == 16 else { continue }
                found = (
                    UInt64(bigEndian: id.loadUnaligned(as: UInt64.self)),
                    UInt64(bigEndian: id.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            } else if !fields.skip(key & 7) {
                return nil
            }
        }
        return found
    }

    /// Fields of a `ResourceSpans` or `ScopeSpans` other than number 2, their children.
    private static func appendOthers(_ message: UnsafeRawBufferPointer, to writer: inout WireWriter) {
        guard var fields = FieldCursor(message) else { return }
        var start = fields.at
        while let key = fields.key(), fields.skip(key & 7) {
            if key >> 3 != 2 { writer.append(UnsafeRawBufferPointer(start: start, count: fields.at - start)) }
            start = fields.at
        }
    }
}

extension TailShard {
    /// Takes the runs of a request, of spans or of log records, that `belongs` says are this shard's. `batch` is the one
    /// that `runs` were read from.
    ///
    /// - Parameter sequence: the request's record in the buffer's log, if there is one; see `beginRequest`.
    /// - Returns: false when memory was refused for a part; the rest is held.
    package mutating func take(
        _ runs: borrowing TraceRuns, of batch: TelemetryBatch, now: Int64, sequence: UInt64 = 0,
        where belongs: (TraceRun) -> Bool
    ) -> Bool {
        beginRequest(sequence)
        let areLogs = batch.signal == .logs
        var known = [UInt32](repeating: EnvelopeTable.none, count: runs.envelopeCount)
        var isComplete = true
        for run in runs.runs where belongs(run) {
            if known[run.envelope] == EnvelopeTable.none {
                let (resource, scope) = runs.envelope(run.envelope)
                guard let envelope = envelope(resource, scope) else {
                    isComplete = refuseRun()
                    continue
                }
                known[run.envelope] = envelope
            }
            let envelope = known[run.envelope]
            let isTaken =
                areLogs
                ? addLogs(batch, run, envelope: envelope, now)
                : add(batch, items: run.items, traceID: run.high, run.low, envelope: envelope, now: now)
            isComplete = isComplete && isTaken
        }
        endRequest(now: now)
        return isComplete
    }
}

/// Which of `count` shards a trace belongs to.
package struct ShardChoice: Sendable {
    private let seeds: (UInt64, UInt64)
    private let count: UInt64

    /// - Parameters:
    ///   - count: at least 1.
    ///   - seed: random, the same for all choices.
    package init(count: Int, seed: (UInt64, UInt64)) {
        seeds = seed
        self.count = UInt64(max(1, count))
    }

    /// From 0 to `count` - 1.
    @inline(__always)
    package func shard(_ high: UInt64, _ low: UInt64) -> Int {
        count == 1 ? 0 : Int(mixed(high, low, seeds).multipliedFullWidth(by: count).high)
    }
}

extension TraceRuns {
    /// The latest end of a span, in nanoseconds since 1970; 0 without any. `batch` is the one that this was read from.
    package func latestEnd(of batch: TelemetryBatch) -> UInt64 {
        var latest: UInt64 = 0
        for item in batch.items {
            guard var fields = FieldCursor(batch.payload(of: item)) else { continue }
            while let key = fields.key() {
                if key == 0x41 {
                    guard let end = fields.fixed64() else { break }
                    latest = max(latest, end)
                } else if !fields.skip(key & 7) {
                    break
                }
            }
        }
        return latest
    }
}
