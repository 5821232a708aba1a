import Config
import Logging
import OTLP
import Pipeline
import Telemetry
import Testing

@testable import Service

@Suite struct GraphPlanTests {
    @Test func theDefaultConfigurationIsValid() throws {
        let (made, errors, warnings) = try plan(DefaultConfig.yaml)
        #expect(made != nil)
        #expect(errors.isEmpty && warnings.isEmpty)
    }

    @Test func unknownTypesAreNamedWithTheNearest() throws {
        let near = try plan(
            configuration(exporters: "nopp:", service: "pipelines: {traces: {receivers: [otlp], exporters: [nopp]}}"))
        #expect(near.plan == nil)
        #expect(near.errors == ["a.yaml:4:3: exporters: there is no exporter of type \"nopp\" (did you mean \"nop\"?)"])
        let far = try plan(configuration(extensions: "kubernetes_observer:"))
        let error = try #require(far.errors.first)
        #expect(error.hasPrefix("a.yaml:6:3: extensions: there is no extension of type \"kubernetes_observer\""))
        #expect(error.contains("this build has: api_keys, "))
    }

    @Test func olderNamesAreTaken() throws {
        let exporters = "otlphttp/a: {endpoint: 'http://127.0.0.1:1'}"
        let service = "pipelines: {traces: {receivers: [otlp], exporters: [otlphttp/a]}}"
        #expect(try plan(configuration(exporters: exporters, service: service)).errors.isEmpty)
    }

    @Test func everyFaultIsReportedAtOnce() throws {
        let text = configuration(
            receivers: "otlp: {protocols: {http: {endpoint: nowhere}}}", processors: "batch: {timout: 1s}",
            exporters: "nop: {x: 1}\nfile:", extensions: "health_check: {path: x}",
            service:
                "extensions: [health_check]\npipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [nop, file]}}",
            telemetry: "{logs: {level: loud}}")
        let errors = try plan(text).errors
        for part in [
            "receivers::otlp::protocols::http::endpoint: ", "processors::batch: unknown key \"timout\"",
            "exporters::nop: unknown key \"x\"", "exporters::file: \"path\" is missing",
            "extensions::health_check::path: ",
            "service::telemetry::logs::level: must be debug, info, warn or error, not \"loud\"",
        ] {
            #expect(errors.contains { $0.contains(part) }, "\(part) is missing in \(errors)")
        }
        #expect(errors.count == 6)
    }

    // MARK: Signals and connectors

    private func check(
        _ pipelines: String, receivers: Set<Signal> = Set(Signal.allCases), processors: Set<Signal> = [],
        exporters: Set<Signal> = Set(Signal.allCases), outputs: (@Sendable (Signal) -> Set<Signal>)? = nil
    ) throws -> [String] {
        let text =
            "receivers: {r: }\nprocessors: {p: }\nexporters: {e: }\nconnectors: {c: , d: }\nservice:\n  pipelines:\n"
            + pipelines.split(separator: "\n").map { "    \($0)\n" }.joined()
        var diagnostics = ConfigDiagnostics()
        let config = CollectorConfig.decode(try node(text), into: &diagnostics)
        try #require(!diagnostics.hasErrors, "\(diagnostics.errors)")
        var signals = PipelineSignals(receivers: [ComponentID(type: "r"): receivers])
        signals.processors = [ComponentID(type: "p"): processors]
        signals.exporters = [ComponentID(type: "e"): exporters]
        let all = outputs.map { [ComponentID(type: "c"): $0, ComponentID(type: "d"): $0] } ?? [:]
        signals.check(try #require(config), all, &diagnostics)
        return diagnostics.errors.map(\.description)
    }

    @Test func aComponentMustHandleThePipelinesSignal() throws {
        let pipelines = "logs: {receivers: [r], processors: [p], exporters: [e]}"
        let errors = try check(pipelines, receivers: [.traces], processors: [.metrics], exporters: [.traces])
        #expect(
            errors == [
                "a.yaml:7:24: service::pipelines::logs: the receiver \"r\" does not handle logs",
                "a.yaml:7:41: service::pipelines::logs: the processor \"p\" does not handle logs",
                "a.yaml:7:57: service::pipelines::logs: the exporter \"e\" does not handle logs",
            ], "\(errors)")
        #expect(try check(pipelines, processors: [.logs]).isEmpty)
    }

