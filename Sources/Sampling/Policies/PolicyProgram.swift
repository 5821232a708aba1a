internal import Glibc

/// What a policy, or all of them, say about a trace.
package enum Decision: UInt8, Sendable {
    case notSampled
    case sampled
    /// Goes, whatever other policies say.
    case dropped
    /// `invert_match`: nothing matched.
    case invertSampled
    /// `invert_match`: something matched.
    case invertNotSampled

    /// Whether the policy wants the trace.
    var isPositive: Bool { self == .sampled || self == .invertSampled }
}

/// The decision about a trace.
package struct Verdict: Sendable {
    /// `sampled`, `notSampled` or `dropped`.
    package var decision: Decision
    /// Index of the policy that made the difference; nil when none did.
    package var policy: Int?
    /// The threshold of the rules that keep the trace, its own included; nil when the probability is not known.
    package var threshold: Threshold?
    /// What the thresholds were compared with, when it is neither the trace id's nor carried by the trace.
    package var randomness: Randomness?

    package var isSampled: Bool { decision == .sampled }
}

/// How often a policy was asked, and what it said.
package struct PolicyTally: Sendable {
    /// Traces, and the spans in them.
    package struct Count: Sendable, Equatable {
        package var traces = 0
        package var spans = 0

        fileprivate mutating func add(_ other: Count) {
            traces += other.traces
            spans += other.spans
        }
    }

    /// One trace of so many is timed, and stands for all.
    static let timedEvery = 16

    package var sampled = Count()
    package var notSampled = Count()
    package var dropped = Count()
    /// Time that it took, estimated from the traces that were timed. Reading the spans is not part of it.
    package var nanoseconds: Int64 = 0

    package init() {}

    mutating func add(_ decision: Decision, spans: Int) {
        switch decision {
        case .sampled, .invertSampled: Self.add(spans, to: &sampled)
        case .notSampled, .invertNotSampled: Self.add(spans, to: &notSampled)
        case .dropped: Self.add(spans, to: &dropped)
        }
    }

    /// Adds what another tally holds.
    package mutating func add(_ other: PolicyTally) {
        sampled.add(other.sampled)
        notSampled.add(other.notSampled)
        dropped.add(other.dropped)
        nanoseconds += other.nanoseconds
    }

    private static func add(_ spans: Int, to count: inout Count) {
        count.traces += 1
        count.spans += spans
    }
}

/// Policies that cannot be carried out as they are.
package struct PolicyError: Error, Equatable, CustomStringConvertible {
    package let policy: String
    package let reason: String

    package var description: String { "policy \"\(policy)\": \(reason)" }
}

