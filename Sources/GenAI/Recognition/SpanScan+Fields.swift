extension SpanScan {
    /// Gives a value to the field of an action, unless the field has a better one.
    @inline(__always)
    func take(_ value: AttributeValue, _ index: Int, addedRank: UInt8) {
        let action = actions[index]
        // The kind is known, and the span's start, when all fields have been read.
        if !action.flags.isDisjoint(with: [.onlyKind, .sinceStart]) {
            guard waitingCount < Self.maximumWaiting else { return }
            waiting[waitingCount] = (UInt16(truncatingIfNeeded: index), addedRank, value)
            waitingCount &+= 1
            return
        }
        take(value, action, addedRank: addedRank)
    }

    func take(_ value: AttributeValue, _ action: FieldAction, addedRank: UInt8) {
        let slot = Int(action.field.rawValue)
        let rank = action.rank &+ addedRank
        let best = ranks[slot]
        // Of equal keys the last counts: what was appended to a span replaces what it said before.
        guard rank < best || rank == best && action.flags.isDisjoint(with: [.first]) || isHighest(action) else {
            return
        }
        let taken = takeByForm(value, action)
        let field = CallFields(action.field)
        if taken {
            ranks[slot] = rank
            if action.flags.contains(.isCurrent), addedRank == 0, isCurrentForm(value, action) {
                call.pointee.current.insert(field)
                call.pointee.outdated.remove(field)
                return
            }
            call.pointee.current.remove(field)
        }
        if action.flags.contains(.isCurrent), addedRank == 0 { call.pointee.outdated.insert(field) }
    }

    /// In order of frequency, not by a jump table.
    @inline(__always)
    private func takeByForm(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        if action.form == .text { return takeText(value, action) }
        if action.form == .count { return takeCount(value, action) }
        if action.form == .operation { return takeOperation(value, action) }
        if action.form == .provider { return takeProvider(value, action) }
        switch action.form {
        case .double: return takeDouble(value, action)
        case .flag: return takeFlag(value)
        default: return takeReasons(value)
        }
    }

    /// The common case of `take`: a short text or an int for a line without options. False when it is another case.
    @inline(__always)
    func takePlainly(_ value: WireCursor, _ action: FieldAction) -> Bool {
        let slot = Int(action.field.rawValue)
        guard action.flags.rawValue & ~FieldAction.Flags.isCurrent.rawValue == 0, action.rank <= ranks[slot] else {
            return false
        }
        let size = value.end - value.at
        if action.form == .text {
            guard size >= 3, value.at[0] == 0x0A, Int(value.at[1]) &+ 2 == size, value.at[1] < 0x80 else {
                return false
            }
            texts[slot] = UnsafeRawBufferPointer(start: value.at + 2, count: size &- 2)
        } else if action.form == .count {
            guard size >= 2, value.at[0] == 0x18 else { return false }
            var cursor = WireCursor(value.at + 1, value.end)
            guard let count = cursor.varint(), cursor.isAtEnd, count <= UInt64(TokenUsage.maximumCount) else {
                return false
            }
            numbers[slot &- CallField.textSlots] = count
            if action.field == .input { inputFlags = action.flags }
            if action.field == .output { outputFlags = action.flags }
        } else {
            return false
        }
        ranks[slot] = action.rank
        let field = CallFields(action.field)
        call.pointee.present.formUnion(field)
        if action.flags.rawValue != 0 {
            call.pointee.current.formUnion(field)
            call.pointee.outdated.subtract(field)
        } else {
            call.pointee.current.subtract(field)
        }
        return true
    }

    @inline(__always)
    private func isHighest(_ action: FieldAction) -> Bool {
        action.flags.contains(.highest) && ranks[Int(action.field.rawValue)] == action.rank
    }

    /// Whether a value taken from the field's current name has the type we write, too.
    @inline(__always)
    private func isCurrentForm(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        switch action.form {
        case .text: return true
        case .count: return value.form == .int
        case .double: return value.form == .double
        case .flag: return value.form == .bool
        case .reasons: return value.form == .array
        case .operation, .provider:
            guard let text = text(action.field) else { return false }
            return sameBytes(text, value.content)
        }
    }

    private func takeText(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        guard value.form == .text else { return false }
        let text = action.flags.contains(.quoted) ? unquoted(value.content) : value.content
        guard text.count > 0 else { return false }
        if action.flags.contains(.ignoreAuto), equalsFolded(text, "auto") { return false }
        set(action.field, text: text)
        return true
    }

    private func takeCount(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        guard let count = value.count else {
            if !Self.isNothing(value) {
                call.pointee.marks.insert(.invalidCount)
                invalidCounts.insert(CallFields(action.field))
            }
            return false
        }
        set(action.field, bits: UInt64(bitPattern: count))
        if action.field == .input { inputFlags = action.flags }
        if action.field == .output { outputFlags = action.flags }
        return true
    }

    /// Absent, empty, JSON's null and Python's None say nothing; anything else that is no count is a fault.
    private static func isNothing(_ value: AttributeValue) -> Bool {
        value.form == .absent
            || value.form == .text
                && (value.content.count == 0 || equalsFolded(value.content, "null")
                    || equalsFolded(value.content, "none"))
    }

    private func takeDouble(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        guard var number = action.flags.contains(.sinceStart) ? secondsSinceStart(value) : value.number else {
            return false
        }
        if action.flags.contains(.milliseconds)
            || action.flags.contains(.millisecondsFromSource) && source == action.argument
        {
            number /= 1000
        }
        switch action.field {
        case .cost:
            guard number >= 0 else { return false }
            if number == 0, action.flags.contains(.zeroUnknown) {
                hasZeroCost = true
                return false
            }
        case .firstChunk:
            guard number >= 0 else { return false }
        default:
            if action.flags.contains(.highest), call.pointee.present.contains(action.field),
                ranks[Int(action.field.rawValue)] == action.rank,
                Double(bitPattern: numbers[Int(action.field.rawValue) - CallField.textSlots]) >= number
            {
                return false
            }
        }
        set(action.field, bits: number.bitPattern)
        return true
    }

    private func takeFlag(_ value: AttributeValue) -> Bool {
        guard let flag = value.flag else { return false }
        set(.streaming, bits: flag ? 1 : 0)
        return true
    }

    private func takeReasons(_ value: AttributeValue) -> Bool {
        guard value.form == .array || value.form == .text, value.content.count > 0 else { return false }
        call.pointee.finishReasons = value
        call.pointee.present.insert(CallFields(.finish))
        return true
    }

    private func takeOperation(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        guard value.form == .text else { return false }
        var text = action.flags.contains(.quoted) ? unquoted(value.content) : value.content
        if action.flags.contains(.untilSpace), let space = position(of: 0x20, in: text) {
            text = UnsafeRawBufferPointer(rebasing: text[..<space])
        }
        guard let entry = operation(text) else {
            guard action.flags.contains(.elseMCP) else { return false }
            operationKind = .mcp
            call.pointee.present.remove(CallFields(.operation))
            return true
        }
        operationKind = entry.kind
        if entry.name.count > 0 {
            set(.operation, text: entry.name)
        } else {
            call.pointee.present.remove(CallFields(.operation))
        }
        return true
    }

    private func operation(_ text: UnsafeRawBufferPointer) -> OperationEntry? {
        let index = mapping.operations.findFolded(text)
        return index >= 0 ? mapping.operationEntries[index] : operationByPrefix(text)
    }

    /// As `take` with the value of an operation that is found in the table, for a line without options that nothing else
    /// competes with. False when it is another case, and nothing is changed.
    @inline(__always)
    func takeOperationPlainly(_ text: UnsafeRawBufferPointer, isCurrent: Bool, rank: UInt8) -> Bool {
        guard text.count >= 4, text.count <= 16, let base = text.baseAddress else { return false }
        // The whole text, in two words that may overlap.
        let words: (UInt64, UInt64)
        if text.count >= 8 {
            words = (
                base.loadUnaligned(as: UInt64.self),
                base.loadUnaligned(fromByteOffset: text.count &- 8, as: UInt64.self)
            )
        } else {
            words = (
                UInt64(base.loadUnaligned(as: UInt32.self)),
                UInt64(base.loadUnaligned(fromByteOffset: text.count &- 4, as: UInt32.self))
            )
        }
        let slot = (text.count &+ Int(truncatingIfNeeded: words.0 & 0xFF)) & (Self.operationMemos &- 1)
        if memos[slot].words != words || memos[slot].count != text.count {
            guard fillMemo(slot, words, text) else { return false }
        }
        operationKind = memos[slot].kind
        let field = CallFields(.operation)
        let name = memos[slot].name
        if name.count > 0 { set(.operation, text: name) }
        ranks[Int(CallField.operation.rawValue)] = rank
        if isCurrent {
            if memos[slot].isSame {
                call.pointee.current.formUnion(field)
            } else {
                call.pointee.outdated.formUnion(field)
            }
        }
        return true
    }

    @inline(never)
    private func fillMemo(_ slot: Int, _ words: (UInt64, UInt64), _ text: UnsafeRawBufferPointer) -> Bool {
        guard let entry = operation(text) else { return false }
        memos[slot] = OperationMemo(
            words: words, count: text.count, kind: entry.kind, name: entry.name,
            isSame: entry.name.count > 0 && sameBytes(entry.name, text))
        return true
    }

    /// Operations whose entries are at hand, by the length and the first letter of their names; a power of two.
    static var operationMemos: Int { 16 }

    @inline(never)
    private func operationByPrefix(_ text: UnsafeRawBufferPointer) -> OperationEntry? {
        mapping.operationPrefixes.first { $0.prefix.matches(text) }.map { mapping.operationEntries[$0.entry] }
    }

    private func takeProvider(_ value: AttributeValue, _ action: FieldAction) -> Bool {
        guard value.form == .text else { return false }
        let text = action.flags.contains(.quoted) ? unquoted(value.content) : value.content
        guard text.count > 0 else { return false }
        var found = providerIndex(text)
        var shown = text
        if found < 0, action.flags.contains(.untilDot), let dot = position(of: UInt8(ascii: "."), in: text), dot > 0 {
            shown = UnsafeRawBufferPointer(rebasing: text[..<dot])
            found = providerIndex(shown)
        }
        guard found != ProviderTables.framework else { return false }
        set(.provider, text: found >= 0 ? mapping.names[found] : shown)
        call.pointee.providerOrigin = .attribute
        return true
    }

    @inline(__always)
    private func providerIndex(_ value: UnsafeRawBufferPointer) -> Int {
        providers._withUnsafeGuaranteedRef { $0.provider(ofValue: value) }
    }

    /// Who wrote the span, as far as it is known.
    var source: UInt8 {
        if mark != 0 { return mapping.marks[Int(mark) - 1].source }
        if let scopeSource { return scopeSource }
        let number = min(rule, tentativeRule)
        return number == Self.noRule ? 0 : mapping.rules[Int(number) - 1].source
    }

    /// From a time in text, which is a date or a number of nanoseconds or seconds since 1970.
    private func secondsSinceStart(_ value: AttributeValue) -> Double? {
        guard value.form == .text, call.pointee.startTime > 0 else { return nil }
        var text = unquoted(value.content)
        // Written through two JSON encoders, the inner quotes are escaped.
        if text.count > 4, text[0] == UInt8(ascii: "\\"), text[text.count - 2] == UInt8(ascii: "\\") {
            text = UnsafeRawBufferPointer(rebasing: text[2..<(text.count - 2)])
        }
        guard let time = UTCTime.nanoseconds(text), time >= call.pointee.startTime else { return nil }
        return Double(time - call.pointee.startTime) / 1e9
    }
}

/// The entry of an operation's name of 4 to 16 bytes.
struct OperationMemo {
    var words: (UInt64, UInt64) = (0, 0)
    /// 0: there is none.
    var count = 0
    var kind = CallKind.other
    var name = UnsafeRawBufferPointer.nothing
    /// The name is the one that it came as.
    var isSame = false
}
