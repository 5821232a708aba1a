/// What happens in a log, for metrics and lines of a log file.
package enum StorageEvent: Sendable, Equatable {
    /// Records were made durable together.
    case synced(records: Int, seconds: Double)
    /// Records could not be written or made durable; their owners were told.
    case failed(records: Int, StorageError)
    /// Records could not be read back because they are damaged; what is left of them is kept aside.
    case damaged(records: Int)
    /// The oldest records were removed to make room.
    case dropped(records: Int, items: Int)
    /// Releases could not be written: after a restart those records may come again.
    case releasesFailed(StorageError)
}

/// Where a log's events go.
package protocol StorageObserver: AnyObject, Sendable {
    /// Called on the log's thread; must not block for long.
    func observe(_ event: StorageEvent)

    /// Records were removed to make room, before anybody has released them. Called on the log's thread, before the
    /// records for which there is room now complete.
    func dropped(_ drop: LogDrop)
}

/// Figures for gauges.
package struct LogStatus: Sendable, Equatable {
    /// Of all segments.
    package var bytes = 0
    package var segments = 0
    /// Records that are not released.
    package var records = 0

    package init() {}
}
