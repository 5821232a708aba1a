package import Config
package import Logging
package import NIOCore
package import Telemetry

/// What the service gives every component.
package struct ComponentEnvironment: Sendable {
    package let metrics: MetricRegistry
    package let budget: MemoryBudget
    /// Event loops, one per core, shared by all components.
    package let eventLoops: any EventLoopGroup
    package let readiness: Readiness
    /// The storage extensions in use, by id. Extensions themselves see none.
    package var storages: [ComponentID: any StorageExtension] = [:]
    /// Makes the logger of a component.
    private let makeLogger: @Sendable (String) -> Logger

    package init(
        metrics: MetricRegistry, budget: MemoryBudget, eventLoops: any EventLoopGroup, readiness: Readiness,
        makeLogger: @escaping @Sendable (String) -> Logger
    ) {
        self.metrics = metrics
        self.budget = budget
        self.eventLoops = eventLoops
        self.readiness = readiness
        self.makeLogger = makeLogger
    }

    /// A logger whose lines name the component: `exporter/otlp_http/backend`.
    package func logger(_ kind: String, _ id: ComponentID) -> Logger { makeLogger("\(kind)/\(id)") }
}
