import Glibc
import NIOCore
import NIOPosix
import OTLP
import Pipeline
import Synchronization
import Testing

@testable import Delivery

@Suite(.timeLimit(.minutes(1))) struct DeliveryRuntimeTests {
    struct Refusal: Error {}

    /// A receipt whose outcome can be awaited.
    private struct Answer {
        let receipt: Receipt
        private let stream: AsyncStream<ConsumeError?>

        init() {
            let (stream, sink) = AsyncStream.makeStream(of: ConsumeError?.self)
            self.stream = stream
            receipt = Receipt { sink.yield($0) }
        }

        func value() async throws -> ConsumeError? {
            var iterator = stream.makeAsyncIterator()
            return try #require(await iterator.next())
        }
    }

    private func settings(_ change: (inout DeliverySettings) -> Void = { _ in }) -> DeliverySettings {
        var settings = DeliverySettings()
        settings.queue.consumers = 2
        settings.retry.randomizationFactor = 0
        change(&settings)
        return settings
    }

    @Test func deliversWhatItAccepted() async throws {
        let exporter = FakeExporter()
        let scheduler = ManualScheduler()
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings(), exporter: exporter, scheduler: scheduler,
            observer: Deaf())
        try delivery.start()
        let answer = Answer()
        delivery.consume(try Samples.spans(1..<4), context: RequestContext(), receipt: answer.receipt)
        #expect(try await answer.value() == nil)
        var attempts = exporter.attempts.makeAsyncIterator()
        let attempt = try #require(await attempts.next())
        #expect(try Samples.encodedSerials(attempt.request) == [1, 2, 3])
        #expect(delivery.status.inFlight == 1)
        attempt.completion(.delivered)
        attempt.completion(.delivered)
        try await until { delivery.status.queueSize == 0 }
        let report = await delivery.drain(deadline: scheduler.now() + .seconds(1))
        #expect(report == DeliveryReport())
        #expect(exporter.lifecycle == ["start", "shutdown"])
        #expect(scheduler.waitingCalls == 0)
    }

    @Test func retriesWhenTheTimerFires() async throws {
        let exporter = FakeExporter()
        let scheduler = ManualScheduler()
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings { $0.queue.waitsForResult = true },
            exporter: exporter, scheduler: scheduler, observer: Deaf())
        try delivery.start()
        let answer = Answer()
        delivery.consume(try Samples.spans(1..<3), context: RequestContext(), receipt: answer.receipt)
        var attempts = exporter.attempts.makeAsyncIterator()
        try #require(await attempts.next()).completion(.retryable("down", after: nil))
        try await until { delivery.status.waitingRetries == 1 }
        scheduler.advance(.seconds(5))
        try #require(await attempts.next()).completion(.delivered)
        #expect(try await answer.value() == nil)
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
    }

    @Test func gathersByMetadata() async throws {
        let exporter = FakeExporter()
        let scheduler = ManualScheduler()
        let settings = settings {
            var policy = BatchPolicy()
            policy.metadataKeys = ["tenant"]
            $0.queue.batch = policy
        }
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings, exporter: exporter, scheduler: scheduler,
            observer: Deaf())
        try delivery.start()
        for serial in 1..<5 {
            let context = RequestContext(metadata: ["tenant": [serial % 2 == 0 ? "even" : "odd"]])
            delivery.consume(try Samples.spans(serial..<serial + 1), context: context, receipt: Receipt { _ in })
        }
        scheduler.advance(.milliseconds(200))
        var attempts = exporter.attempts.makeAsyncIterator()
        var seen: Set<[Int]> = []
        for _ in 0..<2 {
            let attempt = try #require(await attempts.next())
            seen.insert(try Samples.encodedSerials(attempt.request))
            attempt.completion(.delivered)
        }
        #expect(seen == [[1, 3], [2, 4]])
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
    }

    @Test func drainEndsAtItsDeadlineWithAStuckExporter() async throws {
        let exporter = FakeExporter()
        let scheduler = ManualScheduler()
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings(), exporter: exporter, scheduler: scheduler,
            observer: Deaf())
        try delivery.start()
        delivery.consume(try Samples.spans(1..<4), context: RequestContext(), receipt: Receipt { _ in })
        var attempts = exporter.attempts.makeAsyncIterator()
        let stuck = try #require(await attempts.next())
        let deadline = scheduler.now() + .seconds(3)
        async let first = delivery.drain(deadline: deadline)
        async let second = delivery.drain(deadline: deadline)
        // Nothing tells when the drains have begun, so the clock runs until both have ended.
        let clock = Task {
            while !Task.isCancelled {
                scheduler.advance(.seconds(1))
                await Task.yield()
            }
        }
        let reports = await [first, second]
        clock.cancel()
        #expect(reports[0] == reports[1])
        #expect(reports[0].lostItems == 3)
        #expect(exporter.lifecycle == ["start", "shutdown"])
        stuck.completion(.delivered)
        let late = Answer()
        delivery.consume(try Samples.spans(5..<6), context: RequestContext(), receipt: late.receipt)
        #expect(try await late.value()?.code == .shuttingDown)
    }

    @Test func keepsWhatComesBeforeTheStart() async throws {
        let exporter = FakeExporter()
        let scheduler = ManualScheduler()
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings(), exporter: exporter, scheduler: scheduler,
            observer: Deaf())
        delivery.consume(try Samples.spans(1..<2), context: RequestContext(), receipt: Receipt { _ in })
        scheduler.advance(.zero)
        #expect(delivery.status.waitingRetries == 1)
        try delivery.start()
        scheduler.advance(.seconds(5))
        var attempts = exporter.attempts.makeAsyncIterator()
        try #require(await attempts.next()).completion(.delivered)
        try await until { delivery.status.queueSize == 0 }
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
    }

    @Test func anAttemptThatWaitedTooLongForAThreadIsNotMade() async throws {
        let workers = NIOThreadPool(numberOfThreads: 1)
        workers.start()
        let exports = Count()
        let gate = Gate()
        workers.submit { _ in gate.wait() }
        let exporter = FakeExporter { _ in
            exports.add()
            return .delivered
        }
        let scheduler = ManualScheduler()
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings(), exporter: exporter, scheduler: scheduler,
            observer: Deaf(), workers: workers)
        try delivery.start()
        delivery.consume(try Samples.spans(1..<3), context: RequestContext(), receipt: Receipt { _ in })
        // Overdue after 6 s; the drain's deadline passes before the retry.
        scheduler.advance(.seconds(6))
        #expect(delivery.status.waitingRetries == 1)
        let report = await delivery.drain(deadline: scheduler.now())
        #expect(report.lost == [.shutdown: 2])
        gate.open()
        try await workers.shutdownGracefully()
        #expect(exports.value == 0)
    }

    @Test func refusesAnotherSignal() async throws {
        let exporter = FakeExporter()
        let delivery = Delivery(
            name: "fake", signal: .logs, settings: settings(), exporter: exporter, scheduler: ManualScheduler(),
            observer: Deaf())
        let answer = Answer()
        delivery.consume(try Samples.spans(1..<2), context: RequestContext(), receipt: answer.receipt)
        #expect(try await answer.value()?.code == .internal)
    }

    @Test func aFailedStartStartsNothing() async throws {
        let exporter = FakeExporter(startError: Refusal())
        let scheduler = ManualScheduler()
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings(), exporter: exporter, scheduler: scheduler,
            observer: Deaf())
        #expect(throws: Refusal.self) { try delivery.start() }
        #expect(await delivery.drain(deadline: scheduler.now() + .seconds(1)) == DeliveryReport())
        #expect(exporter.lifecycle == ["start"])
        let unwritable = Delivery(
            name: "fake", signal: .traces,
            settings: settings { $0.deadLetter = DeadLetterSettings(directory: "/no/where") }, exporter: exporter,
            scheduler: scheduler, observer: Deaf())
        #expect(throws: DeadLetterError.self) { try unwritable.start() }
        #expect(exporter.lifecycle == ["start"])
    }

    @Test func deadLettersReachTheDisk() async throws {
        var template = Array("/tmp/delivery-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        let path = directory + "/fake_traces.jsonl"
        defer {
            unlink(path)
            rmdir(directory)
        }
        let exporter = FakeExporter { _ in .permanent("no such tenant") }
        let scheduler = ManualScheduler()
        let log = EventLog()
        let delivery = Delivery(
            name: "fake", signal: .traces,
            settings: settings { $0.deadLetter = DeadLetterSettings(directory: directory) }, exporter: exporter,
            scheduler: scheduler, observer: log)
        try delivery.start()
        delivery.consume(try Samples.spans(1..<4), context: RequestContext(), receipt: Receipt { _ in })
        for await event in log.stream where event == .setAside(items: 3) { break }
        _ = await delivery.drain(deadline: scheduler.now() + .seconds(1))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_size > 150)
    }

    @Test func runsOnAnEventLoopsTimers() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let attempts = Count()
        let exporter = FakeExporter { _ in
            attempts.add()
            return attempts.value < 3 ? .retryable("down", after: nil) : .delivered
        }
        let settings = settings {
            $0.queue.waitsForResult = true
            $0.retry.initialInterval = .milliseconds(1)
            var policy = BatchPolicy()
            policy.flushTimeout = .milliseconds(1)
            $0.queue.batch = policy
        }
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings, exporter: exporter,
            scheduler: EventLoopScheduler(group.next()), observer: Deaf())
        try delivery.start()
        let answer = Answer()
        delivery.consume(try Samples.spans(1..<4), context: RequestContext(), receipt: answer.receipt)
        #expect(try await answer.value() == nil)
        _ = await delivery.drain(deadline: .now + .seconds(10))
        try await group.shutdownGracefully()
    }

    @Test(arguments: [false, true])
    func threadsLoseAndDuplicateNothing(batches: Bool) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let delivered = Mutex<[Int: Int]>([:])
        let generator = Mutex(SplitMix64(state: 7))
        let exporter = FakeExporter { request in
            let dice = generator.withLock { $0.next() % 10 }
            if dice == 0 { return .retryable("down", after: nil) }
            if dice == 1, request.itemCount > 1 { return .tooLarge("large") }
            let serials = (try? Samples.encodedSerials(request)) ?? []
            delivered.withLock { counts in for serial in serials { counts[serial, default: 0] += 1 } }
            return .delivered
        }
        let settings = settings {
            $0.queue.consumers = 4
            $0.queue.size = 20
            $0.queue.blocksOnOverflow = true
            $0.queue.overflowTimeout = .seconds(60)
            $0.retry.initialInterval = .microseconds(100)
            $0.retry.maxInterval = .milliseconds(1)
            guard batches else { return }
            var policy = BatchPolicy()
            policy.minSize = 16
            policy.maxSize = 20
            policy.flushTimeout = .milliseconds(1)
            $0.queue.batch = policy
        }
        let delivery = Delivery(
            name: "fake", signal: .traces, settings: settings, exporter: exporter,
            scheduler: EventLoopScheduler(group.next()), observer: Deaf())
        try delivery.start()
        let (threads, requests, size) = (4, 500, 5)
        let settled = Count()
        let refused = Count()
        let pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for thread in 0..<threads {
                tasks.addTask {
                    try await pool.runIfActive {
                        for index in 0..<requests {
                            let first = 1 + (thread * requests + index) * size
                            let receipt = Receipt { error in
                                settled.add()
                                if error != nil { refused.add() }
                            }
                            delivery.consume(
                                try Samples.spans(first..<first + size), context: RequestContext(), receipt: receipt)
                        }
                    }
                }
            }
            try await tasks.waitForAll()
        }
        // Whoever still waits for room when the drain begins is refused; everyone else is delivered.
        let report = await delivery.drain(deadline: .now + .seconds(50))
        #expect(report.lostItems == 0)
        #expect(settled.value == threads * requests)
        let counts = delivered.withLock { $0 }
        #expect(counts.count == (threads * requests - refused.value) * size)
        #expect(counts.values.allSatisfy { $0 == 1 })
        try await pool.shutdownGracefully()
        try await group.shutdownGracefully()
    }
}
