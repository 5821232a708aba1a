internal import Glibc

/// The process figures that otelcol reports under the same names.
package enum ProcessMetrics {
    /// Registers uptime, CPU seconds and resident memory.
    package static func register(in registry: MetricRegistry, started: ContinuousClock.Instant) {
        registry.counter("otelcol_process_uptime_seconds", help: "Uptime of the process") {
            let elapsed = started.duration(to: .now)
            return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        }
        registry.counter(
            "otelcol_process_cpu_seconds", help: "Total CPU user and system time in seconds", read: cpuSeconds)
        registry.gauge("otelcol_process_memory_rss_bytes", help: "Total physical memory (resident set size)") {
            Double(residentBytes())
        }
    }

    /// User and system time of this process, in seconds.
    package static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6
    }

    /// Resident set of this process in bytes; 0 when `/proc` cannot be read.
    package static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let columns = text.split(separator: " ")
        guard columns.count > 1, let pages = Int(columns[1]) else { return 0 }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}
