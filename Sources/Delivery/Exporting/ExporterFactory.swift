package import Config
package import Pipeline
package import Temporality

/// Makes exporters of one type. The queue before an exporter, with batching and retry, is the same for all.
package protocol ExporterFactory: Sendable {
    associatedtype Settings: Sendable

    var descriptor: ComponentDescriptor { get }

    /// Reads the settings; faults are recorded in the section, which the caller finishes.
    func settings(from section: ConfigSection) -> Settings

    /// Whether `export` waits for a disk or terminal: such exporters get threads of their own.
    var blocks: Bool { get }

    /// How data is delivered to the exporter. Nil for an exporter that answers at once and needs no queue.
    func delivery(for settings: Settings) -> DeliverySettings?

    /// Bounds of the streams that the exporter needs to make delta metrics cumulative, before its queue. Nil leaves them
    /// as they are.
    func deltas(for settings: Settings) -> DeltaLimits?

    /// Makes the one instance that serves all pipelines and signals.
    func make(_ settings: Settings, id: ComponentID, environment: ComponentEnvironment) throws -> any Exporter
}

extension ExporterFactory {
    package var blocks: Bool { false }

    package func deltas(for settings: Settings) -> DeltaLimits? { nil }
}

/// An exporter's configuration, read.
package struct PreparedExporter: Sendable {
    package let delivery: DeliverySettings?
    package let blocks: Bool
    package let deltas: DeltaLimits?
    package let make: @Sendable (ComponentID, ComponentEnvironment) throws -> any Exporter
}

/// An exporter factory whose settings type is erased, for the registry.
package struct AnyExporterFactory: Sendable {
    package let descriptor: ComponentDescriptor
    /// Reads a configuration; nil, with the reasons in the diagnostics, when it is wrong.
    package let prepare: @Sendable (ComponentConfig, inout ConfigDiagnostics) -> PreparedExporter?

    package init(_ factory: some ExporterFactory) {
        descriptor = factory.descriptor
        prepare = { config, diagnostics in
            let decoded = ConfigSection.decode(config.node, path: config.path, into: &diagnostics) {
                factory.settings(from: $0)
            }
            guard let settings = decoded else { return nil }
            return PreparedExporter(
                delivery: factory.delivery(for: settings), blocks: factory.blocks, deltas: factory.deltas(for: settings)
            ) { id, environment in try factory.make(settings, id: id, environment: environment) }
        }
    }
}
