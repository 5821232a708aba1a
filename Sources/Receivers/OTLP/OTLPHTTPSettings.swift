package import OTLP
package import Transport

/// What the `http` section under `protocols` sets.
package struct OTLPHTTPSettings: Sendable {
    package var server: HTTPServerSettings
    /// Most bytes of a body, as sent and inflated. Key `max_request_body_size`.
    package var maximumBodySize = OTLPHTTPSettings.defaultBodySize
    package var cors: CORSPolicy?
    package var metadata = MetadataSettings()
    /// Path of each signal. Keys `traces_url_path`, `metrics_url_path`, `logs_url_path`.
    package var paths: [Signal: String] = [.traces: "/v1/traces", .metrics: "/v1/metrics", .logs: "/v1/logs"]
    package var decodeLimits = DecodeLimits.default

    /// 64 MiB, as the OTLP specification recommends.
    package static let defaultBodySize = 64 << 20

    package init(server: HTTPServerSettings) { self.server = server }
}
