import Telemetry
import Testing

@Suite struct MetricRegistryTests {
    @Test func theTextIsPrometheus004() {
        let registry = MetricRegistry()
        let sent = registry.counter("b_sent", help: "Sent.", labels: [("exporter", "otlp_http/a")])
        sent.add(3)
        registry.counter("b_sent", help: "Sent.", labels: [("exporter", "file")]).add()
        registry.gauge("c_size", help: "Size.") { 2.5 }
        registry.counter("d_seconds", help: "Seconds.") { 1e16 }
        let histogram = registry.histogram("a_latency", help: "Latency.", bounds: [0.5, 1, 10], labels: [("q", "x")])
        for value in [0.1, 0.5, 0.75, 10, 11] { histogram.observe(value) }
        let expected = """
            # HELP a_latency Latency.
            # TYPE a_latency histogram
            a_latency_bucket{q="x",le="0.5"} 2
            a_latency_bucket{q="x",le="1"} 3
            a_latency_bucket{q="x",le="10"} 4
            a_latency_bucket{q="x",le="+Inf"} 5
            a_latency_sum{q="x"} 22.35
            a_latency_count{q="x"} 5
            # HELP b_sent_total Sent.
            # TYPE b_sent_total counter
            b_sent_total{exporter="otlp_http/a"} 3
            b_sent_total{exporter="file"} 1
            # HELP c_size Size.
            # TYPE c_size gauge
            c_size 2.5
            # HELP d_seconds_total Seconds.
            # TYPE d_seconds_total counter
            d_seconds_total 1e+16

            """
        #expect(registry.prometheusText() == expected)
    }

    /// Each value with what stands between the quotes.
    @Test(arguments: [
        ("a\"b\\c\nd", #"a\"b\\c\nd"#), ("line\r\nend", "line\r\\nend"), ("\"\u{301}", "\\\"\u{301}"),
        ("ü €", "ü €"), ("", ""),
    ])
    func labelValuesAreEscaped(_ value: String, _ escaped: String) {
        let registry = MetricRegistry()
        registry.gauge("g", help: "G.", labels: [("l", value)]) { 1 }
        let line = "g{l=\"\(escaped)\"} 1"
        #expect(Array(registry.prometheusText().utf8).suffix(line.utf8.count + 1) == Array((line + "\n").utf8)[...])
    }

    @Test func helpTextsStayOnTheirLine() {
        let registry = MetricRegistry()
        registry.gauge("g", help: "one\\two\nthree\r\nfour") { 1 }
        #expect(registry.prometheusText().unicodeScalars.split(separator: "\n").count == 3)
        #expect(registry.prometheusText().hasPrefix("# HELP g one\\\\two\\nthree"))
    }

    @Test func labelNamesAreMadeValid() {
        let registry = MetricRegistry()
        registry.gauge("g", help: "G.", labels: [("deployment.environment-name", "x"), ("1st", "y"), ("ü", "z")]) { 1 }
        #expect(registry.prometheusText().hasSuffix("g{deployment_environment_name=\"x\",_1st=\"y\",_=\"z\"} 1\n"))
    }

    @Test func valuesThatAreNoNumbers() {
        let registry = MetricRegistry()
        registry.gauge("a", help: "") { .infinity }
        registry.gauge("b", help: "") { -.infinity }
        registry.gauge("c", help: "") { .nan }
        registry.gauge("d", help: "") { -0.0 }
        let values = registry.prometheusText().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(values == ["a +Inf", "b -Inf", "c NaN", "d 0"])
    }

    @Test func theSameNameAndLabelsAreOneInstrument() {
        let registry = MetricRegistry()
        let first = registry.counter("c", help: "", labels: [("a", "1")])
        #expect(registry.counter("c", help: "", labels: [("a", "1")]) === first)
        #expect(registry.counter("c", help: "", labels: [("a", "2")]) !== first)
        let histogram = registry.histogram("h", help: "", bounds: [1])
        #expect(registry.histogram("h", help: "", bounds: [1]) === histogram)
        registry.gauge("g", help: "") { 1 }
        registry.gauge("g", help: "") { 2 }
        #expect(registry.prometheusText().contains("\ng 2\n"))
        #expect(!registry.prometheusText().contains("g 1\n"))
    }

    @Test func countersOnlyGrow() {
        let counter = Counter()
        counter.add(-5)
        counter.add(0)
        #expect(counter.value == 0)
        counter.add(2)
        counter.add()
        #expect(counter.value == 3)
    }

    @Test func histogramsIgnoreNaN() {
        let histogram = Histogram(bounds: [1, 2])
        histogram.observe(.nan)
        histogram.observe(-.infinity)
        histogram.observe(2)
        #expect(histogram.snapshot.counts == [1, 1, 0])
        #expect(Histogram(bounds: []).snapshot.counts == [0])
    }

    @Test func threadsCountTogetherWhileOthersScrape() async {
        let registry = MetricRegistry()
        let histogram = registry.histogram("h", help: "", bounds: [10, 100])
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                group.addTask {
                    let counter = registry.counter("c", help: "", labels: [("n", "\(thread % 2)")])
                    for index in 0..<2000 {
                        counter.add()
                        histogram.observe(Double(index % 3) * 50)
                        if index % 500 == 0 { _ = registry.prometheusText() }
                    }
                }
            }
        }
        #expect(registry.prometheusText().contains("c_total{n=\"0\"} 8000\n"))
        #expect(registry.prometheusText().contains("c_total{n=\"1\"} 8000\n"))
        #expect(histogram.snapshot.counts.reduce(0, +) == 16_000)
        #expect(registry.prometheusText().contains("h_count 16000\n"))
    }
}

@Suite struct ProcessMetricsTests {
    @Test func figuresOfThisProcess() {
        let registry = MetricRegistry()
        ProcessMetrics.register(in: registry, started: .now - .seconds(100))
        let text = registry.prometheusText()
        let uptime = text.split(separator: "\n").first { $0.hasPrefix("otelcol_process_uptime_seconds_total ") }
        #expect((uptime?.split(separator: " ").last).flatMap { Double($0) } ?? 0 >= 100)
        #expect(text.contains("\notelcol_process_cpu_seconds_total "))
        #expect(ProcessMetrics.residentBytes() > 1 << 20)
        #expect(ProcessMetrics.cpuSeconds() > 0)
        #expect(SystemMemory.availableBytes > 1 << 20)
        #expect(SystemProcessors.allowed >= 1)
    }
}
