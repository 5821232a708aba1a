package import Config
package import Delivery
internal import OTLP
package import Pipeline

/// Takes everything and does nothing with it: for measuring the rest of a pipeline.
package struct NopExporterFactory: ExporterFactory {
    package struct Settings: Sendable {}

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "nop", signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    }

    package func settings(from section: ConfigSection) -> Settings { Settings() }

    package func delivery(for settings: Settings) -> DeliverySettings? { nil }

    package func make(
        _ settings: Settings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any Exporter {
        NopExporter()
    }
}

final class NopExporter: Exporter {
    func start() throws {}

    func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        completion(.delivered)
    }

    func shutdown() {}
}
