package import OTLP
package import Storage

/// Batches as records of a log.
extension Signal {
    /// What bodies of records hold.
    package var recordKind: UInt8 {
        switch self {
        case .traces: 1
        case .metrics: 2
        case .logs: 3
        }
    }

    package init?(recordKind: UInt8) {
        guard let signal = Signal.allCases.first(where: { $0.recordKind == recordKind }) else { return nil }
        self = signal
    }
}

/// A batch as the body of a record: its bytes as they came, or, when it was changed, written once.
package final class BatchContent: LogContent, @unchecked Sendable {
    // Sendable: `written` is for the log's thread alone.
    private let batch: TelemetryBatch
    private var written: WireBytes?

    /// Holds the batch until the record is written.
    package init(_ batch: TelemetryBatch) { self.batch = batch }

    package var slices: [UnsafeRawBufferPointer] {
        if batch.isPristine { return [batch.bytes.buffer] }
        if let written { return [written.buffer] }
        var writer = WireWriter(capacity: batch.encodedSize(ofItems: 0..<batch.items.count) + 1024)
        batch.encode(into: &writer)
        let bytes = WireBytes(taking: &writer)
        written = bytes
        return [bytes.buffer]
    }
}

extension StoredRecord {
    /// The bytes that the owner had written before the body.
    package var context: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes.buffer[0..<contextLength]) }

    /// The batch that is the body. Takes the record's bytes; once.
    ///
    /// - Parameter budget: counts them for as long as the batch lives.
    /// - Throws: `OTLPDecodeError` when they are no such batch, whatever the limits of the receiver are.
    package func takeBatch(_ signal: Signal, _ budget: MemoryBudget) throws -> TelemetryBatch {
        let lease = budget.count(bytes.count)
        let whole = WireBytes(adopting: bytes.take(), count: bytes.count, accounting: lease)
        let body = contextLength > 0 ? WireBytes(whole, dropping: contextLength) : whole
        return try TelemetryBatch(body, signal: signal, limits: Self.limits)
    }

    /// Widest limits that a receiver can have: what is on the disk was accepted under some limits.
    private static let limits = DecodeLimits(maximumDepth: 200, maximumItems: Int(Int32.max))
}
