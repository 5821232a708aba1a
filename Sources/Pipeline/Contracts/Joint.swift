package import OTLP
internal import Synchronization

/// Where one part of a running graph hands on to the next, so that what comes after it can change while it runs. A batch
/// goes one way whole: the present one at the moment it comes. Thread-safe.
package final class Joint: Consumer {
    /// What batches are handed to. Whoever hands one on holds it meanwhile, so its end says that nobody is inside.
    private final class Way: Sendable {
        let consumer: any Consumer
        let parts: [ObjectIdentifier]
        /// The stages above were told that nobody changes batches here, and may have given others the same one.
        let forks: Bool
        let passage = Passage()

        init(_ consumers: [any Consumer], declared: Bool?) {
            let joined = FanOut.joining(consumers)
            consumer = joined
            parts = consumers.map { ObjectIdentifier($0) }
            forks = declared == false && joined.mutatesBatches
        }

        deinit { passage.end() }
    }

    /// A way that batches took before.
    package final class Passage: Sendable {
        private let ended = Atomic<Bool>(false)

        /// Whether no call is inside any more.
        package var isOver: Bool { ended.load(ordering: .acquiring) }

        fileprivate func end() { ended.store(true, ordering: .releasing) }
    }

    private let way: Mutex<Way>
    /// What the first consumers said. It never changes, since who asked may hand on later.
    package let mutatesBatches: Bool

    /// - Parameter consumers: each gets every batch.
    package init(_ consumers: [any Consumer]) {
        let first = Way(consumers, declared: nil)
        mutatesBatches = first.consumer.mutatesBatches
        way = Mutex(first)
    }

    package func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        let present = way.withLock { $0 }
        withExtendedLifetime(present) {
            present.consumer.consume(present.forks ? batch.fork() : batch, context: context, receipt: receipt)
        }
    }

    /// Whether batches go to exactly these, in this order.
    package func leads(to consumers: [any Consumer]) -> Bool {
        way.withLock { $0.parts } == consumers.map { ObjectIdentifier($0) }
    }

    /// From now on batches go to `consumers`. Those that came before finish where they are.
    ///
    /// - Returns: tells when they have.
    package func redirect(to consumers: [any Consumer]) -> Passage {
        let new = Way(consumers, declared: mutatesBatches)
        return way.withLock { way in
            let passage = way.passage
            way = new
            return passage
        }
    }
}
