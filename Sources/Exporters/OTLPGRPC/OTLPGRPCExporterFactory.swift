internal import Compression
package import Config
package import Delivery
internal import OTLP
package import Pipeline
package import Transport

/// otelcol's `otlp_grpc` exporter; `otlp` is its older name. Jaeger takes what it sends on its port 4317.
package struct OTLPGRPCExporterFactory: ExporterFactory {
    package typealias Settings = OTLPGRPCExporterSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(
            type: "otlp_grpc", aliases: ["otlp"], signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    }

    package func settings(from section: ConfigSection) -> OTLPGRPCExporterSettings {
        OTLPGRPCExporterSettings(from: section)
    }

    package func delivery(for settings: OTLPGRPCExporterSettings) -> DeliverySettings? { settings.delivery }

    package func make(
        _ settings: OTLPGRPCExporterSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        try OTLPGRPCExporter(settings, environment)
    }
}

/// What an `otlp_grpc` exporter's section sets.
package struct OTLPGRPCExporterSettings: Sendable {
    package var client: GRPCClientConfig
    package var delivery: DeliverySettings

    init(from section: ConfigSection) {
        client = GRPCClientConfig(section)
        delivery = DeliverySettings(from: section, timeout: client.timeout)
    }

    /// Headers of every call but `grpc-timeout`.
    var requestHeaders: [(name: String, value: String)] {
        var headers = [
            ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "martlet"),
            // Answers are small.
            ("grpc-accept-encoding", "identity"),
        ]
        if client.encoding != .identity { headers.append(("grpc-encoding", client.encoding.token)) }
        return headers.map { (name: $0, value: $1) } + client.headers.map { ($0.name, $0.value.reveal()) }
    }
}
