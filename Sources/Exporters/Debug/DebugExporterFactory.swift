package import Config
package import Delivery
internal import Logging
internal import OTLP
package import Pipeline

/// otelcol's `debug`: shows telemetry to people.
package struct DebugExporterFactory: ExporterFactory {
    package typealias Settings = DebugExporterSettings

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "debug", signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    }

    package var blocks: Bool { true }

    package func settings(from section: ConfigSection) -> DebugExporterSettings { DebugExporterSettings(from: section) }

    /// No queue and no retry. A thread of its own, since an output may block; one, so that the order is kept.
    package func delivery(for settings: DebugExporterSettings) -> DeliverySettings? {
        var delivery = DeliverySettings()
        delivery.queue.isEnabled = false
        delivery.queue.consumers = 1
        delivery.retry.isEnabled = false
        delivery.retriesOnceQueued = true
        delivery.timeout = .zero
        return delivery
    }

    package func make(
        _ settings: DebugExporterSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        DebugExporter(settings, logger: environment.logger("exporter", id))
    }
}
