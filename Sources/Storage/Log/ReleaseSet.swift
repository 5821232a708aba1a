/// Which records of a segment are done with: a bit for each, by position in the segment.
struct ReleaseSet {
    private var words: [UInt64] = []
    /// Number of records that are done with.
    private(set) var count = 0

    func contains(_ index: Int) -> Bool {
        let word = index >> 6
        return index >= 0 && word < words.count && words[word] & (1 << UInt64(index & 63)) != 0
    }

    /// - Returns: false when it was in the set before. Callers bound `index` by the segment's records.
    @discardableResult
    mutating func insert(_ index: Int) -> Bool {
        guard index >= 0, !contains(index) else { return false }
        let word = index >> 6
        while words.count <= word { words.append(0) }
        words[word] |= 1 << UInt64(index & 63)
        count += 1
        return true
    }
}
