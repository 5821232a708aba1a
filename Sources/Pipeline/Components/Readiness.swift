internal import Synchronization

/// Whether the collector takes data: false while it starts and from the moment it begins to stop. Thread-safe.
package final class Readiness: Sendable {
    private let ready = Atomic<Bool>(false)
    /// When the process started.
    package let started: ContinuousClock.Instant

    package init(started: ContinuousClock.Instant = .now) { self.started = started }

    package var isReady: Bool { ready.load(ordering: .acquiring) }

    package func set(_ isReady: Bool) { ready.store(isReady, ordering: .releasing) }
}
