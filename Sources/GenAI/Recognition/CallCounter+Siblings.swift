extension CallCounter {
    /// Most calls below one span, with the same tokens, that are compared with each other.
    private static let maximumAlike = 256

    /// Leaves one of two calls side by side that are the same call, seen by a framework's instrumentation and by that
    /// of the client below it.
    mutating func settleSiblings() {
        guard hasSeveralScopes() else { return }
        var size = 16
        while size < records.count * 2 { size *= 2 }
        let mask = size - 1
        var heads = [UInt32](repeating: 0, count: size)
        var next = [Int32](repeating: -1, count: records.count)
        for index in records.indices.reversed() where mayHaveSibling(index) {
            let record = records[index]
            let tokens = UInt64(bitPattern: record.input) &* 31 &+ UInt64(bitPattern: record.output)
            var slot = Self.hash(record.traceID, record.parentSpanID ^ tokens) & mask
            while heads[slot] != 0, !isAlike(index, Int(heads[slot]) - 1) { slot = (slot + 1) & mask }
            next[index] = Int32(heads[slot]) - 1
            heads[slot] = UInt32(index + 1)
        }
        for head in heads where head != 0 && next[Int(head) - 1] >= 0 {
            var alike: [Int] = []
            var index = Int(head) - 1
            while index >= 0, alike.count < Self.maximumAlike {
                alike.append(index)
                index = Int(next[index])
            }
            settle(alike)
        }
    }

    private func mayHaveSibling(_ index: Int) -> Bool {
        let record = records[index]
        return record.isCandidate && (record.hasUsage || record.error != .none) && record.parentSpanID != 0
            && decisions[index].rule == .none
    }

    private func hasSeveralScopes() -> Bool {
        var scope: UInt64?
        for index in records.indices where mayHaveSibling(index) {
            if let scope, scope != records[index].scope { return true }
            scope = records[index].scope
        }
        return false
    }

    private func isAlike(_ left: Int, _ right: Int) -> Bool {
        let (left, right) = (records[left], records[right])
        return left.parentSpanID == right.parentSpanID && left.traceID == right.traceID && left.kind == right.kind
            && left.input == right.input && left.output == right.output
            && (left.hasUsage || (left.error != .none) == (right.error != .none))
    }

    /// Pairs calls with calls around them, as many as can be: in order of start, each with the one around it, around no
    /// other yet, that ends first. Of one instrumentation's spans no two become the same call.
    private mutating func settle(_ alike: [Int]) {
        let byStart = alike.sorted { records[$0].startTime < records[$1].startTime }
        let byEnd = alike.sorted { records[$0].endTime < records[$1].endTime }
        var isTaken = [Bool](repeating: false, count: byEnd.count)
        // By the one that counts: in whose spans its call was seen, a bit for each instrumentation.
        var scopes: [Int: UInt64] = [:]
        var known: [UInt64] = []
        for index in alike {
            let place = known.firstIndex(of: records[index].scope) ?? known.count
            if place == known.count { known.append(records[index].scope) }
            scopes[index] = 1 << UInt64(min(place, 63))
        }
        for inner in byStart {
            let within = counting(inner)
            let seen = scopes[within] ?? 0
            let place = byEnd.indices.first {
                !isTaken[$0] && isAround(byEnd[$0], inner) && (scopes[counting(byEnd[$0])] ?? 0) & seen == 0
            }
            guard let place else { continue }
            isTaken[place] = true
            let around = counting(byEnd[place])
            let isOuter = records[around].response != 0 && records[within].response == 0
            let (winner, loser) = isOuter ? (around, within) : (within, around)
            decisions[loser] = Decision(rule: .repeatsSibling, countedBy: winner)
            scopes[winner] = seen | (scopes[around] ?? 0)
        }
    }

    /// Whether a call is of another instrumentation than the other, and the other took place within its time.
    private func isAround(_ place: Int, _ innerPlace: Int) -> Bool {
        let (outer, inner) = (records[place], records[innerPlace])
        guard outer.scope != inner.scope, inner.startTime > 0, outer.response == 0 || inner.response == 0,
            outer.model == inner.model || outer.model == 0 || inner.model == 0,
            outer.hasUsage || outer.error.mayBe(inner.error)
        else { return false }
        if outer.startTime == inner.startTime, outer.endTime == inner.endTime { return place < innerPlace }
        return outer.startTime <= inner.startTime && outer.endTime >= inner.endTime
    }

    /// The one of `index` and those it was paired with that counts.
    private func counting(_ index: Int) -> Int {
        var index = index
        var steps = 0
        while let winner = decisions[index].countedBy, steps < Self.maximumAlike {
            index = winner
            steps += 1
        }
        return index
    }
}
