package import Config
internal import Telemetry

extension MemoryLimit {
    /// Reads the keys of otelcol's `memory_limiter`, in its processor and extension forms alike.
    ///
    /// `check_interval` and the garbage collection intervals are accepted as otelcol requires them, and say so in a
    /// warning where they have no meaning: every byte is counted as it comes, and nothing is collected.
    package init(from section: ConfigSection) {
        let total = SystemMemory.availableBytes
        let megabyte = 1 << 20
        let limit = section.integer("limit_mib", in: 0...(1 << 30)).map { $0 * megabyte }
        let percentage = section.integer("limit_percentage", in: 0...100)
        let spike = section.integer("spike_limit_mib", in: 0...(1 << 30)).map { $0 * megabyte }
        let spikePercentage = section.integer("spike_limit_percentage", in: 0...100)
        if section.duration("check_interval", in: .zero ... .seconds(86_400)) != nil {
            section.warn("check_interval", "has no effect: memory is counted at every request")
        }
        for key in ["min_gc_interval_when_soft_limited", "min_gc_interval_when_hard_limited"]
        where section.duration(key, in: .zero ... .seconds(86_400)) != nil {
            section.warn(key, "has no effect: there is no garbage collection")
        }
        var bytes = limit ?? 0
        if bytes == 0 { bytes = (percentage ?? 0) * (total / 100) }
        if bytes == 0 {
            section.error("\"limit_mib\" or \"limit_percentage\" must be set and above 0")
            bytes = total / 2
        }
        var room = spike ?? 0
        if room == 0 { room = (spikePercentage ?? 0) * (total / 100) }
        if room == 0 { room = bytes / 5 }
        if room >= bytes {
            section.error("spike_limit_mib", "must be below the limit of \(bytes / megabyte) MiB")
            room = bytes / 5
        }
        self.init(limit: bytes, spike: room)
    }

    /// Used without a `memory_limiter`: half of the memory that the process may use, at most 2 GiB, a fifth of it
    /// above the soft limit.
    package static var `default`: MemoryLimit {
        let limit = min(SystemMemory.availableBytes / 2, 2 << 30)
        return MemoryLimit(limit: limit, spike: limit / 5)
    }

    /// Memory of the process that is no telemetry: code, threads, buffers of connections, libraries. 24 MiB, measured under
    /// full load; of limits below 64 MiB three eighths, so that some telemetry fits.
    private static let processBytes = 24 << 20

    /// The part of the limit that telemetry may take, so that the process as a whole stays below it.
    package var ofTelemetry: MemoryLimit {
        let hard = limit - min(Self.processBytes, limit / 8 * 3)
        return MemoryLimit(limit: hard, spike: min(spike, hard / 2))
    }

    /// The tighter of two limits, each bound by itself.
    package func tightened(by other: MemoryLimit) -> MemoryLimit {
        let soft = min(limit - spike, other.limit - other.spike)
        let hard = min(limit, other.limit)
        return MemoryLimit(limit: hard, spike: hard - soft)
    }
}
