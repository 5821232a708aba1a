internal import Aggregation
internal import Config

/// What a `span_metrics` section sets. Names and defaults are otelcol's.
package struct SpanMetricsSettings: Sendable {
    /// An attribute of spans that becomes one of their metrics.
    struct Dimension: Sendable, Equatable {
        /// The attribute's key; of a glob the pattern.
        var name: String
        /// Used where neither the span nor its resource has the attribute.
        var fallback: String?
        /// All attributes whose keys match, each under its own.
        var isGlob = false
    }

    var namespace: String
    var dimensions: [Dimension]
    var callsDimensions: [Dimension]
    var durationDimensions: [Dimension]
    var eventDimensions: [Dimension]
    var excludedDimensions: [String]
    /// nil when histograms are disabled.
    var histogram: MetricInstrument.Kind?
    var unit: DurationUnit
    var countsEvents: Bool
    var temporality: AggregationTemporality
    var flushInterval: Duration
    var resourceExpiration: Duration
    var seriesExpiration: Duration
    var resourceLimit: Int
    var resourceKeyAttributes: [String]
    var seriesLimit: Int
    /// 0 when exemplars are disabled.
    var exemplarLimit: Int
    /// Names of scopes that become attributes.
    var includedScopes: [String]
    var namesSamplingMethod: Bool
    var marksEnd: Bool
    /// Bytes.
    var memoryLimit: Int

    enum DurationUnit: String, CaseIterable, Sendable {
        case milliseconds = "ms"
        case seconds = "s"

        /// Nanoseconds of one.
        var nanoseconds: Double { self == .milliseconds ? 1e6 : 1e9 }
    }

    private enum Temporality: String, CaseIterable {
        case cumulative = "AGGREGATION_TEMPORALITY_CUMULATIVE"
        case delta = "AGGREGATION_TEMPORALITY_DELTA"
    }

    /// Upper bounds in nanoseconds: 2 ms to 15 s.
    static let defaultBuckets: [Int64] = [
        2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000,
    ].map { $0 * 1_000_000 }

    /// What spans always have.
    static let ownDimensions = ["service.name", "span.name", "span.kind", "status.code"]
    private static let longest = Duration.seconds(366 * 86_400)

    init(from section: ConfigSection) {
        namespace = section.string("namespace") ?? "traces.span.metrics"
        let shared = Self.dimensions(section, "dimensions", after: [])
        dimensions = shared
        callsDimensions = Self.dimensions(section, "calls_dimensions", after: shared)
        excludedDimensions = section.stringList("exclude_dimensions") ?? []
        let histogramSection = section.section("histogram")
        unit = histogramSection.choice("unit", as: DurationUnit.self) ?? .milliseconds
        histogram = Self.histogram(histogramSection, unit)
        durationDimensions = Self.dimensions(histogramSection, "dimensions", after: shared)
        let events = section.section("events")
        countsEvents = events.bool("enabled") ?? false
        eventDimensions = Self.dimensions(events, "dimensions", after: shared)
        if countsEvents, eventDimensions.isEmpty { events.error("\"dimensions\" must not be empty") }
        let cumulative = section.choice("aggregation_temporality", as: Temporality.self) != .delta
        temporality = cumulative ? .cumulative : .delta
        flushInterval =
            section.duration("metrics_flush_interval", in: .milliseconds(1)...Self.longest) ?? .seconds(60)
        resourceExpiration = section.duration("metrics_expiration", in: .zero...Self.longest) ?? .zero
        seriesExpiration = section.duration("series_expiration", in: .zero...Self.longest) ?? .zero
        resourceLimit = section.integer("resource_metrics_cache_size", in: 1...1_000_000) ?? 1000
        resourceKeyAttributes = section.stringList("resource_metrics_key_attributes") ?? []
        seriesLimit = section.integer("aggregation_cardinality_limit", in: 0...100_000_000) ?? 0
        let exemplars = section.section("exemplars")
        let isEnabled = exemplars.bool("enabled") ?? false
        let most = exemplars.integer("max_per_data_point", in: 1...1000) ?? 5
        exemplarLimit = isEnabled ? most : 0
        includedScopes = section.stringList("include_instrumentation_scope") ?? []
        namesSamplingMethod = section.bool("enable_metrics_sampling_method") ?? false
        marksEnd = section.bool("mark_stale") ?? false
        memoryLimit = (section.integer("memory_limit_mib", in: 1...65_536) ?? 64) << 20
        for key in ["metric_timestamp_cache_size", "dimensions_cache_size"]
        where section.integer(key, in: 1...Int.max) != nil {
            section.warn(key, "has no effect: there is no such cache")
        }
        if section.bool("add_resource_attributes") == false {
            section.error(
                "add_resource_attributes",
                "false is not supported: the metrics have the resource of their spans; use a processor to remove it")
        }
    }

    private static func histogram(_ section: ConfigSection, _ unit: DurationUnit) -> MetricInstrument.Kind? {
        let isDisabled = section.bool("disable") ?? false
        let explicit = section.optionalSection("explicit")
        let exponential = section.optionalSection("exponential")
        var bounds = defaultBuckets.map { Double($0) / unit.nanoseconds }
        if let buckets = explicit?.durationList("buckets") {
            bounds = buckets.map { Self.nanoseconds($0) / unit.nanoseconds }
            if zip(bounds, bounds.dropFirst()).contains(where: { $0 >= $1 }) || bounds.count > 1000 {
                explicit?.error("buckets", "must be at most 1000 durations, each longer than the one before")
            }
        }
        if explicit != nil, exponential != nil {
            section.error("either \"explicit\" or \"exponential\" may be set, not both")
        }
        let size = exponential?.integer("max_size", in: 2...2000) ?? 160
        if isDisabled { return nil }
        return exponential == nil ? .histogram(bounds: bounds) : .exponentialHistogram(maxSize: size)
    }

    /// The length in nanoseconds.
    private static func nanoseconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) * 1e9 + Double(attoseconds / 1_000_000_000)
    }

    private static func dimensions(
        _ section: ConfigSection, _ key: String, after others: [Dimension]
    ) -> [Dimension] {
        var result: [Dimension] = []
        for entry in section.sectionList(key) ?? [] {
            let glob = entry.nonEmptyString("glob")
            let fallback = entry.string("default")
            if let glob {
                if entry.contains("name") || fallback != nil {
                    entry.error("\"glob\" stands alone, without \"name\" and \"default\"")
                }
                result.append(Dimension(name: glob, fallback: nil, isGlob: true))
                continue
            }
            entry.require("name")
            guard let name = entry.nonEmptyString("name") else { continue }
            if ownDimensions.contains(name) || (others + result).contains(where: { !$0.isGlob && $0.name == name }) {
                entry.error("name", "duplicate dimension name \"\(name)\"")
            }
            result.append(Dimension(name: name, fallback: fallback))
        }
        return result
    }
}
