internal import Config
internal import Sampling

/// Reads policies as otelcol's `tail_sampling` writes them.
struct PolicyReader {
    /// Deepest nesting of policies.
    private static let maximumDepth = 8
    private static let day: Int64 = 86_400_000

    private static let types = [
        "always_sample", "latency", "numeric_attribute", "string_attribute", "boolean_attribute", "status_code",
        "trace_state", "trace_flags", "span_count", "probabilistic", "rate_limiting", "bytes_limiting", "and", "not",
        "drop", "composite", "aggregate", "same_span", "root_span", "adaptive_percentage", "adaptive_throughput",
    ]

    /// The policies of a list; an error is recorded for each that cannot be used.
    static func policies(_ section: ConfigSection, _ key: String, depth: Int = 0) -> [PolicySpec] {
        section.require(key)
        guard let list = section.sectionList(key) else { return [] }
        if list.isEmpty { section.error(key, "must not be empty") }
        var names: Set<String> = []
        return list.compactMap { element in
            guard let policy = policy(element, depth: depth) else { return nil }
            if !names.insert(policy.name).inserted { element.error("name", "is the name of another policy too") }
            return policy
        }
    }

    private static func policy(_ section: ConfigSection, depth: Int) -> PolicySpec? {
        section.require("name")
        section.require("type")
        let name = section.nonEmptyString("name")
        guard let type = section.nonEmptyString("type") else { return nil }
        // The block of another type is one that otelcol does not look at either.
        for other in types where other != type && section.keys.contains(other) {
            section.warn(other, "has no effect: the policy's type is \"\(type)\"")
            _ = section.node(other)
        }
        if type == "ottl_condition" {
            section.refuse("ottl_condition", because: "OTTL is not part of this build; use string_attribute, same_span")
            section.error("type", "\"ottl_condition\" is not supported: OTTL is not part of this build")
            return nil
        }
        guard types.contains(type) else {
            let hint = "is no policy type of this build; policies of extensions are not supported"
            section.error("type", "\"\(type)\" \(hint)", suggestion: NearestName.find(type, among: types))
            section.acceptAnyKey()
            return nil
        }
        guard depth < maximumDepth else {
            section.error("policies are nested deeper than \(maximumDepth) levels")
            section.acceptAnyKey()
            return nil
        }
        guard let rule = rule(type, section.section(type), depth: depth), let name else { return nil }
        return PolicySpec(name, rule)
    }

    private static func rule(_ type: String, _ section: ConfigSection, depth: Int) -> PolicyRule? {
        switch type {
        case "always_sample": return .always
        case "latency": return latency(section)
        case "numeric_attribute": return numeric(section)
        case "string_attribute": return text(section)
        case "boolean_attribute":
            guard let key = key(section) else { return nil }
            let test = AttributeTest.Test.bool(section.bool("value") ?? false)
            return .attribute(AttributeTest(key: key, test), isInverted: section.bool("invert_match") ?? false)
        case "status_code": return statusCode(section)
        case "trace_state":
            section.require("values")
            let values = section.stringList("values") ?? []
            return key(section).map { .traceState(key: $0, values: values) }
        case "trace_flags": return .traceFlags
        case "span_count": return spanCount(section)
        case "probabilistic":
            let percentage = section.double("sampling_percentage", in: 0...1_000_000) ?? 0
            let salt = section.string("hash_salt") ?? ""
            return .probabilistic(percentage: percentage, salt: salt.isEmpty ? "default-hash-seed" : salt)
        case "rate_limiting":
            let (rate, burst) = bucket(section, "spans_per_second")
            return .rateLimiting(spansPerSecond: rate, burst: burst)
        case "bytes_limiting":
            let (rate, burst) = bucket(section, "bytes_per_second")
            return .bytesLimiting(bytesPerSecond: rate, burst: burst)
        case "and": return .and(policies(section, "and_sub_policy", depth: depth + 1))
        case "drop": return .drop(policies(section, "drop_sub_policy", depth: depth + 1))
        case "not":
            section.require("not_sub_policy")
            return policy(section.section("not_sub_policy"), depth: depth + 1).map { .not($0) }
        case "same_span":
            return .span(policies(section, "same_span_sub_policy", depth: depth + 1), isRoot: false)
        case "root_span":
            return .span(policies(section, "root_span_sub_policy", depth: depth + 1), isRoot: true)
        case "composite": return composite(section, depth: depth)
        case "aggregate": return aggregate(section)
        default: return .adaptive(AdaptiveReader.spec(section, isThroughput: type == "adaptive_throughput"))
        }
    }

