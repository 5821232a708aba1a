package import Config
package import OTLP

/// The end of some pipelines and the start of others.
package protocol Connector: AnyObject, Sendable {
    /// What pipelines of `signal` that end here hand their batches to; nil when the connector does not take it.
    func input(_ signal: Signal) -> (any Consumer)?

    /// Called once, after everything downstream runs.
    func start() throws

    /// Hands on what it holds. The second call does nothing.
    func stop(deadline: ContinuousClock.Instant) async
}

/// Makes connectors of one type.
package protocol ConnectorFactory: Sendable {
    associatedtype Settings: Sendable

    var descriptor: ComponentDescriptor { get }

    /// The signals that a pipeline starting here may have, given one that ends here.
    func outputs(for signal: Signal) -> Set<Signal>

    /// Reads the settings; faults are recorded in the section, which the caller finishes.
    func settings(from section: ConfigSection) -> Settings

    /// - Parameter consumers: the pipelines that start here, by signal.
    func make(
        _ settings: Settings, id: ComponentID, consumers: [Signal: any Consumer], environment: ComponentEnvironment
    ) throws -> any Connector
}

/// A connector factory whose settings type is erased, for the registry.
package struct AnyConnectorFactory: Sendable {
    package typealias Make =
        @Sendable (ComponentID, [Signal: any Consumer], ComponentEnvironment) throws -> any Connector

    package let descriptor: ComponentDescriptor
    package let outputs: @Sendable (Signal) -> Set<Signal>
    /// Reads a configuration; nil, with the reasons in the diagnostics, when it is wrong.
    package let prepare: @Sendable (ComponentConfig, inout ConfigDiagnostics) -> Make?

    package init(_ factory: some ConnectorFactory) {
        descriptor = factory.descriptor
        outputs = { factory.outputs(for: $0) }
        prepare = { config, diagnostics in
            let decoded = ConfigSection.decode(config.node, path: config.path, into: &diagnostics) {
                factory.settings(from: $0)
            }
            guard let settings = decoded else { return nil }
            return { id, consumers, environment in
                try factory.make(settings, id: id, consumers: consumers, environment: environment)
            }
        }
    }
}
