import OTLP
import Prometheus
import Testing

@Suite struct TargetInfo {
    private let resource: [(String, Value)] = [
        ("service.name", .text("s")), ("service.instance.id", .text("i")), ("host.name", .text("h")),
        ("cloud", .map([("zone", .text("z"))])),
    ]
    private let text = "target_info{cloud=\"{\"zone\":\"z\"}\",host_name=\"h\",instance=\"i\",job=\"s\"}"

    private func gauge(_ milliseconds: UInt64...) -> Wire {
        Metric.gauge("m", milliseconds.map { Point.number(1, time: $0 * 1_000_000) })
    }

    @Test func holdsTheOtherAttributes() throws {
        let translation = Translation { $0.externalLabels = [("zone", "e")] }
        let scope = Wire().text(1, "lib")
        translation.run(try batch([Request([gauge(1000)], resource: resource, scope: scope)]))
        let info = try #require(translation.sink.series.last)
        #expect(info.text == text.dropLast() + ",zone=\"e\"}")
        #expect(info.value == 1 && info.role == .info && info.timestamp == 1000)
        #expect(info.family?.type == .gauge)
    }

    @Test func namespace() throws {
        let translation = Translation { $0.namespace = "n" }
        translation.run(try batch([gauge(1000)], resource: resource))
        #expect(translation.sink.series.last?.name == "n_target_info")
    }

    @Test func notWithoutIdentityOrAttributes() throws {
        let translation = Translation()
        translation.run(try batch([gauge(1)], resource: [("host.name", .text("h"))]))
        translation.run(try batch([gauge(2)], resource: Array(resource.prefix(2))))
        translation.run(try batch([gauge(3)], resource: Array(resource[1...2])))
        translation.run(try batch([Metric.sum("m", temporality: 1, [Point.number(1)])], resource: resource))
        #expect(
            translation.sink.series.filter { $0.role == .info }.map(\.text) == [
                "target_info{host_name=\"h\",instance=\"i\"}"
            ])
        let off = Translation { $0.addsTargetInfo = false }
        off.run(try batch([gauge(1)], resource: resource))
        #expect(off.sink.series.count == 1)
    }

    @Test func fromTheEarliestToTheLatestSample() throws {
        let translation = Translation()
        translation.run(try batch([gauge(1_000_000, 1_400_000, 1_200_000)], resource: resource))
        #expect(
            translation.sink.series.filter { $0.role == .info }.map(\.timestamp) == [
                1_000_000, 1_150_000, 1_300_000, 1_400_000,
            ])
    }

    @Test func neverTwiceNorLate() throws {
        let translation = Translation()
        let requests = [1000, 1000, 900, 2000, 1500].map { Request([gauge($0)], resource: resource) }
        translation.run(try batch(requests))
        translation.run(try batch([gauge(1999)], resource: resource))
        translation.run(try batch([gauge(2001)], resource: resource))
        #expect(translation.sink.series.filter { $0.role == .info }.map(\.timestamp) == [1000, 2000, 2001])
    }
}

@Suite struct Bounds {
    @Test func namesBeginAnew() throws {
        // More names than the tables keep: they are emptied before the next request, and what comes then is right.
        let translation = Translation()
        for round in 0..<3 {
            let metrics = (0..<3000).map { number in
                Metric.gauge("m\(round).\(number)", [Point.number(1, [("k\(round).\(number)", .text("v"))])])
            }
            let report = translation.run(try batch(metrics, resource: [("service.name", .text("s"))]))
            #expect(report.rejected == 0)
            let wanted = (0..<3000).map { "m\(round)_\($0){job=\"s\",k\(round)_\($0)=\"v\"}" }
            #expect(translation.texts.suffix(3000) == wanted[...])
        }
        #expect(translation.sink.nameChanges == 1)
    }

    @Test func tooManyNamesInOneRequest() throws {
        let translation = Translation()
        let points = (0..<70_000).map { Point.number(1, [("k\($0)", .text("v"))]) }
        let report = translation.run(try batch([Metric.gauge("m", points), Metric.gauge("n", [Point.number(1)])]))
        #expect(report.rejected(.tooManyNames) > 4000)
        #expect(report.rejected + translation.sink.series.count == 70_001)
        #expect(translation.texts.last == "n")
    }

    @Test func distinctValuesCostNothing() throws {
        let translation = Translation()
        for round in 0..<20 {
            let points = (0..<5000).map { Point.number(1, [("user", .text("\(round).\($0)"))]) }
            #expect(translation.run(try batch([Metric.gauge("m", points)])).rejected == 0)
        }
        #expect(translation.sink.nameChanges == 0 && translation.sink.series.count == 100_000)
    }

    /// Cut and damaged requests that the scanner still lets through must not harm.
    @Test func damagedRequests() throws {
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let exemplar = Point.exemplar(1, [("k", .text("v"))])
        let whole = Wire().messages(
            1,
            [
                Request(
                    [
                        Metric.sum("c", unit: "By/s", [Point.number(1, [("a", .int(1))], exemplars: [exemplar])]),
                        Metric.histogram(
                            "h", [Point.histogram(bounds: [1, 2], counts: [1, 2, 3], exemplars: [exemplar])]),
                        Metric.summary("s", [Wire().messages(6, [Wire().double(1, 0.5)])]),
                    ], resource: [("service.name", .text("s")), ("x", .array([.int(1)]))], scope: Wire().text(1, "l")
                ).wire
            ]
        ).bytes
        let translation = Translation()
        var accepted = 0
        for round in 0..<6000 {
            var bytes = whole
            if round < whole.count { bytes = Array(whole.prefix(round)) }
            for _ in 0..<random(4) where !bytes.isEmpty { bytes[random(bytes.count)] = UInt8(random(256)) }
            guard
                let read = try? TelemetryBatch(
                    bytes.withUnsafeBytes { WireBytes(copying: $0) }, signal: .metrics)
            else { continue }
            accepted += 1
            translation.run(read)
        }
        #expect(accepted > 300)
        for series in translation.sink.series {
            #expect(
                series.labels.map(\.name)
                    == series.labels.map(\.name).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
            #expect(series.labels.allSatisfy { !$0.value.isEmpty && !$0.name.isEmpty })
        }
    }
}