    // MARK: Types

    private static func key(_ section: ConfigSection) -> String? {
        section.require("key")
        return section.nonEmptyString("key")
    }

    private static func latency(_ section: ConfigSection) -> PolicyRule {
        let threshold = section.integer("threshold_ms", in: 0...day * 365) ?? 0
        let upper = section.integer("upper_threshold_ms", in: 0...day * 365) ?? 0
        if upper > 0, upper <= threshold {
            section.error("upper_threshold_ms", "must be above \"threshold_ms\" (\(threshold))")
        }
        return .latency(threshold: threshold, upper: upper > 0 ? upper : nil)
    }

    private static func numeric(_ section: ConfigSection) -> PolicyRule? {
        let minimum = section.integer("min_value", in: Int64.min...Int64.max)
        let maximum = section.integer("max_value", in: Int64.min...Int64.max)
        if minimum == nil, maximum == nil { section.error("\"min_value\" or \"max_value\" must be set") }
        if let minimum, let maximum, minimum > maximum {
            section.error("min_value", "must not be above \"max_value\" (\(maximum))")
        }
        let isInverted = section.bool("invert_match") ?? false
        return key(section).map {
            .attribute(AttributeTest(key: $0, .number(minimum: minimum, maximum: maximum)), isInverted: isInverted)
        }
    }

    private static func text(_ section: ConfigSection) -> PolicyRule? {
        section.require("values")
        let values = section.stringList("values") ?? []
        let isPattern = section.bool("enabled_regex_matching") ?? false
        let isInverted = section.bool("invert_match") ?? false
        if section.integer("cache_max_size", in: 0...Int(Int32.max)) != nil {
            section.warn("cache_max_size", "has no effect: expressions are compiled, results are not kept")
        }
        guard let key = key(section) else { return nil }
        guard isPattern else { return .attribute(AttributeTest(key: key, .text(values)), isInverted: isInverted) }
        var patterns: [TextPattern] = []
        for value in values {
            do throws(TextPattern.Malformed) {
                patterns.append(try TextPattern(value))
            } catch {
                section.error("values", "\"\(value)\" is no regular expression: \(error.reason) at \(error.offset)")
            }
        }
        return .attribute(AttributeTest(key: key, .pattern(patterns)), isInverted: isInverted)
    }

    private static func statusCode(_ section: ConfigSection) -> PolicyRule {
        section.require("status_codes")
        var codes = StatusCodes()
        for name in section.stringList("status_codes") ?? [] {
            switch name {
            case "OK": codes.insert(.ok)
            case "ERROR": codes.insert(.error)
            case "UNSET": codes.insert(.unset)
            default: section.error("status_codes", "\"\(name)\" is not one of OK, ERROR, UNSET")
            }
        }
        if codes.isEmpty { section.error("status_codes", "must not be empty") }
        return .statusCode(codes)
    }

    private static func spanCount(_ section: ConfigSection) -> PolicyRule {
        let minimum = section.integer("min_spans", in: 0...Int(Int32.max)) ?? 0
        let maximum = section.integer("max_spans", in: 0...Int(Int32.max)) ?? 0
        if maximum > 0, maximum < minimum { section.error("max_spans", "must not be below \"min_spans\" (\(minimum))") }
        return .spanCount(minimum: minimum, maximum: maximum > 0 ? maximum : nil)
    }

    private static func bucket(_ section: ConfigSection, _ key: String) -> (Int64, Int64) {
        section.require(key)
        let rate = section.integer(key, in: Int64(0)...(1 << 50)) ?? 0
        let burst = section.integer("burst_capacity", in: Int64(0)...(1 << 50)) ?? 0
        return (rate, burst > 0 ? burst : rate * 2)
    }

