internal import Glibc

/// What becomes of the attributes of one kind of span: its keys in their order, looked up once, and what all those that
/// need no look at anything but their own value say together. Immutable; owned by `SpanPlans`, which frees it.
///
/// Spans of one emitter have the same keys in the same order. Comparing a key with the one that is expected, and knowing
/// what its value is for, takes a third of looking it up and weighing it against what else the span says.
struct SpanPlan {
    enum Use: UInt8 {
        /// The value says nothing, or less than another one.
        case nothing
        /// A short text, as it stands, for a slot of texts.
        case text
        /// An int that is a count, for a slot of numbers.
        case count
        /// The name of an operation, which is said nowhere else.
        case operation
        /// Everything else: by the general way.
        case other
    }

    struct Step {
        /// Where the key is, from `keys` on.
        var start: UInt16
        var count: UInt8
        var use: Use
        var slot: UInt8 = 0
        /// Of the key's line, for an operation.
        var rank: UInt8 = 0
        var isCurrent = false
        /// Of `GenAIMapping.entries`; -1 for an unknown key.
        var entry: Int16
    }

    /// Attributes of a span that a plan holds at most; those behind them are read the general way.
    static let maximumSteps = 48
    /// Bytes of their keys.
    static let maximumKeys = 2048

    let steps: UnsafeMutablePointer<Step>
    let count: Int
    let keys: UnsafeMutablePointer<UInt8>
    /// Further attributes follow that are no part of it.
    let isCut: Bool

    // What the values of `text` and `count` leave behind, and the keys of all but `other`.
    var present = CallFields()
    var current = CallFields()
    var outdated = CallFields()
    var rule = SpanScan.noRule
    var tentativeRule = SpanScan.noRule
    var mark: UInt8 = 0
    var hasEvidence = false
    var isAggregated = false
    var inputFlags: FieldAction.Flags = []
    var outputFlags: FieldAction.Flags = []
    var ranks = InlineArray<49, UInt8>(repeating: ModelCall.unranked)

    /// Nil for keys that do not fit, and for those whose values depend on others.
    init?(_ seen: UnsafeBufferPointer<SpanPlans.Seen>, isCut: Bool, _ mapping: GenAIMapping) {
        let total = seen.reduce(0) { $0 + $1.count }
        guard !seen.isEmpty, seen.count <= Self.maximumSteps, total <= Self.maximumKeys,
            !seen.contains(where: { $0.entry >= 0 && Self.dependsOnSource(mapping.entries[$0.entry], mapping) })
        else { return nil }
        self.isCut = isCut
        count = seen.count
        steps = .allocate(capacity: seen.count)
        keys = .allocate(capacity: total)
        var start = 0
        for (index, key) in seen.enumerated() {
            (keys + start).initialize(from: key.key, count: key.count)
            (steps + index).initialize(
                to: Step(start: UInt16(start), count: UInt8(key.count), use: .nothing, entry: Int16(key.entry)))
            start += key.count
        }
        let others = fieldsOfOthers(mapping)
        for index in 0..<count where steps[index].entry >= 0 { settle(index, others, mapping) }
    }

    func deallocate() {
        steps.deallocate()
        keys.deallocate()
    }

    /// A unit that depends on who wrote the span, which attributes before this one say.
    private static func dependsOnSource(_ entry: KeyEntry, _ mapping: GenAIMapping) -> Bool {
        (0..<Int(entry.actionCount)).contains {
            mapping.actions[Int(entry.firstAction) + $0].flags.contains(.millisecondsFromSource)
        }
    }

    /// The fields that values of `other` may fill: whatever else fills them is `other`, too, so that their order stays.
    private func fieldsOfOthers(_ mapping: GenAIMapping) -> CallFields {
        var fields = CallFields()
        for index in 0..<count where steps[index].entry >= 0 {
            let entry = mapping.entries[Int(steps[index].entry)]
            if Self.isPlain(entry, mapping) { continue }
            for action in 0..<Int(entry.actionCount) {
                fields.insert(CallFields(mapping.actions[Int(entry.firstAction) + action].field))
            }
        }
        return fields
    }

