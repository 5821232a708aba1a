import Glibc
import OTLP
import Pipeline
import Testing

@testable import Exporters

@Suite struct DebugTests {
    private let directory: TemporaryDirectory
    private let log = LogRecorder()
    private var path: String { directory.path + "/debug.txt" }

    init() throws { directory = try TemporaryDirectory() }

    private func read(_ yaml: String) throws -> (settings: DebugExporterSettings?, errors: String, warnings: String) {
        try decode(yaml, "exporters::debug") { DebugExporterFactory().settings(from: $0) }
    }

    /// What the exporter shows of the requests.
    private func shown(
        _ requests: ExportRequest..., verbosity: DebugExporterSettings.Verbosity, limit: Int = 1 << 20
    ) throws -> String {
        var settings = DebugExporterSettings()
        settings.verbosity = verbosity
        settings.usesInternalLogger = false
        settings.outputs = [path]
        let exporter = DebugExporter(settings, logger: log.logger, limit: limit) { 0 }
        try exporter.start()
        for request in requests { #expect(exporter.export(request) == .delivered) }
        exporter.shutdown()
        #expect(log.messages.isEmpty)
        return text(path)
    }

    // MARK: Settings

    @Test func settings() throws {
        #expect(try read("").settings == DebugExporterSettings())
        let settings = try #require(
            try read(
                """
                verbosity: Detailed
                sampling_initial: 5
                sampling_thereafter: 200
                use_internal_logger: false
                output_paths: [stderr, /tmp/x]
                """
            ).settings)
        #expect(settings.verbosity == .detailed)
        #expect(settings.samplingInitial == 5)
        #expect(settings.samplingThereafter == 200)
        #expect(!settings.usesInternalLogger)
        #expect(settings.outputs == ["stderr", "/tmp/x"])
    }

    @Test(arguments: [
        (
            "verbosity: basc",
            #"a.yaml:1:12: exporters::debug::verbosity: must be "basic", "normal" or "detailed", not "basc" "#
                + #"(did you mean "basic"?)"#
        ),
        (
            "output_paths: [stdout]",
            #"a.yaml:1:15: exporters::debug::output_paths: needs "use_internal_logger: false""#
        ),
        (
            "use_internal_logger: false\noutput_paths: ['file:///x']",
            #"a.yaml:2:15: exporters::debug::output_paths: must hold "stdout", "stderr" or paths of files"#
        ),
        (
            "sampling_initial: -1",
            "a.yaml:1:19: exporters::debug::sampling_initial: must be from 0 to 1000000000, not -1"
        ),
        (
            "sending_queue: {}",
            #"a.yaml:1:1: exporters::debug: "sending_queue" is not supported: "#
                + "batches are shown before they are acknowledged"
        ),
    ])
    func faultsNameTheirPlace(yaml: String, expected: String) throws {
        let (settings, errors, _) = try read(yaml)
        #expect(settings == nil)
        #expect(errors == expected)
    }

    // MARK: Texts

