internal import Glibc

/// Which processors this process may run on.
package enum SystemProcessors {
    /// Number of processors in the affinity mask; `Int.max` when the system does not say.
    package static var allowed: Int {
        guard let file = fopen("/proc/self/status", "r") else { return .max }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("Cpus_allowed:") else { continue }
            let bits = text.dropFirst("Cpus_allowed:".count).compactMap(\.hexDigitValue)
            let count = bits.reduce(0) { $0 + $1.nonzeroBitCount }
            return count > 0 ? count : .max
        }
        return .max
    }
}
