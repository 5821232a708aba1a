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
    /// What components of this graph share with each other.
    package var shared = SharedParts()
    /// Where components show their present state.
    package let pages: StatusPages
    /// The authenticators among the extensions. Complete when components start.
    package var authenticators: AuthenticatorRegistry
    /// Which component listens where.
    package let listeners = ListenerRegistry()
    /// The storage extensions in use, by id. Extensions themselves see none.
    package var storages: [ComponentID: any StorageExtension] = [:]
    /// Makes the logger of a component.
    private let makeLogger: @Sendable (String) -> Logger

    package init(
        metrics: MetricRegistry, budget: MemoryBudget, eventLoops: any EventLoopGroup, readiness: Readiness,
        pages: StatusPages = StatusPages(), authenticators: AuthenticatorRegistry = AuthenticatorRegistry(),
        makeLogger: @escaping @Sendable (String) -> Logger
    ) {
        self.metrics = metrics
        self.budget = budget
        self.eventLoops = eventLoops
        self.readiness = readiness
        self.pages = pages
        self.authenticators = authenticators
        self.makeLogger = makeLogger
    }

    /// A logger whose lines name the component: `exporter/otlp_http/backend`.
    package func logger(_ kind: String, _ id: ComponentID) -> Logger { makeLogger("\(kind)/\(id)") }
}
