internal import Glibc

/// The names of the files that rotation leaves behind: `traces-2006-01-02T15-04-05.000.json` for `traces.json`.
struct RotatedFiles {
    private let directory: String
    /// What stands before the time: the name without its extension, and a dash.
    private let prefix: String
    /// The extension with its dot; empty when there is none.
    private let suffix: String

    private static let secondsPerDay = 86_400
    private static let pattern = "0000-00-00T00-00-00.000"

    init(path: String) {
        directory = Exporters.directory(of: path)
        let name = fileName(of: path)
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        prefix = name[..<dot] + "-"
        suffix = String(name[dot...])
    }

    private func fullName(_ stamp: some StringProtocol) -> String { "\(directory)/\(prefix)\(stamp)\(suffix)" }

    /// A name that no file has: with the time, or as many milliseconds later as it takes. `time` becomes that one.
    func unusedName(at time: inout (seconds: Int, nanoseconds: Int), usesLocalTime: Bool) -> String {
        while true {
            let name = fullName(Self.stamp(time, usesLocalTime: usesLocalTime))
            if access(name, F_OK) != 0 { return name }
            time = Self.later(time)
        }
    }

    /// One millisecond later.
    static func later(_ time: (seconds: Int, nanoseconds: Int)) -> (seconds: Int, nanoseconds: Int) {
        let nanoseconds = time.nanoseconds + 1_000_000
        return nanoseconds < 1_000_000_000
            ? (time.seconds, nanoseconds) : (time.seconds + 1, nanoseconds - 1_000_000_000)
    }

    /// The rotated files that are too many or too old, by full name.
    func expired(_ rotation: FileRotation, at now: (seconds: Int, nanoseconds: Int)) -> [String] {
        var stamps = self.stamps()
        // The parts of a stamp go from large to small, so the order of the text is that of time.
        stamps.sort(by: >)
        var keep = rotation.maximumBackups > 0 ? min(stamps.count, rotation.maximumBackups) : stamps.count
        if rotation.maximumDays > 0 {
            let oldest = Self.stamp(
                (now.seconds - rotation.maximumDays * Self.secondsPerDay, now.nanoseconds),
                usesLocalTime: rotation.usesLocalTime)
            while keep > 0, stamps[keep - 1] < oldest { keep -= 1 }
        }
        return stamps[keep...].map { fullName($0) }
    }

    /// The times in the names of the rotated files that are there.
    private func stamps() -> [Substring] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var result: [Substring] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) {
                    String(validatingCString: $0)
                }
            }
            guard let name, name.utf8.count == prefix.utf8.count + Self.pattern.utf8.count + suffix.utf8.count,
                name.hasPrefix(prefix), name.hasSuffix(suffix)
            else { continue }
            let stamp = name.dropFirst(prefix.count).dropLast(suffix.count)
            if Self.isStamp(stamp) { result.append(stamp) }
        }
        return result
    }

    private static func isStamp(_ text: Substring) -> Bool {
        text.utf8.count == pattern.utf8.count
            && zip(text.utf8, pattern.utf8).allSatisfy { found, wanted in
                wanted == UInt8(ascii: "0") ? (0x30...0x39).contains(found) : found == wanted
            }
    }

    private static func stamp(_ time: (seconds: Int, nanoseconds: Int), usesLocalTime: Bool) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        if usesLocalTime { localtime_r(&seconds, &parts) } else { gmtime_r(&seconds, &parts) }
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock =
            "\(padded(Int(parts.tm_hour), 2))-\(padded(Int(parts.tm_min), 2))-\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(padded(time.nanoseconds / 1_000_000, 3))"
    }
}
