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

    /// A request and its place in the order.
    private struct Waiting {
        let number: Int
        let request: KeptRequest
    }

    private struct State {
        /// Who is told what is done with, in the order of the requests.
        var storage: TailStorage?
        var last = 0
        var nextDone = 1
        var done: [Int: KeptRequest] = [:]
        var waiting = CircularBuffer<Waiting>()
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

    /// What is done with is said to `storage`, which also has what is not handed on by the end. Before data comes.
    func report(to storage: TailStorage) { state.withLock { $0.storage = storage } }

    func warn(_ message: String, items: Int) { logger.warning("\(message)", metadata: ["items": "\(items)"]) }

    /// Bytes that are not answered for.
    var bytes: Int { state.withLock { $0.bytes } }

    /// Hands requests on, in their order, now or as soon as it goes.
    func send(_ requests: [KeptRequest]) {
        guard !requests.isEmpty else { return }
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            for request in requests {
                state.last += 1
                state.waiting.append(Waiting(number: state.last, request: request))
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
    private func takeNext() -> Waiting? {
        state.withLock { state in
            guard !state.isPaused, state.inFlight < Self.maximumInFlight, let request = state.waiting.popFirst() else {
                state.isPumping = false
                return nil
            }
            state.inFlight += 1
            return request
        }
    }

    private func hand(on request: Waiting) {
        let receipt = Receipt { [self] error in settle(request, error) }
        do throws(OTLPDecodeError) {
            let batch = try TelemetryBatch(request.request.bytes, signal: signal)
            next.consume(batch, context: RequestContext(), receipt: receipt)
        } catch {
            receipt.refuse(ConsumeError(.internal, "\(error)"))
        }
    }

    private func settle(_ waiting: Waiting, _ error: ConsumeError?) {
        var delay: Duration?
        let request = waiting.request
        let (isLost, drains) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
            state.inFlight -= 1
            if state.isClosed, state.storage != nil, let error, error.isRetryable {
                // It stays there.
                state.bytes -= request.bytes.count
                return (false, Self.takeDrains(&state))
            }
            if let error, error.isRetryable, !state.isClosed {
                state.waiting.prepend(waiting)
                if !state.isPaused {
                    state.isPaused = true
                    delay = Self.delay(after: state.failures, error.retryAfter)
                    state.failures = min(state.failures + 1, 16)
                }
                return (false, [])
            }
            state.bytes -= request.bytes.count
            if error == nil { state.failures = 0 }
            Self.noteDone(waiting, &state)
            return (error != nil, Self.takeDrains(&state))
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

    /// Says what is done with of requests before which none is left: what a trace had in several requests is said last.
    private static func noteDone(_ waiting: Waiting, _ state: inout State) {
        guard let storage = state.storage else { return }
        state.done[waiting.number] = waiting.request
        while let request = state.done.removeValue(forKey: state.nextDone) {
            state.nextDone += 1
            storage.settle(request.decisions, request.runs)
        }
    }

    private static func takeDrains(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
        guard state.isEmpty else { return [] }
        defer { state.drains = [] }
        return state.drains
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

    /// Returns when everything is handed on, or at `deadline`; what is left then is given up. With a storage it waits for
    /// what the next stage has at hand only: the rest is there at the next start.
    func drain(deadline: ContinuousClock.Instant) async {
        state.withLock { state in
            guard state.storage != nil else { return }
            state.isClosed = true
            for waiting in state.waiting { state.bytes -= waiting.request.bytes.count }
            state.waiting = []
        }
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
            return state.waiting.map(\.request)
        }
        give(up: left)
    }

    private func give(up requests: [KeptRequest]) {
        if state.withLock({ $0.storage != nil }) { return }
        let items = requests.reduce(0) { $0 + $1.items }
        guard items > 0 else { return }
        metrics.loss(items, signal, "shutdown")
        logger.error("what was kept was not handed on in time", metadata: [unit: "\(items)"])
    }
}