    /// Whether a key's meaning depends on its own value only, and on nothing but that value's being a short text or a
    /// count.
    private static func isPlain(_ entry: KeyEntry, _ mapping: GenAIMapping) -> Bool {
        if entry.rule != 0, mapping.rules[Int(entry.rule) - 1].condition != .none { return false }
        guard entry.root == 0, entry.added == 0, entry.actionCount <= 1 else { return false }
        guard entry.actionCount == 1 else { return true }
        let action = mapping.actions[Int(entry.firstAction)]
        return action.flags.isSubset(of: [.isCurrent]) && (action.form == .text || action.form == .count)
    }

    /// Whether a key gives the operation, and nothing else in the plan does.
    private func isLoneOperation(_ entry: KeyEntry, _ mapping: GenAIMapping) -> Bool {
        guard entry.root == 0, entry.added == 0, entry.actionCount == 1,
            entry.rule == 0 || mapping.rules[Int(entry.rule) - 1].condition == .none
        else { return false }
        let action = mapping.actions[Int(entry.firstAction)]
        guard action.form == .operation, action.flags.isSubset(of: [.isCurrent]) else { return false }
        var lines = 0
        for index in 0..<count where steps[index].entry >= 0 {
            let other = mapping.entries[Int(steps[index].entry)]
            if other.root != 0 { return false }
            for place in 0..<Int(other.actionCount)
            where mapping.actions[Int(other.firstAction) + place].field == .operation {
                lines += 1
            }
        }
        return lines == 1
    }

    /// Decides about one key, those before it being settled.
    private mutating func settle(_ index: Int, _ others: CallFields, _ mapping: GenAIMapping) {
        let entry = mapping.entries[Int(steps[index].entry)]
        guard Self.isPlain(entry, mapping) else {
            guard isLoneOperation(entry, mapping) else {
                steps[index].use = .other
                return
            }
            let action = mapping.actions[Int(entry.firstAction)]
            steps[index].use = .operation
            steps[index].rank = action.rank
            steps[index].isCurrent = action.flags.contains(.isCurrent)
            return note(entry, mapping)
        }
        if entry.actionCount == 1 {
            let action = mapping.actions[Int(entry.firstAction)]
            let field = CallFields(action.field)
            if !others.isDisjoint(with: field) {
                steps[index].use = .other
                return
            }
            take(action, field, &steps[index])
        }
        note(entry, mapping)
    }

    /// What the key alone says.
    private mutating func note(_ entry: KeyEntry, _ mapping: GenAIMapping) {
        if entry.rule != 0 {
            if mapping.rules[Int(entry.rule) - 1].isTentative {
                tentativeRule = min(tentativeRule, entry.rule)
            } else {
                rule = min(rule, entry.rule)
            }
        }
        mark = max(mark, entry.mark)
        if entry.isEvidence { hasEvidence = true }
        if entry.isAggregated { isAggregated = true }
    }

    /// As `SpanScan.takePlainly` does with a value of the right form.
    private mutating func take(_ action: FieldAction, _ field: CallFields, _ step: inout Step) {
        let slot = Int(action.field.rawValue)
        guard action.rank <= ranks[slot] else { return }
        step.use = action.form == .text ? .text : .count
        step.slot = UInt8(action.form == .text ? slot : slot - CallField.textSlots)
        ranks[slot] = action.rank
        present.formUnion(field)
        if action.flags.contains(.isCurrent) {
            current.formUnion(field)
            outdated.subtract(field)
        } else {
            current.subtract(field)
        }
        if action.field == .input { inputFlags = action.flags }
        if action.field == .output { outputFlags = action.flags }
    }
}

/// The plans of a recogniser: two for spans of the same scope whose names begin alike, the older of which gives way.
/// One owner.
final class SpanPlans {
    /// A key of the span that is being read the general way.
    struct Seen {
        var key: UnsafePointer<UInt8>
        var count: Int
        var entry: Int
    }

    private struct Pair {
        var first: UnsafeMutablePointer<SpanPlan>?
        var second: UnsafeMutablePointer<SpanPlan>?
        /// Rises where plans do not fit, falls where they do.
        var misses = 0
        /// Spans that are read the general way yet, because plans hardly ever fit here.
        var pause = 0
    }

