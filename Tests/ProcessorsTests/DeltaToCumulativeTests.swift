import Config
import NIOPosix
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Processors
@testable import Temporality

/// A processor, what follows it, and its metrics.
private struct DeltaRun {
    let factory = DeltaToCumulativeProcessorFactory()
    let settings: DeltaToCumulativeSettings
    let metrics = MetricRegistry()
    let budget = MemoryBudget(limit: 1 << 24, spike: 1 << 20)
    let next = RecordingConsumer()
    let outcomes = Outcomes()
    let processor: any Processor

    init(_ yaml: String = "{}") throws {
        let root = try ConfigLoader().load(configs: ["yaml:section: " + yaml]).root
        let section = ConfigSection(root["section"] ?? root, path: "processors::deltatocumulative")
        settings = factory.settings(from: section)
        try section.finish()
        processor = try Self.make(factory, settings, metrics, budget, next)
    }

    private static func make(
        _ factory: DeltaToCumulativeProcessorFactory, _ settings: DeltaToCumulativeSettings, _ metrics: MetricRegistry,
        _ budget: MemoryBudget, _ next: RecordingConsumer
    ) throws -> any Processor {
        let log = CapturedLog()
        let environment = ComponentEnvironment(
            metrics: metrics, budget: budget, eventLoops: MultiThreadedEventLoopGroup.singleton,
            readiness: Readiness(), makeLogger: { log.logger($0) })
        return try factory.make(
            settings, id: ComponentID(type: "deltatocumulative"), signal: .metrics, next: next,
            environment: environment)
    }

    /// The stage of another pipeline.
    func another(_ next: RecordingConsumer) throws -> any Processor {
        try Self.make(factory, settings, metrics, budget, next)
    }

    func send(_ body: [UInt8]) throws {
        let batch = try TelemetryBatch(SampleRequests.wire(body), signal: .metrics)
        processor.consume(batch, context: RequestContext(), receipt: outcomes.receipt())
    }

    func metric(_ line: String) -> Bool { metrics.prometheusText().split(separator: "\n").contains { $0 == line } }
}

