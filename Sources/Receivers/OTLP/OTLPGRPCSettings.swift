internal import Config
package import OTLP
package import Transport

/// What the `grpc` section under `protocols` sets.
package struct OTLPGRPCSettings: Sendable {
    package var server: HTTPServerSettings
    /// Most bytes of a message, as sent and inflated. Key `max_recv_msg_size_mib`.
    package var maximumMessageSize = OTLPHTTPSettings.defaultBodySize
    package var metadata = MetadataSettings()
    package var decodeLimits = DecodeLimits.default

    /// Port that OTLP/gRPC has by specification.
    package static let defaultPort = 4317

    package init(server: HTTPServerSettings) { self.server = server }

    /// Reads the `grpc` section under `protocols`: otelcol's configgrpc.
    init(from section: ConfigSection) {
        self.init(server: HTTPServerSettings(grpc: section, defaultPort: Self.defaultPort))
        if let size = section.integer("max_recv_msg_size_mib", in: 0...1024), size > 0 {
            maximumMessageSize = size << 20
        }
        metadata = MetadataSettings(from: section)
    }
}
