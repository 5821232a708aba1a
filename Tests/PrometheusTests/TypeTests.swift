import OTLP
import Prometheus
import Testing

@Suite struct Numbers {
    @Test func gauge() throws {
        let translation = Translation()
        let report = translation.run(try batch([Metric.gauge("g", [Point.int(-7, [("a", .text("b"))])])]))
        let series = try #require(translation.sink.series.first)
        #expect(report.points == 1 && report.rejected == 0)
        #expect(series.value == -7 && series.timestamp == Int64(someTime) && series.start == 0)
        #expect(series.family?.type == .gauge && series.role == .value)
    }

    @Test func counterHasItsStart() throws {
        let translation = Translation()
        let start = (someTime - 5000) * 1_000_000 + 999_999
        translation.run(
            try batch([
                Metric.sum("c", [Point.number(1, start: start)]),
                Metric.sum("n", monotonic: false, [Point.number(1, start: start)]),
                Metric.sum("late", [Point.number(1, start: (someTime + 1) * 1_000_000)]),
            ]))
        #expect(translation.sink.series.map(\.start) == [Int64(someTime) - 5000, 0, 0])
        #expect(translation.sink.series.map(\.family?.type) == [.counter, .gauge, .counter])
    }

    @Test func notANumberHasOnePattern() throws {
        let translation = Translation()
        let stale = Double(bitPattern: 0x7FF0_0000_0000_0002)
        translation.run(
            try batch([
                Metric.gauge(
                    "g",
                    [
                        Point.number(.nan), Point.number(stale), Point.number(-.infinity),
                        Point.number(5, flags: 1), Point.number(5, flags: 2),
                    ])
            ]))
        #expect(
            translation.sink.series.map(\.value.bitPattern) == [
                0x7FF8_0000_0000_0001, 0x7FF8_0000_0000_0001, (-Double.infinity).bitPattern, 0x7FF0_0000_0000_0002,
                Double(5).bitPattern,
            ])
    }

    @Test func noTimeIsNow() throws {
        let translation = Translation()
        translation.run(try batch([Metric.gauge("g", [Point.number(1, time: 0)])]), now: 1234)
        #expect(translation.sink.series.map(\.timestamp) == [1234])
    }

    @Test func noValue() throws {
        let translation = Translation()
        let report = translation.run(
            try batch([
                Metric.gauge(
                    "g", [Wire().fixed(3, 1_000_000), Wire().fixed(3, 1_000_000).varint(8, 1), Point.number(2)])
            ]))
        #expect(report.rejected(.noValue) == 1)
        #expect(translation.sink.series.count == 2)
    }

    @Test func temporality() throws {
        let translation = Translation()
        let bucket = Point.histogram(bounds: [], counts: [])
        let report = translation.run(
            try batch([
                Metric.sum("a", temporality: 1, [Point.number(1), Point.number(2)]),
                Metric.sum("b", temporality: 0, [Point.number(1)]),
                Metric.histogram("c", temporality: 1, [bucket]), Metric.exponential("d", temporality: 7, [Wire()]),
                Metric.gauge("ok", [Point.number(1)]), Metric.gauge("empty", []), Wire().text(1, "nothing"),
            ]))
        #expect(report.rejected(.deltaTemporality) == 3)
        #expect(report.rejected(.unspecifiedTemporality) == 2)
        #expect(report.emptyMetrics == 2 && report.points == 6 && report.mainReason == .deltaTemporality)
        #expect(translation.texts == ["ok"])
    }

    @Test func oneNameOneType() throws {
        let translation = Translation()
        let metrics = [
            Metric.gauge("x.y", [Point.number(1)]), Metric.sum("x_y", monotonic: false, [Point.number(2)]),
            Metric.histogram("x_y", [Point.histogram(bounds: [1], counts: [1, 1])]),
        ]
        let report = translation.run(try batch(metrics))
        #expect(report.rejected(.typeConflict) == 1)
        #expect(translation.sink.series.map(\.value) == [1, 2])
        // Another resource may differ.
        let other = translation.run(try batch([Request([metrics[2]]), Request([metrics[0]])]))
        #expect(other.rejected == 0)
    }

    @Test func fieldsInAnyOrderAndAppended() throws {
        let point = attributes(7, [("a", .text("1"))]).double(4, 3).fixed(3, 2_000_000)
        let sum = Wire().varint(3, 1).message(1, point).varint(2, 2).text(9, "unknown")
        let metrics = try batch([Wire().message(7, sum).text(1, "n")])
        Wire().text(3, "s").bytes.withUnsafeBytes { #expect(metrics.append($0, toItem: 0)) }
        let translation = Translation()
        translation.run(metrics)
        #expect(translation.texts == ["n_seconds_total{a=\"1\"}"])
        #expect(translation.sink.series.first?.timestamp == 2)
    }
}

