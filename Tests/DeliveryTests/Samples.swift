import OTLP
import Pipeline

@testable import Delivery

/// Batches of spans that can be told apart by a serial number, 1 and up, in their span id.
enum Samples {
    /// One resource, one scope, a span for each serial, with a name of `padding` bytes.
    static func spans(_ serials: Range<Int>, padding: Int = 0) throws -> TelemetryBatch {
        var writer = WireWriter()
        for serial in serials {
            let start = writer.count
            var traceID = [UInt8](repeating: 7, count: 16)
            traceID[0] = UInt8(truncatingIfNeeded: serial)
            let spanID = withUnsafeBytes(of: UInt64(serial).bigEndian, Array.init)
            traceID.withUnsafeBytes { writer.append(field: 1, bytes: $0) }
            spanID.withUnsafeBytes { writer.append(field: 2, bytes: $0) }
            let name = [UInt8](repeating: UInt8(ascii: "n"), count: padding)
            if padding > 0 { name.withUnsafeBytes { writer.append(field: 5, bytes: $0) } }
            writer.wrap(since: start, field: 2)
        }
        writer.wrap(since: 0, field: 2)
        writer.wrap(since: 0, field: 1)
        return try TelemetryBatch(WireBytes(taking: &writer), signal: .traces)
    }

    /// `metrics` gauges of `points` data points each.
    static func metrics(_ metrics: Int, points: Int) throws -> TelemetryBatch {
        var writer = WireWriter()
        for _ in 0..<metrics {
            let metric = writer.count
            for _ in 0..<points {
                let point = writer.count
                writer.append(tag: 3, .fixed64)
                writer.append(fixed64: 1)
                writer.wrap(since: point, field: 1)
            }
            writer.wrap(since: metric, field: 5)
            writer.wrap(since: metric, field: 2)
        }
        writer.wrap(since: 0, field: 2)
        writer.wrap(since: 0, field: 1)
        return try TelemetryBatch(WireBytes(taking: &writer), signal: .metrics)
    }

    /// The serial numbers of a request's spans, read from its slices.
    static func serials(_ request: ExportRequest) -> [Int] { request.slices.flatMap(serials) }

    static func serials(_ slice: BatchSlice) -> [Int] {
        slice.batch.items[slice.items].map { item in
            let bytes = slice.batch.payload(of: item)
            return bytes[20..<28].reduce(0) { $0 << 8 | Int($1) }
        }
    }

    /// The serial numbers of a request as a destination reads them from its encoding.
    static func encodedSerials(_ request: ExportRequest) throws -> [Int] {
        var writer = WireWriter()
        request.encode(into: &writer)
        return serials(BatchSlice(try TelemetryBatch(WireBytes(taking: &writer), signal: request.signal)))
    }
}

/// A state machine with a clock that stands still unless told, and everything that its actions said.
struct Harness {
    typealias Machine = DeliveryStateMachine<Int>

    var settings: DeliverySettings
    var machine: Machine
    let start = ContinuousClock.now
    var now: ContinuousClock.Instant
    /// Attempts that have no outcome yet, in order of dispatch.
    var inFlight: [(id: UInt64, request: ExportRequest)] = []
    var settingAside: [(id: UInt64, request: ExportRequest, cause: DropCause)] = []
    /// How each token was settled: nil for accepted. One element for each settlement.
    var settled: [Int: [ConsumeError?]] = [:]
    var events: [DeliveryEvent] = []
    var timer: ContinuousClock.Instant?
    var reports: [DeliveryReport] = []
    /// What the disk was asked and has not answered.
    var appends: [(id: UInt64, batch: BatchOnDisk)] = []
    var loads: [(from: UInt64, maximumBytes: Int)] = []
    var released: [UInt64] = []

    init(_ change: (inout DeliverySettings) -> Void = { _ in }) {
        settings = DeliverySettings()
        settings.retry.randomizationFactor = 0
        change(&settings)
        machine = Machine(signal: .traces, settings: settings, seed: 1)
        now = start
    }

    /// Seconds on the clock since the start, for the timer.
    var timerSeconds: Double? { timer.map { ($0 - start) / .seconds(1) } }
    var dispatched: [[Int]] { inFlight.map { Samples.serials($0.request) } }
    func accepted(_ token: Int) -> Bool { settled[token] == [nil] }
    func refusal(_ token: Int) -> ConsumeError.Code? {
        guard let outcomes = settled[token], outcomes.count == 1 else { return nil }
        return outcomes[0]?.code
    }

    mutating func enqueue(
        _ serials: Range<Int>, token: Int, padding: Int = 0, metadata: [String: [String]] = [:],
        client: ClientKey = .none
    ) throws {
        enqueue(try Samples.spans(serials, padding: padding), token: token, metadata: metadata, client: client)
    }

    mutating func enqueue(
        _ batch: TelemetryBatch, token: Int, metadata: [String: [String]] = [:], client: ClientKey = .none
    ) {
        let arrival = Machine.Arrival(
            batch, metadata: metadata, client: client, token: token, settings: settings.queue)
        run(machine.enqueue(arrival, now: now))
    }

    /// Ends the attempt at `index` of `inFlight`.
    mutating func complete(_ index: Int = 0, _ outcome: ExportOutcome = .delivered) {
        let id = inFlight.remove(at: index).id
        run(machine.completed(id, outcome, now: now))
    }

    mutating func completeSetAside(failure: String? = nil) {
        let id = settingAside.removeFirst().id
        run(machine.setAsideCompleted(id, failure: failure, now: now))
    }

    /// Moves the clock and fires the timer each time it is due on the way.
    mutating func advance(_ duration: Duration) {
        let end = now + duration
        while let due = timer, due <= end {
            now = max(now, due)
            timer = nil
            run(machine.timerFired(now: now))
        }
        now = end
    }

    mutating func drain(_ duration: Duration) { run(machine.beginDrain(deadline: now + duration, now: now)) }

    mutating func run(_ actions: [DeliveryAction<Int>]) {
        for action in actions {
            switch action {
            case .accept(let token): settled[token, default: []].append(nil)
            case .refuse(let token, let error): settled[token, default: []].append(error)
            case .dispatch(let id, let request): inFlight.append((id, request))
            case .setAside(let id, let request, let cause, _): settingAside.append((id, request, cause))
            case .append(let id, let batch): appends.append((id, batch))
            case .load(let sequence, let maximumBytes): loads.append((sequence, maximumBytes))
            case .release(let sequence): released.append(sequence)
            case .setTimer(let instant, _): timer = instant
            case .cancelTimer: timer = nil
            case .report(let event): events.append(event)
            case .drained(let report): reports.append(report)
            }
        }
    }
}