    private static func composite(_ section: ConfigSection, depth: Int) -> PolicyRule {
        section.require("max_total_spans_per_second")
        let total = section.integer("max_total_spans_per_second", in: Int64(1)...(1 << 50)) ?? 1
        let parts = policies(section, "composite_sub_policy", depth: depth + 1)
        let order = section.stringList("policy_order") ?? []
        for name in order where !parts.contains(where: { $0.name == name }) {
            section.error("policy_order", "\"\(name)\" is no sub-policy")
        }
        var percents: [String: Int64] = [:]
        for allocation in section.sectionList("rate_allocation") ?? [] {
            allocation.require("policy")
            let percent = allocation.integer("percent", in: Int64(0)...100) ?? 0
            guard let name = allocation.nonEmptyString("policy") else { continue }
            if !parts.contains(where: { $0.name == name }) {
                allocation.error("policy", "\"\(name)\" is no sub-policy")
            }
            percents[name] = percent
        }
        let equal = total / Int64(max(1, parts.count))
        let sorted =
            order.compactMap { name in parts.first { $0.name == name } } + parts.filter { !order.contains($0.name) }
        let shares = sorted.map { part in
            let percent = percents[part.name] ?? 0
            return CompositeSpec.Share(part, spansPerSecond: percent > 0 ? Self.percent(percent, of: total) : equal)
        }
        return .composite(CompositeSpec(spansPerSecond: total, shares: shares))
    }

    private static func percent(_ percent: Int64, of total: Int64) -> Int64 {
        total / 100 * percent + total % 100 * percent / 100
    }

    private static func aggregate(_ section: ConfigSection) -> PolicyRule? {
        section.require("field")
        section.require("function")
        let minimum = section.double("min_value", in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude)
        let maximum = section.double("max_value", in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude)
        let function: AggregateSpec.Function? = section.choice("function", as: AggregateSpec.Function.self)
        let values = section.stringList("values") ?? []
        if minimum == nil, maximum == nil { section.error("\"min_value\" or \"max_value\" must be set") }
        if !values.isEmpty, function == .sum || function == .max {
            section.error("values", "is for the functions count and distinct")
        }
        guard let field = section.nonEmptyString("field"), let function else { return nil }
        return .aggregate(
            AggregateSpec(field: field, function: function, values: values, minimum: minimum, maximum: maximum))
    }
}

/// Reads the adaptive policies.
enum AdaptiveReader {
    private static let nanosecond = 1_000_000_000.0

    static func spec(_ section: ConfigSection, isThroughput: Bool) -> AdaptiveSpec {
        var spec: AdaptiveSpec
        let keys = section.stringList("fingerprint_attributes") ?? []
        if isThroughput {
            section.require("goal_throughput")
            spec = AdaptiveSpec(.throughput(section.double("goal_throughput", in: 1e-9...1e15) ?? 1), keys: keys)
            spec.interval = nanoseconds(section, "update_frequency") ?? 1_000_000_000
            spec.initialPercentage = section.double("initial_sampling_percentage", in: 0...100) ?? 10
            spec.algorithm = section.choice("algorithm", as: AdaptiveSpec.Algorithm.self) ?? .ema
            spec.unit = section.choice("unit", as: AdaptiveSpec.Unit.self) ?? .spans
            let lookback = nanoseconds(section, "lookback_frequency") ?? 30_000_000_000
            if lookback < spec.interval {
                section.error("lookback_frequency", "must not be below \"update_frequency\"")
            }
            spec.lookback = max(1, Int(lookback / max(1, spec.interval)))
        } else {
            section.require("goal_percentage")
            spec = AdaptiveSpec(.percentage(section.double("goal_percentage", in: 0...100) ?? 10), keys: keys)
            spec.interval = nanoseconds(section, "adjustment_interval") ?? 15_000_000_000
            spec.unit = .traces
        }
        spec.weight = section.double("weight", in: 0.001...1) ?? 0.5
        spec.ageOut = section.double("age_out_value", in: 0...1_000_000) ?? spec.weight
        spec.maximumKeys = section.integer("max_keys", in: 1...100_000) ?? 500
        spec.burstMultiple = section.double("burst_multiple", in: -1...1_000_000) ?? 2
        spec.burstDelay = section.integer("burst_detection_delay", in: 0...1_000_000) ?? 3
        return spec
    }

    private static func nanoseconds(_ section: ConfigSection, _ key: String) -> Int64? {
        section.duration(key, in: .milliseconds(100) ... .seconds(86_400)).map(TailSamplingSettings.nanoseconds)
    }
}
