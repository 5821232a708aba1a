/// What a policy remembers between traces.
enum PolicyState: Sendable {
    case bucket(TokenBucket)
    case limits(CompositeLimits)
    case sampler(AdaptiveSampler)
}

/// Turns policies into nodes and gathers what they want to know.
struct PolicyCompiler {
    typealias Node = PolicyProgram.Node

    /// Deepest nesting of policies.
    private static let maximumDepth = 16

    private(set) var plan = FactsPlan()
    /// The salts of all `probabilistic` policies, each once, in order.
    private(set) var salts: [String] = []
    /// What policies remember, by the names of the policy and those around it.
    private(set) var states: [String: PolicyState] = [:]
    private let former: [String: PolicyState]
    private var path: [String] = []
    private var depth: Int { path.count }

    /// - Parameter former: states to go on with where the policy is the same.
    init(_ policies: [PolicySpec], former: [String: PolicyState] = [:]) {
        self.former = former
        for policy in policies { collectSalts(policy.rule, 0) }
    }

    private mutating func collectSalts(_ rule: PolicyRule, _ depth: Int) {
        guard depth < Self.maximumDepth else { return }
        switch rule {
        case .probabilistic(_, let salt):
            if !salts.contains(salt) { salts.append(salt) }
        case .and(let parts), .drop(let parts):
            for part in parts { collectSalts(part.rule, depth + 1) }
        case .not(let part): collectSalts(part.rule, depth + 1)
        case .composite(let spec):
            for share in spec.shares { collectSalts(share.policy.rule, depth + 1) }
        default: break
        }
    }

    mutating func compile(_ policy: PolicySpec) throws(PolicyError) -> Node {
        guard depth < Self.maximumDepth else {
            throw PolicyError(
                policy: policy.name, reason: "policies are nested deeper than \(Self.maximumDepth) levels")
        }
        path.append(policy.name)
        defer { path.removeLast() }
        switch policy.rule {
        case .always: return .always
        case .latency(let threshold, let upper): return .latency(threshold: threshold, upper: upper)
        case .attribute, .statusCode, .traceState, .traceFlags:
            return try condition(policy)
        case .spanCount(let minimum, let maximum): return .spanCount(minimum: minimum, maximum: maximum)
        case .probabilistic(let percentage, let salt):
            plan.readsSampling = true
            let isCommon = salts.count == 1
            return .probabilistic(ProbabilityRule(percentage: percentage, salt: salt, isCommonSalt: isCommon))
        case .rateLimiting(let rate, let burst):
            return .limit(bucket(rate, burst), isBytes: false)
        case .bytesLimiting(let rate, let burst):
            return .limit(bucket(rate, burst), isBytes: true)
        case .and(let parts): return .and(try compile(parts, of: policy))
        case .not(let part): return .not(try compile(part))
        case .drop(let parts): return .drop(try compile(parts, of: policy))
        case .composite(let spec):
            return .composite(limits(spec), try compile(spec.shares.map(\.policy), of: policy))
        case .aggregate(let spec):
            let number = TraceNumber(function: spec.function, values: spec.values.map { Array($0.utf8) })
            return .number(
                plan.add(number, of: spec.field), needsValue: spec.function == .max, minimum: spec.minimum,
                maximum: spec.maximum)
        case .span(let parts, let isRoot): return try group(parts, isRoot, policy)
        case .adaptive(let spec):
            plan.readsSampling = true
            let slots = spec.keys.map { plan.addKeySlot($0) }
            let sum = TraceNumber(function: .sum, values: [])
            let weight: [Int] =
                switch spec.unit {
                case .tokens: Self.tokenFields.map { plan.add(sum, of: $0) }
                case .usd: [plan.add(sum, of: Self.costField)]
                default: []
                }
            return .adaptive(sampler(spec), spec.unit, slots: slots, weight: weight)
        }
    }

    // MARK: What policies remember

    private var place: String { path.joined(separator: "\u{0}") }

    private mutating func bucket(_ rate: Int64, _ burst: Int64) -> TokenBucket {
        let place = place
        if case .bucket(let known)? = former[place], known.isOf(perSecond: rate, burst: burst) {
            states[place] = .bucket(known)
            return known
        }
        let new = TokenBucket(perSecond: rate, burst: burst)
        states[place] = .bucket(new)
        return new
    }

    private mutating func limits(_ spec: CompositeSpec) -> CompositeLimits {
        let place = place
        if case .limits(let known)? = former[place], known.isOf(spec) {
            states[place] = .limits(known)
            return known
        }
        let new = CompositeLimits(spec)
        states[place] = .limits(new)
        return new
    }

    private mutating func sampler(_ spec: AdaptiveSpec) -> AdaptiveSampler {
        let place = place
        if case .sampler(let known)? = former[place], known.spec == spec {
            states[place] = .sampler(known)
            return known
        }
        let new = AdaptiveSampler(spec)
        states[place] = .sampler(new)
        return new
    }

    /// Where the `genai` processor writes what a call cost and used.
    private static let costField = "gen_ai.usage.cost"
    private static let tokenFields = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]

    private mutating func compile(_ parts: [PolicySpec], of policy: PolicySpec) throws(PolicyError) -> [Node] {
        guard !parts.isEmpty else { throw PolicyError(policy: policy.name, reason: "has no sub-policy") }
        var nodes: [Node] = []
        for part in parts { nodes.append(try compile(part)) }
        return nodes
    }

    private mutating func condition(_ policy: PolicySpec) throws(PolicyError) -> Node {
        guard let (condition, isInverted) = try spanCondition(policy) else { return .always }
        return .condition(try add(condition, policy), isInverted: isInverted)
    }

    private mutating func add(_ condition: SpanCondition, _ policy: PolicySpec) throws(PolicyError) -> Int {
        guard let number = plan.add(condition) else {
            throw PolicyError(
                policy: policy.name, reason: "more than \(ConditionBits.capacity) conditions in all policies together")
        }
        return number
    }

    /// A policy as a question about one span; nil for `always_sample`.
    private func spanCondition(
        _ policy: PolicySpec, inSpan: Bool = false
    ) throws(PolicyError) -> (SpanCondition, isInverted: Bool)? {
        switch policy.rule {
        case .always: return nil
        case .attribute(let test, let isInverted): return (.attribute(test), isInverted)
        case .statusCode(let codes): return (.status(codes), false)
        case .traceState(let key, let values):
            return (.traceState(key: Array(key.utf8), values: values.map { Array($0.utf8) }), false)
        case .traceFlags: return (.sampledFlag, false)
        case .latency(let threshold, let upper) where inSpan:
            return (.duration(threshold: threshold, upper: upper), false)
        default:
            throw PolicyError(policy: policy.name, reason: "asks about a whole trace, not about one span")
        }
    }

    private mutating func group(
        _ parts: [PolicySpec], _ isRoot: Bool, _ policy: PolicySpec
    ) throws(PolicyError) -> Node {
        var group = SpanGroup(isRoot: isRoot)
        for part in parts {
            var inner = part
            var isExcluded = false
            if case .not(let negated) = part.rule {
                inner = negated
                isExcluded = true
            }
            guard let (condition, isInverted) = try spanCondition(inner, inSpan: true) else {
                if isExcluded { throw PolicyError(policy: part.name, reason: "never holds") }
                continue
            }
            let number = try add(condition, part)
            if isExcluded != isInverted { group.excluded.insert(number) } else { group.required.insert(number) }
        }
        guard let number = plan.add(group) else {
            throw PolicyError(policy: policy.name, reason: "more than 64 policies about one span")
        }
        return .group(number)
    }
}
