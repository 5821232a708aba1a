import Config
import Delivery
import NIOPosix
import OTLP
import Pipeline
import Service
import Synchronization
import TestSupport
import Testing

/// What `Exporter` promises, for every registered one.
@Suite struct ExporterContractTests {
    private func withEnvironment(_ body: (TestEnvironment) async throws -> Void) async throws {
        let environment = TestEnvironment()
        do {
            try await body(environment)
        } catch {
            try await environment.shutDown()
            throw error
        }
        try await environment.shutDown()
    }

    @Test(arguments: ExporterCase.all)
    func shutdownIsSafeWithoutStartAndTwice(_ exporter: ExporterCase) async throws {
        try await withEnvironment { environment in
            let unstarted = try exporter.make(environment)
            unstarted.shutdown()
            unstarted.shutdown()
            let started = try exporter.make(environment)
            try started.start()
            started.shutdown()
            started.shutdown()
        }
    }

    @Test(arguments: ExporterCase.all)
    func requestsAreCompletedOnce(_ exporter: ExporterCase) async throws {
        try await withEnvironment { environment in
            let peer = try Peer(on: environment)
            let instance = try exporter.make(port: peer.port, environment)
            try instance.start()
            var all: [ExportCalls] = []
            for signal in exporter.signals {
                for count in [1, 3] {
                    let slices = try (0..<count).map { BatchSlice(try SampleRequests.batch(signal, items: $0 + 1)) }
                    let calls = ExportCalls()
                    let outcome = await instance.run(signal, slices, calls)
                    #expect(outcome == .delivered)
                    all.append(calls)
                }
            }
            instance.shutdown()
            peer.close()
            for calls in all { #expect(calls.all.count == 1) }
        }
    }

    @Test(arguments: ExporterCase.all)
    func emptyRequestsAreFine(_ exporter: ExporterCase) async throws {
        try await withEnvironment { environment in
            let peer = try Peer(on: environment)
            let instance = try exporter.make(port: peer.port, environment)
            try instance.start()
            for signal in exporter.signals {
                let nothing = await instance.run(signal, [])
                #expect(nothing == .delivered)
                let empty = BatchSlice(try SampleRequests.batch(signal, items: 2), items: 0..<0)
                let slice = await instance.run(signal, [empty])
                #expect(slice == .delivered)
            }
            instance.shutdown()
            peer.close()
        }
    }

    @Test(arguments: ExporterCase.all)
    func afterShutdownRequestsAreRetryable(_ exporter: ExporterCase) async throws {
        try await withEnvironment { environment in
            let instance = try exporter.make(environment)
            try instance.start()
            instance.shutdown()
            for signal in exporter.signals {
                let calls = ExportCalls()
                let outcome = await instance.run(signal, [BatchSlice(try SampleRequests.batch(signal))], calls)
                #expect(outcome?.isRetryable == !exporter.entry.worksAfterShutdown)
                #expect(calls.all.count == 1)
            }
        }
    }

    @Test(arguments: ExporterCase.withPeer)
    func aDeadPeerIsRetryable(_ exporter: ExporterCase) async throws {
        try await withEnvironment { environment in
            let peer = try Peer(on: environment)
            let instance = try exporter.make(port: peer.port, environment)
            try instance.start()
            let slice = BatchSlice(try SampleRequests.batch(exporter.signals[0]))
            let alive = await instance.run(exporter.signals[0], [slice])
            #expect(alive == .delivered)
            // The kept connection is gone, and nobody listens.
            peer.close()
            var outcome = await instance.run(exporter.signals[0], [slice])
            // The listener ends on its own thread: a last connection may still be taken.
            if outcome == .delivered { outcome = await instance.run(exporter.signals[0], [slice]) }
            #expect(outcome?.isRetryable == true)
            instance.shutdown()
        }
    }

    @Test(arguments: ExporterCase.withPeer)
    func shutdownEndsWhatIsInFlight(_ exporter: ExporterCase) async throws {
        try await withEnvironment { environment in
            let silent = try SilentPeer()
            let instance = try exporter.make(port: silent.port, environment)
            try instance.start()
            let calls = ExportCalls()
            let slices = [BatchSlice(try SampleRequests.batch(exporter.signals[0]))]
            instance.export(ExportRequest(signal: exporter.signals[0], slices: slices, timeout: .seconds(60))) {
                calls.complete($0)
            }
            instance.shutdown()
            let outcome = await calls.first()
            #expect(outcome?.isRetryable == true)
            #expect(calls.all.count == 1)
        }
    }

    // MARK: Behind its queue

    /// Random batches through what the graph puts before the exporter: each receipt is settled once, by the end of the
    /// drain at the latest.
    @Test(arguments: ExporterCase.all, 0..<3)
    func everyReceiptIsSettledOnce(_ exporter: ExporterCase, _ seed: UInt64) async throws {
        try await withEnvironment { environment in
            var generator = SeededGenerator(seed: seed)
            let peer = try Peer(on: environment) { $0 % 7 == 3 ? 400 : $0 % 11 == 5 ? 503 : 200 }
            let prepared = try exporter.prepare(port: peer.port)
            let id = ComponentID(type: exporter.factory.descriptor.type)
            let shared = SharedExporter(try prepared.make(id, environment.components))
            var consumers: [Signal: any Consumer] = [:]
            var deliveries: [Delivery] = []
            for signal in exporter.signals {
                guard var settings = prepared.delivery else {
                    consumers[signal] = ImmediateDelivery(shared)
                    continue
                }
                if seed == 1 { settings.fold(BatchProcessorSettings()) }
                let delivery = Delivery(
                    name: id.description, signal: signal, settings: settings, exporter: shared,
                    scheduler: EventLoopScheduler(environment.group.next()), observer: Unobserved(),
                    workers: prepared.blocks ? nil : environment.workers)
                try delivery.start()
                deliveries.append(delivery)
                consumers[signal] = delivery
            }
            if deliveries.isEmpty { try shared.start() }
            let settled = SettlementCounts()
            for index in 0..<60 {
                let signal = exporter.signals[generator.below(exporter.signals.count)]
                let batch = try SampleRequests.batch(
                    signal, items: 1 + generator.below(40), padding: generator.below(200))
                if generator.below(3) == 0 { batch.filterItems { $0 % 2 == 0 } }
                consumers[signal]?.consume(batch, context: RequestContext(), receipt: settled.receipt(index))
            }
            for delivery in deliveries { _ = await delivery.drain(deadline: .now + .milliseconds(500)) }
            // After the drain everything is refused, and settled all the same.
            for (index, signal) in exporter.signals.enumerated() {
                let late = try SampleRequests.batch(signal)
                consumers[signal]?.consume(late, context: RequestContext(), receipt: settled.receipt(60 + index))
            }
            shared.shutdown()
            peer.close()
            for index in 0..<60 + exporter.signals.count { #expect(settled[index] == 1) }
        }
    }
}

/// How often each receipt was settled.
final class SettlementCounts: Sendable {
    private let counts = Mutex<[Int: Int]>([:])

    subscript(index: Int) -> Int { counts.withLock { $0[index] ?? 0 } }
    /// Settlements of all receipts.
    var total: Int { counts.withLock { $0.values.reduce(0, +) } }

    func receipt(_ index: Int) -> Receipt {
        Receipt { [self] _ in counts.withLock { $0[index, default: 0] += 1 } }
    }
}

/// Ignores events.
struct Unobserved: DeliveryObserver {
    func observe(_ event: DeliveryEvent) {}
}
