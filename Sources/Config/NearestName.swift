/// Finds the known name that a misspelt one was probably meant to be.
package enum NearestName {
    /// Longer names get no suggestion, which bounds the work to 64 × 64 steps a candidate.
    private static let maximumLength = 64
    /// Candidates looked at.
    private static let maximumCandidates = 1000

    /// The candidate nearest to `name`, or nil when none is near: at most a third of the longer name may differ,
    /// and never more than 3 edits. The first wins among equals.
    package static func find(_ name: String, among candidates: some Sequence<String>) -> String? {
        let wanted = Array(name.lowercased().unicodeScalars.prefix(maximumLength + 1))
        guard !wanted.isEmpty, wanted.count <= maximumLength else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in candidates.prefix(maximumCandidates) where candidate != name {
            let other = Array(candidate.lowercased().unicodeScalars.prefix(maximumLength + 1))
            guard other.count <= maximumLength else { continue }
            let longer = max(wanted.count, other.count)
            let limit = min(3, max(1, longer / 3))
            guard abs(wanted.count - other.count) <= limit else { continue }
            let found = distance(wanted, other)
            if found <= limit, longer > 1, found < best?.distance ?? Int.max { best = (candidate, found) }
        }
        return best?.name
    }

    /// Damerau-Levenshtein distance in its optimal string alignment form: insertions, deletions, substitutions and
    /// swaps of neighbours cost 1 each.
    static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [Int](repeating: 0, count: b.count + 1)
            row[0] = i
            for j in 1...b.count {
                let cost = a[i - 1] == b[j - 1] ? 0 : 1
                row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    row[j] = min(row[j], beforeLast[j - 2] + 1)
                }
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
