internal import Synchronization

/// What all recorders have measured. Any thread.
final class MetricStore: Sendable {
    // Unchecked: the content is used under the lock only, or by the one who has taken it out.
    private struct Box: @unchecked Sendable {
        var content: MetricContent
    }

    private let box: Mutex<Box>
    private let dropped = Atomic<Int>(0)

    init(_ content: sending MetricContent) { box = Mutex(Box(content: content)) }

    /// Exclusive use of the content. `body` does no I/O and calls nobody else's code.
    func withLock<Result>(_ body: (MetricContent) -> Result) -> Result {
        // Withdrawn from checking: the content does not leave `body`.
        nonisolated(unsafe) let body = body
        nonisolated(unsafe) var result: Result?
        box.withLock { result = body($0.content) }
        return result.unsafelyUnwrapped
    }

    /// Takes the content out, for the caller alone, and begins a new one.
    func take(at now: UInt64) -> MetricContent {
        let taken = box.withLock { box in
            let old = box
            box = Box(content: MetricContent(following: old.content, at: now))
            return old
        }
        return taken.content
    }

    func countDropped() { dropped.add(1, ordering: .relaxed) }
    var droppedMeasurements: Int { dropped.load(ordering: .relaxed) }
}
