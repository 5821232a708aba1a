/// Names in a log's directory. Numbers have 20 digits, so that names sort as sequences do.
enum FileNames {
    /// Held locked by the process that has the log.
    static let lock = "lock"
    /// Version and salt; see `SegmentHeader`.
    static let log = "log"
    private static let segmentSuffix = ".seg"
    private static let releasesSuffix = ".ack"
    private static let corruptSuffix = ".corrupt"

    static func segment(_ first: UInt64) -> String { digits(first) + segmentSuffix }

    static func releases(_ first: UInt64) -> String { digits(first) + releasesSuffix }

    /// What was cut out of the segment at this offset.
    static func corrupt(_ first: UInt64, at offset: Int) -> String {
        digits(first) + "-" + digits(UInt64(offset)) + corruptSuffix
    }

    static func isCorrupt(_ name: String) -> Bool { name.hasSuffix(corruptSuffix) }

    /// First sequence of the segment that a file holds.
    static func first(ofSegment name: String) -> UInt64? { number(name, segmentSuffix) }

    static func first(ofReleases name: String) -> UInt64? { number(name, releasesSuffix) }

    private static func number(_ name: String, _ suffix: String) -> UInt64? {
        guard name.hasSuffix(suffix), name.utf8.count == 20 + suffix.utf8.count else { return nil }
        guard let number = UInt64(name.dropLast(suffix.count)), number > 0, number <= RecordHeader.maximumSequence
        else {
            return nil
        }
        return number
    }

    private static func digits(_ number: UInt64) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 20 - text.utf8.count)) + text
    }
}
