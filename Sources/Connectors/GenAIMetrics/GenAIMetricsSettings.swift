internal import Aggregation
internal import Config

/// What a `genai_metrics` section sets.
package struct GenAIMetricsSettings: Sendable {
    /// An attribute of the metrics, and where its value comes from.
    struct Dimension: Sendable {
        var name: String
        /// Attributes of the span, else of its resource, the best first.
        var keys: [String]
        var fallback: String?
    }

    enum Temporality: String, CaseIterable {
        case delta = "AGGREGATION_TEMPORALITY_DELTA"
        case cumulative = "AGGREGATION_TEMPORALITY_CUMULATIVE"
    }

    enum Alias: String, CaseIterable {
        /// `model_requests_total`, `model_tokens_used`, `model_cost_dollars`, `model_latency_seconds`,
        /// `model_error_rate`.
        case orchestrator
    }

    /// Most further dimensions, and keys of one.
    static let maximumDimensions = 16
    static let maximumKeys = 16

    /// Attributes that are read for a dimension that is named without keys.
    static let knownKeys: [String: [String]] = [
        "service": ["service.name"],
        "environment": ["deployment.environment.name", "deployment.environment"],
        "user": ["user.id", "enduser.id", "langfuse.user.id", "gen_ai.user.id", "gen_ai.request.user", "llm.user"],
        "tenant": ["tenant.id", "litellm.team.id", "traceloop.association.properties.tenant_id"],
        "session": ["gen_ai.conversation.id", "session.id"],
        "feature": ["feature.name", "traceloop.association.properties.feature", "gen_ai.application_name"],
        "agent": ["gen_ai.agent.name"],
        "prompt": ["gen_ai.prompt.name"],
    ]

    /// Attributes that the metrics have by themselves.
    static let ownDimensions = [
        "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
        "server.address", "error.type",
    ]

    var dimensions: [Dimension] = []
    var excludedDimensions: [String]
    var alias: Alias?
    /// Names of attributes that the `genai` processor writes. Keys of `cost_names`.
    var statusName: String
    var costName: String
    var savingsName: String
    var resentName: String
    let temporality: AggregationTemporality
    var flushInterval: Duration
    var seriesLimit: Int
    var resourceLimit: Int
    var resourceKeyAttributes: [String]
    var seriesExpiration: Duration
    var memoryLimit: Int

    private static let longest = Duration.seconds(86_400 * 365)

    init(from section: ConfigSection) {
        excludedDimensions = section.stringList("exclude_dimensions") ?? []
        for name in excludedDimensions where !Self.ownDimensions.contains(name) {
            section.error("exclude_dimensions", "\"\(name)\" is none of \(Self.ownDimensions.joined(separator: ", "))")
        }
        alias = section.choice("alias", as: Alias.self)
        let names = section.section("cost_names")
        statusName = names.nonEmptyString("status") ?? "gen_ai.cost.status"
        costName = names.nonEmptyString("cost") ?? "gen_ai.usage.cost"
        savingsName = names.nonEmptyString("cache_savings") ?? "gen_ai.cost.cache_savings"
        resentName = names.nonEmptyString("resent") ?? "gen_ai.cost.resent"
        let cumulative = section.choice("aggregation_temporality", as: Temporality.self) != .delta
        temporality = cumulative ? .cumulative : .delta
        flushInterval =
            section.duration("metrics_flush_interval", in: .milliseconds(1)...Self.longest) ?? .seconds(60)
        seriesLimit = section.integer("aggregation_cardinality_limit", in: 0...100_000_000) ?? 2000
        resourceLimit = section.integer("resource_metrics_cache_size", in: 1...1_000_000) ?? 1000
        resourceKeyAttributes = section.stringList("resource_metrics_key_attributes") ?? []
        seriesExpiration = section.duration("series_expiration", in: .zero...Self.longest) ?? .zero
        memoryLimit = (section.integer("memory_limit_mib", in: 1...65_536) ?? 64) << 20
        readDimensions(section)
    }

    private mutating func readDimensions(_ section: ConfigSection) {
        let listed = section.sectionList("dimensions") ?? []
        if listed.count > Self.maximumDimensions {
            section.error("dimensions", "has more than \(Self.maximumDimensions) entries")
        }
        for entry in listed.prefix(Self.maximumDimensions) {
            entry.require("name")
            guard let name = entry.nonEmptyString("name") else { continue }
            let keys = entry.stringList("keys") ?? Self.knownKeys[name] ?? [name]
            let fallback = entry.string("default")
            if keys.isEmpty || keys.count > Self.maximumKeys || keys.contains("") {
                entry.error("keys", "must be 1 to \(Self.maximumKeys) names of attributes")
            }
            if Self.ownDimensions.contains(name) || dimensions.contains(where: { $0.name == name }) {
                entry.error("name", "duplicate dimension name \"\(name)\"")
            }
            dimensions.append(Dimension(name: name, keys: keys, fallback: fallback))
        }
    }
}
