package import OTLP

/// A run of items of a batch. The batch is read-only by now and may be shared by several exporters.
package struct BatchSlice: Sendable {
    package let batch: TelemetryBatch
    package let items: Range<Int>

    package init(_ batch: TelemetryBatch, items: Range<Int>) {
        self.batch = batch
        self.items = items
    }

    package init(_ batch: TelemetryBatch) { self.init(batch, items: 0..<batch.items.count) }

    package var isWholeBatch: Bool { items.count == batch.items.count }

    /// What the self-metrics count: spans, log records, or the data points of metrics.
    package var itemCount: Int { batch.count(of: items) }

    /// Bytes of the items on the wire.
    package var byteCount: Int {
        isWholeBatch && batch.isPristine ? batch.bytes.count : batch.encodedSize(ofItems: items)
    }
}

/// What an exporter is asked to deliver in one go.
package struct ExportRequest: Sendable {
    package let signal: Signal
    package let slices: [BatchSlice]
    /// Longest time that this attempt may take.
    package let timeout: Duration
    /// What came along with all of the data: see `RequestContext.metadata`. Of data that was gathered from several
    /// requests, the keys it was gathered by.
    package let metadata: [String: [String]]

    package init(signal: Signal, slices: [BatchSlice], timeout: Duration, metadata: [String: [String]] = [:]) {
        self.signal = signal
        self.slices = slices
        self.timeout = timeout
        self.metadata = metadata
    }

    package var itemCount: Int { slices.reduce(0) { $0 + $1.itemCount } }

    /// Writes all slices as one OTLP request message.
    package func encode(into writer: inout WireWriter) {
        for slice in slices { slice.batch.encode(slice.items, into: &writer) }
    }
}

/// How one attempt to deliver ended.
package enum ExportOutcome: Sendable, Equatable {
    /// The destination has the data. `rejected` items it will never take (partial success).
    case delivered(rejected: Int, message: String)
    /// It may work later; not before `after`, when the destination said so.
    case retryable(String, after: Duration?)
    /// It will never work for this request.
    case permanent(String)
    /// The request is too large for the destination: worth a try in halves.
    case tooLarge(String)

    package static let delivered = ExportOutcome.delivered(rejected: 0, message: "")
}

/// The part of an exporter that talks to the destination. Queueing, batching, retry and time-outs are `Delivery`'s.
package protocol Exporter: AnyObject, Sendable {
    /// Opens what the exporter needs. Called once, before any `export`.
    /// - Throws: an error that names the thing and the value; the collector then does not start.
    func start() throws

    /// Delivers the request and calls `completion` exactly once, on any thread. Called on a delivery thread, up to
    /// `num_consumers` times at once; may block there.
    func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void)

    /// Ends what is in flight (as retryable) and releases everything. Called once, after the queue is drained or
    /// given up. A second call, or one without `start`, does nothing.
    func shutdown()
}
