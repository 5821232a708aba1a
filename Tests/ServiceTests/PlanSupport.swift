import Config
import OTLP
import Pipeline
import TestSupport

@testable import Service

/// Reads `yaml` as the file `a.yaml`.
func node(_ yaml: String) throws -> ConfigNode {
    let inputs = ConfigInputs(
        environment: { _ in nil },
        readFile: { path, _ throws(ConfigReadError) in
            guard path == "a.yaml" else { throw ConfigReadError("No such file or directory") }
            return Array(yaml.utf8)
        })
    return try ConfigLoader(inputs: inputs).load(configs: ["a.yaml"]).root
}

func plan(_ yaml: String) throws -> (plan: GraphPlan?, errors: [String], warnings: [String]) {
    var diagnostics = ConfigDiagnostics()
    let plan = GraphPlan(try node(yaml), into: &diagnostics)
    return (plan, diagnostics.errors.map(\.description), diagnostics.warnings.map(\.description))
}

/// A configuration around the given sections: `otlp` on a port of the system's choice, `nop`, one pipeline, no metrics.
func configuration(
    receivers: String = "otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}", processors: String = "",
    exporters: String = "nop:", connectors: String = "", extensions: String = "",
    service: String = "pipelines: {traces: {receivers: [otlp], exporters: [nop]}}",
    telemetry: String = "{metrics: {level: none}, logs: {level: fatal}}"
) -> String {
    func section(_ name: String, _ text: String) -> String {
        let lines = text.split(separator: "\n").map { "  \($0)\n" }.joined()
        return text.isEmpty ? "" : "\(name):\n\(lines)"
    }
    return section("receivers", receivers) + section("processors", processors) + section("exporters", exporters)
        + section("connectors", connectors) + section("extensions", extensions)
        + section("service", service + "\ntelemetry: \(telemetry)")
}

/// Sends `body` to `path` and returns the status.
func send(_ body: [UInt8], to port: Int, path: String = "/v1/traces") throws -> Int? {
    let socket = try LoopbackSocket(port: port)
    let head =
        "POST \(path) HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-protobuf\r\n"
        + "Connection: close\r\nContent-Length: \(body.count)\r\n\r\n"
    try socket.send(Array(head.utf8) + body)
    return try socket.reply()?.status
}
