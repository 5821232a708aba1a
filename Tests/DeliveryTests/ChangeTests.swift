import OTLP
import Pipeline
import Synchronization
import Testing

@testable import Delivery

/// Other exporters and settings for a queue that runs, and its end without a deadline.
@Suite(.timeLimit(.minutes(1))) struct ChangeTests {
    struct Refusal: Error {}

    private func settings(_ change: (inout DeliverySettings) -> Void = { _ in }) -> DeliverySettings {
        var settings = DeliverySettings()
        settings.queue.consumers = 2
        settings.retry.randomizationFactor = 0
        change(&settings)
        return settings
    }

    private func delivery(
        _ exporter: FakeExporter, _ scheduler: ManualScheduler, _ settings: DeliverySettings? = nil
    ) throws -> Delivery {
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings ?? self.settings(), exporter: exporter,
            scheduler: scheduler, observer: Deaf())
        try delivery.start()
        return delivery
    }

    private func hand(_ serials: Range<Int>, to delivery: Delivery) throws {
        delivery.consume(
            try Samples.spans(serials), context: RequestContext(), receipt: Receipt { #expect($0 == nil) })
    }

    @Test func whatWaitsGoesToTheNewExporterAndWhatIsUnderWayEndsWhereItIs() async throws {
        let scheduler = ManualScheduler()
        let (old, new) = (FakeExporter(), FakeExporter())
        let delivery = try delivery(old, scheduler)
        try hand(1..<2, to: delivery)
        try hand(2..<3, to: delivery)
        var attempts = old.attempts.makeAsyncIterator()
        var held: [FakeExporter.Attempt] = []
        while held.count < 2, let next = await attempts.next() { held.append(next) }
        held.sort { Samples.serials($0.request)[0] < Samples.serials($1.request)[0] }
        held[0].completion(.retryable("not now", after: .seconds(60)))
        try await until { delivery.status.waitingRetries == 1 }

        #expect(delivery.canChange(to: settings()))
        let change = try delivery.change(to: settings(), exporter: new, workers: nil)
        #expect(new.lifecycle == ["start"])
        change.commit()
        var moved = new.attempts.makeAsyncIterator()
        let first = try #require(await moved.next())
        #expect(Samples.serials(first.request) == [1], "the retry does not wait for its time")
        #expect(old.lifecycle == ["start"], "an attempt is under way")
        held[1].completion(.delivered)
        held = []
        try await until { old.lifecycle == ["start", "shutdown"] }
        first.completion(.delivered)
        try await until { delivery.status.queueSize == 0 }
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
        #expect(new.lifecycle == ["start", "shutdown"] && old.lifecycle == ["start", "shutdown"])
    }

    @Test func anExporterThatDoesNotStartChangesNothing() async throws {
        let scheduler = ManualScheduler()
        let old = FakeExporter { _ in .delivered }
        let delivery = try delivery(old, scheduler)
        #expect(throws: Refusal.self) {
            _ = try delivery.change(to: settings(), exporter: FakeExporter(startError: Refusal()), workers: nil)
        }
        let given = FakeExporter()
        let change = try delivery.change(to: settings(), exporter: given, workers: nil)
        change.cancel()
        try await until { given.lifecycle == ["start", "shutdown"] }
        try hand(1..<2, to: delivery)
        try await until { delivery.status.queueSize == 0 }
        #expect(old.lifecycle == ["start"])
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
    }

    @Test func otherSettingsLeaveTheExporterAlone() async throws {
        let scheduler = ManualScheduler()
        let exporter = FakeExporter()
        let delivery = try delivery(exporter, scheduler)
        let other = settings { settings in
            settings.queue.size = 7
            settings.queue.consumers = 3
        }
        try delivery.change(to: other, exporter: nil, workers: nil).cancel()
        #expect(delivery.status.queueCapacity == 1000)
        try delivery.change(to: other, exporter: nil, workers: nil).commit()
        #expect(delivery.status.queueCapacity == 7 && delivery.settings == other)
        for serial in 1..<4 { try hand(serial..<serial + 1, to: delivery) }
        var attempts = exporter.attempts.makeAsyncIterator()
        for _ in 1..<4 { try #require(await attempts.next()).completion(.delivered) }
        #expect(exporter.lifecycle == ["start"])
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
        #expect(exporter.lifecycle == ["start", "shutdown"])
    }

    @Test func whatCannotBeCountedOtherwiseCannotChange() {
        let present = settings()
        #expect(!DeliveryStateMachine<Int>.canChange(from: present, to: settings { $0.queue.sizer = .bytes }))
        #expect(DeliveryStateMachine<Int>.canChange(from: present, to: settings { $0.queue.dropsOldest = true }))
        #expect(DeliveryStateMachine<Int>.canChange(from: present, to: settings { $0.queue.size = 1 }))
    }

    @Test func aRetiredQueueDeliversAllItHolds() async throws {
        let scheduler = ManualScheduler()
        let exporter = FakeExporter()
        let delivery = try delivery(exporter, scheduler)
        try hand(1..<3, to: delivery)
        var attempts = exporter.attempts.makeAsyncIterator()
        let first = try #require(await attempts.next())
        let end = Task { await delivery.retire() }
        while !delivery.pauseRetiring() { try await Task.sleep(for: .milliseconds(1)) }
        delivery.continueRetiring()
        first.completion(.retryable("not now", after: nil))
        try await until { delivery.status.waitingRetries == 1 }
        // The usual wait, not at once.
        scheduler.advance(.seconds(10))
        try #require(await attempts.next()).completion(.delivered)
        let report = try #require(await end.value)
        #expect(report.sent == 2 && report.lost.isEmpty)
        #expect(exporter.lifecycle == ["start", "shutdown"])
        #expect(!delivery.pauseRetiring() && !delivery.canChange(to: settings()))
    }

    @Test func aRetiredQueueCanBeTakenBack() async throws {
        let scheduler = ManualScheduler()
        let (old, new) = (FakeExporter(), FakeExporter())
        let delivery = try delivery(old, scheduler)
        #expect(!delivery.pauseRetiring(), "it is in use")
        try hand(1..<2, to: delivery)
        var attempts = old.attempts.makeAsyncIterator()
        var first = await attempts.next()
        let ending = Task { await delivery.retire() }
        while !delivery.pauseRetiring() { try await Task.sleep(for: .milliseconds(1)) }
        first?.completion(.delivered)
        first = nil
        try await until { delivery.status.queueSize == 0 }
        #expect(old.lifecycle == ["start"], "empty, and still there")
        try delivery.change(to: settings(), exporter: new, workers: nil).commit()
        #expect(await ending.value == nil)
        try await until { old.lifecycle == ["start", "shutdown"] }
        try hand(2..<3, to: delivery)
        var moved = new.attempts.makeAsyncIterator()
        try #require(await moved.next()).completion(.delivered)
        try await until { delivery.status.queueSize == 0 }
        #expect(new.lifecycle == ["start"])

        // Out of use again, and this time nobody wants it.
        let second = Task { await delivery.retire() }
        #expect(await second.value == DeliveryReport())
        #expect(new.lifecycle == ["start", "shutdown"])
    }

    @Test func aStopEndsARetiredQueue() async throws {
        let scheduler = ManualScheduler()
        let exporter = FakeExporter { _ in .retryable("down", after: nil) }
        let delivery = try delivery(exporter, scheduler)
        try hand(1..<3, to: delivery)
        try await until { delivery.status.waitingRetries == 1 }
        let ending = Task { await delivery.retire() }
        let report = await delivery.drain(deadline: scheduler.now())
        #expect(report.lostItems == 2)
        _ = await ending.value
        #expect(exporter.lifecycle == ["start", "shutdown"])
    }

    @Test func whatGathersGoesOnItsWayWithAnotherBatching() throws {
        var gathering = settings()
        gathering.queue.batch = BatchPolicy()
        var machine = DeliveryStateMachine<Int>(signal: .traces, settings: gathering, seed: 1)
        let now = ContinuousClock.now
        let arrival = DeliveryStateMachine<Int>.Arrival(
            try Samples.spans(1..<3), token: 1, settings: gathering.queue)
        func dispatched(_ actions: [DeliveryAction<Int>]) -> Int {
            actions.count { if case .dispatch = $0 { true } else { false } }
        }
        let enqueued = dispatched(machine.enqueue(arrival, now: now))
        #expect(enqueued == 0)
        let unchanged = dispatched(
            machine.reconfigure(gathering, isOtherDestination: false, seed: 1, now: now))
        #expect(unchanged == 0)
        let changed = dispatched(
            machine.reconfigure(settings(), isOtherDestination: false, seed: 1, now: now))
        #expect(changed == 1)
    }
}