    private static var pairCount: Int { 32 }
    private static var maximumMisses: Int { 64 }
    private static var missCost: Int { 4 }
    /// Spans of a pair between two attempts to plan for spans that differ all the time.
    private static var pause: Int { 4096 }

    private let pairs: UnsafeMutablePointer<Pair>
    private let seen: UnsafeMutablePointer<Seen>
    private var seenCount = 0
    private var isCut = false
    /// Keys are being noted, for a plan of the pair of the span.
    private(set) var isNoting = false
    /// A plan is to be made of what was noted.
    private(set) var hasNotes = false
    private var pair = 0
    private let mapping: Unmanaged<GenAIMapping>

    /// - Parameter mapping: outlives this object.
    init(_ mapping: GenAIMapping) {
        self.mapping = .passUnretained(mapping)
        pairs = .allocate(capacity: Self.pairCount)
        pairs.initialize(repeating: Pair(), count: Self.pairCount)
        seen = .allocate(capacity: SpanPlan.maximumSteps)
    }

    deinit {
        for index in 0..<Self.pairCount {
            Self.free(pairs[index].first)
            Self.free(pairs[index].second)
        }
        pairs.deallocate()
        seen.deallocate()
    }

    private static func free(_ plan: UnsafeMutablePointer<SpanPlan>?) {
        guard let plan else { return }
        plan.pointee.deallocate()
        plan.deallocate()
    }

    /// The plans that may fit a span: the likelier first. None while they do not pay.
    @inline(__always)
    func candidates(
        scope: UInt64, name: UnsafeRawBufferPointer
    ) -> (first: UnsafeMutablePointer<SpanPlan>?, second: UnsafeMutablePointer<SpanPlan>?) {
        var mixed = scope
        if name.count >= 4, let base = name.baseAddress { mixed ^= UInt64(base.loadUnaligned(as: UInt32.self)) }
        pair = Int(truncatingIfNeeded: (mixed &* 0x9E37_79B9_7F4A_7C15) &>> 40) & (Self.pairCount &- 1)
        if pairs[pair].pause > 0 {
            pairs[pair].pause &-= 1
            return (nil, nil)
        }
        return (pairs[pair].first, pairs[pair].second)
    }

    /// A candidate fitted.
    @inline(__always)
    func fitted(second: Bool) {
        if pairs[pair].misses > 0 { pairs[pair].misses &-= 1 }
        if second { swap(&pairs[pair].first, &pairs[pair].second) }
    }

    /// No candidate fitted: notes the keys of this span, unless that has not paid.
    func missed() {
        guard pairs[pair].pause == 0 else { return }
        pairs[pair].misses += Self.missCost
        if pairs[pair].misses > Self.maximumMisses {
            pairs[pair].misses = 0
            pairs[pair].pause = Self.pause
            return
        }
        isNoting = true
        isCut = false
        seenCount = 0
    }

    /// A key that was looked up; `entry` is -1 for an unknown one. A span with more keys, or with a long one, has a plan
    /// for those before it.
    func note(_ key: UnsafePointer<UInt8>, _ count: Int, entry: Int) {
        guard seenCount < SpanPlan.maximumSteps, count < 0x80, entry <= Int(Int16.max) else {
            return stopNoting(cut: true)
        }
        seen[seenCount] = Seen(key: key, count: count, entry: entry)
        seenCount += 1
    }

    /// What comes now is no part of the plan.
    ///
    /// - Parameter cut: there are more attributes.
    func stopNoting(cut: Bool) {
        isNoting = false
        isCut = cut
        hasNotes = seenCount > 0
    }

    /// Forgets what was noted.
    func dropNotes() {
        isNoting = false
        hasNotes = false
    }

    /// Makes a plan of what was noted. The span's bytes are there still.
    func useNotes() {
        dropNotes()
        let keys = UnsafeBufferPointer(start: seen, count: seenCount)
        let plan = mapping._withUnsafeGuaranteedRef { SpanPlan(keys, isCut: isCut, $0) }
        guard let plan else { return }
        let place = UnsafeMutablePointer<SpanPlan>.allocate(capacity: 1)
        place.initialize(to: plan)
        Self.free(pairs[pair].second)
        pairs[pair].second = pairs[pair].first
        pairs[pair].first = place
    }
}
