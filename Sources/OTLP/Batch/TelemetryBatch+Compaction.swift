extension TelemetryBatch {
    /// Bytes that are not worth a copy: 16 KiB.
    private static let minimumSaving = 16 << 10

    /// A batch of the same items over bytes of its own, when that frees at least half of what this one holds: after most
    /// of a request was dropped, the rest should not keep all of it in memory. The new batch is pristine.
    ///
    /// - Parameter accounting: gives what is to be kept with that many bytes (see `WireBytes`); nil refuses them.
    /// - Returns: nil when there is little to save, or memory is refused. This batch is never changed.
    package func compacted(accounting: (_ bytes: Int) -> (any AnyObject & Sendable)?) -> TelemetryBatch? {
        let kept = encodedSize(ofItems: 0..<items.count)
        guard !isPristine, bytes.count - kept * 2 >= Self.minimumSaving else { return nil }
        var writer = WireWriter(capacity: kept + kept / 8 + 512)
        encode(into: &writer)
        guard !writer.overflowed, writer.count * 2 <= bytes.count, let lease = accounting(writer.count) else {
            return nil
        }
        let compact = WireBytes(taking: &writer, accounting: lease)
        // These bytes have passed the scanner before, only maybe under limits that are wider than the default ones.
        return try? TelemetryBatch(compact, signal: signal)
    }
}
