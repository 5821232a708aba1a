internal import Logging
internal import NIOCore
internal import OTLP
internal import Pipeline
internal import Sampling
internal import Synchronization
internal import Telemetry

/// Kept spans, or log records, on their way to the next stage. What is refused for now stays here and is handed on again; what will
/// never be taken is counted and logged. Any thread.
final class TailOutbox: Sendable {
    /// Requests that the next stage has and has not answered for; further ones wait.
    private static let maximumInFlight = 32
    private static let firstDelay = Duration.milliseconds(500)
    private static let longestDelay = Duration.seconds(30)

    private struct State {
        var waiting = CircularBuffer<KeptRequest>()
        var inFlight = 0
        var bytes = 0
        var failures = 0
        var isPumping = false
        var isPaused = false
        var isClosed = false
        var drains: [CheckedContinuation<Void, Never>] = []

        var isEmpty: Bool { inFlight == 0 && waiting.isEmpty }
    }

    private let state = Mutex(State())
    private let signal: Signal
    private let next: any Consumer
    private let metrics: TailSamplingMetrics
    private let eventLoop: any EventLoop
    private let logger: Logger

    init(
        _ signal: Signal, next: any Consumer, metrics: TailSamplingMetrics, eventLoop: any EventLoop, logger: Logger
    ) {
        self.signal = signal
        self.next = next
        self.metrics = metrics
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// What a request is made of, for log lines.
    private var unit: String { signal == .logs ? "log_records" : "spans" }

    /// Bytes that are not answered for.
    var bytes: Int { state.withLock { $0.bytes } }

    /// Hands requests on, in their order, now or as soon as it goes.
    func send(_ requests: [KeptRequest]) {
        guard !requests.isEmpty else { return }
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            for request in requests {
                state.waiting.append(request)
                state.bytes += request.bytes.count
            }
            return false
        }
        if isClosed { return give(up: requests) }
        pump()
    }

    private func pump() {
        let mayPump = state.withLock { state in
            defer { state.isPumping = true }
            return !state.isPumping
        }
        guard mayPump else { return }
        while let request = takeNext() { hand(on: request) }
    }

    /// The next request to hand on; nil, and the pump stands, when there is none.
    private func takeNext() -> KeptRequest? {
        state.withLock { state in
            guard !state.isPaused, state.inFlight < Self.maximumInFlight, let request = state.waiting.popFirst() else {
                state.isPumping = false
                return nil
            }
            state.inFlight += 1
            return request
        }
    }

    private func hand(on request: KeptRequest) {
        let receipt = Receipt { [self] error in settle(request, error) }
        do throws(OTLPDecodeError) {
            let batch = try TelemetryBatch(request.bytes, signal: signal)
            next.consume(batch, context: RequestContext(), receipt: receipt)
        } catch {
            receipt.refuse(ConsumeError(.internal, "\(error)"))
        }
    }

    private func settle(_ request: KeptRequest, _ error: ConsumeError?) {
        var delay: Duration?
        let (isLost, drains) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
            state.inFlight -= 1
            if let error, error.isRetryable, !state.isClosed {
                state.waiting.prepend(request)
                if !state.isPaused {
                    state.isPaused = true
                    delay = Self.delay(after: state.failures, error.retryAfter)
                    state.failures = min(state.failures + 1, 16)
                }
                return (false, [])
            }
            state.bytes -= request.bytes.count
            if error == nil { state.failures = 0 }
            guard state.isEmpty else { return (error != nil, []) }
            defer { state.drains = [] }
            return (error != nil, state.drains)
        }
        if isLost, let error {
            metrics.loss(request.items, signal, error.code.rawValue)
            logger.error(
                "what was kept was refused by the next stage",
                metadata: [unit: "\(request.items)", "reason": "\(error)"])
        }
        if let delay { resume(after: delay) }
        for drain in drains { drain.resume() }
        pump()
    }

    private static func delay(after failures: Int, _ wanted: Duration?) -> Duration {
        if let wanted { return min(max(wanted, .milliseconds(1)), longestDelay) }
        return min(firstDelay * (1 << min(failures, 8)), longestDelay)
    }

    private func resume(after delay: Duration) {
        metrics.retries.add()
        eventLoop.scheduleTask(in: TimeAmount(delay)) { [weak self] in
            guard let self else { return }
            state.withLock { $0.isPaused = false }
            pump()
        }
    }

    // MARK: The end

    /// Returns when everything is handed on, or at `deadline`; what is left then is given up.
    func drain(deadline: ContinuousClock.Instant) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isEmpty = state.withLock { state in
                if !state.isEmpty { state.drains.append(continuation) }
                return state.isEmpty
            }
            if isEmpty { return continuation.resume() }
            eventLoop.scheduleTask(in: TimeAmount(max(.zero, deadline - .now))) { [self] in
                let drains = state.withLock { state in
                    defer { state.drains = [] }
                    return state.drains
                }
                for drain in drains { drain.resume() }
            }
        }
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return Array(state.waiting)
        }
        give(up: left)
    }

    private func give(up requests: [KeptRequest]) {
        let items = requests.reduce(0) { $0 + $1.items }
        guard items > 0 else { return }
        metrics.loss(items, signal, "shutdown")
        logger.error("what was kept was not handed on in time", metadata: [unit: "\(items)"])
    }
}
