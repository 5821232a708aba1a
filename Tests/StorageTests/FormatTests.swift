import Testing

@testable import Storage

@Suite struct FormatTests {
    /// A log must be able to go on behind everything that its files say was used.
    @Test func releasesThatNoLogReaches() {
        func read(_ first: UInt64, _ count: UInt64) -> ReleaseEntry? {
            var bytes = [UInt8](repeating: 0, count: ReleaseEntry.size)
            bytes.withUnsafeMutableBytes { ReleaseEntry(first: first, count: count).encode(into: $0, salt: 3) }
            return bytes.withUnsafeBytes { ReleaseEntry($0, salt: 3) }
        }
        let most = RecordHeader.highestUse
        #expect(read(5, 7) == ReleaseEntry(first: 5, count: 7))
        #expect(read(most - 7, 7) == ReleaseEntry(first: most - 7, count: 7))
        #expect(read(most - 7, 8) == nil && read(most + 1, 0) == nil && read(0, most + 1) == nil)
        #expect(read(.max, 1) == nil && read(1, .max) == nil && read(.max, .max) == nil)
    }
}