@Suite struct Distributions {
    @Test func classicHistogram() throws {
        let translation = Translation()
        translation.run(
            try batch([
                Metric.histogram(
                    "h", unit: "s",
                    [Point.histogram(bounds: [0.005, 1, 1e7], counts: [1, 2, 0, 4], sum: 9.5, [("a", .text("b"))])])
            ]))
        #expect(
            translation.texts == [
                "h_seconds_sum{a=\"b\"}", "h_seconds_count{a=\"b\"}", "h_seconds_bucket{a=\"b\",le=\"0.005\"}",
                "h_seconds_bucket{a=\"b\",le=\"1\"}", "h_seconds_bucket{a=\"b\",le=\"10000000\"}",
                "h_seconds_bucket{a=\"b\",le=\"+Inf\"}",
            ])
        #expect(translation.sink.series.map(\.value) == [9.5, 7, 1, 3, 3, 7])
        #expect(translation.sink.series.allSatisfy { $0.family?.type == .histogram })
    }

    @Test func attributeCalledBound() throws {
        let translation = Translation()
        translation.run(
            try batch([Metric.histogram("h", [Point.histogram(bounds: [], counts: [], [("le", .text("x"))])])]))
        #expect(translation.texts == ["h_sum{le=\"x\"}", "h_count{le=\"x\"}", "h_bucket{le=\"+Inf\"}"])
    }

    @Test func withoutSumOrBounds() throws {
        let translation = Translation()
        translation.run(
            try batch([Metric.histogram("h", [Point.histogram(bounds: [], counts: [], count: 3, sum: nil)])]))
        #expect(translation.texts == ["h_count", "h_bucket{le=\"+Inf\"}"])
        #expect(translation.sink.series.map(\.value) == [3, 3])
    }

    @Test func infiniteBoundIsTheLast() throws {
        let translation = Translation()
        translation.run(
            try batch([Metric.histogram("h", [Point.histogram(bounds: [1, .infinity], counts: [1, 1, 0])])]))
        #expect(translation.sink.series.compactMap { $0["le"] } == ["1", "+Inf"])
    }

    @Test func badBuckets() throws {
        let translation = Translation()
        let report = translation.run(
            try batch([
                Metric.histogram(
                    "h",
                    [
                        Point.histogram(bounds: [2, 1], counts: [1, 1, 1]),
                        Point.histogram(bounds: [1, 1], counts: [1, 1, 1]),
                        Point.histogram(bounds: [.nan, 1], counts: [1, 1, 1]),
                        Point.histogram(bounds: [1, .nan], counts: [1, 1, 1]),
                        Point.histogram(bounds: [1], counts: [1]), Point.histogram(bounds: [1], counts: []),
                        Point.histogram(bounds: [1], counts: [1, 1]),
                    ])
            ]))
        #expect(report.rejected(.unsortedBounds) == 4)
        #expect(report.rejected(.malformedHistogram) == 2)
        #expect(translation.sink.series.count == 4)
    }

    @Test func staleHistogram() throws {
        let translation = Translation()
        translation.run(
            try batch([Metric.histogram("h", [Point.histogram(bounds: [1], counts: [0, 0], sum: nil, flags: 1)])]))
        #expect(translation.sink.series.count == 4)
        #expect(translation.sink.series.allSatisfy { StaleMarker.isStale($0.value) })
    }

    @Test func exemplarsFallIntoTheirBuckets() throws {
        let exemplars = [Point.exemplar(7), Point.exemplar(0.5), Point.exemplar(1), Point.exemplar(100)]
        let translation = Translation()
        translation.run(
            try batch([
                Metric.histogram(
                    "h", [Point.histogram(bounds: [1, 5, 10], counts: [2, 0, 1, 1], exemplars: exemplars)])
            ]))
        let found = translation.sink.series.map { $0.exemplars.map(\.value) }
        #expect(found == [[], [], [0.5, 1], [], [7], [100]])
        let hex = String(repeating: "1f", count: 16)
        #expect(
            translation.sink.series[2].exemplars[0].labels == [["trace_id", hex], ["span_id", "abababababababab"]])
        #expect(translation.sink.series[2].exemplars[0].timestamp == Int64(someTime))
    }

    @Test func summary() throws {
        let quantiles = [(0.5, 3.0), (0.99, Double.nan), (1, 9)].map { Wire().double(1, $0.0).double(2, $0.1) }
        let point = Wire().fixed(3, 5_000_000).fixed(4, 10).double(5, 30).messages(6, quantiles)
            .adding(attributes(7, [("quantile", .text("lost")), ("a", .text("b"))]))
        let translation = Translation()
        translation.run(try batch([Metric.summary("s", [point])]))
        #expect(
            translation.texts == [
                "s_sum{a=\"b\",quantile=\"lost\"}", "s_count{a=\"b\",quantile=\"lost\"}", "s{a=\"b\",quantile=\"0.5\"}",
                "s{a=\"b\",quantile=\"0.99\"}", "s{a=\"b\",quantile=\"1\"}",
            ])
        #expect(
            translation.sink.series.map(\.value.bitPattern) == [
                Double(30).bitPattern, Double(10).bitPattern, Double(3).bitPattern, 0x7FF8_0000_0000_0001,
                Double(9).bitPattern,
            ])
    }
}

