import Config
import Delivery
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Service

/// Graphs that run: a request in over a socket, what comes out in the log of the `debug` exporter.
@Suite struct GraphBuilderTests {
    /// Builds and starts a graph, runs `body` with the receiver's port, stops it.
    private func running(
        _ yaml: String, _ body: (RunningGraph, TestEnvironment, Int) throws -> Void
    ) async throws -> TestEnvironment {
        let environment = TestEnvironment()
        let (made, errors, _) = try plan(yaml)
        let graph = try GraphBuilder.build(
            try #require(made, "\(errors)"), environment: environment.components, workers: environment.workers)
        do {
            try graph.start()
            try body(graph, environment, try #require(environment.log.first("port").flatMap { Int($0) }))
        } catch {
            await graph.stop(deadline: .now, logger: environment.log.logger("test"))
            try await environment.shutDown()
            throw error
        }
        // Far away: other tests may keep every thread of the tasks busy for a while.
        await graph.stop(deadline: .now + .seconds(3600), logger: environment.log.logger("test"))
        try await environment.shutDown()
        return environment
    }

    /// What a `debug` exporter showed: number of spans in each batch.
    private func shown(_ environment: TestEnvironment, _ exporter: String = "debug") -> [String] {
        environment.log.lines.filter { $0.label == "exporter/\(exporter)" }.compactMap { $0.fields["spans"] }
    }

    private func capacities(_ environment: TestEnvironment) -> [Substring] {
        environment.metrics.prometheusText().split(separator: "\n").filter {
            $0.hasPrefix("otelcol_exporter_queue_capacity{")
        }
    }

    @Test func aRequestIsAnsweredAfterItsDelivery() async throws {
        let yaml = configuration(
            exporters: "debug:", service: "pipelines: {traces: {receivers: [otlp], exporters: [debug]}}")
        _ = try await running(yaml) { graph, environment, port in
            let status1 = try send(SampleRequests.bytes(.traces, items: 3), to: port)
            #expect(status1 == 200)
            #expect(shown(environment) == ["3"])
            #expect(graph.deliveries.count == 1 && graph.processors.isEmpty)
        }
    }

    @Test func batchingIsDoneByTheQueues() async throws {
        let yaml = configuration(
            processors: "batch: {timeout: 3600s, send_batch_size: 100}", exporters: "debug:",
            service: "pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}")
        let environment = try await running(yaml) { graph, environment, port in
            for _ in 0..<3 {
                let status = try send(SampleRequests.bytes(.traces, items: 2), to: port)
                #expect(status == 200)
            }
            #expect(shown(environment).isEmpty, "the queue holds them")
            #expect(graph.processors.isEmpty)
            #expect(graph.deliveries.map(\.status.queueSize) == [3])
        }
        #expect(shown(environment) == ["6"], "the stop delivers them as one")
    }

    @Test func oneExporterServesSeveralPipelinesThroughOneQueue() async throws {
        let yaml = configuration(
            receivers: "otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}", exporters: "debug:\nnop:",
            service: """
                pipelines:
                  traces/a: {receivers: [otlp], exporters: [debug, nop]}
                  traces/b: {receivers: [otlp], exporters: [debug]}
                """)
        _ = try await running(yaml) { graph, environment, port in
            #expect(graph.receivers.count == 1)
            #expect(graph.deliveries.count == 1 && graph.immediateExporters.count == 1)
            let status2 = try send(SampleRequests.bytes(.traces, items: 4), to: port)
            #expect(status2 == 200)
            #expect(shown(environment) == ["4", "4"], "each pipeline hands it on")
        }
    }

    @Test func twoWaysOfBatchingAreTwoQueues() async throws {
        let yaml = configuration(
            processors:
                "batch/small: {timeout: 3600s, send_batch_size: 2}\nbatch/large: {timeout: 3600s, send_batch_size: 4}",
            exporters: "debug:",
            service: """
                pipelines:
                  traces/a: {receivers: [otlp], processors: [batch/small], exporters: [debug]}
                  traces/b: {receivers: [otlp], processors: [batch/large], exporters: [debug]}
                  traces/c: {receivers: [otlp], processors: [batch/large], exporters: [debug]}
                """)
        let environment = try await running(yaml) { graph, environment, port in
            #expect(graph.deliveries.count == 2)
            #expect(capacities(environment).count == 2)
            #expect(capacities(environment).contains { $0.contains("queue=\"2\"") })
            let status3 = try send(SampleRequests.bytes(.traces, items: 1), to: port)
            #expect(status3 == 200)
            #expect(shown(environment).isEmpty)
        }
        #expect(shown(environment).sorted() == ["1", "2"])
    }

    @Test func eachSignalHasItsQueue() async throws {
        let yaml = configuration(
            exporters: "debug:",
            service: """
                pipelines:
                  traces: {receivers: [otlp], exporters: [debug]}
                  logs: {receivers: [otlp], exporters: [debug]}
                  metrics: {receivers: [otlp], exporters: [debug]}
                """)
        _ = try await running(yaml) { graph, environment, port in
            #expect(graph.deliveries.map(\.signal.rawValue).sorted() == ["logs", "metrics", "traces"])
            for signal in Signal.allCases {
                let status4 = try send(SampleRequests.bytes(signal), to: port, path: "/v1/\(signal.rawValue)")
                #expect(status4 == 200)
            }
            #expect(environment.log.lines.filter { $0.label == "exporter/debug" }.count == 3)
        }
    }

    @Test func forwardJoinsPipelines() async throws {
        let yaml = configuration(
            exporters: "debug/a:\ndebug/b:", connectors: "forward:",
            service: """
                pipelines:
                  traces/in: {receivers: [otlp], exporters: [forward]}
                  traces/a: {receivers: [forward], exporters: [debug/a]}
                  traces/b: {receivers: [forward], exporters: [debug/b]}
                """)
        _ = try await running(yaml) { graph, environment, port in
            #expect(graph.connectors.count == 1)
            let status5 = try send(SampleRequests.bytes(.traces, items: 5), to: port)
            #expect(status5 == 200)
            #expect(shown(environment, "debug/a") == ["5"])
            #expect(shown(environment, "debug/b") == ["5"])
            let status6 = try send(SampleRequests.bytes(.logs), to: port, path: "/v1/logs")
            #expect(status6 == 404)
        }
    }

    @Test func unusedComponentsAreNotMade() async throws {
        let yaml = configuration(
            receivers: "otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}\notlp/unused: {protocols: {http: }}",
            exporters: "nop:\nfile/unused: {path: /nonexistent/directory/file}", extensions: "health_check:")
        _ = try await running(yaml) { graph, _, _ in
            #expect(graph.receivers.count == 1 && graph.deliveries.isEmpty && graph.extensions.isEmpty)
        }
    }
}
