internal import Config
internal import Logging
internal import Telemetry

/// What `service::telemetry` sets.
struct TelemetrySettings: Sendable {
    var logLevel = Logger.Level.info
    var logEncoding = LogEncoding.console
    /// Where the metrics are served; nil when they are off. otelcol's `localhost:8888` unless set.
    var metricsEndpoint: ConfigEndpoint? = ConfigEndpoint(host: "localhost", port: 8888)
    /// Attributes of `target_info`, beside the service's name and version.
    var resource: [(name: String, value: String)] = []

    /// What the metrics' server does beside.
    var admin = AdminSettings()

    init() {}

    init(from section: ConfigSection) {
        readLogs(section.section("logs"))
        readMetrics(section.section("metrics"))
        admin = AdminSettings(from: section.section("admin"))
        if let attributes = section.stringMap("resource") {
            for (name, value) in attributes { resource.append((name, value)) }
        }
        section.refuse("traces", because: "Martlet does not trace itself")
    }

    private static let levels: [String: Logger.Level] = [
        "debug": .debug, "info": .info, "warn": .warning, "warning": .warning, "error": .error, "fatal": .critical,
    ]

    private mutating func readLogs(_ section: ConfigSection) {
        if let level = section.string("level") {
            if let known = Self.levels[level.lowercased()] {
                logLevel = known
            } else {
                section.error("level", "must be debug, info, warn or error, not \"\(level)\"")
            }
        }
        if let encoding = section.choice("encoding", ["console", "json"]) {
            logEncoding = encoding == "json" ? .json : .console
        }
        for key in ["development", "disable_caller", "disable_stacktrace"] {
            section.refuse(key, because: "log lines carry neither caller nor stack trace")
        }
        section.refuse("sampling", because: "repeated lines are limited where they arise")
        for key in ["output_paths", "error_output_paths"] {
            section.refuse(key, because: "log lines go to standard error; redirect it")
        }
        section.refuse("initial_fields", because: "fields cannot be added to every line")
        section.refuse("processors", because: "log lines go to standard error only")
    }

    private mutating func readMetrics(_ section: ConfigSection) {
        let level = section.choice("level", ["none", "basic", "normal", "detailed"])
        if let address = section.endpoint("address") { metricsEndpoint = address }
        for reader in section.sectionList("readers") ?? [] {
            reader.refuse("periodic", because: "metrics are served for scraping; use \"pull\"")
            let exporter = reader.section("pull").section("exporter")
            guard let prometheus = exporter.optionalSection("prometheus") else { continue }
            let host = prometheus.nonEmptyString("host") ?? "localhost"
            metricsEndpoint = ConfigEndpoint(host: host, port: prometheus.integer("port", in: 1...65_535) ?? 8888)
            for key in ["without_scope_info", "without_type_suffix", "without_units", "with_resource_constant_labels"] {
                prometheus.refuse(key, because: "names and labels are otelcol's defaults")
            }
        }
        section.refuse("views", because: "all metrics are reported")
        if level == "none" { metricsEndpoint = nil }
    }
}
