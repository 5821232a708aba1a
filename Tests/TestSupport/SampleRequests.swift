package import OTLP

/// Export requests in protobuf's wire format: one resource with one scope.
package enum SampleRequests {
    /// A request with `items` spans, metrics of one point each, or log records.
    ///
    /// - Parameters:
    ///   - first: serial number of the first item, at least 1; it goes into ids, values and names.
    ///   - invalid: that many further items have a trace id of three bytes. Not for metrics.
    package static func bytes(
        _ signal: Signal, items: Int = 1, first: Int = 1, invalid: Int = 0, padding: Int = 0
    ) -> [UInt8] {
        var writer = WireWriter()
        for index in 0..<items + invalid {
            let start = writer.count
            switch signal {
            case .traces: span(first + index, isValid: index < items, padding, &writer)
            case .metrics: metric(first + index, &writer)
            case .logs: logRecord(first + index, isValid: index < items, padding, &writer)
            }
            writer.wrap(since: start, field: 2)
        }
        writer.wrap(since: 0, field: 2)
        writer.wrap(since: 0, field: 1)
        return Array(writer.bytes)
    }

    /// The same as a batch.
    package static func batch(
        _ signal: Signal, items: Int = 1, first: Int = 1, invalid: Int = 0, padding: Int = 0
    ) throws -> TelemetryBatch {
        let bytes = bytes(signal, items: items, first: first, invalid: invalid, padding: padding)
        return try TelemetryBatch(wire(bytes), signal: signal)
    }

    package static func wire(_ bytes: [UInt8]) -> WireBytes { bytes.withUnsafeBytes { WireBytes(copying: $0) } }

    private static func ids(_ serial: Int, isValid: Bool) -> (trace: [UInt8], span: [UInt8]) {
        let serial = withUnsafeBytes(of: UInt64(serial).bigEndian, Array.init)
        return (isValid ? [7, 7, 7, 7, 7, 7, 7, 7] + serial : [1, 2, 3], serial)
    }

    private static func span(_ serial: Int, isValid: Bool, _ padding: Int, _ writer: inout WireWriter) {
        let ids = ids(serial, isValid: isValid)
        ids.trace.withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        ids.span.withUnsafeBytes { writer.append(field: 2, bytes: $0) }
        text(5, "chat" + String(repeating: "x", count: padding), &writer)
    }

    private static func metric(_ serial: Int, _ writer: inout WireWriter) {
        text(1, "metric\(serial)", &writer)
        let gauge = writer.count
        writer.append(tag: 3, .fixed64)
        writer.append(fixed64: UInt64(serial))
        writer.append(tag: 6, .fixed64)
        writer.append(fixed64: UInt64(serial))
        writer.wrap(since: gauge, field: 1)
        writer.wrap(since: gauge, field: 5)
    }

    private static func logRecord(_ serial: Int, isValid: Bool, _ padding: Int, _ writer: inout WireWriter) {
        writer.append(tag: 1, .fixed64)
        writer.append(fixed64: UInt64(serial))
        let ids = ids(serial, isValid: isValid)
        ids.trace.withUnsafeBytes { writer.append(field: 9, bytes: $0) }
        ids.span.withUnsafeBytes { writer.append(field: 10, bytes: $0) }
        let body = writer.count
        text(1, "line" + String(repeating: "x", count: padding), &writer)
        writer.wrap(since: body, field: 5)
    }

    private static func text(_ field: UInt32, _ text: String, _ writer: inout WireWriter) {
        Array(text.utf8).withUnsafeBytes { writer.append(field: field, bytes: $0) }
    }
}
