import OTLP
import Testing

@testable import Delivery
@testable import Pipeline

/// Random sequences of events against what must hold for every one of them.
@Suite struct ModelTests {
    @Test(arguments: 0..<400)
    func everythingAcceptedEndsOnce(seed: UInt64) throws {
        var model = Model(seed: seed)
        for _ in 0..<150 {
            try model.step()
            model.check()
        }
        model.finish()
    }
}

private struct Model {
    var generator: SplitMix64
    var harness: Harness
    /// Serial numbers of each token.
    var batches: [Int: Range<Int>] = [:]
    var nextSerial = 1
    /// Spans whose delivery succeeded, or that were given up.
    var ended: Set<Int> = []
    var delivered: Set<Int> = []
    var rejected = 0
    var isDraining = false
    /// With one consumer and no partitions, spans end in the order in which they came.
    let isOrdered: Bool
    var lastEnded = 0

    init(seed: UInt64) {
        var generator = SplitMix64(state: seed)
        var settings = DeliverySettings()
        func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
        settings.queue.consumers = random(1...4)
        settings.queue.sizer = QueueSizer.allCases[random(0...2)]
        settings.queue.size = settings.queue.sizer == .requests ? random(1...8) : random(10...400)
        settings.queue.maximumBytes = random(300...6000)
        settings.queue.blocksOnOverflow = random(0...1) == 1
        settings.queue.waitsForResult = random(0...2) == 0
        settings.queue.isEnabled = random(0...4) > 0
        settings.retry.isEnabled = random(0...4) > 0
        settings.retry.maxElapsedTime = .seconds([0, 10, 60][random(0...2)])
        settings.timeout = .seconds([0, 5][random(0...1)])
        if random(0...1) == 1 { settings.deadLetter = DeadLetterSettings(directory: "/nowhere") }
        if random(0...3) > 0 {
            var policy = BatchPolicy()
            policy.sizer = BatchSizer.allCases[random(0...1)]
            policy.minSize = random(0...(policy.sizer == .items ? 20 : 600))
            policy.maxSize = random(0...1) == 0 ? 0 : policy.minSize + random(1...30)
            policy.metadataKeys = random(0...2) == 0 ? ["tenant"] : []
            policy.cardinalityLimit = random(0...3)
            settings.queue.batch = policy
        }
        isOrdered = settings.queue.consumers == 1 && settings.queue.batch?.metadataKeys.isEmpty ?? true
        harness = Harness { $0 = settings }
        self.generator = generator
    }

    mutating func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    mutating func step() throws {
        switch random(0...99) {
        case 0..<45: try enqueue()
        case 45..<75: complete()
        case 75..<82: completeSetAside()
        case 82..<97: advance()
        case 97: harness.run(harness.machine.timerFired(now: harness.now))
        case 98 where random(0...5) == 0: drain()
        case 99 where random(0...20) == 0: giveUp()
        default: harness.advance(.milliseconds(random(0...500)))
        }
        noteOverdue()
    }

    mutating func enqueue() throws {
        let count = random(0...12)
        let token = batches.count
        let serials = nextSerial..<nextSerial + count
        nextSerial += count
        batches[token] = serials
        let tenant = ["a", "b", "c", "d"][random(0...3)]
        let client = [ClientKey.none, ClientKey(hashing: tenant)][random(0...1)]
        try harness.enqueue(
            serials, token: token, padding: random(0...30), metadata: ["tenant": [tenant]], client: client)
    }

    mutating func complete() {
        guard !harness.inFlight.isEmpty else { return }
        let index = random(0...harness.inFlight.count - 1)
        let serials = Samples.serials(harness.inFlight[index].request)
        // The machine may have given up on this attempt; then its outcome means nothing.
        guard harness.machine.active[harness.inFlight[index].id] != nil else {
            harness.inFlight.remove(at: index)
            return
        }
        let before = harness.events.count
        switch random(0...9) {
        case 0..<4:
            harness.complete(index)
            end(serials, delivered: true)
        case 4:
            let count = random(0...serials.count)
            rejected += count
            harness.complete(index, .delivered(rejected: count, message: "partly"))
            end(serials, delivered: true)
        case 5..<8:
            let after: Duration? = random(0...2) == 0 ? .seconds(random(0...20)) : nil
            harness.complete(index, .retryable("down", after: after))
            if isFailure(harness.events[before...], serials.count) { end(serials, delivered: false) }
        case 8:
            harness.complete(index, .tooLarge("large"))
            if serials.count == 1 { end(serials, delivered: false) }
        default:
            harness.complete(index, .permanent("bad"))
            end(serials, delivered: false)
        }
    }

