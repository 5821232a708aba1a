import Config
import Testing

@Suite struct CollectorConfigTests {
    private func decode(_ yaml: String) throws -> (config: CollectorConfig?, diagnostics: ConfigDiagnostics) {
        var diagnostics = ConfigDiagnostics()
        let config = CollectorConfig.decode(try tree(yaml), into: &diagnostics)
        return (config, diagnostics.sorted())
    }

    private func errors(_ yaml: String) throws -> [String] {
        let (config, diagnostics) = try decode(yaml)
        #expect((config == nil) == diagnostics.hasErrors)
        return diagnostics.errors.map(\.description)
    }

    private static let whole = """
        receivers:
          otlp: {protocols: {grpc: }}
          otlp/internal:
        processors: {batch: , memory_limiter: {check_interval: 1s}}
        exporters: {otlphttp: {endpoint: "http://h"}, debug: }
        connectors: {spanmetrics: }
        extensions: {health_check: , zpages: }
        service:
          extensions: [zpages, health_check]
          telemetry: {metrics: {level: basic}}
          pipelines:
            traces:
              receivers: [otlp, otlp/internal]
              processors: [memory_limiter, batch]
              exporters: [otlphttp, spanmetrics]
            metrics/red: {receivers: [spanmetrics], exporters: [debug]}
        """

    @Test func `a whole configuration`() throws {
        let (decoded, diagnostics) = try decode(Self.whole)
        let config = try #require(decoded)
        #expect(diagnostics.warnings.isEmpty)
        #expect(config.receivers.keys.map(\.description) == ["otlp", "otlp/internal"])
        let otlp = try #require(config.receivers[ComponentID(type: "otlp")])
        #expect(shape(otlp.node) == "{protocols: {grpc: null}}")
        #expect(otlp.path == "receivers::otlp" && otlp.position.description == "a.yaml:2:3")
        #expect(config.components(.extensions).count == 2)
        #expect(config.serviceExtensions.map(\.id.type) == ["zpages", "health_check"])
        #expect(shape(config.telemetry) == "{metrics: {level: \"basic\"}}")
        #expect(config.pipelines.keys.map(\.description) == ["traces", "metrics/red"])
        let traces = try #require(config.pipelines[PipelineID(signal: .traces)])
        #expect(traces.receivers.map(\.id.description) == ["otlp", "otlp/internal"])
        #expect(traces.processors.map(\.id.description) == ["memory_limiter", "batch"])
        #expect(traces.exporters.map(\.id.description) == ["otlphttp", "spanmetrics"])
        #expect(traces.exporters[1].position.description == "a.yaml:15:29")
        #expect(traces.path == "service::pipelines::traces")
    }

    @Test func `an empty configuration`() throws {
        #expect(try errors("") == [#"a.yaml:1:1: "service" is missing; it lists the pipelines to run"#])
        #expect(
            try errors("service:") == [
                #"a.yaml:1:9: service::pipelines: there is no pipeline; name at least one, such as "traces""#
            ])
    }

    @Test func `components that nothing uses are warned about`() throws {
        let (_, diagnostics) = try decode(
            """
            receivers: {otlp: , otlp/2: }
            processors: {batch: }
            exporters: {debug: , otlphttp: }
            connectors: {forward: }
            extensions: {zpages: }
            service: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}
            """)
        #expect(
            diagnostics.warnings.map(\.description) == [
                #"a.yaml:1:21: receivers: "otlp/2" is defined, but no pipeline uses it; it is not started"#,
                #"a.yaml:2:14: processors: "batch" is defined, but no pipeline uses it; it is not started"#,
                #"a.yaml:3:22: exporters: "otlphttp" is defined, but no pipeline uses it; it is not started"#,
                #"a.yaml:4:14: connectors: "forward" is defined, but no pipeline uses it; it is not started"#,
                #"a.yaml:5:14: extensions: "zpages" is defined, but "service::extensions" does not list it; "#
                    + "it is not started",
            ])
        #expect(!diagnostics.hasErrors)
    }

    @Test func `connectors must join two pipelines`() throws {
        func found(_ pipelines: String) throws -> [String] {
            try errors(
                """
                receivers: {otlp: }
                exporters: {debug: }
                connectors: {forward: }
                service: {pipelines: {\(pipelines)}}
                """)
        }
        #expect(
            try found("traces: {receivers: [otlp], exporters: [forward, debug]}") == [
                #"a.yaml:3:14: connectors: the connector "forward" is an exporter, but no pipeline has it as a receiver"#
            ])
        #expect(
            try found("traces: {receivers: [otlp, forward], exporters: [debug]}") == [
                #"a.yaml:3:14: connectors: the connector "forward" is a receiver, but no pipeline has it as an exporter"#
            ])
        #expect(
            try found("traces: {receivers: [otlp, forward], exporters: [debug, forward]}") == [
                #"a.yaml:3:14: connectors: the connector "forward" is both receiver and exporter of the pipeline "#
                    + #""traces"; it must lead to another pipeline"#
            ])
        #expect(
            try found(
                "traces: {receivers: [otlp], exporters: [forward]}, logs: {receivers: [forward], exporters: [debug]}"
            ).isEmpty)
    }

    @Test func `thousands of errors are counted, not all kept`() throws {
        let ids = (0..<5000).map { "r/\($0)" }
        let defined = ids.map { $0 + ": " }.joined(separator: ", ")
        let (config, diagnostics) = try decode(
            """
            receivers: {\(defined)}
            exporters: {debug: }
            service: {pipelines: {logs: {receivers: [q\(ids.joined(separator: ", q"))], exporters: [debug]}}}
            """)
        #expect(config == nil && diagnostics.errors.count == 100 && diagnostics.omittedErrors == 4900)
    }

    @Test func `structures of the wrong type`() throws {
        #expect(
            try errors("receivers: [otlp]\nservice: {extensions: zpages, pipelines: [traces]}") == [
                "a.yaml:1:12: receivers: must be a mapping, not a sequence",
                "a.yaml:2:23: service::extensions: must be a list of ids, not a string",
                "a.yaml:2:42: service::pipelines: must be a mapping, not a sequence",
                #"a.yaml:2:42: service::pipelines: there is no pipeline; name at least one, such as "traces""#,
            ])
    }
}

