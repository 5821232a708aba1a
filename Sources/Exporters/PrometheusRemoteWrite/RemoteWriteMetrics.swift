internal import Prometheus
package import Telemetry

/// What the exporter counts, besides what its queue does.
package struct RemoteWriteMetrics: Sendable {
    private let samples: Counter
    private let histograms: Counter
    private let exemplars: Counter
    private let sentBytes: Counter
    private let failedTranslations: Counter
    private let rejected: [Counter]
    private let dropped: Counter
    private let fallbacks: Counter

    package init(_ registry: MetricRegistry, exporter: String) {
        let labels = [(name: "exporter", value: exporter)]
        let prefix = "otelcol_exporter_prometheusremotewrite_"
        samples = registry.counter(
            prefix + "written_samples", help: "Samples that the receiver took.", labels: labels)
        histograms = registry.counter(
            prefix + "written_histograms", help: "Native histograms that the receiver took.", labels: labels)
        exemplars = registry.counter(
            prefix + "written_exemplars", help: "Exemplars that the receiver took.", labels: labels)
        sentBytes = registry.counter(
            prefix + "sent_bytes", help: "Bytes of bodies that the receiver took, compressed.", labels: labels)
        failedTranslations = registry.counter(
            prefix + "failed_translations", help: "Data points that have no Prometheus series.", labels: labels)
        dropped = registry.counter(
            "martlet_exporter_prometheus_refused_series",
            help: "Samples and histograms that the receiver refused for good.", labels: labels)
        fallbacks = registry.counter(
            "martlet_exporter_prometheus_fallbacks",
            help: "Times that the exporter went back to remote write 1.0.", labels: labels)
        rejected = RejectReason.allCases.map { reason in
            registry.counter(
                "martlet_exporter_prometheus_rejected_points",
                help: "Data points that have no Prometheus series, by reason.",
                labels: labels + [(name: "reason", value: reason.label)])
        }
    }

    func translated(_ report: TranslationReport) {
        failedTranslations.add(report.rejected)
        for reason in RejectReason.allCases { rejected[Int(reason.rawValue)].add(report.rejected(reason)) }
    }

    func written(_ body: RemoteWriteBody) {
        samples.add(body.counts.samples)
        histograms.add(body.counts.histograms)
        exemplars.add(body.counts.exemplars)
        sentBytes.add(body.count)
    }

    func refused(_ counts: RemoteWriteCounts) { dropped.add(counts.samples + counts.histograms) }

    func fellBack() { fallbacks.add() }
}
