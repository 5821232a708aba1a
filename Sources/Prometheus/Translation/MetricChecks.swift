package import OTLP

/// Finds the data points that can have no Prometheus series, by looking at them alone, so that whoever sends them can be
/// told at once. A few nanoseconds a point; holds nothing; any thread. What only the exporter's state can tell, such as
/// two types under one name, is not found here.
package enum MetricChecks {
    /// Points without a series, and why: the reason of the first.
    ///
    /// - Parameter takesDeltas: delta metrics are added up before they come to the exporter.
    package static func rejections(in batch: TelemetryBatch, takesDeltas: Bool) -> (points: Int, reason: String)? {
        guard batch.signal == .metrics else { return nil }
        var found: (points: Int, reason: RejectReason)?
        for (index, item) in batch.items.enumerated() {
            var metric = MetricCheck(takesDeltas: takesDeltas)
            metric.read(batch.payload(of: item))
            metric.read(batch.tail(of: item))
            let result = metric.result(points: batch.count(of: index..<index + 1))
            guard let (points, reason) = result else { continue }
            found = ((found?.points ?? 0) + points, found?.reason ?? reason)
        }
        return found.map { ($0.points, $0.reason.text) }
    }
}

/// What the walk over one Metric message found.
private struct MetricCheck {
    let takesDeltas: Bool
    private var hasName = false
    /// Of the whole metric.
    private var fault: RejectReason?
    /// Points with a fault of their own, and the first such fault.
    private var faulty: (points: Int, reason: RejectReason)?

    init(takesDeltas: Bool) { self.takesDeltas = takesDeltas }

    func result(points: Int) -> (points: Int, reason: RejectReason)? {
        if !hasName { return (points, .invalidMetricName) }
        if let fault { return points > 0 ? (points, fault) : nil }
        return faulty
    }

    mutating func read(_ message: UnsafeRawBufferPointer) {
        var fields = WireFields(message)
        while let field = fields.next() {
            switch field.number {
            case 1: hasName = !field.payload.isEmpty
            case 7, 9, 10: readData(field.payload, kind: field.number)
            default: break
            }
        }
    }

    /// A Sum (7), Histogram (9) or ExponentialHistogram (10): its temporality, and what its points have wrong.
    private mutating func readData(_ data: UnsafeRawBufferPointer, kind: UInt32) {
        var temporality: UInt64 = 0
        var fields = WireFields(data)
        while let field = fields.next() {
            if field.number == 2 {
                temporality = field.bits
            } else if field.number == 1, kind != 7, let reason = Self.fault(ofPoint: field.payload, kind: kind) {
                faulty = ((faulty?.points ?? 0) + 1, faulty?.reason ?? reason)
            }
        }
        switch temporality {
        case 2: break
        case 1: if !takesDeltas { fault = .deltaTemporality }
        default: fault = .unspecifiedTemporality
        }
    }

    private static func fault(ofPoint point: UnsafeRawBufferPointer, kind: UInt32) -> RejectReason? {
        var bounds = 0
        var counts = 0
        var isSorted = true
        var last = -Double.infinity
        var isStale = false
        func bound(_ bits: UInt64) {
            let value = Double(bitPattern: bits)
            if bounds > 0, !(value > last) { isSorted = false }
            last = value
            bounds += 1
        }
        var fields = WireFields(point)
        while let field = fields.next() {
            if kind == 10 {
                if field.number == 6, zigzag(field.bits) < -4 { return .scaleTooLow }
                continue
            }
            switch (field.number, field.type) {
            case (6, .lengthDelimited): counts += field.payload.count / 8
            case (6, _): counts += 1
            case (7, .lengthDelimited):
                for offset in stride(from: 0, to: field.payload.count & ~7, by: 8) {
                    bound(field.payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
                }
            case (7, _): bound(field.bits)
            case (10, _): isStale = field.bits & 1 != 0
            default: break
            }
        }
        if !isSorted { return .unsortedBounds }
        let fits = counts == bounds + 1 || (counts == 0 && bounds == 0)
        return fits || isStale ? nil : .malformedHistogram
    }
}
