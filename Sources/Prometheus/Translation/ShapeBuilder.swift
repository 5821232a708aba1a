/// Works out a shape: sorts the labels by name and settles collisions.
struct ShapeBuilder {
    private enum Source {
        case attribute(Int)
        case frame(Int)
        case name
        case extra
    }

    private struct Candidate {
        var nameID: Int
        var rank: LabelRank
        var source: Source
    }

    private let extra: ExtraLabel
    private var candidates: [Candidate] = []
    private var isInvalid = false
    private var keyIDs: [Int] = []

    private var labels: [SeriesLabel] = []
    private var dynamics: [SeriesShape.Place] = []
    private var statics: [SeriesShape.Place] = []
    private var joins: [SeriesShape.Join] = []
    private var joinSources: [Int32] = []
    private var fallbacks: [SeriesShape.Place] = []
    private var nameSlot = 0
    private var extraSlot = -1

    init(_ extra: ExtraLabel) { self.extra = extra }

    /// Gathers what labels there are. False when the table of names is full.
    mutating func collect(
        _ attributes: borrowing Scratch<PointAttribute>, _ frame: borrowing LabelFrame, _ names: inout LabelNames
    ) -> Bool {
        guard let name = names.number(ofName: "__name__") else { return false }
        candidates.append(Candidate(nameID: name, rank: .own, source: .name))
        if extra != .none {
            guard let id = names.number(ofName: extra == .bound ? "le" : "quantile") else { return false }
            candidates.append(Candidate(nameID: id, rank: .own, source: .extra))
        }
        for index in 0..<frame.labels.count {
            let label = frame.labels[index]
            candidates.append(Candidate(nameID: Int(label.nameID), rank: label.rank, source: .frame(index)))
        }
        for index in 0..<attributes.count {
            let attribute = attributes[index]
            let key = UnsafeRawBufferPointer(start: attribute.key, count: Int(attribute.keyCount))
            guard let id = names.number(ofKey: key) else { return false }
            keyIDs.append(id)
            if !names.entries[id].isValid { isInvalid = true }
            candidates.append(Candidate(nameID: id, rank: .attribute, source: .attribute(index)))
        }
        return true
    }

    /// The shape of what was collected.
    mutating func shape(
        _ attributes: borrowing Scratch<PointAttribute>, _ frame: borrowing LabelFrame, _ hash: UInt64,
        _ names: borrowing LabelNames
    ) -> SeriesShape {
        if !isInvalid { arrange(names) }
        let keys = keyIDs.map { id in
            SeriesShape.Key(base: names.entries[id].key, count: names.entries[id].keyCount)
        }
        return SeriesShape(
            hash: hash, frameKey: frame.key, extra: extra, isInvalid: isInvalid, keys: Self.kept(keys),
            labels: Self.kept(labels), dynamics: Self.kept(dynamics), statics: Self.kept(statics),
            joins: Self.kept(joins), joinSources: Self.kept(joinSources), fallbacks: Self.kept(fallbacks),
            nameSlot: nameSlot, extraSlot: extraSlot)
    }

    private mutating func arrange(_ names: borrowing LabelNames) {
        sort(names)
        var start = 0
        while start < candidates.count {
            var end = start + 1
            let name = names.name(candidates[start].nameID)
            while end < candidates.count, compareBytes(names.name(candidates[end].nameID), name) == 0 { end += 1 }
            place(candidates[start..<end], names)
            start = end
        }
    }

    /// By name, then the higher rank first, then by attribute key.
    private mutating func sort(_ names: borrowing LabelNames) {
        // By hand: a closure cannot capture the table, which is not copyable.
        var buffer = candidates
        Self.mergeSort(&candidates, &buffer, 0, candidates.count, names)
    }

    private static func mergeSort(
        _ items: inout [Candidate], _ buffer: inout [Candidate], _ start: Int, _ end: Int,
        _ names: borrowing LabelNames
    ) {
        guard end - start > 1 else { return }
        let middle = (start + end) / 2
        mergeSort(&items, &buffer, start, middle, names)
        mergeSort(&items, &buffer, middle, end, names)
        var left = start
        var right = middle
        for target in start..<end {
            let takesRight = left == middle || right < end && precedes(items[right], items[left], names)
            buffer[target] = takesRight ? items[right] : items[left]
            if takesRight { right += 1 } else { left += 1 }
        }
        for index in start..<end { items[index] = buffer[index] }
    }

    private static func precedes(_ first: Candidate, _ second: Candidate, _ names: borrowing LabelNames) -> Bool {
        let order = compareBytes(names.name(first.nameID), names.name(second.nameID))
        if order != 0 { return order < 0 }
        if first.rank != second.rank { return first.rank.rawValue > second.rank.rawValue }
        let left = names.entries[first.nameID]
        let right = names.entries[second.nameID]
        return compareBytes(
            UnsafeRawBufferPointer(start: left.key, count: Int(left.keyCount)),
            UnsafeRawBufferPointer(start: right.key, count: Int(right.keyCount))) < 0
    }

    /// Decides where the label of one name, with all its candidates, takes its value from.
    private mutating func place(_ group: ArraySlice<Candidate>, _ names: borrowing LabelNames) {
        guard let first = group.first else { return }
        let slot = Int32(labels.count)
        labels.append(names.label(first.nameID))
        switch first.source {
        case .name: nameSlot = Int(slot)
        case .extra: extraSlot = Int(slot)
        case .frame(let index) where first.rank != .attribute:
            statics.append(SeriesShape.Place(slot: slot, source: Int32(index)))
        case .frame, .attribute: placeAttributes(group, slot)
        }
    }

    private mutating func placeAttributes(_ group: ArraySlice<Candidate>, _ slot: Int32) {
        // A resource attribute replaces the point's of the same key.
        let fromFrame = Set(
            group.compactMap { candidate -> Int? in
                if case .frame = candidate.source, candidate.rank == .attribute { return candidate.nameID }
                return nil
            })
        var sources: [Int32] = []
        var isDynamic = false
        for candidate in group where candidate.rank == .attribute {
            switch candidate.source {
            case .attribute(let index) where !fromFrame.contains(candidate.nameID):
                sources.append(Int32(index))
                isDynamic = true
            case .frame(let index): sources.append(~Int32(index))
            default: break
            }
        }
        if sources.count > 1 {
            joins.append(
                SeriesShape.Join(slot: slot, first: Int32(joinSources.count), count: Int32(sources.count)))
            joinSources += sources
        } else if let source = sources.first {
            let place = SeriesShape.Place(slot: slot, source: source < 0 ? ~source : source)
            if source < 0 { statics.append(place) } else { dynamics.append(place) }
        }
        guard isDynamic, let last = group.last, last.rank == .external, case .frame(let index) = last.source else {
            return
        }
        fallbacks.append(SeriesShape.Place(slot: slot, source: Int32(index)))
    }

    private static func kept<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutableBufferPointer<Element> {
        let copy = UnsafeMutableBufferPointer<Element>.allocate(capacity: elements.count)
        _ = copy.initialize(from: elements)
        return copy
    }
}
