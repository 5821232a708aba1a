/// What a durable buffer's log has to remember of a trace: that what came of it up to a record is done with, and how it
/// was decided about.
package struct DecisionEntry: Sendable, Equatable {
    /// What was decided.
    package enum Outcome: UInt8, Sendable {
        /// Log records of a trace that no span came of.
        case none = 0
        case sampled
        case notSampled
    }

    package var high: UInt64
    package var low: UInt64
    /// What is meant: the trace's spans, log records, or both, in records of the log up to this sequence.
    package var upTo: UInt64
    package var isAboutSpans: Bool
    package var isAboutLogs: Bool
    package var outcome: Outcome
    /// Seconds of the buffer's time.
    package var decided: UInt32 = 0
    /// `Threshold.rejected`; `UInt64.max` when the probability is not known.
    package var rejected: UInt64 = .max
    /// Index of the policy's name in `DecisionNames`; -1 for none.
    package var policy: Int32 = -1
    /// Which hash gave the randomness: its index in `DecisionNames` + 1; 0 for none.
    package var hash: UInt8 = 0

    /// The same about spans only, or about log records only.
    func about(spans: Bool) -> DecisionEntry {
        var entry = self
        entry.isAboutSpans = spans
        entry.isAboutLogs = !spans
        return entry
    }
}

/// What entries refer to by number.
package struct DecisionNames: Sendable, Equatable {
    /// Of policies.
    package var policies: [String] = []
    /// States of hashes after their salts.
    package var hashes: [UInt64] = []

    package init() {}
}

/// Runs of a record of a durable buffer's log: spans, or log records, of one trace that came in one piece.
package struct RecordRuns: Sendable, Equatable {
    /// The low half of the record's sequence.
    package var record: UInt32
    package var runs: Int

    /// Makes a value from its parts.
    package init(record: UInt32, runs: Int) {
        self.record = record
        self.runs = runs
    }
}

extension [RecordRuns] {
    /// Adds a run. Runs of a trace, and traces that are due together, mostly come from the same records.
    @inline(__always)
    mutating func note(_ record: UInt32) {
        if let last = indices.last, self[last].record == record {
            self[last].runs += 1
        } else {
            append(RecordRuns(record: record, runs: 1))
        }
    }
}

extension [DecisionEntry] {
    /// Adds an entry. One that says the same trace's decision of a later record takes the place of the one before.
    mutating func note(_ entry: DecisionEntry) {
        if let last = indices.last, self[last].high == entry.high, self[last].low == entry.low,
            self[last].isAboutSpans == entry.isAboutSpans, self[last].isAboutLogs == entry.isAboutLogs
        {
            self[last] = entry
        } else {
            append(entry)
        }
    }
}
