@testable import Sampling

/// What the documentation of the policies says, written down as plainly and as slowly as possible, to compare with.
/// It looks at whole traces as lists of spans and knows neither bytes nor segments.
struct ReferenceModel {
    let policies: [PolicySpec]
    let stopsAtFirstMatch: Bool
    private var buckets: [String: (tokens: Double, time: Int64)] = [:]
    private var seconds: [String: (second: Int64, total: Int64, shares: [Int64])] = [:]

    init(_ policies: [PolicySpec], stopsAtFirstMatch: Bool = false) {
        self.policies = policies
        self.stopsAtFirstMatch = stopsAtFirstMatch
    }

    enum Answer {
        case yes, no, drop, invertYes, invertNo
    }

    /// Whether a trace is kept, and the policy that is named.
    mutating func decide(_ trace: [TestSpan], bytes: Int, now: Int64) -> (
        isKept: Bool, isDropped: Bool, policy: String?
    ) {
        func isDrop(_ policy: PolicySpec) -> Bool { if case .drop = policy.rule { true } else { false } }
        var answers: [(name: String, answer: Answer)] = []
        for policy in policies where isDrop(policy) {
            if answer(policy, trace, bytes, now) == .drop { return (false, true, policy.name) }
        }
        for policy in policies where !isDrop(policy) {
            let answer = answer(policy, trace, bytes, now)
            answers.append((policy.name, answer))
            if stopsAtFirstMatch, answer == .yes { break }
        }
        if let no = answers.first(where: { $0.answer == .invertNo }) { return (false, false, no.name) }
        if let yes = answers.first(where: { $0.answer == .yes }) { return (true, false, yes.name) }
        if let yes = answers.first(where: { $0.answer == .invertYes }), !answers.contains(where: { $0.answer == .no }) {
            return (true, false, yes.name)
        }
        return (false, false, nil)
    }

    private mutating func answer(_ policy: PolicySpec, _ trace: [TestSpan], _ bytes: Int, _ now: Int64) -> Answer {
        switch policy.rule {
        case .always: return .yes
        case .latency(let threshold, let upper):
            let start = trace.map(\.start).filter { $0 != 0 }.min() ?? 0
            let end = trace.map(\.end).max() ?? 0
            return Self.isSlow(start, end, threshold, upper) ? .yes : .no
        case .attribute(let test, let isInverted):
            let found = trace.contains { span in
                span.attributes.contains { $0.key == test.key && Self.matches(test.test, $0.value, isSpan: true) }
                    || span.resource.contains { $0.key == test.key && Self.matches(test.test, $0.value, isSpan: false) }
            }
            return isInverted ? (found ? .invertNo : .invertYes) : (found ? .yes : .no)
        case .statusCode(let codes): return trace.contains { Self.has($0, codes) } ? .yes : .no
        case .traceState(let key, let values):
            return trace.contains { Self.member(key, $0.state).map(values.contains) ?? false } ? .yes : .no
        case .traceFlags: return trace.contains { $0.flags & 1 == 1 } ? .yes : .no
        case .spanCount(let minimum, let maximum):
            return trace.count >= minimum && trace.count <= maximum ?? .max ? .yes : .no
        case .probabilistic(let percentage, let salt):
            return Self.isInShare(percentage, salt, trace[0].trace) ? .yes : .no
        case .rateLimiting(let rate, let burst):
            return take(policy.name, trace.count, rate, burst, now) ? .yes : .no
        case .bytesLimiting(let rate, let burst): return take(policy.name, bytes, rate, burst, now) ? .yes : .no
        case .and(let parts):
            for part in parts where !Self.isPositive(answer(part, trace, bytes, now)) { return .no }
            return .yes
        case .not(let part): return Self.isPositive(answer(part, trace, bytes, now)) ? .no : .yes
        case .drop(let parts):
            for part in parts where !Self.isPositive(answer(part, trace, bytes, now)) { return .no }
            return .drop
        case .composite(let spec): return composite(policy.name, spec, trace, bytes, now)
        case .aggregate(let spec): return Self.aggregate(spec, trace) ? .yes : .no
        case .span(let parts, let isRoot):
            let found = trace.contains { span in
                (!isRoot || span.parent == 0) && parts.allSatisfy { Self.holds($0.rule, on: span) }
            }
            return found ? .yes : .no
        case .adaptive: return .no
        }
    }

    private static func isPositive(_ answer: Answer) -> Bool { answer == .yes || answer == .invertYes }

    private static func isSlow(_ start: UInt64, _ end: UInt64, _ threshold: Int64, _ upper: Int64?) -> Bool {
        let milliseconds = (Int64(end) - Int64(start)) / 1_000_000
        if let upper { return threshold < milliseconds && milliseconds <= upper }
        return milliseconds >= threshold
    }

