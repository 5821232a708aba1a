/// Where one span, metric or log record lies: 16 bytes an item.
///
/// `offset` below the size of the request's bytes points into them; above it, into the batch's own edit buffer.
/// A tail holds fields that were appended; by protobuf concatenation, payload and tail together are the message.
package struct ItemRecord: Sendable, Equatable {
    package var offset: UInt32
    package var count: UInt32
    package var tailOffset: UInt32 = 0
    package var tailCount: UInt32 = 0

    /// Highest address of a byte in a batch, edits included: 2 GiB.
    package static let maximumOffset = Int(Int32.max)

    /// Bytes of the message.
    package var size: Int { Int(count) + Int(tailCount) }
}

/// Fields to be appended to an item: where they lie in a writer. See `TelemetryBatch.append(_:from:)`.
package struct ItemTail: Sendable {
    package var item: UInt32
    package var start: UInt32
    package var count: UInt32

    package init(item: UInt32, start: UInt32, count: UInt32) {
        self.item = item
        self.start = start
        self.count = count
    }
}

/// Where one `ScopeSpans`, `ScopeMetrics` or `ScopeLogs` lies in the request, and which items it holds.
package struct ScopeRecord: Sendable, Equatable {
    package var offset: UInt32
    package var count: UInt32
    package var firstItem: UInt32
    package var itemCount: UInt32

    package var items: Range<Int> { Int(firstItem)..<Int(firstItem) + Int(itemCount) }
}

/// Where one `ResourceSpans`, `ResourceMetrics` or `ResourceLogs` lies in the request, and which scopes it holds.
package struct ResourceRecord: Sendable, Equatable {
    package var offset: UInt32
    package var count: UInt32
    package var firstScope: UInt32
    package var scopeCount: UInt32

    package var scopes: Range<Int> { Int(firstScope)..<Int(firstScope) + Int(scopeCount) }
}
