/// What stays of a model's name when two instrumentations of one call name it: one as it was asked for, one as the
/// provider answered.
enum ModelFamily {
    /// The part of `name` without the path before it (`openai/`, an ARN's), and without the marks of a version behind
    /// it: `@…`, `:0`, `-v1`, `-latest`, and numbers of two to four or of eight digits (`-2024-08-06`, `-20251001`,
    /// `-001`). A slice of `name`; all of it when nothing else is left.
    static func name(_ name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = name.count
        for index in 0..<end {
            if name[index] == UInt8(ascii: "/") {
                start = index + 1
            } else if name[index] == UInt8(ascii: "@") {
                end = index
                break
            }
        }
        while start < end, let shorter = withoutMark(name, start, end) { end = shorter }
        return start < end ? UnsafeRawBufferPointer(rebasing: name[start..<end]) : name
    }

    /// Where the last mark of `name[start..<end]` begins; nil without one, and when nothing stands before it.
    private static func withoutMark(_ name: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
        var mark = end
        while mark > start, name[mark - 1] >= UInt8(ascii: "0"), name[mark - 1] <= UInt8(ascii: "9") { mark -= 1 }
        let digits = end - mark
        if digits == 0 {
            let isLatest = end - start > latest.utf8CodeUnitCount && hasLatest(name, end)
            return isLatest ? end - latest.utf8CodeUnitCount : nil
        }
        guard mark - start >= 2 else { return nil }
        switch name[mark - 1] {
        case UInt8(ascii: ":"): return mark - 1
        case UInt8(ascii: "-") where 2...4 ~= digits || digits == 8: return mark - 1
        case UInt8(ascii: "v") where digits <= 2 && name[mark - 2] == UInt8(ascii: "-") && mark - start > 2:
            return mark - 2
        default: return nil
        }
    }

    private static let latest: StaticString = "-latest"

    private static func hasLatest(_ name: UnsafeRawBufferPointer, _ end: Int) -> Bool {
        let first = end - latest.utf8CodeUnitCount
        for index in 0..<latest.utf8CodeUnitCount where name[first + index] != latest.utf8Start[index] { return false }
        return true
    }
}
