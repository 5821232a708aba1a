internal import Glibc

/// The spans, metrics or log records of one request: the bytes as they came, and where each item lies in them.
///
/// Nothing is decoded into objects. Components read items as wire slices (through the views) and change them by
/// appending encoded fields or by replacing an item's bytes; both go to an edit buffer beside the request, which is
/// itself never written. A batch that nobody changed leaves as the bytes it came as, unknown fields included.
///
/// A batch has one owner at a time. Processors may change it until a holder (a queue, a trace buffer) takes it; from
/// then on it is read-only and may be shared between threads. `fork()` gives an independent batch over the same bytes.
package final class TelemetryBatch: @unchecked Sendable {
    // Sendable: mutated only by its single owner before it is handed over, read-only afterwards (see above).

    package let signal: Signal
    /// The request: an `ExportTraceServiceRequest` or its metrics or logs counterpart.
    package let bytes: WireBytes
    /// Items that were refused for invalid ids and are not part of the batch.
    package let rejectedItems: Int
    /// Data points in the refused metrics.
    package let rejectedPoints: Int

    package private(set) var resources: [ResourceRecord]
    package private(set) var scopes: [ScopeRecord]
    package private(set) var items: [ItemRecord]
    /// Data points of each metric; empty for other signals.
    private var points: [UInt32]
    /// True while the request's own bytes are the batch.
    package private(set) var isPristine: Bool
    private var edits: WireWriter

    /// Takes a request's bytes and checks them whole.
    ///
    /// - Throws: `OTLPDecodeError` when the bytes are malformed or pass a limit.
    package init(
        _ bytes: WireBytes, signal: Signal, limits: DecodeLimits = .default
    ) throws(OTLPDecodeError) {
        let scanner = WireScanner(bytes: bytes.buffer, signal: signal, limits: limits)
        if let error = scanner.error { throw error }
        self.signal = signal
        self.bytes = bytes
        resources = scanner.resources
        scopes = scanner.scopes
        items = scanner.items
        points = scanner.points
        rejectedItems = scanner.rejectedItems
        rejectedPoints = scanner.rejectedPoints
        isPristine = scanner.rejectedItems == 0
        edits = WireWriter(limit: ItemRecord.maximumOffset - bytes.count)
    }

    private init(copying other: TelemetryBatch) {
        signal = other.signal
        bytes = other.bytes
        rejectedItems = 0
        rejectedPoints = 0
        resources = other.resources
        scopes = other.scopes
        items = other.items
        points = other.points
        isPristine = other.isPristine
        edits = WireWriter(capacity: other.edits.count, limit: other.edits.limit)
        edits.append(other.edits.bytes)
    }

    /// An independent batch with the same content. The request's bytes are shared, the edits copied.
    package func fork() -> TelemetryBatch { TelemetryBatch(copying: self) }

    /// What the self-metrics count: spans, log records, or data points.
    package var itemCount: Int { count(of: 0..<items.count) }

    /// The same for a run of items.
    package func count(of range: Range<Int>) -> Int {
        let range = range.clamped(to: 0..<items.count)
        guard signal == .metrics else { return range.count }
        return points[range].reduce(0) { $0 + Int($1) }
    }

    /// Refused spans, log records, or data points.
    package var rejectedCount: Int { signal == .metrics ? rejectedPoints : rejectedItems }

    package var isEmpty: Bool { items.isEmpty }

    /// Bytes that the batch holds: request, edits and records.
    package var heldBytes: Int {
        bytes.count + edits.count + items.count * MemoryLayout<ItemRecord>.stride
            + points.count * MemoryLayout<UInt32>.stride
            + scopes.count * MemoryLayout<ScopeRecord>.stride + resources.count * MemoryLayout<ResourceRecord>.stride
    }

    // MARK: Reading

    /// The bytes at a record's address; empty when the record is not of this batch.
    @inline(__always)
    private func slice(_ offset: UInt32, _ count: UInt32) -> UnsafeRawBufferPointer {
        let offset = Int(offset)
        let count = Int(count)
        if offset + count <= bytes.count {
            return UnsafeRawBufferPointer(start: bytes.base.map { UnsafeRawPointer($0) + offset }, count: count)
        }
        let start = offset - bytes.count
        guard start >= 0, start + count <= edits.count else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: edits.bytes[start..<start + count])
    }

    /// The item's message up to its tail. Valid until the next change of the batch.
    @inline(__always)
    package func payload(of item: ItemRecord) -> UnsafeRawBufferPointer { slice(item.offset, item.count) }

    /// Fields appended to the item; mostly empty. Valid until the next change of the batch.
    @inline(__always)
    package func tail(of item: ItemRecord) -> UnsafeRawBufferPointer {
        item.tailCount == 0 ? UnsafeRawBufferPointer(start: nil, count: 0) : slice(item.tailOffset, item.tailCount)
    }

    /// The `ScopeX` message as it came, items included. Valid as long as the batch.
    package func message(of scope: ScopeRecord) -> UnsafeRawBufferPointer { slice(scope.offset, scope.count) }

    /// The `ResourceX` message as it came, scopes included. Valid as long as the batch.
    package func message(of resource: ResourceRecord) -> UnsafeRawBufferPointer {
        slice(resource.offset, resource.count)
    }

    // MARK: Changing

    /// Appends encoded fields to an item, by protobuf concatenation. Ignored when `index` is out of range.
    ///
    /// - Returns: false when the batch cannot grow (2 GiB, or memory refused); the item is then unchanged.
    @discardableResult
    package func append(_ fields: UnsafeRawBufferPointer, toItem index: Int) -> Bool {
        guard items.indices.contains(index), fields.count > 0 else { return false }
        var item = items[index]
        let old = tail(of: item)
        let isLast = item.tailCount > 0 && Int(item.tailOffset) + Int(item.tailCount) == bytes.count + edits.count
        guard edits.reserve(fields.count + (isLast ? 0 : old.count)) else { return false }
        if !isLast {
            item.tailOffset = UInt32(bytes.count + edits.count)
            // `reserve` may have moved the storage that `old` pointed into.
            edits.append(tail(of: items[index]))
        }
        edits.append(fields)
        item.tailCount += UInt32(fields.count)
        items[index] = item
        isPristine = false
        return true
    }

    /// Replaces an item's message. Ignored when `index` is out of range.
    ///
    /// - Parameters:
    ///   - message: fields of the schema only; it is not scanned again.
    ///   - points: data points of the new message, when a metric has others than before.
    /// - Returns: false when the batch cannot grow; the item is then unchanged.
    @discardableResult
    package func replaceItem(_ index: Int, with message: UnsafeRawBufferPointer, points: Int? = nil) -> Bool {
        guard items.indices.contains(index), edits.reserve(message.count) else { return false }
        items[index] = ItemRecord(offset: UInt32(bytes.count + edits.count), count: UInt32(message.count))
        edits.append(message)
        if signal == .metrics, let points { self.points[index] = UInt32(clamping: points) }
        isPristine = false
        return true
    }

    /// Keeps the items for which `keep` is true, in order, and drops scopes and resources that lose all of theirs.
    package func filterItems(_ keep: (Int) -> Bool) {
        var kept = 0
        var keptScopes: [ScopeRecord] = []
        var keptResources: [ResourceRecord] = []
        let total = items.count
        for resource in resources {
            let firstScope = keptScopes.count
            for var scope in scopes[resource.scopes] {
                let range = scope.items
                scope.firstItem = UInt32(kept)
                for index in range where keep(index) {
                    items[kept] = items[index]
                    if signal == .metrics { points[kept] = points[index] }
                    kept += 1
                }
                scope.itemCount = UInt32(kept) - scope.firstItem
                if scope.itemCount > 0 { keptScopes.append(scope) }
            }
            guard keptScopes.count > firstScope else { continue }
            keptResources.append(
                ResourceRecord(
                    offset: resource.offset, count: resource.count, firstScope: UInt32(firstScope),
                    scopeCount: UInt32(keptScopes.count - firstScope)))
        }
        guard kept < total else { return }
        items.removeLast(total - kept)
        if signal == .metrics { points.removeLast(total - kept) }
        scopes = keptScopes
        resources = keptResources
        isPristine = false
    }
}