    private static func has(_ span: TestSpan, _ codes: StatusCodes) -> Bool {
        codes.contains([StatusCodes.unset, .ok, .error][span.status])
    }

    private static func matches(_ test: AttributeTest.Test, _ value: TestSpan.Value, isSpan: Bool) -> Bool {
        switch (test, value) {
        case (.text(let values), .text(let text)): return values.contains(text) && !(isSpan && text.isEmpty)
        // The tests' patterns are of one form only: `^prefix`.
        case (.pattern, .text(let text)): return text.hasPrefix("v1")
        case (.bool(let wanted), .bool(let flag)): return wanted == flag
        case (.number(let low, let high), .int(let number)): return number >= low ?? .min && number <= high ?? .max
        case (.number(let low, let high), .double(let number)):
            return number >= low.map(Double.init) ?? -.infinity && number <= high.map(Double.init) ?? .infinity
        default: return false
        }
    }

    private static func holds(_ rule: PolicyRule, on span: TestSpan) -> Bool {
        switch rule {
        case .attribute(let test, let isInverted):
            let found =
                span.attributes.contains { $0.key == test.key && matches(test.test, $0.value, isSpan: true) }
                || span.resource.contains { $0.key == test.key && matches(test.test, $0.value, isSpan: false) }
            return found != isInverted
        case .statusCode(let codes): return has(span, codes)
        case .latency(let threshold, let upper): return isSlow(span.start, span.end, threshold, upper)
        case .not(let part): return !holds(part.rule, on: span)
        default: return true
        }
    }

    private static func member(_ key: String, _ state: String) -> String? {
        for member in state.split(separator: ",") {
            let parts = member.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == key { return String(parts[1]) }
        }
        return nil
    }

    private static func isInShare(_ percentage: Double, _ salt: String, _ id: (high: UInt64, low: UInt64)) -> Bool {
        var hash: UInt64 = 14_695_981_039_346_656_037
        var bytes = Array(salt.utf8)
        for half in [id.high, id.low] {
            for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * byte))) }
        }
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        return percentage > 0 && (percentage >= 100 || Double(hash) <= percentage / 100 * 0x1p64)
    }

    private mutating func take(_ name: String, _ amount: Int, _ rate: Int64, _ burst: Int64, _ now: Int64) -> Bool {
        var bucket = buckets[name] ?? (Double(burst), now)
        bucket.tokens = min(Double(burst), bucket.tokens + Double(now - bucket.time) * 1e-9 * Double(rate))
        bucket.time = now
        let isTaken = Double(amount) <= bucket.tokens
        if isTaken { bucket.tokens -= Double(amount) }
        buckets[name] = bucket
        return isTaken
    }

    private mutating func composite(
        _ name: String, _ spec: CompositeSpec, _ trace: [TestSpan], _ bytes: Int, _ now: Int64
    ) -> Answer {
        let second = now / 1_000_000_000
        for (index, share) in spec.shares.enumerated() where Self.isPositive(answer(share.policy, trace, bytes, now)) {
            var state = seconds[name] ?? (second, 0, spec.shares.map { _ in 0 })
            if state.second != second { state = (second, 0, spec.shares.map { _ in 0 }) }
            let spans = Int64(trace.count)
            let fits = state.shares[index] + spans <= share.spansPerSecond && state.total + spans <= spec.spansPerSecond
            if fits {
                state.shares[index] += spans
                state.total += spans
            }
            seconds[name] = state
            return fits ? .yes : .no
        }
        return .no
    }

    private static func aggregate(_ spec: AggregateSpec, _ trace: [TestSpan]) -> Bool {
        var values = trace.flatMap { span in span.attributes.filter { $0.key == spec.field }.map(\.value) }
        if !spec.values.isEmpty {
            values = values.filter { if case .text(let text) = $0 { spec.values.contains(text) } else { false } }
        }
        let numbers = values.compactMap { value -> Double? in
            switch value {
            case .int(let number): Double(number)
            case .double(let number): number
            default: nil
            }
        }
        let result: Double
        switch spec.function {
        case .sum: result = numbers.reduce(0, +)
        case .max:
            guard let most = numbers.max() else { return false }
            result = most
        case .count: result = Double(values.count)
        case .distinct:
            var seen: [TestSpan.Value] = []
            for value in values where !seen.contains(value) { seen.append(value) }
            result = Double(seen.count)
        }
        return result >= spec.minimum ?? -.infinity && result <= spec.maximum ?? .infinity
    }
}
