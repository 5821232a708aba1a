internal import OTLP
internal import Pipeline

/// What sizes of batches are counted in.
package enum BatchSizer: String, Sendable, CaseIterable {
    /// Spans, log records, data points.
    case items
    /// Bytes on the wire. Resources and scopes are only counted in batches that were never split or changed.
    case bytes
}

/// How the queue gathers batches into requests: `sending_queue.batch`, or a `batch` processor that is folded into the
/// queue so that nothing lies between acknowledgement and the queue.
package struct BatchPolicy: Sendable, Equatable {
    /// `flush_timeout`: longest time that data is held back to gather more.
    package var flushTimeout = Duration.milliseconds(200)
    /// `min_size`: size that starts a request; 0 sends at once.
    package var minSize = 8192
    /// `max_size`: larger requests are split; 0 sets no limit. For metrics the split is by metric, in proportion to
    /// the batch's data points. A single item may be larger.
    package var maxSize = 0
    /// `sizer`.
    package var sizer = BatchSizer.items
    /// `partition.metadata_keys`, in lower case: requests hold data of one combination of values only.
    package var metadataKeys: [String] = []
    /// Most combinations that gather at one time; a batch of a further one is refused. 0 sets no limit. A combination
    /// counts only while data of it is held back.
    package var cardinalityLimit = Self.defaultCardinalityLimit

    package static let defaultCardinalityLimit = 1000

    package init() {}

    /// The policy that a `batch` processor's keys ask for. As in otelcol, `send_batch_size` 0 and `timeout` 0 both
    /// send at once, and only `send_batch_max_size` applies.
    package init(
        sendBatchSize: Int, timeout: Duration, sendBatchMaxSize: Int, metadataKeys: [String],
        metadataCardinalityLimit: Int
    ) {
        let sendsAtOnce = sendBatchSize == 0 || timeout <= .zero
        minSize = sendsAtOnce ? 0 : sendBatchSize
        flushTimeout = timeout
        maxSize = sendBatchMaxSize
        self.metadataKeys = metadataKeys.map { $0.lowercased() }
        cardinalityLimit = metadataCardinalityLimit
    }

    /// The combination that a request's metadata belongs to. An absent key and an empty list are different.
    package func partition(of metadata: [String: [String]]) -> PartitionKey {
        var partition: PartitionKey = [:]
        for key in metadataKeys { partition[key] = metadata[key] }
        return partition
    }

    /// Size of a run of items.
    static func size(of slice: BatchSlice, in sizer: BatchSizer) -> Int {
        switch sizer {
        case .bytes:
            return slice.byteCount
        case .items:
            return slice.itemCount
        }
    }

    /// The longest head of `slice` within `room` (at least 1), and what is left. The head has at least one item.
    static func split(_ slice: BatchSlice, room: Int, in sizer: BatchSizer) -> (head: BatchSlice, rest: BatchSlice?) {
        let batch = slice.batch
        let start = slice.items.lowerBound
        let end: Int
        switch sizer {
        case .bytes:
            end = batch.endOfRun(from: start, maximumItems: .max, maximumBytes: room)
        case .items:
            end = batch.endOfRun(from: start, maximumItems: room, maximumBytes: .max)
        }
        guard end < slice.items.upperBound else { return (slice, nil) }
        return (
            BatchSlice(batch, items: start..<end), BatchSlice(batch, items: end..<slice.items.upperBound)
        )
    }
}

/// One combination: the `metadata_keys` that there are, with their values.
package typealias PartitionKey = [String: [String]]
