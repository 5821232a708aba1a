package import Config
package import Delivery
internal import OTLP
package import Pipeline
internal import Prometheus
package import Temporality
internal import Transport

/// otelcol's `prometheus`: shows the latest metrics to whoever scrapes them.
package struct PrometheusExporterFactory: ExporterFactory {
    package typealias Settings = PrometheusExporterSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "prometheus", signals: [.metrics: .alpha])
    }

    package func settings(from section: ConfigSection) -> PrometheusExporterSettings {
        PrometheusExporterSettings(from: section)
    }

    /// Nothing is sent: no queue.
    package func delivery(for settings: PrometheusExporterSettings) -> DeliverySettings? { nil }

    package func deltas(for settings: PrometheusExporterSettings) -> DeltaLimits? { settings.deltas }

    package func make(
        _ settings: PrometheusExporterSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        PrometheusExporter(settings, id: id, environment: environment)
    }
}

/// What a `prometheus` section sets.
package struct PrometheusExporterSettings: Sendable {
    var server: HTTPServerSettings
    var translation = TranslationOptions()
    /// Key `send_timestamps`.
    var sendsTimestamps: Bool
    /// How long a series is shown without a new point. Key `metric_expiration`.
    var expiration: Duration
    /// Key `enable_open_metrics`.
    var offersOpenMetrics: Bool
    /// Most series that are kept. Key `max_series`.
    var maximumSeries: Int
    /// Key `delta_to_cumulative`; nil when it is off.
    var deltas: DeltaLimits?

    /// 100,000 series: about 20 MB, and 10 MB of text.
    static let defaultSeries = 100_000
    static let defaultExpiration = Duration.seconds(300)
    private static let longestExpiration = Duration.seconds(366 * 86_400)

    init(from section: ConfigSection) {
        section.require("endpoint")
        server = HTTPServerSettings(from: section, defaultPort: 0)
        sendsTimestamps = section.bool("send_timestamps") ?? false
        expiration =
            section.duration("metric_expiration", in: .milliseconds(100)...Self.longestExpiration)
            ?? Self.defaultExpiration
        offersOpenMetrics = section.bool("enable_open_metrics") ?? false
        maximumSeries = section.integer("max_series", in: 1...100_000_000) ?? Self.defaultSeries
        translation.namespace = section.string("namespace") ?? ""
        if !translation.namespace.isEmpty, !ScrapeName.isLegacy(translation.namespace.utf8) {
            section.error("namespace", "must have letters, digits, \"_\" and \":\" only, and no digit in front")
        }
        translation.addsScopeLabels = !(section.bool("without_scope_info") ?? false)
        let suffixes = section.bool("add_metric_suffixes") ?? true
        translation.strategy =
            section.choice("translation_strategy")
            ?? (suffixes ? .underscoreEscapingWithSuffixes : .underscoreEscapingWithoutSuffixes)
        let conversion = section.section("resource_to_telemetry_conversion")
        translation.addsResourceAttributes = conversion.bool("enabled") ?? false
        translation.excludesServiceAttributes = conversion.bool("exclude_service_attributes") ?? false
        readLabels(section)
        // A counter that is no longer shown need not be remembered.
        deltas = DeltaLimits(exporter: section, stale: expiration)
        section.refuse(
            "resource_constant_labels",
            because: "wildcards of resource attributes are not there; use \"resource_to_telemetry_conversion\"")
    }

    private mutating func readLabels(_ section: ConfigSection) {
        guard let labels = section.stringMap("const_labels") else { return }
        for (name, value) in labels {
            if name.isEmpty || name.utf8.starts(with: "__".utf8) {
                section.error("const_labels", "has the name \"\(name)\", which Prometheus keeps for itself")
            }
            let escaped = translation.strategy.escapes ? ScrapeName.underscores(Array(name.utf8)) : Array(name.utf8)
            translation.externalLabels.append((String(decoding: escaped, as: UTF8.self), value))
        }
    }
}
