import OTLP
import Pipeline
import Testing

@testable import Exporters

@Suite struct DebugMetricsTests {
    private func metric(_ name: String, _ field: UInt32, temporality: UInt64? = 2, _ points: [UInt8]...) -> [UInt8] {
        message {
            $0.put(1, name)
            $0.put(3, "1")
            $0.put(
                field,
                message { data in
                    for point in points { data.put(1, point) }
                    if let temporality { data.put(2, varint: temporality) }
                    if field == 7 { data.put(3, varint: 1) }
                })
        }
    }

    private var metrics: [[UInt8]] {
        let label = keyValue("k", "v")
        let exemplar = message {
            $0.put(2, fixed64: 5_000_000_000)
            $0.put(3, double: 15)
            $0.put(4, (1...8).map { $0 })
            $0.put(7, keyValue("f", "g"))
        }
        let sum = message {
            $0.put(7, label)
            $0.put(7, keyValue("l", "w"))
            $0.put(3, fixed64: 1_000_000_000)
            $0.put(6, fixed64: 42)
            $0.put(5, exemplar)
        }
        let gauge = message { $0.put(4, double: 0.5) }
        let histogram = message {
            $0.put(9, label)
            $0.put(4, fixed64: 3)
            $0.put(5, double: 20)
            $0.put(6, message { for count: UInt64 in [1, 2] { $0.append(fixed64: count) } })
            $0.put(7, message { $0.append(fixed64: (10.0).bitPattern) })
            $0.put(11, double: 1)
            $0.put(12, double: 12)
        }
        let exponential = message {
            $0.put(4, fixed64: 6)
            $0.put(6, varint: 0)
            $0.put(7, fixed64: 1)
            $0.put(8, message { $0.put(2, message { for count: UInt64 in [2, 0, 1] { $0.append(varint: count) } }) })
            $0.put(
                9,
                message {
                    $0.put(1, varint: 2)
                    $0.put(2, message { for count: UInt64 in [1, 1] { $0.append(varint: count) } })
                })
        }
        let summary = message {
            $0.put(4, fixed64: 2)
            $0.put(5, double: 7)
            $0.put(
                6,
                message {
                    $0.put(1, double: 0.5)
                    $0.put(2, double: 3)
                })
        }
        return [
            metric("sum", 7, sum), metric("gauge", 5, temporality: nil, gauge, gauge), metric("hist", 9, histogram),
            metric("exp", 10, temporality: 1, exponential), metric("summary", 11, temporality: nil, summary),
            message { $0.put(1, "none") },
        ]
    }

    private func text(detailed: Bool) throws -> String {
        var formatter = DebugFormatter()
        formatter.putContent(of: request(try batch([resource([:], items: metrics)], .metrics)), detailed: detailed)
        return String(decoding: formatter.text.bytes, as: UTF8.self)
    }

    @Test func normal() throws {
        #expect(
            try text(detailed: false) == """
                ResourceMetrics #0
                ScopeMetrics #0 lib@1.2
                sum{k=v,l=w} 42
                gauge{} 0.5
                gauge{} 0.5
                hist{k=v} count=3 sum=20.0 min=1.0 max=12.0 le10.0=1 2
                exp{} count=6
                summary{} count=2 sum=7.0 q0.5=3.0
                none

                """)
    }

    private static let head = """
        ResourceMetrics #0
        Resource SchemaURL: \("")
        ScopeMetrics #0
        ScopeMetrics SchemaURL: \("")
        InstrumentationScope lib 1.2

        """

    private static let noTimes = """
        StartTimestamp: 1970-01-01 00:00:00 +0000 UTC
        Timestamp: 1970-01-01 00:00:00 +0000 UTC

        """

    private static let sum = """
             -> DataType: Sum
             -> IsMonotonic: true
             -> AggregationTemporality: Cumulative
        NumberDataPoints #0
        Data point attributes:
             -> k: Str(v)
             -> l: Str(w)
        StartTimestamp: 1970-01-01 00:00:00 +0000 UTC
        Timestamp: 1970-01-01 00:00:01 +0000 UTC
        Value: 42
        Exemplars:
        Exemplar #0
             -> Trace ID: \("")
             -> Span ID: 0102030405060708
             -> Timestamp: 1970-01-01 00:00:05 +0000 UTC
             -> Value: 15.0
             -> FilteredAttributes:
                  -> f: Str(g)

        """

    private static let gauge = """
             -> DataType: Gauge
        NumberDataPoints #0
        \(noTimes)Value: 0.5
        NumberDataPoints #1
        \(noTimes)Value: 0.5

        """

    private static let histogram = """
             -> DataType: Histogram
             -> AggregationTemporality: Cumulative
        HistogramDataPoints #0
        Data point attributes:
             -> k: Str(v)
        \(noTimes)Count: 3
        Sum: 20.0
        Min: 1.0
        Max: 12.0
        ExplicitBounds #0: 10.0
        Buckets #0, Count: 1
        Buckets #1, Count: 2

        """

    private static let exponential = """
             -> DataType: ExponentialHistogram
             -> AggregationTemporality: Delta
        ExponentialHistogramDataPoints #0
        \(noTimes)Count: 6
        Bucket [-8.0, -4.0), Count: 1
        Bucket [-4.0, -2.0), Count: 1
        Bucket [0.0, 0.0], Count: 1
        Bucket (1.0, 2.0], Count: 2
        Bucket (4.0, 8.0], Count: 1

        """

    private static let summary = """
             -> DataType: Summary
        SummaryDataPoints #0
        \(noTimes)Count: 2
        Sum: 7.0
        QuantileValue #0: Quantile 0.5, Value 3.0

        """

    @Test func detailed() throws {
        var expected = Self.head
        let bodies = [
            Self.sum, Self.gauge, Self.histogram, Self.exponential, Self.summary, "     -> DataType: Empty\n",
        ]
        for (index, name) in ["sum", "gauge", "hist", "exp", "summary", "none"].enumerated() {
            expected += "Metric #\(index)\nDescriptor:\n     -> Name: \(name)\n     -> Description: \n"
            expected += "     -> Unit: \(name == "none" ? "" : "1")\n" + bodies[index]
        }
        let found = try text(detailed: true)
        let lines = zip(found.split(separator: "\n"), expected.split(separator: "\n"))
        if let (left, right) = lines.first(where: { $0 != $1 }) { #expect(left == right) }
        #expect(found == expected)
    }
}
