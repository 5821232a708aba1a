internal import Aggregation
internal import Logging
internal import OTLP
internal import Pipeline
internal import Synchronization
internal import Telemetry

/// Hands what an aggregator has collected to a metrics pipeline: at an interval, and a last time at the stop.
///
/// Cumulative points that are refused need nothing: the next ones say it all. Delta points are handed over again, before
/// the next ones, until they are taken or refused for good. All methods may be called from any thread.
final class MetricsFlush: Sendable {
    /// Bytes of refused delta points that are kept; beyond it the oldest are lost, which the log says.
    static let maximumRefusedBytes = 16 << 20

    private struct Refused {
        var requests: [MetricAggregator.Request] = []
        var bytes = 0
    }

    private struct Running {
        var task: Task<Void, Never>?
        var isStopped = false
    }

    private let aggregator: MetricAggregator
    private let keepsRefused: Bool
    private let interval: Duration
    private let next: (any Consumer)?
    private let logger: Logger
    private let budget: MemoryBudget
    private let now: @Sendable () -> UInt64
    private let correction: @Sendable () -> Int64
    private let refused = Mutex(Refused())
    private let running = Mutex(Running())
    private let collecting = Mutex(())

    /// - Parameters:
    ///   - keepsRefused: hand refused points over again: for delta temporality.
    ///   - interval: time between two collections; zero for none by time.
    ///   - next: the metrics pipelines; nil when there are none, and then nothing is collected.
    ///   - now: the clock of the series: nanoseconds since 1970, without jumps.
    ///   - correction: what the points' times are ahead of it; see `SteadyTime`.
    init(
        _ aggregator: MetricAggregator, keepsRefused: Bool, interval: Duration, next: (any Consumer)?, logger: Logger,
        budget: MemoryBudget, now: @escaping @Sendable () -> UInt64 = SteadyTime.now,
        correction: @escaping @Sendable () -> Int64 = SteadyTime.correction
    ) {
        self.aggregator = aggregator
        self.keepsRefused = keepsRefused
        self.interval = interval
        self.next = next
        self.logger = logger
        self.budget = budget
        self.now = now
        self.correction = correction
    }

    /// Begins to collect at the interval.
    func start() {
        running.withLock { running in
            guard running.task == nil, !running.isStopped, interval > .zero else { return }
            // Not on an event loop: a collection of many series takes milliseconds.
            running.task = Task.detached { [weak self, interval] in
                while (try? await Task.sleep(for: interval)) != nil {
                    guard let self else { return }
                    self.flush()
                }
            }
        }
    }

    /// Ends the timer and waits for a collection that runs. True the first time.
    func stopTimer() async -> Bool {
        let (task, isFirst) = running.withLock { running in
            let task = running.task
            let isFirst = !running.isStopped
            running.task = nil
            running.isStopped = true
            return (task, isFirst)
        }
        task?.cancel()
        await task?.value
        return isFirst
    }

    /// Collects and hands over.
    ///
    /// - Parameter isFinal: whether it is the last one: what is refused now is lost, which the log says.
    func flush(isFinal: Bool = false) {
        guard let next else { return }
        collecting.withLock { _ in
            for request in takeRefused() { hand(request, to: next, isFinal) }
            aggregator.collect(
                at: now(), correction: correction(), isFinal: isFinal, lease: { [budget] bytes in budget.lease(bytes) },
                { hand($0, to: next, isFinal) })
        }
    }

    private func takeRefused() -> [MetricAggregator.Request] {
        refused.withLock { refused in
            defer { refused = Refused() }
            return refused.requests
        }
    }

    private func hand(_ request: MetricAggregator.Request, to next: any Consumer, _ isFinal: Bool) {
        let batch: TelemetryBatch
        do throws(OTLPDecodeError) {
            batch = try TelemetryBatch(request.bytes, signal: .metrics)
        } catch {
            return logger.error("metrics that were collected are malformed and lost: \(error)")
        }
        let receipt = Receipt { [weak self] error in
            if let error { self?.take(error, request, isFinal) }
        }
        next.consume(batch, context: RequestContext(), receipt: receipt)
    }

    /// What becomes of a request that was refused.
    private func take(_ error: ConsumeError, _ request: MetricAggregator.Request, _ isFinal: Bool) {
        if isFinal {
            return logger.error("\(request.points) metric points are lost: refused at the stop: \(error)")
        }
        guard keepsRefused else {
            return logger.warning("\(request.points) metric points were refused; the next ones include them: \(error)")
        }
        guard error.isRetryable else {
            return logger.error("\(request.points) metric points are lost: \(error)")
        }
        let lost = refused.withLock { refused in
            refused.requests.append(request)
            refused.bytes += request.bytes.count
            var lost = 0
            while refused.bytes > Self.maximumRefusedBytes, let oldest = refused.requests.first {
                refused.requests.removeFirst()
                refused.bytes -= oldest.bytes.count
                lost += oldest.points
            }
            return lost
        }
        logger.warning("\(request.points) metric points were refused and will be handed over again: \(error)")
        if lost > 0 { logger.error("\(lost) metric points are lost: too many were refused") }
    }
}
