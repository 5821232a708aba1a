import OTLP
import Temporality
import TestSupport
import Testing

@testable import Exporters

@Suite struct PrometheusScrapeTests {
    private static let openMetrics = "application/openmetrics-text;version=1.0.0"
    private static let buckets =
        "\"count\":\"6\",\"sum\":1.5,\"bucketCounts\":[\"1\",\"2\",\"3\"],\"explicitBounds\":[0.5,10]"

    @Test func theTextFormat() throws {
        let run = try ScrapeRun()
        try run.take(
            gauge("temp", point("\"asDouble\":21.5", [("room", "a\\\"b\\\\c\\nd")])),
            counter("requests", point("\"asInt\":\"3\"", start: 1000)),
            histogram("latency", point(Self.buckets, [("route", "/")])),
            """
            {"name":"q","summary":{"dataPoints":[\(point("\"count\":\"2\",\"sum\":3,\"quantileValues\":[{\"quantile\":0.5,\"value\":1}]"))]}}
            """)
        #expect(
            run.lines() == [
                "# HELP latency_seconds ",
                "# TYPE latency_seconds histogram",
                "latency_seconds_bucket{route=\"/\",le=\"0.5\"} 1",
                "latency_seconds_bucket{route=\"/\",le=\"10\"} 3",
                "latency_seconds_bucket{route=\"/\",le=\"+Inf\"} 6",
                "latency_seconds_sum{route=\"/\"} 1.5",
                "latency_seconds_count{route=\"/\"} 6",
                "# HELP q ",
                "# TYPE q summary",
                "q{quantile=\"0.5\"} 1",
                "q_sum 3",
                "q_count 2",
                "# HELP requests_total ",
                "# TYPE requests_total counter",
                "requests_total 3",
                "# HELP temp A \"gauge\"\\nof \\\\",
                "# TYPE temp gauge",
                "temp{room=\"a\\\"b\\\\c\\nd\"} 21.5",
            ])
        #expect(run.scrape.seriesCount == 10)
    }

    @Test func openMetrics() throws {
        let run = try ScrapeRun("enable_open_metrics: true, without_scope_info: true, send_timestamps: true")
        let exemplar = """
            ,"exemplars":[{"timeUnixNano":"1500000000","asDouble":4,"traceId":"5b8efff798038103d269b633813fc60c",\
            "spanId":"eee19b7ec3c1b174"}]
            """
        try run.take(
            counter("data", point("\"asInt\":\"3\"" + exemplar, start: 1234), unit: "By"),
            histogram("latency", point(Self.buckets + exemplar, start: 1000)),
            gauge("g", point("\"asDouble\":\"NaN\"")))
        let trace = "# {trace_id=\"5b8efff798038103d269b633813fc60c\",span_id=\"eee19b7ec3c1b174\"} 4 1.500"
        #expect(
            run.lines(Self.openMetrics) == [
                "# HELP data_bytes ",
                "# TYPE data_bytes counter",
                "# UNIT data_bytes bytes",
                "data_bytes_total 3 2 \(trace)",
                "data_bytes_created 1.234",
                "# HELP g A \\\"gauge\\\"\\nof \\\\",
                "# TYPE g gauge",
                "g NaN 2",
                "# HELP latency_seconds ",
                "# TYPE latency_seconds histogram",
                "# UNIT latency_seconds seconds",
                "latency_seconds_bucket{le=\"0.5\"} 1 2",
                "latency_seconds_bucket{le=\"10.0\"} 3 2 \(trace)",
                "latency_seconds_bucket{le=\"+Inf\"} 6 2",
                "latency_seconds_sum 1.5 2",
                "latency_seconds_count 6 2",
                "latency_seconds_created 1",
                "# EOF",
            ])
        // The text format has milliseconds, and no exemplars.
        #expect(run.samples().contains("data_bytes_total 3 2000"))
    }

    @Test func counterNamesWithoutSuffixGetItInOpenMetrics() throws {
        let run = try ScrapeRun("enable_open_metrics: true, add_metric_suffixes: false, without_scope_info: true")
        try run.take(counter("data", point("\"asInt\":\"3\"")))
        #expect(run.lines().suffix(2) == ["# TYPE data counter", "data 3"])
        #expect(run.lines(Self.openMetrics).suffix(3) == ["# TYPE data counter", "data_total 3", "# EOF"])
    }

    @Test func resourcesAreTargets() throws {
        let run = try ScrapeRun("enable_open_metrics: true, without_scope_info: true, namespace: ns")
        try run.take(gauge("g", point("\"asInt\":\"3\"")), service: "shop")
        #expect(run.samples() == ["ns_g{job=\"shop\"} 3"])
        let labelled = try ScrapeRun(
            "without_scope_info: true, resource_to_telemetry_conversion: {enabled: true}, const_labels: {a.b: x}")
        try labelled.take(gauge("g", point("\"asInt\":\"3\"")), service: "shop")
        #expect(labelled.samples() == ["g{a_b=\"x\",job=\"shop\",service_name=\"shop\"} 3"])
    }

    // MARK: What is kept

    @Test func theLatestPointStays() throws {
        let run = try ScrapeRun()
        try run.take(gauge("g", point("\"asInt\":\"1\"", time: 2000)))
        try run.take(gauge("g", point("\"asInt\":\"2\"", time: 3000)))
        try run.take(gauge("g", point("\"asInt\":\"3\"", time: 1000)))
        #expect(run.samples() == ["g 2"])
        try run.take(gauge("g", point("\"asInt\":\"4\"", time: 3000)))
        #expect(run.samples() == ["g 4"])
    }

    @Test func boundsMayChange() throws {
        let run = try ScrapeRun()
        try run.take(histogram("h", point(Self.buckets)))
        #expect(run.scrape.seriesCount == 5)
        try run.take(
            histogram("h", point("\"count\":\"3\",\"bucketCounts\":[\"1\",\"2\"],\"explicitBounds\":[7]", time: 3000)))
        #expect(
            run.samples() == ["h_seconds_bucket{le=\"7\"} 1", "h_seconds_bucket{le=\"+Inf\"} 3", "h_seconds_count 3"])
        #expect(run.scrape.seriesCount == 3)
    }

    @Test func seriesEnd() throws {
        let run = try ScrapeRun("metric_expiration: 10s, without_scope_info: true")
        try run.take(gauge("g", point("\"asInt\":\"1\"")), histogram("h", point(Self.buckets)))
        clockForward(run, 6)
        try run.take(gauge("g", point("\"asInt\":\"2\"", time: 3000)))
        clockForward(run, 6)
        #expect(run.samples() == ["g 2"])
        #expect(run.scrape.seriesCount == 1)
        // No recorded value.
        try run.take(gauge("g", point("\"flags\":1", time: 4000)))
        #expect(run.lines() == [])
        try run.take(histogram("h", point(Self.buckets, time: 5000)))
        try run.take(histogram("h", point("\"flags\":1", time: 6000)))
        #expect(run.lines() == [])
        try run.take(gauge("g", point("\"asInt\":\"2\"", time: 9000)))
        #expect(run.samples() == ["g 2"])
    }

    private func clockForward(_ run: ScrapeRun, _ seconds: Int) { run.clock.advance(by: .seconds(seconds)) }

    @Test func aNameHasOneType() throws {
        let run = try ScrapeRun("metric_expiration: 10s, without_scope_info: true")
        try run.take(gauge("a_total", point("\"asInt\":\"1\"")))
        try run.take(counter("a", point("\"asInt\":\"5\"", [("k", "v")]), point("\"asInt\":\"5\"")))
        #expect(run.rejections == [2, 0])
        #expect(run.samples() == ["a_total 1"])
        clockForward(run, 20)
        #expect(run.samples() == [])
        try run.take(counter("a", point("\"asInt\":\"5\"")))
        #expect(run.lines().suffix(2) == ["# TYPE a_total counter", "a_total 5"])
    }

    @Test func seriesAreBounded() throws {
        let run = try ScrapeRun("max_series: 6, metric_expiration: 10s, without_scope_info: true")
        try run.take(histogram("h", point(Self.buckets)), gauge("g", point("\"asInt\":\"1\"")))
        try run.take(gauge("g", point("\"asInt\":\"1\"", [("k", "v")])), gauge("g", point("\"asInt\":\"2\"")))
        #expect(run.rejections == [0, 1])
        #expect(run.samples().last == "g 2" || run.samples().first == "g 2")
        #expect(run.scrape.seriesCount == 6)
        // Room is made by what has expired.
        clockForward(run, 20)
        try run.take(gauge("g", point("\"asInt\":\"1\"", [("k", "v")])))
        #expect(run.rejections == [0, 0])
        #expect(run.samples() == ["g{k=\"v\"} 1"])
        // Buckets that find no room are left out.
        let small = try ScrapeRun("max_series: 2, without_scope_info: true")
        try small.take(histogram("h", point(Self.buckets)))
        #expect(
            small.samples() == ["h_seconds_bucket{le=\"+Inf\"} 6", "h_seconds_sum 1.5", "h_seconds_count 6"])
    }

    @Test func exponentialHistogramsShowTheirTotals() throws {
        let run = try ScrapeRun()
        let value = "\"count\":\"4\",\"sum\":9.5,\"scale\":0,\"positive\":{\"offset\":1,\"bucketCounts\":[\"4\"]}"
        try run.take(histogram("h", point(value), kind: "exponentialHistogram"))
        #expect(
            run.samples() == ["h_seconds_bucket{le=\"+Inf\"} 4", "h_seconds_sum 9.5", "h_seconds_count 4"])
    }

    @Test func manyFamiliesComeAndGo() throws {
        let run = try ScrapeRun("metric_expiration: 1s, without_scope_info: true")
        for round in 0..<50 {
            for index in 0..<20 { try run.take(gauge("g\(round)x\(index)", point("\"asInt\":\"\(index)\""))) }
            #expect(run.samples().count == 20)
            clockForward(run, 3)
            #expect(run.samples().isEmpty)
        }
    }

    /// Every value of some random points is shown, whatever was taken before.
    @Test(arguments: 1...5)
    func theStoreShowsWhatAModelHolds(_ seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let run = try ScrapeRun("metric_expiration: 10s, without_scope_info: true")
        var model: [String: (value: Int, seen: Int)] = [:]
        var now = 0
        for step in 0..<400 {
            let pause = generator.below(10) == 0 ? 8 : generator.below(2)
            now += pause
            run.clock.advance(by: .seconds(pause))
            let name = "m\(generator.below(6))"
            let label = "l\(generator.below(8))"
            let isEnd = generator.below(8) == 0
            let value = generator.below(1000)
            try run.take(
                gauge(name, point(isEnd ? "\"flags\":1" : "\"asInt\":\"\(value)\"", [("l", label)], time: step)))
            let series = "\(name){l=\"\(label)\"}"
            model[series] = isEnd ? nil : (value, now)
            if generator.below(10) == 0 {
                model = model.filter { now - $0.value.seen <= 10 }
                #expect(run.samples().sorted() == model.map { "\($0.key) \($0.value.value)" }.sorted())
            }
        }
    }

    @Test func namesThatNeedQuotes() throws {
        let run = try ScrapeRun(
            "translation_strategy: NoTranslation, enable_open_metrics: true, without_scope_info: true")
        try run.take(
            gauge("http.size", point("\"asInt\":\"1\"", [("a.b", "x\\\"y,z=\\\"w"), ("a_b", "2"), ("ü\\\"", "3")])))
        func line(_ escaping: String) -> String? { run.samples("text/plain;version=1.0.0;escaping=\(escaping)").first }
        #expect(line("allow-utf-8") == #"{"http.size","a.b"="x\"y,z=\"w",a_b="2","ü\""="3"} 1"#)
        #expect(line("underscores") == #"http_size{a_b="x\"y,z=\"w",__="3"} 1"#)
        #expect(line("dots") == #"http_dot_size{a_dot_b="x\"y,z=\"w",a__b="2",____="3"} 1"#)
        #expect(line("values") == #"U__http_2e_size{U__a_2e_b="x\"y,z=\"w",a_b="2",U___fc__22_="3"} 1"#)
        #expect(run.lines("text/plain;escaping=allow-utf-8").contains(#"# TYPE "http.size" gauge"#))
    }
}

