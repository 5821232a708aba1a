internal import Glibc

/// How much memory this process may use.
package enum SystemMemory {
    /// Bytes: the cgroup's limit when there is one, otherwise the machine's memory.
    package static var availableBytes: Int {
        let machine = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        let cgroup = limits.compactMap(number(in:)).filter { $0 > 0 }.min()
        return min(machine > 0 ? machine : fallback, cgroup ?? .max)
    }

    /// Assumed where the system does not say: 1 GiB.
    private static let fallback = 1 << 30

    private static func number(in path: String) -> Int? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let digits = line.prefix { $0 >= 0x30 && $0 <= 0x39 }.map { UInt8(bitPattern: $0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}
