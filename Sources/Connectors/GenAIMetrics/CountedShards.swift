internal import GenAI
internal import Synchronization

/// A bounded memory of spans that were counted, for many threads. See `CountedSpans`.
final class CountedShards: Sendable {
    private static let count = 16

    // Unchecked: a memory is only used under its lock.
    private struct Shard: @unchecked Sendable {
        var spans: CountedSpans?
    }

    private final class Lock: Sendable {
        let shard = Mutex(Shard())
    }

    private let locks = (0..<CountedShards.count).map { _ in Lock() }
    private let capacity: Int

    /// - Parameter capacity: of all together; made when the first span comes.
    init(capacity: Int) { self.capacity = capacity / Self.count }

    /// Remembers a span. False when it was remembered already.
    func insert(traceID: (UInt64, UInt64), spanID: UInt64) -> Bool {
        let index = Int(truncatingIfNeeded: ((traceID.0 ^ traceID.1 ^ spanID) &* 0x9E37_79B9_7F4A_7C15) &>> 60)
        return locks[index].shard.withLock { shard in
            let spans = shard.spans ?? CountedSpans(capacity: capacity)
            shard.spans = spans
            return spans.insert(traceID: traceID, spanID: spanID)
        }
    }
}
