import OTLP
import Testing

@testable import Sampling

private let second: Int64 = 1_000_000_000

/// Disks on which lives of a durable buffer leave what the next one begins with. Everything on them is durable.
private final class Disk {
    struct Request {
        let sequence: UInt64
        let time: Int64
        let batch: TelemetryBatch
    }

    var requests: [Request] = []
    var pages: [(sequence: UInt64, bytes: [UInt8])] = []
    var nextRequest: UInt64 = 1
    var nextPage: UInt64 = 1
    /// Released and not yet written as such: a kill may bring them back.
    var unsaved: [Request] = []

    func release(_ releases: TailJournal.Releases) {
        for sequence in releases.requests {
            unsaved += requests.filter { $0.sequence == sequence }
            requests.removeAll { $0.sequence == sequence }
        }
        pages.removeAll { page in releases.pages.contains(page.sequence) }
    }

    func bringBack() {
        requests = (requests + unsaved).sorted { $0.sequence < $1.sequence }
        unsaved = []
    }
}

/// One life of a durable buffer: what the processor does around shards and journal, in one thread.
private final class Life {
    let disk: Disk
    let choice = ShardChoice(count: 3, seed: (11, 12))
    let boxes: [ShardBox]
    var journal: TailJournal
    var now: Int64 = 0
    /// Kept requests that the next stage has not taken.
    var waiting: [KeptRequest] = []

    init(_ disk: Disk, _ policies: [PolicySpec], remembered: Int = 100_000, wait: Int64 = 5 * second) throws {
        self.disk = disk
        var settings = TailSettings()
        settings.decisionWait = wait
        let program = try PolicyProgram(policies)
        boxes = (0..<3).map { ShardBox(settings, program, UInt64($0), share: 1, isDurable: true) }
        journal = TailJournal(remembered: remembered)
        var done = DoneTraces(from: disk.requests.first?.sequence ?? .max)
        for page in disk.pages {
            let decoded = try #require(page.bytes.withUnsafeBytes { DecisionPage($0) })
            journal.addPage(page.sequence, entries: decoded.entries.count, upTo: decoded.upTo)
            done.add(decoded.entries)
            for (index, box) in boxes.enumerated() {
                box.value.restore(decoded) { [choice] in choice.shard($0.high, $0.low) == index }
            }
        }
        for request in disk.requests {
            now = max(now, request.time)
            let runs = TraceRuns(request.batch)
            let isDone: (TraceRun) -> Bool = { done.contains($0, areLogs: false, sequence: request.sequence) }
            let needed = runs.runs.filter { !isDone($0) }.count
            guard needed > 0 else {
                disk.requests.removeAll { $0.sequence == request.sequence }
                continue
            }
            journal.begin(request.sequence, runs: needed, time: request.time)
            hold(request, runs, isDone)
        }
    }

    private func hold(_ request: Disk.Request, _ runs: borrowing TraceRuns, _ isDone: (TraceRun) -> Bool) {
        for (index, box) in boxes.enumerated() {
            let isTaken = box.value.take(runs, of: request.batch, now: now, sequence: request.sequence) { run in
                choice.shard(run.high, run.low) == index && !isDone(run)
            }
            #expect(isTaken)
            gather(box)
        }
    }

    func send(_ spans: [TestSpan]) throws {
        let request = Disk.Request(sequence: disk.nextRequest, time: now, batch: try TestSpan.request(spans))
        disk.nextRequest += 1
        disk.requests.append(request)
        let runs = TraceRuns(request.batch)
        journal.begin(request.sequence, runs: runs.runs.count, time: now)
        hold(request, runs) { _ in false }
    }

    private func gather(_ box: ShardBox, all: Bool = false) {
        waiting += box.value.takeKept(all: all)
        let settled = box.value.takeSettled()
        _ = journal.settle(settled.decisions, settled.runs)
    }

    func decide() {
        for box in boxes {
            _ = box.value.decideDue(now: now, limit: .max)
            gather(box, all: true)
        }
    }

    /// The next stage takes up to `count` requests.
    func take(_ count: Int) throws -> [KeptSpan] {
        let taken = Array(waiting.prefix(count))
        waiting.removeFirst(taken.count)
        for request in taken { _ = journal.settle(request.decisions, request.runs) }
        return try KeptSpan.all(in: taken)
    }

    /// - Parameter completes: false when the process ends between the write and its completion.
    func flush(completes: Bool = true) {
        guard let flush = journal.flush() else { return }
        var sequence: UInt64?
        if !flush.entries.isEmpty {
            sequence = disk.nextPage
            disk.nextPage += 1
            let names = boxes.map { $0.value.decisionNames }.max { $0.policies.count < $1.policies.count }
            let page = DecisionPage(names ?? DecisionNames(), flush.entries)
            disk.pages.append((disk.nextPage - 1, page.encode()))
        }
        if completes { disk.release(journal.written(flush.number, at: sequence)) }
    }

