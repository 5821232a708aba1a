package import Config
package import OTLP

/// Takes data in from outside. One instance serves all pipelines that name it.
package protocol Receiver: AnyObject, Sendable {
    /// Begins to accept. Called once, after everything downstream runs. May block.
    /// - Throws: an error that names the address or thing that failed; the collector then does not start.
    func start() throws

    /// Stops accepting, and returns when the requests in flight are answered or `deadline` has come. The second call,
    /// or one without `start`, does nothing.
    func stop(deadline: ContinuousClock.Instant) async
}

/// Makes receivers of one type.
package protocol ReceiverFactory: Sendable {
    associatedtype Settings: Sendable

    var descriptor: ComponentDescriptor { get }

    /// Reads the settings; faults are recorded in the section, which the caller finishes.
    func settings(from section: ConfigSection) -> Settings

    /// - Parameter consumers: where data of each signal goes; signals that no pipeline takes are missing.
    func make(
        _ settings: Settings, id: ComponentID, consumers: [Signal: any Consumer], environment: ComponentEnvironment
    ) throws -> any Receiver
}

/// A receiver factory whose settings type is erased, for the registry.
package struct AnyReceiverFactory: Sendable {
    package typealias Make =
        @Sendable (ComponentID, [Signal: any Consumer], ComponentEnvironment) throws -> any Receiver

    package let descriptor: ComponentDescriptor
    /// Reads a configuration; nil, with the reasons in the diagnostics, when it is wrong.
    package let prepare: @Sendable (ComponentConfig, inout ConfigDiagnostics) -> Make?

    package init(_ factory: some ReceiverFactory) {
        descriptor = factory.descriptor
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
