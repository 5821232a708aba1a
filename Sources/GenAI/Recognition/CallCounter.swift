/// Finds the spans whose usage counts, so that each call counts once: of the spans of one batch, or of whole traces.
///
/// - Agents and workflows do not count; they repeat what their children used. In a whole trace, one that has usage and
///   nothing below it that has is a leaf: it counts.
/// - Of two spans with the same response id one counts: the one with usage, else the inner one, else the first.
/// - Of two calls one above the other, with the same model and the same tokens (within 2 %), one counts: the one with
///   the response id, else the inner one. A call whose tokens are the sum of the calls right below it, of the same
///   model, does not count.
/// - A call without usage does not count above failed calls without usage of the same model (or it names none, and
///   failed) and kind, when it failed for
///   the same reason, or one of them gives none that is known, or it says nothing: wrapper and client report the same
///   failure.
/// - Of two calls side by side (below the same span), written by different instrumentations, with the same model and
///   tokens (or both failed, for one reason), the one's time within the other's, one counts: the one with the response id, else the inner one. Some
///   frameworks' spans are no parents of what happens within them. Two with response ids are two calls, or one by the
///   first rule.
///
/// Spans between two calls matter only as links: add those that are no AI spans too, where they are at hand. Without
/// them the rules see only direct relations. One owner; memory is bounded by `maximumSpans`.
package struct CallCounter: ~Copyable {
    /// How far up a span's ancestors are followed.
    package static let maximumDepth = 64

    /// What is known to be complete.
    package enum Form: Sendable {
        /// One batch: other spans of its traces may be elsewhere.
        case batch
        /// All spans of the traces.
        case wholeTraces
    }

    /// What became of a span.
    package struct Decision: Sendable, Equatable {
        /// `none` when the usage counts (given that the kind is billable).
        package var rule: AggregateRule
        /// Index of the record that counts instead; nil when no single one does.
        package var countedBy: Int?
    }

    /// Most spans at a time.
    package let maximumSpans: Int
    /// In the order in which they were added.
    package private(set) var records: [CallRecord] = []
    var decisions: [Decision] = []
    /// Below each record: the tokens of the nearest candidates, how many they are, and one that represents them.
    private var below: [Below] = []
    /// Open-addressed: index of a record + 1, by trace and span id.
    private var slots: [UInt32] = []
    /// The same by trace and response id.
    private var responses: [UInt32] = []
    /// All records, the deepest first; where those of each depth begin.
    private var order: [Int32] = []
    private var starts: [Int] = []
    /// Bits that stand for span ids of candidates, then bits for response ids.
    private var marks: [UInt64] = []
    private static let marksBits = 15

    private struct Below {
        var input: Int64 = 0
        var output: Int64 = 0
        var count = 0
        var isOfModel = true
        /// How many of them failed without usage, and why; `other` for several reasons.
        var failures = 0
        var failure = ErrorCategory.none
        /// The candidate that counts for a call and those above it that repeat it.
        var representative: Int32 = -1
        var hasUsageBelow = false
        var parent: Int32 = -1
        var depth: Int32 = 0
    }

    /// Part of the tokens by which two counts may differ and still be the same, in per cent.
    private static let tolerance: Int64 = 2

    /// - Parameter maximumSpans: at most 2^30.
    package init(maximumSpans: Int = 65_536) { self.maximumSpans = min(max(1, maximumSpans), 1 << 30) }

    /// Forgets all records, keeps the memory.
    package mutating func removeAll() {
        records.removeAll(keepingCapacity: true)
        decisions.removeAll(keepingCapacity: true)
        below.removeAll(keepingCapacity: true)
    }

    /// Adds a span. False, and nothing is added, when `maximumSpans` are there.
    @discardableResult
    package mutating func add(_ record: CallRecord) -> Bool {
        guard records.count < maximumSpans else { return false }
        records.append(record)
        return true
    }

    /// Adds the span of a call. False, and nothing is added, when `maximumSpans` are there.
    ///
    /// - Parameters:
    ///   - model: as `CallRecord.model` has it.
    ///   - isWrapper: something before has found that the call counts elsewhere.
    @discardableResult
    package mutating func add(_ call: UnsafePointer<ModelCall>, model: UInt64, isWrapper: Bool) -> Bool {
        guard records.count < maximumSpans else { return false }
        records.append(CallRecord(call, model: model, isWrapper ? .wrapper : call.pointee.aggregate))
        return true
    }

    /// Gives `body` the decisions of `decide`, by the order of the records; none, before it.
    package func withDecisions(_ body: (UnsafeBufferPointer<Decision>) -> Void) {
        decisions.withUnsafeBufferPointer(body)
    }

    /// The decision of `decide` about the record at `index`. Out of range: counts.
    package func decision(_ index: Int) -> Decision {
        decisions.indices.contains(index) ? decisions[index] : Decision(rule: .none)
    }

    /// Decides about all records. Cost: linear in their number times the depth of the traces.
    package mutating func decide(_ form: Form) {
        decisions.removeAll(keepingCapacity: true)
        below.removeAll(keepingCapacity: true)
        for index in records.indices { decisions.append(Decision(rule: records[index].aggregate)) }
        guard records.count > 1 || form == .wholeTraces else { return }
        settleSiblings()
        if form == .batch, !mayRelate() { return }
        below.removeAll(keepingCapacity: true)
        below.append(contentsOf: repeatElement(Below(), count: records.count))
        link()
        settleResponses()
        orderByDepth()
        for place in order.indices {
            let index = Int(order[place])
            guard records[index].isCandidate else { continue }
            if decisions[index].rule == .none {
                settle(index)
            } else if decisions[index].rule == .sameResponse, let winner = decisions[index].countedBy,
                !isAbove(index, winner)
            {
                // To those above it stands for the call that counts elsewhere.
                below[index].representative = Int32(winner)
                report(index)
            }
        }
        if form == .wholeTraces { settleLoneAggregates() }
    }

    /// Whether a call may be below another one, or share its response id. True too often, never false wrongly: hashes of
    /// ids are compared. Most batches have neither.
    private mutating func mayRelate() -> Bool {
        let mask = (1 << Self.marksBits) - 1
        if marks.isEmpty { marks = [UInt64](repeating: 0, count: 2 << (Self.marksBits - 6)) }
        for index in marks.indices { marks[index] = 0 }
        let responses = 1 << (Self.marksBits - 6)
        for index in records.indices where records[index].isCandidate {
            let span = Self.mark(records[index].spanID) & mask
            marks[span >> 6] |= 1 << UInt64(span & 63)
            guard records[index].response != 0 else { continue }
            let response = Self.mark(records[index].response) & mask
            let bit: UInt64 = 1 << UInt64(response & 63)
            if marks[responses + response >> 6] & bit != 0 { return true }
            marks[responses + response >> 6] |= bit
        }
        for index in records.indices where records[index].parentSpanID != 0 {
            let parent = Self.mark(records[index].parentSpanID) & mask
            if marks[parent >> 6] & 1 << UInt64(parent & 63) != 0 { return true }
        }
        return false
    }

    /// Span ids are random mostly, but need not be.
    @inline(__always)
    private static func mark(_ id: UInt64) -> Int { Int(truncatingIfNeeded: (id &* 0x9E37_79B9_7F4A_7C15) >> 40) }

    // MARK: Links

    private mutating func link() {
        var size = 16
        while size < records.count * 2 { size *= 2 }
        Self.fill(&slots, size, with: 0)
        for index in records.indices {
            var slot = Self.hash(records[index].traceID, records[index].spanID) & (size - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = UInt32(index + 1)
        }
        for index in records.indices where records[index].parentSpanID != 0 {
            below[index].parent = Int32(find(records[index].traceID, records[index].parentSpanID))
        }
        for index in records.indices { below[index].depth = Int32(depth(of: index)) }
    }

    /// Makes an array of equal elements in the memory that it has.
    private static func fill<Element>(_ array: inout [Element], _ count: Int, with element: Element) {
        array.removeAll(keepingCapacity: true)
        array.append(contentsOf: repeatElement(element, count: count))
    }

    static func hash(_ trace: (UInt64, UInt64), _ span: UInt64) -> Int {
        var mixed = (trace.0 ^ trace.1 &* 0x9E37_79B9_7F4A_7C15 ^ span) &* 0xD6E8_FEB8_6659_FD93
        mixed ^= mixed >> 32
        mixed = mixed &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: mixed >> 33)
    }

    /// The first record of a span; -1 without one.
    private func find(_ trace: (UInt64, UInt64), _ span: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Self.hash(trace, span) & mask
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if records[index].spanID == span, records[index].traceID == trace { return index }
            slot = (slot + 1) & mask
        }
        return -1
    }

    /// Ancestors that are there; a loop in the parent ids ends at the limit.
    private func depth(of index: Int) -> Int {
        var depth = 0
        var above = Int(below[index].parent)
        while above >= 0, depth < Self.maximumDepth {
            depth += 1
            above = Int(below[above].parent)
        }
        return depth
    }

    /// Puts all records in order, the deepest first; of equally deep ones the first comes first.
    private mutating func orderByDepth() {
        Self.fill(&starts, Self.maximumDepth + 2, with: 0)
        Self.fill(&order, records.count, with: 0)
        for index in records.indices { starts[Self.maximumDepth - Int(below[index].depth) + 1] += 1 }
        for place in 1..<starts.count { starts[place] += starts[place - 1] }
        for index in records.indices {
            let place = Self.maximumDepth - Int(below[index].depth)
            order[starts[place]] = Int32(index)
            starts[place] += 1
        }
    }

    // MARK: Rules

    /// Leaves one of the candidates of a trace that have the same response id: the one with usage, else the inner one,
    /// else the first.
    private mutating func settleResponses() {
        guard records.contains(where: { $0.isCandidate && $0.response != 0 }) else { return }
        let mask = slots.count - 1
        Self.fill(&responses, slots.count, with: 0)
        var losers: [Int] = []
        for index in records.indices where records[index].isCandidate && records[index].response != 0 {
            var slot = Self.hash(records[index].traceID, records[index].response) & mask
            while responses[slot] != 0, !isSameResponse(index, Int(responses[slot]) - 1) { slot = (slot + 1) & mask }
            let known = Int(responses[slot]) - 1
            if known >= 0 {
                let winner = isBetter(index, known) ? index : known
                let loser = winner == index ? known : index
                decisions[loser] = Decision(rule: .sameResponse, countedBy: winner)
                losers.append(loser)
                responses[slot] = UInt32(winner + 1)
            } else {
                responses[slot] = UInt32(index + 1)
            }
        }
        // A winner may have lost to a later one; the last loser lost to the one that counts.
        for loser in losers.reversed() {
            if let winner = decisions[loser].countedBy, let final = decisions[winner].countedBy {
                decisions[loser].countedBy = final
            }
        }
    }

    private func isSameResponse(_ left: Int, _ right: Int) -> Bool {
        records[left].response == records[right].response && records[left].traceID == records[right].traceID
    }

    private func isBetter(_ new: Int, _ known: Int) -> Bool {
        if records[new].hasUsage != records[known].hasUsage { return records[new].hasUsage }
        return below[new].depth > below[known].depth
    }

    /// Compares a candidate with what lies below it, and reports it to the nearest candidate above. All below it are
    /// settled.
    private mutating func settle(_ index: Int) {
        let record = records[index]
        let children = below[index]
        below[index].representative = Int32(index)
        if children.count > 0, children.isOfModel, record.hasUsage,
            Self.isSame(record.input, children.input), Self.isSame(record.output, children.output)
        {
            let inner = Int(children.representative)
            if children.count == 1, inner >= 0, record.response != 0, records[inner].response == 0 {
                decisions[inner] = Decision(rule: .repeatsAncestor, countedBy: index)
            } else {
                decisions[index] = Decision(
                    rule: .repeatsDescendant, countedBy: children.count == 1 && inner >= 0 ? inner : nil)
                below[index].representative = children.count == 1 ? children.representative : Int32(index)
            }
        }
        if repeatsFailure(record, children) {
            let inner = children.count == 1 && children.representative >= 0 ? Int(children.representative) : nil
            decisions[index] = Decision(rule: .repeatsDescendant, countedBy: inner)
            if inner != nil { below[index].representative = children.representative }
        }
        report(index)
    }

    /// Whether a failed call is the same as the failed calls below it.
    private func repeatsFailure(_ record: CallRecord, _ children: Below) -> Bool {
        // One that names no model is a wrapper only when it failed as well.
        guard !record.hasUsage, record.response == 0, record.model != 0 || record.error != .none, children.count > 0,
            children.failures == children.count, children.isOfModel
        else { return false }
        // A wrapper of a stream may end before the failure comes: it says nothing of its own then.
        return record.error == .none || record.error.mayBe(children.failure)
    }

    /// Adds a candidate to the nearest candidate above it, and tells the aggregates above that they are none of the
    /// leaves.
    private mutating func report(_ index: Int) {
        let record = records[index]
        var above = Int(below[index].parent)
        var isReported = false
        var steps = 0
        while above >= 0, steps < Self.maximumDepth {
            steps += 1
            if record.hasUsage { below[above].hasUsageBelow = true }
            // One that counts elsewhere is no wrapper any more: the call is compared with the next above it.
            if !isReported, above != index, records[above].isCandidate, decisions[above].rule == .none {
                isReported = true
                below[above].count += 1
                if record.error != .none, !record.hasUsage, record.model != 0 {
                    below[above].failure =
                        below[above].failures == 0 || below[above].failure == record.error ? record.error : .other
                    below[above].failures += 1
                }
                below[above].input += max(0, record.input)
                below[above].output += max(0, record.output)
                below[above].representative = below[index].representative
                if record.model != 0, records[above].model != 0, record.model != records[above].model {
                    below[above].isOfModel = false
                }
                if record.kind != records[above].kind { below[above].isOfModel = false }
            }
            above = Int(below[above].parent)
        }
    }

    /// Whether `upper` is an ancestor of `lower`.
    private func isAbove(_ upper: Int, _ lower: Int) -> Bool {
        var above = Int(below[lower].parent)
        var steps = 0
        while above >= 0, steps < Self.maximumDepth {
            if above == upper { return true }
            above = Int(below[above].parent)
            steps += 1
        }
        return false
    }

    private static func isSame(_ own: Int64, _ other: Int64) -> Bool {
        let own = max(0, own)
        let difference = own > other ? own - other : other - own
        return difference <= own / 100 * tolerance + own % 100 * tolerance / 100
    }

    /// Aggregates with usage of their own and none below: hosted agents, whose calls nobody sees.
    private mutating func settleLoneAggregates() {
        for place in order.indices {
            let index = Int(order[place])
            guard records[index].aggregate == .operation, records[index].hasUsage, !below[index].hasUsageBelow else {
                continue
            }
            decisions[index] = Decision(rule: .none)
            var above = Int(below[index].parent)
            var steps = 0
            while above >= 0, steps < Self.maximumDepth {
                below[above].hasUsageBelow = true
                above = Int(below[above].parent)
                steps += 1
            }
        }
    }
}