    func finish() throws -> [KeptSpan] {
        now += 10 * second
        decide()
        let spans = try take(.max)
        flush()
        return spans
    }
}

/// A buffer that outlives its process.
@Suite struct TailDurableTests {
    private func trace(_ number: UInt64) -> (high: UInt64, low: UInt64) {
        (number << 32 | 1, number &* 0x9E37_79B9_7F4A_7C15)
    }

    private func span(_ trace: UInt64, _ id: UInt64) -> TestSpan {
        var span = TestSpan(trace: self.trace(trace), id: id)
        span.resource = [("service.name", .text("shop \(id % 3)"))]
        span.attributes = [("keep", .text(trace % 2 == 0 ? "yes" : "no"))]
        return span
    }

    private let keep = PolicySpec("keep", .attribute(AttributeTest(key: "keep", .text(["yes"])), isInverted: false))
    private let pairs = PolicySpec("pairs", .spanCount(minimum: 2, maximum: nil))

    /// Lives that end at any moment: what should be kept is taken by the next stage at least once, the rest never. When
    /// a life ends with nothing under way, what was taken does not come again.
    @Test(arguments: 0..<60) func anyLifeMayEnd(_ seed: Int) throws {
        var random = SeededRandom(UInt64(seed) + 1)
        let disk = Disk()
        let bringsBack = seed % 2 == 0
        var acknowledged: Set<UInt64> = []
        var taken: Set<UInt64> = []
        var final: Set<UInt64> = []
        var nextID: UInt64 = 1
        var openTraces: [UInt64] = [1, 2, 3, 4]
        var lastTrace: UInt64 = 4
        func note(_ spans: [KeptSpan]) {
            for span in spans {
                #expect(span.attributes["keep"] == "yes")
                #expect(acknowledged.contains(span.id) && !final.contains(span.id))
                taken.insert(span.id)
            }
        }
        for _ in 0..<8 {
            let life = try Life(disk, [keep])
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4:
                    if Int.random(in: 0..<3, using: &random) == 0 {
                        lastTrace += 1
                        openTraces.append(lastTrace)
                        if openTraces.count > 12 { openTraces.removeFirst() }
                    }
                    var spans: [TestSpan] = []
                    for _ in 0..<Int.random(in: 1...6, using: &random) {
                        let trace = try #require(openTraces.randomElement(using: &random))
                        spans.append(span(trace, nextID))
                        if trace % 2 == 0 { acknowledged.insert(nextID) }
                        nextID += 1
                    }
                    try life.send(spans)
                case 4..<6: life.now += Int64.random(in: 0...2 * second, using: &random)
                case 6: life.decide()
                case 7: note(try life.take(Int.random(in: 0...2, using: &random)))
                case 8: life.flush()
                default: disk.unsaved = []
                }
            }
            if Bool.random(using: &random) {
                life.decide()
                note(try life.take(.max))
                life.flush()
                if !bringsBack { final = taken }
            } else if Bool.random(using: &random) {
                life.flush(completes: false)
            }
            if bringsBack { disk.bringBack() }
            disk.unsaved = []
        }
        let last = try Life(disk, [keep])
        note(try last.finish())
        #expect(taken == acknowledged)
        #expect(disk.requests.isEmpty)
        #expect(last.journal.requestCount == 0)
    }

    @Test func aTraceIsDecidedAboutWhole() throws {
        let disk = Disk()
        let first = try Life(disk, [pairs])
        first.now = 100 * second
        try first.send([span(1, 1), span(2, 2)])
        first.now += 2 * second
        try first.send([span(3, 3)])
        let next = try Life(disk, [pairs])
        #expect(next.now == 102 * second)
        try next.send([span(1, 4)])
        next.now = 105 * second
        next.decide()
        #expect(Set(try next.take(.max).map(\.id)) == [1, 4])
        #expect(next.boxes.reduce(0) { $0 + $1.value.traceCount } == 1, "the third has two more seconds")
    }

    @Test func decisionsHoldInTheNextLife() throws {
        let disk = Disk()
        let other = PolicySpec("other", .spanCount(minimum: 50, maximum: nil))
        let first = try Life(disk, [other, pairs])
        try first.send([span(1, 1), span(1, 2), span(2, 3)])
        #expect(try first.finish().count == 2)
        #expect(disk.requests.isEmpty && disk.pages.count == 1)
        // Other policies, in another order: the name and what it stands for stay.
        let next = try Life(disk, [pairs])
        try next.send([span(1, 4), span(2, 5), span(2, 6)])
        next.decide()
        #expect(try next.take(.max).map(\.id) == [4])
        #expect(next.boxes.allSatisfy { $0.value.traceCount == 0 })
        #expect(next.boxes[0].value.decisionNames.policies == ["pairs", "other"])
    }

    /// Pages of decisions go when the cache has no room for them, but not before what they are about.
    @Test func pagesGoWithTime() throws {
        let disk = Disk()
        let life = try Life(disk, [keep], remembered: 30)
        for round in 0..<20 {
            try life.send((0..<10).map { span(UInt64(round * 10 + $0 + 1), UInt64(round * 10 + $0 + 1)) })
            life.now += 6 * second
            life.decide()
            _ = try life.take(.max)
            life.flush()
        }
        #expect(life.journal.rememberedEntries == 30)
        #expect(disk.pages.count == 3)
        // One request that is not done with keeps all that come after it.
        try life.send([span(1000, 1000), span(1001, 1001)])
        life.now += 6 * second
        life.decide()
        life.flush()
        for round in 0..<10 {
            try life.send((0..<10).map { span(UInt64(2001 + round * 20 + $0 * 2), UInt64(3000 + round * 10 + $0)) })
            life.now += 6 * second
            life.decide()
            life.flush()
        }
        let oldest = life.journal.oldest()
        #expect(oldest?.sequence == 21)
        #expect(life.journal.rememberedEntries > 100)
        _ = try life.take(.max)
        life.flush()
        let left = life.journal.requestCount
        #expect(left == 0)
        #expect(life.journal.rememberedEntries <= 42)
    }

    /// A page that the disk does not take lets its requests go all the same.
    @Test func aFailedPageHoldsNothingUp() {
        var journal = TailJournal(remembered: 10)
        journal.begin(7, runs: 2, time: 0)
        let entry = DecisionEntry(
            high: 1, low: 2, upTo: 7, isAboutSpans: true, isAboutLogs: true, outcome: .notSampled)
        let isFirst = journal.settle([entry], [RecordRuns(record: 7, runs: 1)])
        let isSecondFirst = journal.settle([], [RecordRuns(record: 7, runs: 1)])
        #expect(isFirst && !isSecondFirst)
        let flush = journal.flush()
        #expect(flush?.entries == [entry])
        let releases = journal.written(flush?.number ?? 0, at: nil)
        #expect(releases.requests == [7] && releases.pages.isEmpty)
        #expect(journal.rememberedEntries == 0)
        let again = journal.written(1, at: 3)
        #expect(again == TailJournal.Releases())
    }

    @Test func sequencesFarApartAreNotTakenForEachOther() {
        var journal = TailJournal(remembered: 0)
        journal.begin(1, runs: 1, time: 0)
        journal.begin(TailJournal.window, runs: 1, time: 0)
        let mayBegin = journal.mayBegin()
        #expect(mayBegin)
        journal.begin(TailJournal.window + 1, runs: 1, time: 0)
        let mayGoOn = journal.mayBegin()
        #expect(!mayGoOn)
    }

    // MARK: Pages

    private func page(_ random: inout SeededRandom) -> DecisionPage {
        var names = DecisionNames()
        names.policies = (0..<Int.random(in: 0...3, using: &random)).map { "policy \($0) ü" }
        names.hashes = (0..<Int.random(in: 0...2, using: &random)).map { _ in random.next() }
        let entries = (0..<Int.random(in: 0...5, using: &random)).map { _ in
            DecisionEntry(
                high: random.next(), low: random.next(), upTo: random.next(), isAboutSpans: .random(using: &random),
                isAboutLogs: .random(using: &random), outcome: [.none, .sampled, .notSampled][Int(random.next() % 3)],
                decided: UInt32(truncatingIfNeeded: random.next()), rejected: random.next(),
                policy: Int32(truncatingIfNeeded: random.next()), hash: UInt8(truncatingIfNeeded: random.next()))
        }
        return DecisionPage(names, entries)
    }

    @Test func pagesAreReadAsTheyWereWritten() {
        var random = SeededRandom(5)
        for _ in 0..<200 {
            let page = page(&random)
            let bytes = page.encode()
            #expect(bytes.withUnsafeBytes { DecisionPage($0) } == page)
            // A part is none, or one of fewer entries; never more than what is there.
            for end in bytes.indices {
                let part = bytes[..<end].withUnsafeBytes { DecisionPage($0) }
                #expect(part.map { $0.entries == Array(page.entries.prefix($0.entries.count)) } ?? true)
            }
        }
    }

    @Test func anyBytesAreAPageOrNone() throws {
        var random = SeededRandom(6)
        for _ in 0..<5000 {
            var bytes = page(&random).encode()
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            }
            guard let page = bytes.withUnsafeBytes({ DecisionPage($0) }) else { continue }
            let box = ShardBox(TailSettings(), try PolicyProgram([keep]), isDurable: true)
            box.value.restore(page) { _ in true }
            #expect(page.entries.count * 42 <= bytes.count)
        }
    }
}