    private func isFailure(_ events: ArraySlice<DeliveryEvent>, _ items: Int) -> Bool {
        events.contains { event in
            guard case .sendFailed(let count, _, _) = event else { return false }
            return count == items
        }
    }

    mutating func end(_ serials: [Int], delivered isDelivered: Bool) {
        for serial in serials {
            #expect(ended.insert(serial).inserted, "span \(serial) ended twice")
            if isDelivered { delivered.insert(serial) }
            if isOrdered {
                #expect(serial > lastEnded, "span \(serial) was overtaken")
                lastEnded = serial
            }
        }
    }

    mutating func completeSetAside() {
        guard !harness.settingAside.isEmpty else { return }
        harness.completeSetAside(failure: random(0...3) == 0 ? "full" : nil)
    }

    mutating func advance() { harness.advance(.milliseconds(random(0...8000))) }

    /// Attempts that the machine gave up because of their time-out or the drain are no longer in flight.
    mutating func noteOverdue() {
        let active = harness.machine.active
        harness.inFlight.removeAll { active[$0.id] == nil }
        let waiting = harness.machine.settingAside
        harness.settingAside.removeAll { waiting[$0.id] == nil }
    }

    mutating func drain() {
        isDraining = true
        harness.drain(.seconds(random(0...20)))
    }

    mutating func giveUp() {
        isDraining = true
        harness.run(harness.machine.giveUp(now: harness.now))
    }

    func check() {
        let status = harness.machine.status
        let queue = harness.settings.queue
        #expect(status.queueSize <= queue.size && status.queueSize >= 0)
        #expect(status.queueBytes <= queue.maximumBytes && status.queueBytes >= 0)
        #expect(status.inFlight <= queue.consumers)
        #expect(status.inFlight == harness.inFlight.count)
        #expect(status.waitingBatches <= QueueSettings.maximumWaiters)
        if queue.consumers == 1 { #expect(status.waitingRetries + status.inFlight <= 1) }
        let flying = harness.inFlight.flatMap { Samples.serials($0.request) }
        #expect(Set(flying).count == flying.count, "a span is in flight twice")
        #expect(delivered.isDisjoint(with: flying), "a delivered span is in flight again")
        #expect(harness.settled.values.allSatisfy { $0.count == 1 })
        if let batch = queue.batch, batch.maxSize > 0, batch.sizer == .items {
            #expect(harness.inFlight.allSatisfy { $0.request.itemCount <= batch.maxSize })
        }
    }

    mutating func finish() {
        if !isDraining { drain() }
        for _ in 0..<10_000 where harness.reports.isEmpty {
            if !harness.settingAside.isEmpty {
                completeSetAside()
            } else if harness.inFlight.isEmpty {
                advance()
            } else {
                complete()
            }
            noteOverdue()
            check()
        }
        #expect(harness.reports.count == 1)
        let status = harness.machine.status
        #expect(status.queueSize == 0 && status.queueBytes == 0 && status.inFlight == 0)
        #expect(status.waitingRetries == 0 && status.waitingBatches == 0)
        #expect(harness.settled.count == batches.count, "a token was not settled")
        checkCounts()
        checkReceipts()
    }

    /// Every item that came is counted once: refused, sent, or failed.
    private func checkCounts() {
        var refused = 0
        var sent = 0
        var failed = 0
        for event in harness.events {
            switch event {
            case .enqueueFailed(let items, _): refused += items
            case .sent(let items): sent += items
            case .sendFailed(let items, _, _): failed += items
            default: break
            }
        }
        #expect(refused + sent + failed == nextSerial - 1)
        #expect(harness.machine.shares.holdings.allSatisfy { $0 == ClientShares.Holding() })
        #expect(sent + rejected == delivered.count)
    }

    /// Who was told that a batch is delivered can rely on it.
    private func checkReceipts() {
        let queue = harness.settings.queue
        for (token, serials) in batches where queue.acknowledgesOnDelivery {
            guard let outcome = harness.settled[token]?.first else { continue }
            let isDelivered = delivered.isSuperset(of: serials)
            #expect(isDelivered == (outcome == nil))
        }
    }
}
