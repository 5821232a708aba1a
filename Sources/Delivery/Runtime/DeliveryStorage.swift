internal import OTLP
package import Pipeline
package import Storage

/// The disk of one queue: batches as records of a log, OTLP bytes as they came. Thread-safe.
package final class DeliveryStorage: Sendable {
    /// Opened and closed by the queue.
    package let log: AppendLog
    private let telemetry: StorageTelemetry
    private let budget: MemoryBudget

    /// - Parameters:
    ///   - log: not opened; the queue's alone.
    ///   - budget: counts what is read back.
    package init(_ log: AppendLog, telemetry: StorageTelemetry, budget: MemoryBudget) {
        self.log = log
        self.telemetry = telemetry
        self.budget = budget
    }

    /// - Parameter dropped: told of records that made room for newer ones.
    func open(dropped: @escaping @Sendable (LogDrop) -> Void) throws(StorageError) -> LogRecovery {
        telemetry.onDrop(dropped)
        log.setObserver(telemetry)
        let recovery = try log.open()
        telemetry.opened(recovery)
        return recovery
    }

    func close() {
        log.close()
        telemetry.onDrop { _ in }
    }

    func append(_ batch: BatchOnDisk, completion: @escaping AppendLog.Appended) {
        let record = LogRecord(
            kind: batch.batch.signal.recordKind, items: batch.batch.itemCount,
            context: PartitionText.encode(batch.partition), content: BatchContent(batch.batch))
        log.append(record, completion: completion)
    }

    func readFailed(_ error: StorageError) { telemetry.readFailed(error) }

    /// The batches of records. What is none is released, and named.
    func decode(
        _ read: LogRead, _ signal: Signal
    ) -> (batches: [BatchOnDisk], unreadable: (sequences: [UInt64], items: Int)) {
        var batches: [BatchOnDisk] = []
        var unreadable: (sequences: [UInt64], items: Int) = ([], 0)
        batches.reserveCapacity(read.records.count)
        for record in read.records {
            guard let batch = decode(record, signal) else {
                unreadable.sequences.append(record.sequence)
                unreadable.items += record.items
                log.release(record.sequence)
                continue
            }
            batches.append(batch)
        }
        return (batches, unreadable)
    }

    private func decode(_ record: StoredRecord, _ signal: Signal) -> BatchOnDisk? {
        guard record.kind == signal.recordKind, let partition = PartitionText.decode(record.context),
            let batch = try? record.takeBatch(signal, budget)
        else { return nil }
        return BatchOnDisk(sequence: record.sequence, batch, partition: partition)
    }

    /// What a sender is told. Paths stay in the log.
    static func refusal(for error: StorageError) -> ConsumeError {
        let retry = QueueSettings.storageRetryAfter
        return switch error.kind {
        case .full: ConsumeError(.queueFull, "the sending queue on the disk is full", retryAfter: retry)
        case .noSpace: ConsumeError(.queueFull, "the disk of the sending queue is full", retryAfter: retry)
        case .tooLarge: ConsumeError(.refused, "the request is too large for the queue on the disk")
        case .closed: ConsumeError(.shuttingDown, "the exporter is shutting down")
        default: ConsumeError(.unavailable, "the disk of the sending queue does not take data", retryAfter: retry)
        }
    }
}

/// A combination of metadata values as bytes: for each key a count u16 (65,535 when the key is absent), then the
/// values, each with its length u32; little-endian. Nothing for no keys.
enum PartitionText {
    /// What it begins with, unless it is empty.
    private static let mark: UInt16 = .max - 1

    static func encode(_ key: PartitionKey) -> [UInt8] {
        guard !key.isEmpty else { return [] }
        var bytes: [UInt8] = []
        append(mark, to: &bytes)
        for name in key.keys.sorted() {
            append(name, to: &bytes)
            let values = (key[name] ?? []).prefix(Int(UInt16.max))
            append(UInt16(clamping: values.count), to: &bytes)
            for value in values { append(value, to: &bytes) }
        }
        return bytes
    }

    /// Nil when the bytes are no such text. Of one without its mark nobody knows what the values belong to: nothing.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> PartitionKey? {
        var key: PartitionKey = [:]
        var offset = 0
        guard !bytes.isEmpty else { return key }
        guard let first: UInt16 = number(bytes, &offset) else { return nil }
        guard first == mark else { return key }
        while offset < bytes.count {
            guard let name = text(bytes, &offset), let count: UInt16 = number(bytes, &offset) else { return nil }
            var values: [String] = []
            for _ in 0..<count {
                guard let value = text(bytes, &offset) else { return nil }
                values.append(value)
            }
            key[name] = values
        }
        return key
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        append(UInt32(clamping: text.utf8.count), to: &bytes)
        bytes += Array(text.utf8)
    }

    private static func text(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> String? {
        guard let length: UInt32 = number(bytes, &offset), Int(length) <= bytes.count - offset else { return nil }
        defer { offset += Int(length) }
        return String(decoding: bytes[offset..<offset + Int(length)], as: UTF8.self)
    }

    private static func append<Value: FixedWidthInteger>(_ value: Value, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
    }

    private static func number<Value: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> Value?
    {
        guard bytes.count - offset >= MemoryLayout<Value>.size else { return nil }
        defer { offset += MemoryLayout<Value>.size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
