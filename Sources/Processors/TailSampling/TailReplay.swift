package import OTLP
internal import Sampling

/// Runs recorded traces through the policies of a configuration. Time is that of the spans: it runs as they end.
package struct TailReplay: ~Copyable {
    /// What a policy said.
    package struct Row: Sendable {
        package let policy: String
        package let sampledTraces: Int
        package let notSampledTraces: Int
        package let droppedTraces: Int
        package let sampledSpans: Int
    }

    /// What became of the traces.
    package struct Report: Sendable {
        package let rows: [Row]
        package let sampledTraces: Int
        package let notSampledTraces: Int
        package let droppedTraces: Int
        package let keptSpans: Int
        package let discardedSpans: Int
    }

    private let names: [String]
    private var shard: TailShard
    private var start: UInt64?
    private var now: Int64 = 0
    private var counts = TailCounts()
    private var tallies: [PolicyTally]

    /// - Throws: `PolicyError`, which reading the settings has recorded before.
    package init(_ settings: TailSamplingSettings) throws {
        let program = try PolicyProgram(settings.policies, stopsAtFirstMatch: settings.stopsAtFirstMatch)
        var rules = settings.rules
        rules.isDryRun = false
        names = program.names
        tallies = Array(repeating: PolicyTally(), count: names.count)
        shard = TailShard(rules, program, seed: (1, 2))
    }

    /// Takes the spans of one request, in the order in which they were recorded.
    package mutating func add(_ batch: TelemetryBatch) {
        let runs = TraceRuns(batch)
        let latest = runs.latestEnd(of: batch)
        let first = start ?? latest
        start = first
        now = max(now, latest >= first ? Int64(clamping: latest - first) : 0)
        _ = shard.decideDue(now: now, limit: .max)
        _ = shard.take(runs, of: batch, now: now) { _ in true }
        gather()
    }

    /// Decides about what is still held, each trace at its time, and sums up.
    package mutating func finish() -> Report {
        while let due = shard.nextDue {
            now = max(now, due)
            _ = shard.decideDue(now: now, limit: .max)
            gather()
        }
        gather()
        let rows = zip(names, tallies).map { name, tally in
            Row(
                policy: name, sampledTraces: tally.sampled.traces, notSampledTraces: tally.notSampled.traces,
                droppedTraces: tally.dropped.traces, sampledSpans: tally.sampled.spans)
        }
        return Report(
            rows: rows, sampledTraces: counts.sampledTraces, notSampledTraces: counts.notSampledTraces,
            droppedTraces: counts.droppedTraces, keptSpans: counts.sampledSpans + counts.lateSampledSpans,
            discardedSpans: counts.discardedSpans + counts.lateDiscardedSpans)
    }

    private mutating func gather() {
        _ = shard.takeKept()
        let new = shard.takeCounts()
        counts.sampledTraces += new.sampledTraces
        counts.notSampledTraces += new.notSampledTraces
        counts.droppedTraces += new.droppedTraces
        counts.sampledSpans += new.sampledSpans
        counts.discardedSpans += new.discardedSpans
        counts.lateSampledSpans += new.lateSampledSpans
        counts.lateDiscardedSpans += new.lateDiscardedSpans
        for (index, tally) in shard.takeTallies().enumerated() { tallies[index].add(tally) }
    }
}
