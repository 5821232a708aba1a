package import Config

/// A part of the collector that no data flows through.
package protocol ServiceExtension: AnyObject, Sendable {
    /// Called once, before any other component.
    func start() throws

    /// Called after all other components have stopped. The second call does nothing.
    func stop() async
}

/// Makes extensions of one type.
package protocol ExtensionFactory: Sendable {
    associatedtype Settings: Sendable

    var descriptor: ComponentDescriptor { get }

    /// Reads the settings; faults are recorded in the section, which the caller finishes.
    func settings(from section: ConfigSection) -> Settings

    /// What other components may use an extension of these settings for.
    func roles(of settings: Settings) -> Set<ExtensionRole>

    func make(
        _ settings: Settings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension
}

extension ExtensionFactory {
    package func roles(of settings: Settings) -> Set<ExtensionRole> { [] }
}

/// What an extension of a configuration turns out to be.
package enum PreparedExtension: Sendable {
    case running(
        roles: Set<ExtensionRole>, @Sendable (ComponentID, ComponentEnvironment) throws -> any ServiceExtension)
    /// Gives others logs on a disk.
    case storage(@Sendable (ComponentID, ComponentEnvironment) throws -> any StorageExtension)
    /// Not a running part: bounds for the process-wide memory budget.
    case memoryLimit(MemoryLimit)
}

/// An extension factory whose settings type is erased, for the registry.
package struct AnyExtensionFactory: Sendable {
    package let descriptor: ComponentDescriptor
    /// Reads a configuration; nil, with the reasons in the diagnostics, when it is wrong.
    package let prepare: @Sendable (ComponentConfig, inout ConfigDiagnostics) -> PreparedExtension?

    /// An extension that runs.
    package init(_ factory: some ExtensionFactory) {
        self.init(factory.descriptor) { section in
            let settings = factory.settings(from: section)
            return .running(roles: factory.roles(of: settings)) { id, environment in
                try factory.make(settings, id: id, environment: environment)
            }
        }
    }

    /// An extension that is read into a policy.
    package init(
        _ descriptor: ComponentDescriptor, read: @escaping @Sendable (ConfigSection) -> PreparedExtension
    ) {
        self.descriptor = descriptor
        prepare = { config, diagnostics in
            ConfigSection.decode(config.node, path: config.path, into: &diagnostics) { read($0) }
        }
    }
}
