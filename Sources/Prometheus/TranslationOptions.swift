/// How OTLP names become Prometheus names (`translation_strategy`).
package enum TranslationStrategy: String, Sendable, CaseIterable {
    /// The legacy character set, with unit and type in the name.
    case underscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes"
    /// The legacy character set, nothing added.
    case underscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes"
    /// Names as they are, with unit and type added.
    case noUTF8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes"
    /// Names as they are.
    case noTranslation = "NoTranslation"

    /// Whether other characters than letters, digits, `_` and `:` are replaced.
    package var escapes: Bool {
        self == .underscoreEscapingWithSuffixes || self == .underscoreEscapingWithoutSuffixes
    }

    /// Whether unit, `_total` and `_ratio` are added.
    package var addsSuffixes: Bool {
        self == .underscoreEscapingWithSuffixes || self == .noUTF8EscapingWithSuffixes
    }
}

/// What a translator does. The defaults are those of otelcol's exporters.
package struct TranslationOptions: Sendable {
    /// `translation_strategy`.
    package var strategy = TranslationStrategy.underscoreEscapingWithSuffixes
    /// `namespace`: goes before every metric name, with `_` between. Empty for none.
    package var namespace = ""
    /// `external_labels`: names are translated like attribute keys; added where a series has no label of that name.
    package var externalLabels: [(name: String, value: String)] = []
    /// Labels `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and `otel_scope_<attribute>`.
    package var addsScopeLabels = true
    /// `resource_to_telemetry_conversion::enabled`: resource attributes become labels.
    package var addsResourceAttributes = false
    /// `resource_to_telemetry_conversion::exclude_service_attributes`: all but those that make `job` and `instance`.
    package var excludesServiceAttributes = false
    /// `target_info::enabled`.
    package var addsTargetInfo = true
    /// A label name that begins with one `_` gets `key` before it.
    package var sanitizesLeadingUnderscore = true
    /// Runs of `_` in label names stay as they are; otherwise each becomes one.
    package var preservesUnderscoreRuns = true

    /// The defaults.
    package init() {}
}
