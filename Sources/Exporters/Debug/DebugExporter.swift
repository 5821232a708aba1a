package import Logging
internal import OTLP
package import Pipeline
internal import Synchronization

/// Shows telemetry to people: counts, lines or everything, in the collector's log or on an output of its own.
///
/// What it shows is for the eyes of whoever configured it, and goes nowhere else. A batch is answered when it is
/// shown, or passed over by the sampling; one that no output takes is delivered with all items rejected, since a sender
/// that repeats it helps nobody.
package final class DebugExporter: Exporter {
    private let state: Mutex<DebugExport>

    /// - Parameters:
    ///   - logger: what `use_internal_logger` means.
    ///   - limit: most bytes of text for one batch.
    ///   - second: a count of seconds, for the sampling.
    package init(
        _ settings: DebugExporterSettings, logger: Logger, limit: Int = 1 << 20,
        second: @escaping @Sendable () -> Int = DebugExporter.monotonicSecond
    ) {
        state = Mutex(DebugExport(settings, logger: logger, limit: limit, second: second))
    }

    /// Opens the outputs. May be called once for each signal, with as many calls of `shutdown`.
    package func start() throws { try state.withLock { try $0.start() } }

    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        completion(state.withLock { $0.export(request) })
    }

    package func shutdown() { state.withLock { $0.stop() } }

    /// Seconds of a clock that never goes back.
    package static let monotonicSecond: @Sendable () -> Int = {
        Int(origin.duration(to: .now).components.seconds)
    }

    private static let origin = ContinuousClock.now
}

/// What the exporter's lock guards.
private struct DebugExport: ~Copyable {
    private let settings: DebugExporterSettings
    private let logger: Logger
    private let second: @Sendable () -> Int
    private var formatter: DebugFormatter
    private var samplers: [Signal: DebugSampler] = [:]
    private var output: DebugOutput?
    private var starts = 0

    init(_ settings: DebugExporterSettings, logger: Logger, limit: Int, second: @escaping @Sendable () -> Int) {
        self.settings = settings
        self.logger = logger
        self.second = second
        formatter = DebugFormatter(limit: limit)
        output = nil
        for signal in Signal.allCases {
            samplers[signal] = DebugSampler(
                initial: settings.samplingInitial, thereafter: settings.samplingThereafter)
        }
    }

    mutating func start() throws(DebugOutputError) {
        if starts == 0, !settings.usesInternalLogger { output = try DebugOutput(settings.outputs) }
        starts += 1
    }

    mutating func stop() {
        guard starts > 0 else { return }
        starts -= 1
        if starts == 0 { output = nil }
    }

    mutating func export(_ request: ExportRequest) -> ExportOutcome {
        guard starts > 0 else { return .retryable("the debug exporter is not running", after: nil) }
        guard samplers[request.signal]?.admits(second: second()) ?? true else { return .delivered }
        defer { formatter.text.removeAll() }
        let counts = formatter.counts(of: request)
        if settings.usesInternalLogger {
            log(request, counts)
            return .delivered
        }
        formatter.putCounts(counts, request.signal)
        putContent(request)
        var notice = formatter.text.notice
        do throws(DebugOutputError) {
            try output?.write(formatter.text.bytes)
            try write(&notice)
        } catch {
            return .delivered(rejected: request.itemCount, message: "\(error)")
        }
        return .delivered
    }

    private mutating func log(_ request: ExportRequest, _ counts: [(name: StaticString, count: Int)]) {
        var metadata: Logger.Metadata = [:]
        for entry in counts { metadata["\(entry.name)"] = "\(entry.count)" }
        logger.info("\(DebugFormatter.title(of: request.signal))", metadata: metadata)
        putContent(request)
        let text = formatter.text.bytes
        if text.isEmpty { return }
        logger.info("\(String(decoding: text, as: UTF8.self) + formatter.text.notice)")
    }

    private mutating func putContent(_ request: ExportRequest) {
        if settings.verbosity == .basic { return }
        formatter.putContent(of: request, detailed: settings.verbosity == .detailed)
    }

    private func write(_ notice: inout String) throws(DebugOutputError) {
        if notice.isEmpty { return }
        var failure: DebugOutputError?
        notice.withUTF8 { bytes in
            do throws(DebugOutputError) {
                try output?.write(UnsafeRawBufferPointer(bytes))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