@Suite struct Exemplars {
    @Test func counterKeepsTheLatest() throws {
        let exemplars = [Point.exemplar(1, time: 10), Point.exemplar(2, time: 30), Point.exemplar(3, time: 20)]
        let translation = Translation()
        translation.run(
            try batch([
                Metric.sum("c", [Point.number(1, exemplars: exemplars)]),
                Metric.gauge("g", [Point.number(1, exemplars: exemplars)]),
            ]))
        #expect(translation.sink.series.map { $0.exemplars.map(\.value) } == [[2], []])
    }

    @Test func filteredAttributesUpTo128Characters() throws {
        func labels(_ value: String) throws -> [[String]] {
            let exemplar = Point.exemplar(1, [("user.id", .text(value)), ("n", .int(5))])
            let translation = Translation()
            translation.run(try batch([Metric.sum("c", [Point.number(1, exemplars: [exemplar])])]))
            return try #require(translation.sink.series.first?.exemplars.first).labels
        }
        // trace_id and span_id take 63 characters; "user.id", "n" and "5" take 9.
        let fits = String(repeating: "ü", count: 128 - 63 - 9)
        #expect(try labels(fits).dropFirst(2) == [["user.id", fits], ["n", "5"]])
        #expect(try labels(fits + "x").count == 2)
    }

    @Test func withoutIDsOrTime() throws {
        let exemplar = Point.exemplar(1, time: 0, [("k", .text("v"))], ids: false)
        let translation = Translation()
        translation.run(try batch([Metric.sum("c", [Point.number(1, exemplars: [exemplar, Wire().fixed(2, 5)])])]))
        let found = try #require(translation.sink.series.first?.exemplars)
        #expect(found == [.init(labels: [["k", "v"]], value: 1, timestamp: Int64(someTime))])
    }
}
