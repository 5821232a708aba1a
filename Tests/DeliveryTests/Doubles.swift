import NIOConcurrencyHelpers
import Pipeline
import Synchronization

@testable import Delivery

/// A clock that only moves when told; due calls run on the thread that moves it.
final class ManualScheduler: DeliveryScheduler {
    private struct Call {
        let id: Int
        let due: ContinuousClock.Instant
        let body: @Sendable () -> Void
    }
    private struct State {
        var now: ContinuousClock.Instant
        var calls: [Call] = []
        var lastID = 0
    }
    private struct Timer: DeliveryTimer {
        let id: Int
        let scheduler: ManualScheduler

        func cancel() { scheduler.state.withLock { $0.calls.removeAll { $0.id == id } } }
    }

    private let state = Mutex(State(now: .now))

    func now() -> ContinuousClock.Instant { state.withLock { $0.now } }

    var waitingCalls: Int { state.withLock { $0.calls.count } }

    func schedule(at instant: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void) -> any DeliveryTimer {
        state.withLock { state in
            state.lastID += 1
            state.calls.append(Call(id: state.lastID, due: instant, body: body))
            return Timer(id: state.lastID, scheduler: self)
        }
    }

    func advance(_ duration: Duration) {
        let end = now() + duration
        while let call = state.withLock({ Self.takeNext(&$0, until: end) }) { call() }
        state.withLock { $0.now = end }
    }

    private static func takeNext(_ state: inout State, until end: ContinuousClock.Instant) -> (@Sendable () -> Void)? {
        guard let next = state.calls.min(by: { $0.due < $1.due }), next.due <= end else { return nil }
        state.calls.removeAll { $0.id == next.id }
        state.now = max(state.now, next.due)
        return next.body
    }
}

/// An exporter that answers by a rule, or hands each attempt to the test.
final class FakeExporter: Exporter {
    struct Attempt: Sendable {
        let request: ExportRequest
        let completion: @Sendable (ExportOutcome) -> Void
    }

    /// Attempts that the rule gave no answer to.
    let attempts: AsyncStream<Attempt>
    private let sink: AsyncStream<Attempt>.Continuation
    private let rule: @Sendable (ExportRequest) -> ExportOutcome?
    private let calls = Mutex<[String]>([])
    private let startError: (any Error)?

    init(startError: (any Error)? = nil, _ rule: @escaping @Sendable (ExportRequest) -> ExportOutcome? = { _ in nil }) {
        // Unbounded, but a test makes a few attempts.
        (attempts, sink) = AsyncStream.makeStream()
        self.rule = rule
        self.startError = startError
    }

    var lifecycle: [String] { calls.withLock { $0 } }

    func start() throws {
        calls.withLock { $0.append("start") }
        if let startError { throw startError }
    }

    func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        if let outcome = rule(request) {
            completion(outcome)
        } else {
            sink.yield(Attempt(request: request, completion: completion))
        }
    }

    func shutdown() { calls.withLock { $0.append("shutdown") } }
}

/// Collects events and offers them as a stream.
final class EventLog: DeliveryObserver {
    let stream: AsyncStream<DeliveryEvent>
    private let sink: AsyncStream<DeliveryEvent>.Continuation

    init() { (stream, sink) = AsyncStream.makeStream() }

    func observe(_ event: DeliveryEvent) { sink.yield(event) }
}

/// Ignores events.
struct Deaf: DeliveryObserver {
    func observe(_ event: DeliveryEvent) {}
}

/// A number that many threads count up.
final class Count: Sendable {
    private let total = Atomic(0)

    var value: Int { total.load(ordering: .acquiring) }

    func add() { total.add(1, ordering: .acquiringAndReleasing) }
}

/// Holds a thread until it is opened.
final class Gate: Sendable {
    private let lock = ConditionLock(value: 0)

    func wait() {
        lock.lock(whenValue: 1)
        lock.unlock()
    }

    func open() {
        lock.lock()
        lock.unlock(withValue: 1)
    }
}

/// Waits for what another thread does: an attempt may be completed before the call that began it has returned, and counts
/// when it has.
func until(_ condition: () -> Bool) async throws {
    while !condition() { try await Task.sleep(for: .milliseconds(1)) }
}