    @Test func basicCounts() throws {
        let point = message { $0.put(3, fixed64: 1) }
        let metric = message {
            $0.put(1, "m")
            $0.put(5, message { gauge in for _ in 0..<3 { gauge.put(1, point) } })
        }
        let metrics = try batch([resource([:], items: [metric, metric])], .metrics)
        let spans = try batch([resource([:], items: [span("a"), span("b")]), resource([:], items: [span("c")])])
        let part = ExportRequest(
            signal: .metrics, slices: [BatchSlice(metrics, items: 1..<2)], timeout: .seconds(1))
        let tail = ExportRequest(signal: .traces, slices: [BatchSlice(spans, items: 2..<3)], timeout: .seconds(1))
        let record = message { $0.put(3, "INFO") }
        #expect(
            try shown(
                request(spans), request(spans, spans), tail, request(metrics), part,
                request(try batch([resource([:], items: [record])], .logs)), verbosity: .basic) == """
                    Traces\t{"resource spans": 2, "spans": 3}
                    Traces\t{"resource spans": 4, "spans": 6}
                    Traces\t{"resource spans": 1, "spans": 1}
                    Metrics\t{"resource metrics": 1, "metrics": 2, "data points": 6}
                    Metrics\t{"resource metrics": 1, "metrics": 1, "data points": 3}
                    Logs\t{"resource logs": 1, "log records": 1}

                    """)
    }

    private var fullSpan: [UInt8] {
        message {
            $0.put(1, (1...16).map { $0 })
            $0.put(2, (1...8).map { $0 })
            $0.put(3, "vendor=1")
            $0.put(4, (11...18).map { $0 })
            $0.put(5, "chat\n\u{1b}[31m")
            $0.put(6, varint: 3)
            $0.put(7, fixed64: 1_581_452_772_000_000_321)
            $0.put(8, fixed64: 1_581_452_773_500_000_000)
            $0.put(9, keyValue("model", "gpt"))
            $0.put(9, keyValue("tokens", message { $0.put(3, varint: 12) }))
            $0.put(10, varint: 2)
            $0.put(
                11,
                message {
                    $0.put(1, fixed64: 1_581_452_773_000_000_123)
                    $0.put(2, "event")
                    $0.put(3, keyValue("e", message { $0.put(2, varint: 1) }))
                })
            $0.put(
                13,
                message {
                    $0.put(1, (1...16).map { $0 })
                    $0.put(2, (1...8).map { $0 })
                })
            $0.put(
                15,
                message {
                    $0.put(2, "failed")
                    $0.put(3, varint: 2)
                })
        }
    }

    @Test func normalSpans() throws {
        let spans = try batch([resource(["service.name": "web"], items: [fullSpan, span("plain")])])
        #expect(
            try shown(request(spans), verbosity: .normal) == """
                Traces\t{"resource spans": 1, "spans": 2}
                ResourceTraces #0 service.name=web
                ScopeTraces #0 lib@1.2
                chat\\n\\x1b[31m 0102030405060708090a0b0c0d0e0f10 0102030405060708 model=gpt tokens=12
                plain 0102030405060708090a0b0c0d0e0f10 0102030405060708

                """)
    }

    @Test func detailedSpans() throws {
        let spans = try batch([resource(["service.name": "web"], items: [fullSpan])])
        #expect(
            try shown(request(spans), verbosity: .detailed).split(separator: "\n", omittingEmptySubsequences: false)
                == """
                Traces\t{"resource spans": 1, "spans": 1}
                ResourceSpans #0
                Resource SchemaURL: \("")
                Resource attributes:
                     -> service.name: Str(web)
                ScopeSpans #0
                ScopeSpans SchemaURL: \("")
                InstrumentationScope lib 1.2
                Span #0
                    Trace ID       : 0102030405060708090a0b0c0d0e0f10
                    Parent ID      : 0b0c0d0e0f101112
                    ID             : 0102030405060708
                    Name           : chat\\n\\x1b[31m
                    Kind           : Client
                    TraceState     : vendor=1
                    Start time     : 2020-02-11 20:26:12.000000321 +0000 UTC
                    End time       : 2020-02-11 20:26:13.5 +0000 UTC
                    Status code    : Error
                    Status message : failed
                    DroppedAttributesCount: 2
                Attributes:
                     -> model: Str(gpt)
                     -> tokens: Int(12)
                Events:
                SpanEvent #0
                     -> Name: event
                     -> Timestamp: 2020-02-11 20:26:13.000000123 +0000 UTC
                     -> Attributes:
                          -> e: Bool(true)
                Links:
                SpanLink #0
                     -> Trace ID: 0102030405060708090a0b0c0d0e0f10
                     -> ID: 0102030405060708
                     -> TraceState: \("")

                """.split(separator: "\n", omittingEmptySubsequences: false))
    }

    private var fullRecord: [UInt8] {
        let map = message {
            $0.put(1, keyValue("a\u{85}", "x"))
            $0.put(1, keyValue("b", message { $0.put(5, message { $0.put(1, []) }) }))
            $0.put(1, keyValue("c", message { $0.put(4, double: 1.5) }))
        }
        return message {
            $0.put(1, fixed64: 1_581_452_773_000_000_789)
            $0.put(2, varint: 18)
            $0.put(3, "ERROR2")
            $0.put(5, message { $0.put(6, map) })
            $0.put(6, keyValue("raw", message { $0.put(7, [0xDE, 0xAD]) }))
            $0.put(9, (1...16).map { $0 })
            $0.put(12, "login")
        }
    }

    @Test func normalLogs() throws {
        let logs = try batch([resource([:], items: [fullRecord])], .logs)
        #expect(
            try shown(request(logs), verbosity: .normal) == """
                Logs\t{"resource logs": 1, "log records": 1}
                ResourceLog #0
                ScopeLog #0 lib@1.2
                {"a\\x85":"x","b":[null],"c":1.5} raw=dead

                """)
    }

    @Test func detailedLogs() throws {
        let logs = try batch([resource([:], items: [fullRecord])], .logs)
        #expect(
            try shown(request(logs), verbosity: .detailed) == """
                Logs\t{"resource logs": 1, "log records": 1}
                ResourceLog #0
                Resource SchemaURL: \("")
                ScopeLogs #0
                ScopeLogs SchemaURL: \("")
                InstrumentationScope lib 1.2
                LogRecord #0
                ObservedTimestamp: 1970-01-01 00:00:00 +0000 UTC
                Timestamp: 2020-02-11 20:26:13.000000789 +0000 UTC
                SeverityText: ERROR2
                SeverityNumber: Error2(18)
                EventName: login
                Body: Map({"a\\x85":"x","b":[null],"c":1.5})
                Attributes:
                     -> raw: Bytes(dead)
                Trace ID: 0102030405060708090a0b0c0d0e0f10
                Span ID: \("")
                Flags: 0

                """)
    }

    // MARK: Bounds, sampling, outputs

    @Test func longTextIsCut() throws {
        let names = (0..<500).map { span("span\($0)") }
        let found = try shown(
            request(try batch([resource([:], items: names)])), try simple("next"), verbosity: .normal, limit: 2000)
        let lines = found.split(separator: "\n").map(String.init)
        let cut = try #require(lines.firstIndex { $0.hasPrefix("(cut") })
        #expect(lines[cut] == "(cut: the text of this batch is longer than 2000 bytes)")
        #expect(lines[..<cut].joined(separator: "\n").utf8.count <= 2000)
        #expect(lines[cut - 1].hasSuffix(" 0102030405060708"))
        #expect(lines.last?.hasPrefix("next ") == true)
    }

    @Test func samplingCountsInEverySecond() {
        #expect(admitted(2, 3, 9) == [true, true, false, false, true, false, false, true, false])
        #expect(admitted(1, 0, 3) == [true, false, false])
        #expect(admitted(2, 1, 5) == [true, true, true, true, true])
        var sampler = DebugSampler(initial: 1, thereafter: 0)
        let over = [7, 7, 8, 8].map { sampler.admits(second: $0) }
        #expect(over == [true, false, true, false])
    }

    private func admitted(_ initial: Int, _ thereafter: Int, _ count: Int) -> [Bool] {
        var sampler = DebugSampler(initial: initial, thereafter: thereafter)
        return (0..<count).map { _ in sampler.admits(second: 0) }
    }

    @Test func theLoggerShowsCountsAndText() throws {
        var settings = DebugExporterSettings()
        settings.samplingInitial = 1
        settings.samplingThereafter = 0
        settings.verbosity = .normal
        let exporter = DebugExporter(settings, logger: log.logger) { 0 }
        try exporter.start()
        for name in ["a", "b"] { #expect(exporter.export(try simple(name)) == .delivered) }
        #expect(
            log.messages == [
                "Traces|resource spans=1|spans=1",
                "ResourceTraces #0\nScopeTraces #0 lib@1.2\na 0102030405060708090a0b0c0d0e0f10 0102030405060708\n",
            ])
    }

    @Test func anOutputThatFailsRejects() throws {
        var settings = DebugExporterSettings()
        settings.usesInternalLogger = false
        settings.outputs = ["/dev/full", path]
        let exporter = DebugExporter(settings, logger: log.logger)
        try exporter.start()
        #expect(
            exporter.export(try simple("a"))
                == .delivered(rejected: 1, message: "cannot write to /dev/full: No space left on device"))
        #expect(text(path) == "Traces\t{\"resource spans\": 1, \"spans\": 1}\n")
        settings.outputs = ["\(directory.path)/none/x"]
        let missing = DebugExporter(settings, logger: log.logger)
        #expect { try missing.start() } throws: {
            "\($0)" == "cannot open \(directory.path)/none/x: No such file or directory"
        }
    }

    @Test func lifecycle() throws {
        let exporter = DebugExporter(DebugExporterSettings(), logger: log.logger)
        exporter.shutdown()
        let stopped = ExportOutcome.retryable("the debug exporter is not running", after: nil)
        #expect(exporter.export(try simple("a")) == stopped)
        try exporter.start()
        #expect(exporter.export(try simple("a")) == .delivered)
        exporter.shutdown()
        exporter.shutdown()
        #expect(exporter.export(try simple("a")) == stopped)
    }

    /// Values that nest to the decoder's limit, and messages cut at every byte, are shown somehow.
    @Test func hostileItemsAreShown() throws {
        var value = stringValue("x")
        for _ in 0..<90 { value = message { $0.put(5, message { $0.put(1, value) }) } }
        let deep = span("deep") + message { $0.put(9, keyValue("k", value)) }
        let bytes = message { $0.put(1, resource([:], items: [deep])) }
        let nested = try TelemetryBatch(
            bytes.withUnsafeBytes { WireBytes(copying: $0) }, signal: .traces,
            limits: DecodeLimits(maximumDepth: 200, maximumItems: 10))
        let found = try shown(request(nested), verbosity: .detailed)
        #expect(found.contains("-> k: Slice(" + String(repeating: "[", count: 33) + "…"))
        for length in 0..<fullSpan.count {
            let cut = try batch([resource([:], items: [span("a")])])
            Array(fullSpan.prefix(length)).withUnsafeBytes { _ = cut.replaceItem(0, with: $0) }
            var formatter = DebugFormatter()
            formatter.putContent(of: request(cut), detailed: true)
            #expect(String(decoding: formatter.text.bytes, as: UTF8.self).hasPrefix("ResourceSpans #0\n"))
        }
    }
}
