package import Config
package import OTLP
package import Pipeline

/// otelcol's `forward`: joins pipelines of one signal. Every pipeline that starts here gets what ends here.
package struct ForwardConnectorFactory: ConnectorFactory {
    package struct Settings: Sendable {}

    package init() {}

    package var descriptor: ComponentDescriptor {
        ComponentDescriptor(type: "forward", signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    }

    package func outputs(for signal: Signal) -> Set<Signal> { [signal] }

    package func settings(from section: ConfigSection) -> Settings { Settings() }

    package func make(
        _ settings: Settings, id: ComponentID, consumers: [Signal: any Consumer], environment: ComponentEnvironment
    ) throws -> any Connector {
        ForwardConnector(consumers)
    }
}

/// Hands batches on as they are; holds nothing.
final class ForwardConnector: Connector {
    private let consumers: [Signal: any Consumer]

    init(_ consumers: [Signal: any Consumer]) { self.consumers = consumers }

    func input(_ signal: Signal) -> (any Consumer)? { consumers[signal] }

    func start() throws {}

    func stop(deadline: ContinuousClock.Instant) async {}
}
