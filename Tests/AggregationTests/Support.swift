import OTLP
import TestSupport
import Testing

@testable import Aggregation

/// Attributes as fields of number 1: of resources, and of series.
func attributes(_ pairs: [(String, String)]) -> [UInt8] {
    var writer = WireWriter()
    for (key, value) in pairs {
        Array(key.utf8).withUnsafeBytes { key in
            Array(value.utf8).withUnsafeBytes { writer.append(field: 1, key: key, .text($0)) }
        }
    }
    return Array(writer.bytes)
}

extension MetricAggregator {
    /// One collection, read back through the scanner.
    func points(at now: UInt64, isFinal: Bool = false) throws -> [MetricPoint] {
        var requests: [WireBytes] = []
        collect(at: now, isFinal: isFinal) { requests.append($0.bytes) }
        return try requests.flatMap { bytes in
            MetricPoint.all(in: try TelemetryBatch(bytes, signal: .metrics))
        }
    }

    /// Measures in the series with the attributes `pairs` of the resource.
    func measure(
        _ resource: [UInt8], _ pairs: [(String, String)], family: Int = 0, now: UInt64 = 1,
        _ body: (Series, MetricRecorder) -> Void
    ) {
        withRecorder(now: now) { recorder in
            let resource = resource.withUnsafeBytes { recorder.resource($0) }
            let encoded = attributes(pairs)
            encoded.withUnsafeBytes { key in
                let series =
                    recorder.series(family, resource, tag: 7, key: key)
                    ?? recorder.addSeries(family, resource, tag: 7, key: key, attributes: key)
                if let series { body(series, recorder) }
            }
        }
    }
}

func settings(_ families: [[MetricInstrument]]) -> AggregationSettings {
    AggregationSettings(scopeName: "test", families: families)
}

extension [MetricPoint] {
    /// Of all integer points.
    var total: Int64 { reduce(0) { (sum: Int64, point: MetricPoint) -> Int64 in sum + (point.int ?? 0) } }
}
