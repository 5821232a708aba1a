package import Config
package import Delivery
internal import Logging
internal import OTLP
package import Pipeline

/// otelcol's `file`: writes telemetry to files.
package struct FileExporterFactory: ExporterFactory {
    package typealias Settings = FileExporterSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "file", signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    }

    package var blocks: Bool { true }

    package func settings(from section: ConfigSection) -> FileExporterSettings { FileExporterSettings(from: section) }

    /// No queue and no retry, as in otelcol: a request is acknowledged when it is written, and one that cannot be
    /// written goes back to its sender. With a `batch` processor, the queue that gathers the batch acknowledges, and
    /// tries again. One thread writes, so the order is kept.
    package func delivery(for settings: FileExporterSettings) -> DeliverySettings? {
        var delivery = DeliverySettings()
        delivery.queue.isEnabled = false
        delivery.queue.consumers = 1
        delivery.retry.isEnabled = false
        delivery.retriesOnceQueued = true
        delivery.timeout = .zero
        return delivery
    }

    package func make(
        _ settings: FileExporterSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        var settings = settings
        // In a collector that runs, the file may hold what the exporter before this one has answered for.
        if environment.readiness.isReady, settings.rotation == nil { settings.append = true }
        return try FileExporter(settings, logger: environment.logger("exporter", id))
    }
}
