package import Pipeline
internal import Synchronization

/// One exporter behind several queues (one for each signal and way of batching): started with the first, shut down
/// with the last. Thread-safe.
package final class SharedExporter: Exporter {
    private struct Users {
        var started = 0
        var ended = 0
    }

    private let exporter: any Exporter
    private let users = Mutex(Users())

    package init(_ exporter: any Exporter) { self.exporter = exporter }

    /// - Throws: what the exporter throws; it may be started again then.
    package func start() throws {
        try users.withLock { users in
            if users.started == 0 { try exporter.start() }
            users.started += 1
        }
    }

    /// Passes the request on as it is.
    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        exporter.export(request, completion: completion)
    }

    /// Shuts the exporter down with the last of its queues.
    package func shutdown() {
        let isLast = users.withLock { users in
            guard users.ended < users.started else { return false }
            users.ended += 1
            return users.ended == users.started
        }
        if isLast { exporter.shutdown() }
    }
}
