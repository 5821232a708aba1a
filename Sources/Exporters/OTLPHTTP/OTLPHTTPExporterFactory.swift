internal import Compression
package import Config
package import Delivery
package import OTLP
package import Pipeline
package import Transport

/// otelcol's `otlp_http` exporter; `otlphttp` is its older name. Jaeger takes what it sends on its port 4318.
package struct OTLPHTTPExporterFactory: ExporterFactory {
    package typealias Settings = OTLPHTTPExporterSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(
            type: "otlp_http", aliases: ["otlphttp"], signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    }

    package func settings(from section: ConfigSection) -> OTLPHTTPExporterSettings {
        OTLPHTTPExporterSettings(from: section)
    }

    package func delivery(for settings: OTLPHTTPExporterSettings) -> DeliverySettings? { settings.delivery }

    package func make(
        _ settings: OTLPHTTPExporterSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        try OTLPHTTPExporter(settings, environment)
    }
}

/// Encodings of a request's body.
package enum OTLPHTTPEncoding: String, Sendable, CaseIterable {
    case proto
    case json
}

/// What an `otlp_http` exporter's section sets.
package struct OTLPHTTPExporterSettings: Sendable {
    /// URL of each signal: `<endpoint>/v1/<signal>` unless its own key says otherwise.
    package var urls: [Signal: String] = [:]
    package var encoding = OTLPHTTPEncoding.proto
    package var client: HTTPClientConfig
    package var delivery: DeliverySettings

    /// otelcol's time-out of an attempt for this exporter.
    package static let defaultTimeout = Duration.seconds(30)

    init(from section: ConfigSection) {
        client = HTTPClientConfig(section, timeout: Self.defaultTimeout)
        encoding = section.choice("encoding") ?? .proto
        delivery = DeliverySettings(from: section, timeout: client.timeout)
        for signal in Signal.allCases {
            let own = section.url("\(signal.rawValue)_endpoint")
            let url = own ?? client.endpoint?.appending(path: "/v1/\(signal.rawValue)")
            urls[signal] = url?.description
        }
        section.refuse("profiles_endpoint", because: "profiles are not supported")
        if urls.isEmpty { section.error("\"endpoint\" or \"traces_endpoint\" must be set") }
    }

    /// Headers of every request.
    var requestHeaders: [(name: String, value: String)] {
        client.requestHeaders([
            ("Content-Type", encoding == .json ? "application/json" : "application/x-protobuf"),
            ("User-Agent", "martlet"),
        ])
    }
}
