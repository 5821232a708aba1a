extension SpanScan {
    /// Brings the counts into the normal form of `TokenUsage`: prompt tokens include cached ones, completion tokens
    /// include reasoning.
    func settleUsage(_ scope: SpanScope) {
        let present = call.pointee.present
        guard present.rawValue & Self.countsOfUsage != 0 || !invalidCounts.isEmpty else { return }
        let isMarked = present.contains(.usageMark)
        if present.rawValue & Self.countsOfUsage & ~Self.countsOfText == 0, invalidCounts.isEmpty {
            // Most spans have no other counts, and nothing to be settled.
            call.pointee.usage.setText(input: count(.input) ?? -1, output: count(.output) ?? -1)
            if present.contains(.input) { call.pointee.usageRule = isMarked ? .marked : .none }
            return
        }
        let read = count(.cacheRead)
        let written = cacheWrites()
        let cached = (read ?? 0) + (written.map { $0.fiveMinutes + $0.oneHour } ?? 0)
        var usage = TokenUsage()

        if let reported = count(.input) {
            var input = reported
            if inputFlags.contains(.withExtra), !isMarked, let extra = count(.extraInput), extra > 0 {
                input += extra
                call.pointee.marks.insert(.extraAdded)
            }
            let rule = usageRule(input, cached, isMarked, scope)
            call.pointee.usageRule = rule
            if rule.isExclusive {
                input += cached
            } else if input < cached {
                input = cached
                call.pointee.marks.insert(.inputRaised)
            }
            usage.input = input
            if input != reported { replace(.input) }
        }
        usage.output = output(input: usage.input, isMarked)
        usage.cacheRead = read
        usage.cacheWrite5m = written?.fiveMinutes
        usage.cacheWrite1h = written.flatMap { $0.oneHour > 0 ? $0.oneHour : nil }
        usage.reasoning = count(.reasoning)
        usage.audioInput = count(.audioInput)
        usage.cachedAudioInput = count(.audioCacheRead)
        usage.audioOutput = count(.audioOutput)
        if !invalidCounts.isEmpty { markInvalid(&usage) }
        call.pointee.usage = usage
    }

    // Computed: a stored static is initialised lazily, which costs a test at each use.
    private static var countsOfUsage: UInt64 {
        let first = UInt64(CallField.input.rawValue)
        let last = UInt64(CallField.imageOutput.rawValue)
        return (1 &<< (last &+ 1)) &- (1 &<< first)
    }

    private static var countsOfText: UInt64 {
        1 &<< UInt64(CallField.input.rawValue) | 1 &<< UInt64(CallField.output.rawValue)
            | 1 &<< UInt64(CallField.total.rawValue)
    }

    /// The value of a field is not what stands under its current name.
    private func replace(_ field: CallField) {
        let field = CallFields(field)
        if call.pointee.current.isSuperset(of: field) { call.pointee.outdated.insert(field) }
        call.pointee.current.remove(field)
    }

    /// Tokens written to caches, by life time. Without a word about it, five minutes.
    private func cacheWrites() -> (fiveMinutes: Int64, oneHour: Int64)? {
        let total = count(.cacheWrite)
        let oneHour = count(.cacheWrite1h)
        let fiveMinutes = count(.cacheWrite5m)
        if let total { return (max(0, total - (oneHour ?? 0)), oneHour ?? 0) }
        guard oneHour != nil || fiveMinutes != nil else { return nil }
        return (fiveMinutes ?? 0, oneHour ?? 0)
    }

    /// The first of the rules that says how prompt tokens relate to cached ones.
    private func usageRule(
        _ input: Int64, _ cached: Int64, _ isMarked: Bool, _ scope: SpanScope
    ) -> UsageRule {
        if isMarked { return .marked }
        guard cached > 0 else { return .none }
        if scope.usageLines != 0, let isExclusive = configured(scope.usageLines) {
            return isExclusive ? .configuredExclusive : .configuredInclusive
        }
        if cached > input { return .cachedExceedsInput }
        if let total = count(.total) {
            let outside = input + cached + (count(.output) ?? 0)
            let reasoning = count(.reasoning) ?? 0
            if total == outside || reasoning > 0 && total == outside + reasoning { return .totalAddsUp }
        }
        return .assumedInclusive
    }

    /// What the first line of `usage` that fits says.
    private func configured(_ lines: UInt64) -> Bool? {
        var lines = lines
        while lines != 0 {
            let index = lines.trailingZeroBitCount
            lines &= lines &- 1
            guard index < mapping.usage.count else { return nil }
            if let source = mapping.usage[index].source, source != call.pointee.source { continue }
            if let provider = mapping.usage[index].provider {
                guard let own = text(.provider), sameBytes(own, provider) else { continue }
            }
            return mapping.usage[index].isExclusive
        }
        return nil
    }

    /// Completion tokens with reasoning. `input` is inclusive by now.
    private func output(input: Int64?, _ isMarked: Bool) -> Int64? {
        guard let output = count(.output) else { return nil }
        guard !isMarked, let reasoning = count(.reasoning), reasoning > 0 else { return output }
        var isOutside = outputFlags.contains(.withoutReasoning) || reasoning > output
        if !isOutside, let total = count(.total) { isOutside = total == (input ?? 0) + output + reasoning }
        guard isOutside else { return output }
        call.pointee.marks.insert(.reasoningAdded)
        replace(.output)
        return output + reasoning
    }

    /// A class for which nothing but nonsense was given is invalid, not absent.
    private func markInvalid(_ usage: inout TokenUsage) {
        let classes: [(CallField, TokenClass)] = [
            (.input, .input), (.output, .output), (.cacheRead, .cacheRead), (.cacheWrite, .cacheWrite5m),
            (.cacheWrite1h, .cacheWrite1h), (.reasoning, .reasoning), (.audioInput, .audioInput),
            (.audioOutput, .audioOutput), (.audioCacheRead, .cachedAudioInput),
        ]
        for (field, tokenClass) in classes
        where invalidCounts.contains(field) && !call.pointee.present.contains(field) && usage[tokenClass] == nil {
            usage.markInvalid(tokenClass)
        }
    }
}