@Suite struct PrometheusFormatTests {
    @Test(arguments: [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("image/png", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;version=0.0.1,text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "text/plain;q=0.9, application/openmetrics-text; version=\"1.0.0\"; q=0.8",
            "text/plain; version=0.0.4; charset=utf-8"
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
                + "version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;"
                + "q=0.3,*/*;q=0.2", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        ),
        ("text/plain;version=1.0.0;escaping=values", "text/plain; version=1.0.0; charset=utf-8; escaping=values"),
        ("text/plain;version=1.0.0;escaping=runes", "text/plain; version=1.0.0; charset=utf-8"),
        (
            "text/plain;q=oops,application/openmetrics-text;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        ),
    ])
    func theScraperChooses(_ accept: String, _ contentType: String) {
        #expect(ScrapeFormat.negotiated(accept: [accept], offersOpenMetrics: true).contentType == contentType)
        let plain = ScrapeFormat.negotiated(accept: [accept], offersOpenMetrics: false).contentType
        #expect(plain.hasPrefix("text/plain"))
    }

    @Test func numbers() {
        let values: [(Double, String)] = [
            (0, "0"), (-0.0, "-0.0"), (1, "1"), (-17, "-17"), (0.1, "0.1"), (1e21, "1e+21"), (.infinity, "+Inf"),
            (-.infinity, "-Inf"), (.nan, "NaN"), (9_007_199_254_740_991, "9007199254740991"),
            (123_456_789.25, "123456789.25"),
        ]
        for (value, text) in values {
            var written = ScrapeText()
            written.put(value)
            #expect(String(decoding: written.bytes, as: UTF8.self) == text)
        }
        for (milliseconds, text) in [(Int64(0), "0"), (1, "0.001"), (-1500, "-1.500"), (61_000, "61")] {
            var written = ScrapeText()
            written.put(seconds: milliseconds)
            #expect(String(decoding: written.bytes, as: UTF8.self) == text)
        }
    }

    @Test func wrongSettingsAreExplained() throws {
        for yaml in [
            "tls: {}", "translation_strategy: x", "const_labels: {__a: b}", "max_series: 0", "metric_expiration: 0s",
            "resource_constant_labels: {}", "delta_to_cumulative: {max_streams: 0}", "nothing: 1", "namespace: a b",
        ] {
            let key = yaml.split(separator: ":")[0]
            #expect { try ScrapeRun(yaml) } throws: { "\($0)".contains(key) }
        }
        #expect(try ScrapeRun("delta_to_cumulative: {enabled: false}").settings.deltas == nil)
        #expect(try ScrapeRun("metric_expiration: 9s").settings.deltas?.maximumStale == .seconds(9))
    }
}
