internal import Glibc
internal import Synchronization
internal import Telemetry

/// What scrapes see of reloads; the names are Prometheus' own with our prefix. Thread-safe.
final class ReloadMetrics: Sendable {
    private let succeeded: Counter
    private let failed: Counter
    private let lastSucceeded = Atomic<Bool>(true)
    /// Seconds of the wall clock, for people; nothing is decided by it.
    private let lastSuccess: Atomic<Int>

    init(_ registry: MetricRegistry) {
        let help = "Reloads of the configuration, by result."
        succeeded = registry.counter("martlet_config_reloads", help: help, labels: [("result", "success")])
        failed = registry.counter("martlet_config_reloads", help: help, labels: [("result", "failure")])
        lastSuccess = Atomic(Self.now)
        registry.gauge(
            "martlet_config_last_reload_successful", help: "1 when the last reload, or the start, was successful."
        ) { [self] in lastSucceeded.load(ordering: .relaxed) ? 1 : 0 }
        registry.gauge(
            "martlet_config_last_reload_success_timestamp_seconds",
            help: "When the configuration that runs was loaded, as Unix time."
        ) { [self] in Double(lastSuccess.load(ordering: .relaxed)) }
    }

    func count(success: Bool) {
        (success ? succeeded : failed).add()
        lastSucceeded.store(success, ordering: .relaxed)
        if success { lastSuccess.store(Self.now, ordering: .relaxed) }
    }

    private static var now: Int { time(nil) }
}