/// Whole runs over files with mistakes: `Tests/Fixtures/config/NAME.yaml` and the exact report in `NAME.txt`.
@Suite struct ConfigReportTests {
    private static let folder = "\(#filePath)".replacing(
        "ConfigTests/CollectorConfigTests.swift", with: "Fixtures/config/")

    /// What a validation prints: errors and warnings, one a line.
    private func report(_ name: String) -> String {
        let real = ConfigInputs.process
        let inputs = ConfigInputs(
            environment: { ["SECRET": "hunter2", "PORT": "70000"][$0] },
            readFile: { path, limit throws(ConfigReadError) in try real.readFile(Self.folder + path, limit) })
        var diagnostics = ConfigDiagnostics()
        do throws(ConfigError) {
            let loaded = try ConfigLoader(inputs: inputs).load(configs: ["\(name).yaml"])
            diagnostics.add(loaded.diagnostics)
            let config = CollectorConfig.decode(loaded.root, into: &diagnostics)
            if let otlp = config?.receivers[ComponentID(type: "otlp")] {
                decodeReceiver(otlp, into: &diagnostics)
            }
        } catch {
            diagnostics.add(error)
        }
        let sorted = diagnostics.sorted()
        let lines = sorted.errors.map { "error: \($0)" } + sorted.warnings.map { "warning: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The options of an OTLP receiver, read as a factory would.
    private func decodeReceiver(_ component: ComponentConfig, into diagnostics: inout ConfigDiagnostics) {
        _ = ConfigSection.decode(component.node, path: component.path, into: &diagnostics) { section in
            let protocols = section.section("protocols")
            if !protocols.contains("grpc"), !protocols.contains("http") {
                protocols.error("names no protocol; add \"grpc\" or \"http\"")
            }
            let http = protocols.section("http")
            _ = http.endpoint("endpoint")
            _ = http.integer("max_request_body_size", in: 0...Int64.max)
            _ = http.duration("read_header_timeout")
            http.refuse("middlewares", because: "Martlet has no HTTP middlewares; remove the key")
            let tls = http.section("tls")
            _ = tls.string("cert_file")
            _ = tls.choice("min_version", ["1.2", "1.3"])
            let grpc = protocols.section("grpc")
            _ = grpc.endpoint("endpoint")
            _ = grpc.integer("max_recv_msg_size_mib", in: 1...1024)
        }
    }

    @Test(arguments: ["structure", "options", "substitution", "syntax", "duplicates", "valid"])
    func `reports are exact`(name: String) throws {
        let expected = try ConfigInputs.process.readFile(Self.folder + name + ".txt", 1 << 20)
        #expect(report(name) == String(decoding: expected, as: UTF8.self))
    }
}