/// Policies made ready to be asked: what they want to know is one `FactsPlan`, what they remember (token buckets, rates)
/// is shared by all shards. Any thread may use it.
package final class PolicyProgram: Sendable {
    indirect enum Node: Sendable {
        case always
        case latency(threshold: Int64, upper: Int64?)
        case condition(Int, isInverted: Bool)
        case group(Int)
        case spanCount(minimum: Int, maximum: Int?)
        case probabilistic(ProbabilityRule)
        case limit(TokenBucket, isBytes: Bool)
        case and([Node])
        case not(Node)
        case drop([Node])
        case composite(CompositeLimits, [Node])
        case number(Int, needsValue: Bool, minimum: Double?, maximum: Double?)
        case adaptive(AdaptiveSampler, AdaptiveSpec.Unit, slots: [Int], weight: [Int])
    }

    /// What is said about a trace, and the threshold at which it is said; nil when the probability is not known.
    struct Outcome {
        var decision: Decision
        var threshold: Threshold?

        static let no = Outcome(decision: .notSampled, threshold: .always)
        static func when(_ holds: Bool) -> Outcome {
            Outcome(decision: holds ? .sampled : .notSampled, threshold: .always)
        }
    }

    /// Names of the policies, in the order of the configuration.
    package let names: [String]
    let plan: FactsPlan
    private let nodes: [Node]
    /// Indices of nodes in the order in which they are asked: those that drop come first.
    private let order: [Int]
    private let dropCount: Int
    private let stopsAtFirstMatch: Bool
    /// Policies whose yes no further span can change, by index.
    private let sure: [Int]
    /// The hash that stands for randomness in traces that carry none; nil for that of the trace id.
    let hash: SaltedHash?
    /// Buckets and rates of the policies, by where they stand.
    private let states: [String: PolicyState]

    /// - Parameters:
    ///   - stopsAtFirstMatch: `sample_on_first_match`.
    ///   - former: the program that this one follows: buckets and rates of policies that have not changed go on.
    package init(
        _ policies: [PolicySpec], stopsAtFirstMatch: Bool = false, former: PolicyProgram? = nil
    ) throws(PolicyError) {
        var compiler = PolicyCompiler(policies, former: former?.states ?? [:])
        var nodes: [Node] = []
        for policy in policies { nodes.append(try compiler.compile(policy)) }
        names = policies.map(\.name)
        plan = compiler.plan
        states = compiler.states
        self.nodes = nodes
        self.stopsAtFirstMatch = stopsAtFirstMatch
        let drops = nodes.indices.filter { if case .drop = nodes[$0] { true } else { false } }
        dropCount = drops.count
        order = drops + nodes.indices.filter { !drops.contains($0) }
        hash = compiler.salts.first.map { SaltedHash(salt: $0) }
        let canBeOverruled = nodes.contains { node in
            switch node {
            case .drop, .condition(_, isInverted: true): true
            default: false
            }
        }
        sure = canBeOverruled ? [] : nodes.indices.filter { Self.isSure(nodes[$0]) }
    }

    /// Whether policies have several salts, so that no probability of the whole is known.
    package static func hasSeveralSalts(_ policies: [PolicySpec]) -> Bool {
        PolicyCompiler(policies).salts.count > 1
    }

    /// Whether an early decision is possible at all.
    package var canDecideEarly: Bool { !sure.isEmpty }

    /// A policy about any span, whose yes holds whatever other spans come.
    private static func isSure(_ node: Node) -> Bool {
        switch node {
        case .always, .group, .condition(_, isInverted: false): true
        case .and(let parts): parts.allSatisfy(isSure)
        default: false
        }
    }

    /// The adaptive policies, with the names of those around them.
    var adaptiveSamplers: [(name: String, sampler: AdaptiveSampler)] {
        states.compactMap { name, state in
            if case .sampler(let sampler) = state { (name, sampler) } else { nil }
        }.sorted { $0.name < $1.name }
    }

    // MARK: Asking

    /// Asks all policies about a whole trace. `tallies` has an element for each policy. `now` is in nanoseconds.
    func verdict(
        _ facts: borrowing TraceFacts, now: Int64, isTimed: Bool = false, tallies: inout [PolicyTally]
    ) -> Verdict {
        var first: Int?
        var threshold: Threshold?
        var isUnknown = false
        var inverted: Int?
        var invertedOut: Int?
        var hasRefusal = false
        for (position, index) in order.enumerated() {
            let began = isTimed ? Self.nanoseconds() : 0
            let outcome = evaluate(nodes[index], facts, now)
            if isTimed { tallies[index].nanoseconds += (Self.nanoseconds() - began) * Int64(PolicyTally.timedEvery) }
            tallies[index].add(outcome.decision, spans: facts.spans)
            switch outcome.decision {
            case .dropped:
                return Verdict(decision: .dropped, policy: index, threshold: nil)
            case .sampled:
                if first == nil { first = index }
                if let found = outcome.threshold {
                    threshold = threshold.map { min($0, found) } ?? found
                } else {
                    isUnknown = true
                }
            case .invertSampled:
                if inverted == nil { inverted = index }
            case .invertNotSampled:
                if invertedOut == nil { invertedOut = index }
            case .notSampled:
                // A drop policy that does not match has no say.
                if position >= dropCount { hasRefusal = true }
            }
            if stopsAtFirstMatch, outcome.decision == .sampled { break }
        }
        if let invertedOut { return Verdict(decision: .notSampled, policy: invertedOut, threshold: nil) }
        if let first {
            // A rule that keeps for certain settles it; beside an unknown one a probability settles nothing.
            let known = isUnknown && threshold != .always ? nil : threshold
            return Verdict(decision: .sampled, policy: first, threshold: known, randomness: randomness(facts))
        }
        if let inverted, !hasRefusal { return Verdict(decision: .sampled, policy: inverted, threshold: .always) }
        return Verdict(decision: .notSampled, policy: nil, threshold: nil)
    }

    /// For timing only; decisions go by the `now` that they are given.
    private static func nanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The policy whose yes holds whatever spans still come, given a part of a trace.
    func sureMatch(_ facts: borrowing TraceFacts, now: Int64) -> Int? {
        for index in sure where evaluate(nodes[index], facts, now).decision == .sampled { return index }
        return nil
    }

    /// Whether there are policies that drop.
    package var hasDrops: Bool { dropCount > 0 }

    private func randomness(_ facts: borrowing TraceFacts) -> Randomness? {
        guard let hash, facts.randomness == nil, facts.threshold == nil else { return nil }
        return SaltedHash.randomness(hash.hash(facts.traceID))
    }

    /// What thresholds are compared with.
    private func comparedRandomness(_ facts: borrowing TraceFacts) -> Randomness {
        if let carried = facts.randomness { return carried }
        if let hash, facts.threshold == nil { return SaltedHash.randomness(hash.hash(facts.traceID)) }
        return Randomness(truncating: facts.traceID.low)
    }

    /// The threshold that spans of the trace have passed before they came here, all of them.
    private func arriving(_ facts: borrowing TraceFacts) -> Threshold {
        facts.hasUnsampledSpan ? .always : facts.threshold ?? .always
    }

    private func evaluate(_ node: Node, _ facts: borrowing TraceFacts, _ now: Int64) -> Outcome {
        switch node {
        case .always: return .when(true)
        case .latency(let threshold, let upper):
            return .when(facts.spans > 0 && TraceFacts.isWithin(facts.milliseconds, threshold, upper))
        case .condition(let condition, let isInverted):
            let holds = facts.bits.contains(condition)
            guard isInverted else { return .when(holds) }
            return Outcome(decision: holds ? .invertNotSampled : .invertSampled, threshold: .always)
        case .group(let group): return .when(facts.groups & (1 << UInt64(group)) != 0)
        case .spanCount(let minimum, let maximum):
            return .when(facts.spans >= minimum && maximum.map { facts.spans <= $0 } ?? true)
        case .probabilistic(let rule): return probabilistic(rule, facts)
        case .limit(let bucket, let isBytes):
            let isTaken = bucket.take(isBytes ? facts.bytes : facts.spans, now: now)
            return Outcome(decision: isTaken ? .sampled : .notSampled, threshold: nil)
        case .and(let parts): return all(parts, facts, now)
        case .not(let part):
            let outcome = evaluate(part, facts, now)
            let isKnown = outcome.threshold == .always
            return Outcome(
                decision: outcome.decision.isPositive ? .notSampled : .sampled, threshold: isKnown ? .always : nil)
        case .drop(let parts):
            return Outcome(decision: all(parts, facts, now).decision == .sampled ? .dropped : .notSampled)
        case .composite(let limits, let parts):
            for (share, part) in parts.enumerated() where evaluate(part, facts, now).decision.isPositive {
                let isTaken = limits.take(facts.spans, share: share, now: now)
                return Outcome(decision: isTaken ? .sampled : .notSampled, threshold: nil)
            }
            return .no
        case .number(let index, let needsValue, let minimum, let maximum):
            let number = facts.numbers[index]
            if needsValue, number.count == 0 { return .no }
            return .when(
                minimum.map { number.value >= $0 } ?? true && maximum.map { number.value <= $0 } ?? true)
        case .adaptive(let sampler, let unit, let slots, let weight):
            let amount = self.weight(unit, weight, facts)
            let share = sampler.share(of: Self.key(slots, facts), weight: amount, now: now)
            return probable(share, facts)
        }
    }

    private func all(_ parts: [Node], _ facts: borrowing TraceFacts, _ now: Int64) -> Outcome {
        var threshold: Threshold? = .always
        for part in parts {
            let outcome = evaluate(part, facts, now)
            guard outcome.decision.isPositive else {
                // A no that hangs on chance has a yes of unknown probability.
                return Outcome(decision: .notSampled, threshold: outcome.threshold)
            }
            if let found = outcome.threshold { threshold = threshold.map { max($0, found) } } else { threshold = nil }
        }
        return Outcome(decision: .sampled, threshold: threshold)
    }

    private func probabilistic(_ rule: ProbabilityRule, _ facts: borrowing TraceFacts) -> Outcome {
        if facts.randomness != nil || facts.threshold != nil { return probable(rule.probability, facts) }
        guard let limit = rule.limit, rule.hash.hash(facts.traceID) <= limit else {
            return Outcome(decision: .notSampled, threshold: rule.isCommonSalt ? rule.threshold : nil)
        }
        return Outcome(decision: .sampled, threshold: rule.isCommonSalt ? rule.threshold : nil)
    }

    /// Keeps this share of what came, consistently with those who sampled before.
    private func probable(_ probability: Double, _ facts: borrowing TraceFacts) -> Outcome {
        let threshold = arriving(facts).keeping(probability)
        let isKept = threshold.keeps(comparedRandomness(facts))
        return Outcome(decision: isKept ? .sampled : .notSampled, threshold: threshold)
    }

    private func weight(_ unit: AdaptiveSpec.Unit, _ numbers: [Int], _ facts: borrowing TraceFacts) -> Double {
        switch unit {
        case .traces: return 1
        case .spans: return Double(facts.spans)
        case .bytes: return Double(facts.bytes)
        case .tokens, .usd:
            var sum = 0.0
            for index in numbers { sum += facts.numbers[index].value }
            return sum
        }
    }

    /// The distinct values of each attribute, sorted and joined.
    private static func key(_ slots: [Int], _ facts: borrowing TraceFacts) -> [UInt8] {
        var key: [UInt8] = []
        for slot in slots {
            let values = facts.keyValues[slot].sorted { $0.lexicographicallyPrecedes($1) }
            for (position, value) in values.enumerated() {
                if position > 0 { key.append(0x2C) }
                key += value
            }
            key.append(0x3B)
        }
        return key
    }
}
