internal import Compression
internal import Glibc
internal import Pipeline
internal import Prometheus

/// Turns requests into bodies. One thread at a time; its tables and buffers live from one request to the next.
final class RemoteWriteWriter {
    /// Data points from which on a further shard is worth a request of its own, as in Prometheus' own sender.
    private static let pointsPerShard = 2000

    private let settings: PrometheusRemoteWriteSettings
    private let translator: MetricTranslator
    private var first: RemoteWriteV1Encoder?
    private var second: RemoteWriteV2Encoder?
    private let collector = Collector()

    /// Bodies as the encoder passes them on.
    private final class Collector {
        var bodies: [[RemoteWriteBody]] = []
        var failed = false
        var version = RemoteWriteVersion.v1

        func add(_ shard: Int, _ bytes: UnsafeRawBufferPointer, _ counts: RemoteWriteCounts) {
            guard let body = try? RemoteWriteBody(bytes, version, counts) else {
                failed = true
                return
            }
            bodies[shard].append(body)
        }
    }

    init(_ settings: PrometheusRemoteWriteSettings) {
        self.settings = settings
        translator = MetricTranslator(settings.translation)
    }

    /// The bodies of a request by shard, and what became of its data points. Nil when memory was refused.
    func bodies(
        _ request: ExportRequest, _ version: RemoteWriteVersion, maximumBytes: Int
    ) -> (shards: [[RemoteWriteBody]], report: TranslationReport)? {
        let shards = min(settings.shards, max(1, request.itemCount / Self.pointsPerShard))
        collector.bodies = Array(repeating: [], count: shards)
        collector.failed = false
        collector.version = version
        let encoder = encoder(version)
        let now = Self.milliseconds(CLOCK_REALTIME)
        encoder.start(shards: shards, maximumBytes: maximumBytes, now: Self.milliseconds(CLOCK_MONOTONIC))
        var report = TranslationReport()
        for slice in request.slices {
            report.add(translator.translate(slice.batch, items: slice.items, now: now, into: encoder))
        }
        encoder.finish()
        let bodies = collector.bodies
        collector.bodies = []
        return collector.failed ? nil : (bodies, report)
    }

    private func encoder(_ version: RemoteWriteVersion) -> any RemoteWriteEncoder {
        let collector = collector
        switch version {
        case .v1:
            if let first { return first }
            let made = RemoteWriteV1Encoder(sendsMetadata: settings.sendsMetadata, output: collector.add)
            first = made
            return made
        case .v2:
            if let second { return second }
            let made = RemoteWriteV2Encoder(output: collector.add)
            second = made
            return made
        }
    }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
