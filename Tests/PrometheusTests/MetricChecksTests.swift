import OTLP
import Testing

@testable import Prometheus

/// What senders are told at once is what translation leaves out.
@Suite struct MetricChecksTests {
    /// A metric with the data in `field`, whose content is `data`.
    private func metric(_ name: String, _ field: UInt32, _ data: [UInt8]) -> [UInt8] {
        var writer = WireWriter()
        Array(name.utf8).withUnsafeBytes { writer.append(field: 1, bytes: $0) }
        data.withUnsafeBytes { writer.append(field: field, bytes: $0) }
        return Array(writer.bytes)
    }

    private func batch(_ metrics: [[UInt8]]) throws -> TelemetryBatch {
        var scope = WireWriter()
        for metric in metrics { metric.withUnsafeBytes { scope.append(field: 2, bytes: $0) } }
        var resource = WireWriter()
        resource.append(field: 2, bytes: scope.bytes)
        var request = WireWriter()
        request.append(field: 1, bytes: resource.bytes)
        return try TelemetryBatch(WireBytes(copying: request.bytes), signal: .metrics)
    }

    private func rejections(_ metrics: [[UInt8]], takesDeltas: Bool = true) throws -> [String] {
        let found = MetricChecks.rejections(in: try batch(metrics), takesDeltas: takesDeltas)
        return found.map { ["\($0.points)", $0.reason] } ?? []
    }

    // Data messages: point (field 1) with a time, temporality (field 2).
    private let point: [UInt8] = [0x0A, 0x09, 0x19, 1, 0, 0, 0, 0, 0, 0, 0]
    private let cumulative: [UInt8] = [0x10, 2]
    private let delta: [UInt8] = [0x10, 1]

    @Test func goodMetricsPass() throws {
        #expect(try rejections([metric("a", 5, point), metric("b", 7, point + cumulative)]) == [])
        #expect(try rejections([metric("b", 7, point + delta)]) == [])
        #expect(try rejections([metric("h", 9, point + cumulative), metric("s", 11, point)]) == [])
    }

    @Test func temporality() throws {
        #expect(try rejections([metric("a", 7, point + point)]) == ["2", RejectReason.unspecifiedTemporality.text])
        #expect(
            try rejections([metric("a", 7, delta + point)], takesDeltas: false)
                == ["1", RejectReason.deltaTemporality.text])
    }

    @Test func names() throws {
        #expect(try rejections([metric("", 5, point)]) == ["1", RejectReason.invalidMetricName.text])
        // Suffixes may tell them apart: only translation knows.
        #expect(try rejections([metric("a", 5, point), metric("a", 7, point + cumulative)]) == [])
    }

    @Test func buckets() throws {
        func histogram(counts: Int, bounds: [Double]) -> [UInt8] {
            var point = WireWriter()
            let zeros = [UInt8](repeating: 0, count: counts * 8)
            zeros.withUnsafeBytes { point.append(field: 6, bytes: $0) }
            bounds.withUnsafeBytes { point.append(field: 7, bytes: $0) }
            var data = WireWriter()
            data.append(field: 1, bytes: point.bytes)
            return metric("h", 9, Array(data.bytes) + cumulative)
        }
        #expect(try rejections([histogram(counts: 3, bounds: [1, 2])]) == [])
        #expect(try rejections([histogram(counts: 0, bounds: [])]) == [])
        #expect(try rejections([histogram(counts: 3, bounds: [2, 1])]) == ["1", RejectReason.unsortedBounds.text])
        #expect(try rejections([histogram(counts: 3, bounds: [1, .nan])]) == ["1", RejectReason.unsortedBounds.text])
        #expect(try rejections([histogram(counts: 2, bounds: [1, 2])]) == ["1", RejectReason.malformedHistogram.text])
        // A scale of -5 in zigzag.
        #expect(
            try rejections([metric("e", 10, [0x0A, 2, 0x30, 9] + cumulative)]) == ["1", RejectReason.scaleTooLow.text])
    }
}
