package import Config
package import Delivery
internal import OTLP
package import Pipeline
package import Prometheus
package import Temporality
package import Transport

/// otelcol's `prometheus_remote_write` exporter; `prometheusremotewrite` is its older name.
package struct PrometheusRemoteWriteExporterFactory: ExporterFactory {
    package typealias Settings = PrometheusRemoteWriteSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(
            type: "prometheus_remote_write", aliases: ["prometheusremotewrite"], signals: [.metrics: .beta])
    }

    package func settings(from section: ConfigSection) -> PrometheusRemoteWriteSettings {
        PrometheusRemoteWriteSettings(from: section)
    }

    package func delivery(for settings: PrometheusRemoteWriteSettings) -> DeliverySettings? { settings.delivery }

    package func deltas(for settings: PrometheusRemoteWriteSettings) -> DeltaLimits? { settings.deltas }

    package func check(for settings: PrometheusRemoteWriteSettings) -> CheckStage.Check? {
        let takesDeltas = settings.deltas != nil
        return { batch in
            MetricChecks.rejections(in: batch, takesDeltas: takesDeltas).map {
                RejectedItems(count: $0.points, reason: $0.reason)
            }
        }
    }

    package func make(
        _ settings: PrometheusRemoteWriteSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        try PrometheusRemoteWriteExporter(
            settings, metrics: RemoteWriteMetrics(environment.metrics, exporter: id.description),
            logger: environment.logger("exporter", id), environment: environment)
    }
}

/// What a `prometheus_remote_write` exporter's section sets.
package struct PrometheusRemoteWriteSettings: Sendable {
    /// `endpoint`: the whole URL.
    package var url = ""
    package var client: HTTPClientConfig
    package var delivery: DeliverySettings
    package var translation: TranslationOptions
    /// `protobuf_message`.
    package var version = RemoteWriteVersion.v1
    /// `send_metadata`; remote write 2.0 always has it.
    package var sendsMetadata = false
    /// `max_batch_size_bytes`: of a body before its compression.
    package var maximumBodyBytes = Self.defaultBodyBytes
    /// Most bodies of one request that are on their way at a time: the lower of `max_batch_request_parallelism` and
    /// `remote_write_queue::num_consumers`.
    package var shards = Self.defaultShards
    /// `delta_to_cumulative`; nil when it is off.
    package var deltas: DeltaLimits?

    static let defaultTimeout = Duration.seconds(5)
    static let defaultBodyBytes = 3_000_000
    static let defaultShards = 5
    static let maximumShards = 64

    init(from section: ConfigSection) {
        client = HTTPClientConfig(section, timeout: Self.defaultTimeout, ownCompression: "snappy")
        delivery = DeliverySettings(
            from: section, timeout: client.timeout, queueKey: "remote_write_queue", defaults: Self.deliveryDefaults)
        translation = TranslationOptions(from: section)
        section.require("endpoint")
        url = client.endpoint?.description ?? ""
        version = Self.version(section)
        deltas = DeltaLimits(exporter: section)
        sendsMetadata = section.bool("send_metadata") ?? false
        maximumBodyBytes = section.integer("max_batch_size_bytes", in: 1024...Int(Int32.max)) ?? Self.defaultBodyBytes
        let parallelism = section.integer("max_batch_request_parallelism", in: 1...Self.maximumShards)
        shards = min(delivery.queue.consumers, parallelism ?? Self.defaultShards, Self.maximumShards)
        // One request at a time keeps the order of a series' samples over retries. Parallel are the shards of a request.
        delivery.queue.consumers = 1
        checkHeaders(section)
        Self.refuseOthers(section)
    }

    private static var deliveryDefaults: DeliverySettings {
        var defaults = DeliverySettings()
        defaults.queue.size = 10_000
        defaults.queue.consumers = defaultShards
        defaults.retry.initialInterval = .milliseconds(50)
        return defaults
    }

    private static func version(_ section: ConfigSection) -> RemoteWriteVersion {
        let names = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"]
        return section.choice("protobuf_message", names) == names[1] ? .v2 : .v1
    }

    /// Headers that the protocol prescribes cannot be set.
    private func checkHeaders(_ section: ConfigSection) {
        for (name, _) in client.headers
        where ["content-type", "x-prometheus-remote-write-version", "user-agent"].contains(name.lowercased()) {
            section.error("headers", "must not hold \(name), which remote write prescribes")
        }
    }

    private static func refuseOthers(_ section: ConfigSection) {
        section.refuse("wal", because: "set remote_write_queue::storage to a file_storage extension instead")
        section.refuse("sending_queue", because: "this exporter's queue is \"remote_write_queue\"")
        section.refuse("export_created_metric", because: "remote write 2.0 sends start times with each sample")
    }

    /// Headers of a request.
    func headers(_ version: RemoteWriteVersion) -> [(name: String, value: String)] {
        let isFirst = version == .v1
        let type = isFirst ? "application/x-protobuf" : "application/x-protobuf;proto=io.prometheus.write.v2.Request"
        return client.requestHeaders([
            ("Content-Encoding", "snappy"), ("Content-Type", type),
            ("X-Prometheus-Remote-Write-Version", isFirst ? "0.1.0" : "2.0.0"), ("User-Agent", "martlet"),
        ])
    }
}

extension TranslationOptions {
    /// Reads the keys that otelcol's Prometheus exporters have in common, `namespace` and `external_labels`.
    init(from section: ConfigSection) {
        self.init()
        let addsSuffixes = section.bool("add_metric_suffixes") ?? true
        strategy =
            section.choice("translation_strategy")
            ?? (addsSuffixes ? .underscoreEscapingWithSuffixes : .underscoreEscapingWithoutSuffixes)
        namespace = section.string("namespace") ?? ""
        if strategy.escapes, !Self.isName(namespace) {
            section.error("namespace", "must have letters, digits, \"_\" and \":\" only, and no digit in front")
        }
        for (name, value) in section.stringMap("external_labels") ?? OrderedMap() {
            if name.isEmpty || value.isEmpty {
                section.error("external_labels", "must have neither empty names nor empty values")
            }
            externalLabels.append((name, value))
        }
        addsScopeLabels = !(section.bool("disable_scope_info") ?? false)
        addsTargetInfo = section.section("target_info").bool("enabled") ?? true
        let conversion = section.section("resource_to_telemetry_conversion")
        addsResourceAttributes = conversion.bool("enabled") ?? false
        excludesServiceAttributes = conversion.bool("exclude_service_attributes") ?? false
        conversion.refuse("clear_after_copy", because: "the resource is not sent otherwise than as labels")
        sanitizesLeadingUnderscore = section.bool("label_name_underscore_sanitization") ?? true
        preservesUnderscoreRuns = section.bool("label_name_preserve_multiple_underscores") ?? true
    }

    private static func isName(_ name: String) -> Bool {
        for (index, byte) in name.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
                UInt8(ascii: ":"):
                break
            case UInt8(ascii: "0")...UInt8(ascii: "9") where index > 0: break
            default: return false
            }
        }
        return true
    }
}