    @Test func aConnectorMustLeadSomewhere() throws {
        let crossed = "traces: {receivers: [r], exporters: [c]}\nlogs: {receivers: [c], exporters: [e]}"
        let errors = try check(crossed, outputs: { [$0] })
        #expect(
            errors == [
                "a.yaml:7:42: service::pipelines::traces: the connector \"c\" does not turn traces into anything that a "
                    + "pipeline takes from it",
                "a.yaml:8:24: service::pipelines::logs: the connector \"c\" has no logs to give: no pipeline that ends "
                    + "in it leads to them",
            ], "\(errors)")
        #expect(try check(crossed, outputs: { _ in [.logs] }).isEmpty)
    }

    @Test func aConnectorMayJoinSeveralSignals() throws {
        let pipelines = """
            traces/in: {receivers: [r], exporters: [c]}
            logs/in: {receivers: [r], exporters: [c]}
            traces/out: {receivers: [c], exporters: [e]}
            logs/out: {receivers: [c], exporters: [e]}
            """
        #expect(try check(pipelines, outputs: { [$0] }).isEmpty)
    }

    @Test func cyclesAreRefused() throws {
        let pipelines = """
            traces/a: {receivers: [r, d], exporters: [c]}
            traces/b: {receivers: [c], exporters: [d, e]}
            """
        let errors = try check(pipelines, outputs: { [$0] })
        #expect(
            errors == [
                "a.yaml:7:5: service::pipelines::traces/a: the pipeline leads back to itself through connectors"
            ], "\(errors)")
    }

    // MARK: Policies

    @Test func theTightestMemoryLimitInUseHolds() throws {
        let processors =
            "memory_limiter/a: {limit_mib: 100}\nmemory_limiter/b: {limit_mib: 80, spike_limit_mib: 1}\nmemory_limiter/c: {limit_mib: 1}"
        let service =
            "pipelines: {traces: {receivers: [otlp], processors: [memory_limiter/a, memory_limiter/b], exporters: [nop]}}"
        let (made, errors, warnings) = try plan(configuration(processors: processors, service: service))
        #expect(errors.isEmpty && warnings.count == 1)
        let megabyte = 1 << 20
        #expect(made?.memoryLimit == MemoryLimit(limit: 80 * megabyte, spike: megabyte))
        let withExtension = try Self.limited(
            extensions: "memory_limiter: {limit_mib: 10, spike_limit_mib: 2}", service: "extensions: [memory_limiter]\n"
        )
        #expect(withExtension?.memoryLimit == MemoryLimit(limit: 10 * megabyte, spike: 2 * megabyte))
        #expect(try Self.limited(extensions: "", service: "")?.memoryLimit == .default)
    }

    private static func limited(extensions: String, service: String) throws -> GraphPlan? {
        let pipelines = "pipelines: {traces: {receivers: [otlp], exporters: [nop]}}"
        return try plan(configuration(extensions: extensions, service: service + pipelines)).plan
    }

    // MARK: Telemetry

    private func telemetry(_ yaml: String) throws -> (settings: TelemetrySettings?, errors: [String]) {
        var diagnostics = ConfigDiagnostics()
        let settings = ConfigSection.decode(try node(yaml), path: "service::telemetry", into: &diagnostics) {
            TelemetrySettings(from: $0)
        }
        return (settings, diagnostics.errors.map(\.description))
    }

    @Test func telemetryDefaults() throws {
        let settings = try #require(try telemetry("{}").settings)
        #expect(settings.logLevel == .info)
        #expect(settings.metricsEndpoint?.description == "localhost:8888")
        #expect(settings.resource.isEmpty)
    }

    @Test func telemetryOptions() throws {
        let settings = try #require(
            try telemetry(
                "{logs: {level: WARN, encoding: json}, metrics: {level: detailed, address: '0.0.0.0:9'}, resource: {a.b: c}}"
            ).settings)
        #expect(settings.logLevel == .warning && settings.logEncoding == .json)
        #expect(settings.metricsEndpoint?.description == "0.0.0.0:9")
        #expect(settings.resource.map { "\($0.name)=\($0.value)" } == ["a.b=c"])
        let reader = "{metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 9999}}}}]}}"
        #expect(try telemetry(reader).settings?.metricsEndpoint?.description == "127.0.0.1:9999")
        #expect(try telemetry("{metrics: {level: none}}").settings?.metricsEndpoint == nil)
    }

    @Test(arguments: [
        ("{logs: {sampling: {enabled: true}}}", "\"sampling\" is not supported"),
        ("{logs: {output_paths: [x]}}", "\"output_paths\" is not supported"),
        ("{traces: {level: none}}", "\"traces\" is not supported"),
        ("{metrics: {readers: [{periodic: {}}]}}", "\"periodic\" is not supported"),
        ("{metrics: {views: []}}", "\"views\" is not supported"),
        ("{logs: {encoding: xml}}", "must be"), ("{logs: {levl: info}}", "did you mean \"level\"?"),
        ("{metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}", "from 1 to 65535"),
    ])
    func telemetryRefusals(_ yaml: String, _ part: String) throws {
        let errors = try telemetry(yaml).errors
        #expect(errors.count == 1 && errors[0].contains(part) && errors[0].hasPrefix("a.yaml:1:"), "\(errors)")
    }
}