/// A request of one delta sum with one point.
private func deltaSum(_ name: String, start: UInt64, time: UInt64, value: Int64) -> [UInt8] {
    var writer = WireWriter()
    Array(name.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
    let data = writer.count
    for (field, bits) in [(UInt32(2), start), (3, time), (6, UInt64(bitPattern: value))] {
        writer.append(tag: field, .fixed64)
        writer.append(fixed64: bits)
    }
    writer.wrap(since: data, field: 1)
    writer.append(tag: 2, .varint)
    writer.append(varint: 1)
    writer.append(tag: 3, .varint)
    writer.append(varint: 1)
    writer.wrap(since: data, field: 7)
    for field: UInt32 in [2, 2, 1] { writer.wrap(since: 0, field: field) }
    return Array(writer.bytes)
}

/// The values of all points of sums.
private func values(_ batches: [TelemetryBatch]) -> [Int64] {
    let arena = WireArena(limit: 1 << 24)
    return batches.flatMap { batch in
        batch.items.flatMap { item -> [Int64] in
            guard let metric = MetricView(batch.payload(of: item), arena: arena), case .sum(let data) = metric.data,
                let sum = MetricDataView(data, arena: arena), sum.aggregationTemporality == 2
            else { return [] }
            return sum.dataPoints.compactMap { raw in
                guard case .int(let value)? = NumberDataPointView(raw, arena: arena)?.value else { return nil }
                return value
            }
        }
    }
}

@Suite struct DeltaToCumulativeTests {
    @Test func sumsLeaveCumulative() throws {
        let run = try DeltaRun()
        try run.send(deltaSum("a", start: 1, time: 2, value: 5))
        try run.send(deltaSum("a", start: 2, time: 3, value: 6))
        try run.send(deltaSum("b", start: 2, time: 3, value: 1))
        #expect(values(run.next.batches) == [5, 11, 1])
        #expect(run.outcomes.all == [nil, nil, nil])
        let label = "{processor=\"deltatocumulative\"}"
        #expect(run.metric("otelcol_deltatocumulative_datapoints_total\(label) 3"))
        #expect(run.metric("otelcol_deltatocumulative_streams_tracked\(label) 2"))
        #expect(run.metric("otelcol_deltatocumulative_streams_limit\(label) 1000000"))
        #expect(run.metric("otelcol_deltatocumulative_streams_max_stale_seconds\(label) 300"))
        #expect(run.budget.heldBytes > 2 * 48)
    }

    @Test func whatIsDroppedIsAcceptedAndCounted() throws {
        let run = try DeltaRun("{max_streams: 1}")
        try run.send(deltaSum("a", start: 1, time: 2, value: 5))
        try run.send(deltaSum("a", start: 1, time: 2, value: 5))
        try run.send(deltaSum("a", start: 0, time: 9, value: 5))
        try run.send(deltaSum("b", start: 1, time: 2, value: 5))
        #expect(values(run.next.batches) == [5])
        #expect(run.outcomes.all == [nil, nil, nil, nil])
        for error in ["delta.ErrOutOfOrder", "delta.ErrOlderStart", "limit"] {
            let labels = "{processor=\"deltatocumulative\",error=\"\(error)\"}"
            #expect(run.metric("otelcol_deltatocumulative_datapoints_total\(labels) 1"))
        }
    }

    @Test func pipelinesCountForThemselves() throws {
        let run = try DeltaRun()
        let others = RecordingConsumer()
        let other = try run.another(others)
        for (start, time) in [(UInt64(1), UInt64(2)), (2, 3)] {
            let body = deltaSum("a", start: start, time: time, value: 4)
            try run.send(body)
            let batch = try TelemetryBatch(SampleRequests.wire(body), signal: .metrics)
            other.consume(batch, context: RequestContext(), receipt: run.outcomes.receipt())
        }
        #expect(values(run.next.batches) == [4, 8])
        #expect(values(others.batches) == [4, 8])
        #expect(run.metric("otelcol_deltatocumulative_streams_tracked{processor=\"deltatocumulative\"} 2"))
    }

    @Test func manyThreadsLoseNothing() async throws {
        let run = try DeltaRun()
        let streams = DeltaStreams(DeltaLimits(), metrics: run.metrics, labels: [], budget: run.budget)
        let processor = DeltaStage(streams, next: run.next)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for step in UInt64(1)...200 {
                        let body = deltaSum("m\(worker)", start: step, time: step + 1, value: 1)
                        let batch = try TelemetryBatch(SampleRequests.wire(body), signal: .metrics)
                        processor.consume(batch, context: RequestContext(), receipt: Receipt { _ in })
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(values(run.next.batches).sorted() == (Int64(1)...200).flatMap { [$0, $0, $0, $0] })
        #expect(streams.count == 4)
    }

    @Test func silentStreamsAreForgotten() throws {
        let run = try DeltaRun()
        let clock = SteppedClock()
        let streams = DeltaStreams(
            DeltaLimits(maximumStale: .seconds(5)), metrics: run.metrics, labels: [], budget: run.budget,
            clock: { clock.now })
        let processor = DeltaStage(streams, next: run.next)
        let body = deltaSum("a", start: 1, time: 2, value: 4)
        processor.consume(
            try TelemetryBatch(SampleRequests.wire(body), signal: .metrics), context: RequestContext(),
            receipt: run.outcomes.receipt())
        streams.expire()
        #expect(streams.count == 1)
        clock.advance(by: .seconds(6))
        streams.expire()
        #expect(streams.count == 0)
    }

    @Test func wrongSettingsAreExplained() throws {
        for (yaml, message) in [
            ("{max_streams: 0}", "max_streams"), ("{max_stale: 0s}", "max_stale"),
            ("{storage: file_storage}", "storage"),
            ("{max_bytes: 5}", "max_bytes"),
        ] {
            #expect { try DeltaRun(yaml) } throws: { "\($0)".contains(message) }
        }
        let run = try DeltaRun("{max_streams: 9223372036854775807, max_stale: 1h}")
        #expect(run.settings.limits.maximumStreams == .max)
        #expect(run.settings.limits.maximumStale == .seconds(3600))
    }
}
