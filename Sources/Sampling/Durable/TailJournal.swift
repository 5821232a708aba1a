/// Which records of a durable buffer's two logs are still needed: rules without disk, threads and time.
///
/// One log has the requests as they came, the other decisions. A request's record is needed until each of its runs is done
/// with: let go, or taken by the next stage, and the decision on the disk. A page of decisions is needed as long as the
/// decision cache goes back, and as long as a request may come back of which it says what is done with.
/// One owner; not thread-safe.
package struct TailJournal: Sendable {
    /// Records that are no longer needed.
    package struct Releases: Sendable, Equatable {
        /// Sequences in the log of requests.
        package var requests: [UInt64] = []
        /// Sequences in the log of decisions.
        package var pages: [UInt64] = []

        /// Nothing.
        package init() {}
    }

    /// Decisions that are to be written; `written` answers for them by number.
    package struct Flush: Sendable {
        /// From 1, growing.
        package let number: Int
        /// In the order in which they were settled.
        package let entries: [DecisionEntry]
    }

    private struct Request: Sendable {
        let sequence: UInt64
        let time: Int64
        var runs: Int
    }

    private struct Page: Sendable {
        let sequence: UInt64
        let entries: Int
        let upTo: UInt64
    }

    /// What goes when a flush is written.
    private struct Pending: Sendable {
        var done: [RecordRuns] = []
        var entries = 0
        var upTo: UInt64 = 0
    }

    /// Sequences must not lie further apart than this: runs know the low half of theirs only.
    static let window: UInt64 = 1 << 31

    /// Entries that are kept for the decision cache.
    private let remembered: Int
    private var requests: [UInt32: Request] = [:]
    /// Sequences of requests, ascending; those done with go from the front.
    private var order = SequenceQueue()
    private var pages: [Page] = []
    private var firstPage = 0
    private var pageEntries = 0
    private var decided: [DecisionEntry] = []
    private var done: [RecordRuns] = []
    private var flushes: [Int: Pending] = [:]
    private var lastFlush = 0
    private var last: UInt64 = 0

    /// - Parameter remembered: traces that the decision cache has room for.
    package init(remembered: Int) { self.remembered = max(0, remembered) }

    // MARK: Requests

    /// A request is in the log, and `runs` runs of it go into the buffer; each of them is said to be done with once.
    /// Sequences ascend. `time` is the buffer's.
    package mutating func begin(_ sequence: UInt64, runs: Int, time: Int64) {
        last = max(last, sequence)
        requests[UInt32(truncatingIfNeeded: sequence)] = Request(sequence: sequence, time: time, runs: runs)
        order.append(sequence)
    }

    /// The oldest request that is needed, and its time.
    package mutating func oldest() -> (sequence: UInt64, time: Int64)? {
        while let sequence = order.first {
            if let request = requests[UInt32(truncatingIfNeeded: sequence)], request.sequence == sequence {
                return (sequence, request.time)
            }
            order.removeFirst()
        }
        return nil
    }

    /// Whether one more request may come: false when one is so old that sequences would be taken for each other.
    package mutating func mayBegin() -> Bool { oldest().map { last - $0.sequence < Self.window } ?? true }

    /// Requests that are needed.
    package var requestCount: Int { requests.count }

    // MARK: Decisions

    /// Decisions were taken, or kept ones taken by the next stage, and runs are done with. True when a flush is due that
    /// was not before.
    package mutating func settle(_ entries: [DecisionEntry], _ runs: [RecordRuns]) -> Bool {
        guard !entries.isEmpty || !runs.isEmpty else { return false }
        let wasEmpty = decided.isEmpty && done.isEmpty
        decided += entries
        done += runs
        return wasEmpty
    }

    /// What is to be written now; with `entries` empty there is nothing to write, and `written` may follow at once. Nil
    /// when nothing was settled.
    package mutating func flush() -> Flush? {
        guard !decided.isEmpty || !done.isEmpty else { return nil }
        lastFlush += 1
        flushes[lastFlush] = Pending(
            done: done, entries: decided.count, upTo: decided.reduce(0) { max($0, $1.upTo) })
        defer {
            decided = []
            done = []
        }
        return Flush(number: lastFlush, entries: decided)
    }

    /// A flush is on the disk at `sequence`; nil when it is not and will not be: then what it said may have to be decided
    /// again after a crash, which is better than never to let go.
    package mutating func written(_ number: Int, at sequence: UInt64?) -> Releases {
        guard let flush = flushes.removeValue(forKey: number) else { return Releases() }
        if let sequence, flush.entries > 0 {
            addPage(sequence, entries: flush.entries, upTo: flush.upTo)
        }
        var releases = Releases()
        for runs in flush.done {
            guard let left = requests[runs.record].map({ $0.runs - runs.runs }) else { continue }
            if left > 0 {
                requests[runs.record]?.runs = left
            } else if let request = requests.removeValue(forKey: runs.record) {
                releases.requests.append(request.sequence)
            }
        }
        releases.pages = releasePages()
        return releases
    }

    /// A page of decisions is in the log: one that was just written, or one that was there at the start. Sequences ascend.
    package mutating func addPage(_ sequence: UInt64, entries: Int, upTo: UInt64) {
        pages.append(Page(sequence: sequence, entries: entries, upTo: upTo))
        pageEntries += entries
    }

    private mutating func releasePages() -> [UInt64] {
        let needed = oldest()?.sequence ?? .max
        var released: [UInt64] = []
        while firstPage < pages.count {
            let page = pages[firstPage]
            guard pageEntries - page.entries >= remembered, page.upTo < needed else { break }
            released.append(page.sequence)
            pageEntries -= page.entries
            firstPage += 1
        }
        if firstPage > 64, firstPage * 2 > pages.count {
            pages.removeFirst(firstPage)
            firstPage = 0
        }
        return released
    }

    /// Decisions that are kept.
    package var rememberedEntries: Int { pageEntries }
}

/// Numbers in the order in which they came.
private struct SequenceQueue: Sendable {
    private var items: [UInt64] = []
    private var start = 0

    var first: UInt64? { start < items.count ? items[start] : nil }

    mutating func append(_ item: UInt64) { items.append(item) }

    mutating func removeFirst() {
        start += 1
        guard start > 1024, start * 2 > items.count else { return }
        items.removeFirst(start)
        start = 0
    }
}

/// What the decisions on the disk say of a request that comes back: which of its traces are done with.
package struct DoneTraces: Sendable {
    private struct Trace: Hashable {
        let high: UInt64
        let low: UInt64
        let areLogs: Bool
    }

    private var upTo: [Trace: UInt64] = [:]
    private let from: UInt64

    /// - Parameter from: the first record that may come back; what is about earlier ones is not kept.
    package init(from: UInt64) { self.from = from }

    /// Takes note of entries of a page.
    package mutating func add(_ entries: [DecisionEntry]) {
        for entry in entries where entry.upTo >= from {
            if entry.isAboutSpans { note(Trace(high: entry.high, low: entry.low, areLogs: false), entry.upTo) }
            if entry.isAboutLogs { note(Trace(high: entry.high, low: entry.low, areLogs: true), entry.upTo) }
        }
    }

    private mutating func note(_ trace: Trace, _ sequence: UInt64) {
        upTo[trace] = max(upTo[trace] ?? 0, sequence)
    }

    /// Whether a run of the record is done with.
    package func contains(_ run: TraceRun, areLogs: Bool, sequence: UInt64) -> Bool {
        upTo[Trace(high: run.high, low: run.low, areLogs: areLogs)].map { $0 >= sequence } ?? false
    }
}
