extension SpanScan {
    /// Reads the attributes from `start` on by a plan, when there is one that fits. The answer is where the general way
    /// goes on.
    @inline(__always)
    func readByPlan(_ start: Address, _ end: Address) -> Address {
        let (first, second) = plans.candidates(scope: call.pointee.scope, name: call.pointee.name)
        if let first {
            if let next = follow(UnsafePointer(first), start, end) {
                plans.fitted(second: false)
                return next
            }
            if let second, let next = follow(UnsafePointer(second), start, end) {
                plans.fitted(second: true)
                return next
            }
            forgetAttributes()
        }
        plans.missed()
        return start
    }

    /// Takes back what a plan that did not fit has set.
    private func forgetAttributes() {
        call.pointee.present = []
        call.pointee.current = []
        call.pointee.outdated = []
        call.pointee.presentCosts = []
        call.pointee.marks = []
        call.pointee.providerOrigin = .unknown
        ranks.update(repeating: ModelCall.unranked, count: CallField.allCount)
        resetFindings()
    }

    /// Reads the attributes from `start` on by a plan. Nil when they are not as it has them; then what was set is wrong.
    @inline(never)
    private func follow(_ plan: UnsafePointer<SpanPlan>, _ start: Address, _ end: Address) -> Address? {
        call.pointee.present = plan.pointee.present
        call.pointee.current = plan.pointee.current
        call.pointee.outdated = plan.pointee.outdated
        rule = plan.pointee.rule
        tentativeRule = plan.pointee.tentativeRule
        mark = plan.pointee.mark
        hasEvidence = plan.pointee.hasEvidence
        isAggregated = plan.pointee.isAggregated
        inputFlags = plan.pointee.inputFlags
        outputFlags = plan.pointee.outputFlags
        let keys = UnsafeRawPointer(plan.pointee.keys)
        let steps = plan.pointee.steps
        let count = plan.pointee.count
        UnsafeMutableRawPointer(ranks).copyMemory(
            from: UnsafeRawPointer(plan) + offsets.ranksInPlan, byteCount: CallField.allCount)
        var at = start
        for index in 0..<count {
            let step = steps[index]
            let keySize = Int(step.count)
            // Tag, length, the key with its header, and as much of a value.
            guard end - at >= 6 &+ keySize, at[0] == 0x4A else { return nil }
            var message = WireCursor(at + 2, at + 2 + Int(at[1]))
            if at[1] < 0x80 {
                guard message.end <= end else { return nil }
            } else {
                var cursor = WireCursor(at + 1, end)
                guard let long = cursor.payload() else { return nil }
                message = long
            }
            let key = message.at + 2
            let value = key + keySize
            guard message.end - value >= 2, message.at[0] == 0x0A, message.at[1] == step.count, value[0] == 0x12,
                NameTable.equal(UnsafeRawPointer(key), keys + Int(step.start), keySize)
            else { return nil }
            at = message.end
            if step.use == .nothing { continue }
            if step.use == .text {
                // Length of the AnyValue, tag of its text, length of the text.
                let size = message.end - value &- 4
                guard size > 0, value[1] < 0x80, Int(value[1]) == size &+ 2, value[2] == 0x0A, Int(value[3]) == size
                else { return nil }
                texts[Int(step.slot)] = UnsafeRawBufferPointer(start: value + 4, count: size)
            } else if step.use == .count {
                guard message.end - value >= 4, value[1] < 0x80, Int(value[1]) == message.end - value &- 2,
                    value[2] == 0x18
                else { return nil }
                var cursor = WireCursor(value + 3, message.end)
                guard let number = cursor.varint(), cursor.isAtEnd, number <= UInt64(TokenUsage.maximumCount) else {
                    return nil
                }
                numbers[Int(step.slot)] = number
            } else {
                if step.use == .operation, message.end - value >= 4, value[1] < 0x80,
                    Int(value[1]) == message.end - value &- 2, value[2] == 0x0A,
                    Int(value[3]) == message.end - value &- 4,
                    takeOperationPlainly(
                        UnsafeRawBufferPointer(start: value + 4, count: message.end - value &- 4),
                        isCurrent: step.isCurrent, rank: step.rank)
                {
                    continue
                }
                guard let attribute = WireAttribute(message) else { return nil }
                apply(mapping.entries[Int(step.entry)], attribute.value, addedRank: 0)
            }
        }
        // A plan for the first of this span's attributes would keep a better one from being made.
        guard plan.pointee.isCut || at >= end || at[0] != 0x4A else { return nil }
        attributeCount = count
        return at
    }
}
