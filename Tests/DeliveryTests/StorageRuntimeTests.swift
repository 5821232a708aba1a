import Glibc
import Logging
import NIOPosix
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Config
@testable import Delivery
@testable import Storage

/// A queue on a real disk.
@Suite struct StorageRuntimeTests {
    /// A directory that goes with the test.
    final class Directory: Sendable {
        let path: String

        init() throws {
            var template = Array("/tmp/martlet-storage-XXXXXX".utf8CString)
            let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } }
            path = String(cString: try #require(made))
        }

        deinit {
            for log in (try? PosixFileSystem().list(path)) ?? [] {
                for name in (try? PosixFileSystem().list("\(path)/\(log)")) ?? [] { unlink("\(path)/\(log)/\(name)") }
                rmdir("\(path)/\(log)")
            }
            rmdir(path)
        }
    }

    private func storage(_ directory: Directory, _ change: (inout LogOptions) -> Void = { _ in }) -> DeliveryStorage {
        var options = LogOptions()
        options.segmentBytes = 65_536
        options.lockTimeout = .zero
        change(&options)
        let telemetry = StorageTelemetry(MetricRegistry(), labels: [], logger: Logger(label: "test"))
        return DeliveryStorage(
            AppendLog(directory: directory.path + "/log", options: options), telemetry: telemetry,
            budget: MemoryBudget(limit: 1 << 30, spike: 0))
    }

    private func delivery(_ storage: DeliveryStorage, _ exporter: FakeExporter, window: Int = 1 << 20) -> Delivery {
        var settings = DeliverySettings()
        settings.queue.storage = ComponentID(type: "file_storage")
        settings.queue.consumers = 1
        settings.queue.size = 100_000
        settings.queue.maximumBytes = window
        settings.retry.maxElapsedTime = .zero
        return Delivery(
            name: "otlp_http", signal: .traces, settings: settings, exporter: exporter,
            scheduler: ManualScheduler(), observer: Deaf(), storage: storage)
    }

    private func send(_ delivery: Delivery, _ serials: Range<Int>, padding: Int = 0) async throws -> ConsumeError? {
        let batch = try Samples.spans(serials, padding: padding)
        return await withCheckedContinuation { continuation in
            let receipt = Receipt { continuation.resume(returning: $0) }
            delivery.consume(batch, context: RequestContext(), receipt: receipt)
        }
    }

    @Test func whatWasNotDeliveredComesAfterTheNextStartInOrder() async throws {
        let directory = try Directory()
        let dead = delivery(
            storage(directory), FakeExporter { _ in .retryable("down", after: .seconds(3600)) }, window: 8000)
        try dead.start()
        for serial in 1...200 { #expect(try await send(dead, serial..<serial + 1, padding: 900) == nil) }
        let report = await dead.drain(deadline: .now)
        #expect(report.lostItems == 0)
        #expect(report.keptRequests == 200)

        let got = Mutex<[Int]>([])
        let all = AsyncStream<Void>.makeStream()
        let alive = delivery(
            storage(directory),
            FakeExporter { request in
                let isLast = got.withLock { got in
                    got += Samples.serials(request)
                    return got.count >= 201
                }
                if isLast { all.continuation.finish() }
                return .delivered
            }, window: 8000)
        try alive.start()
        #expect(try await send(alive, 201..<202) == nil)
        for await _ in all.stream {}
        #expect(got.withLock { $0 } == Array(1...201))
        let second = await alive.drain(deadline: .now + .seconds(60))
        #expect(second.keptRequests == 0)
        #expect(try PosixFileSystem().list(directory.path + "/log").sorted() == ["lock", "log"])
    }

    @Test func aSecondOwnerIsRefused() async throws {
        let directory = try Directory()
        let first = delivery(storage(directory), FakeExporter())
        try first.start()
        let second = delivery(storage(directory), FakeExporter())
        do {
            try second.start()
            Issue.record("two queues have one directory")
        } catch let error as StorageError {
            #expect(error.kind == .locked)
        }
        _ = await first.drain(deadline: .now)
    }

    @Test func theOldestGoWhenThereIsNoRoom() async throws {
        let directory = try Directory()
        let storage = storage(directory) {
            $0.maximumBytes = 262_144
            $0.dropsOldest = true
        }
        let dead = delivery(storage, FakeExporter { _ in .retryable("down", after: .seconds(3600)) }, window: 4000)
        try dead.start()
        for serial in 1...500 { #expect(try await send(dead, serial..<serial + 1, padding: 2000) == nil) }
        #expect(storage.log.status.bytes <= 262_144)
        let kept = await dead.drain(deadline: .now).keptRequests
        #expect(kept > 50 && kept < 130)
    }

    @Test func aFullLogRefuses() async throws {
        let directory = try Directory()
        let storage = storage(directory) { $0.maximumBytes = 131_072 }
        let dead = delivery(storage, FakeExporter { _ in .retryable("down", after: .seconds(3600)) }, window: 4000)
        try dead.start()
        var refused: ConsumeError?
        var taken = 0
        while refused == nil, taken < 200 {
            refused = try await send(dead, 1..<2, padding: 2000)
            if refused == nil { taken += 1 }
        }
        #expect(refused?.code == .queueFull)
        #expect(refused?.retryAfter != nil)
        #expect(await dead.drain(deadline: .now).keptRequests == taken)
    }
}
