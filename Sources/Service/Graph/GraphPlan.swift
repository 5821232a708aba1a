package import Config
internal import Delivery
internal import OTLP
internal import Pipeline

/// A configuration that has been read whole and found right: every component prepared, every pipeline possible.
/// Nothing is started by making a plan.
package struct GraphPlan: Sendable {
    struct PreparedConnector: Sendable {
        let make: AnyConnectorFactory.Make
        let outputs: @Sendable (Signal) -> Set<Signal>
    }

    package let config: CollectorConfig
    private(set) var receivers: [ComponentID: AnyReceiverFactory.Make] = [:]
    private(set) var processors: [ComponentID: PreparedProcessor] = [:]
    private(set) var exporters: [ComponentID: PreparedExporter] = [:]
    private(set) var connectors: [ComponentID: PreparedConnector] = [:]
    private(set) var extensions: [(id: ComponentID, prepared: PreparedExtension)] = []
    let telemetry: TelemetrySettings
    private var references: [ConfigReference] = []
    /// The tightest of the `memory_limiter`s in use, or the default.
    let memoryLimit: MemoryLimit

    /// Reads everything below the top level of a configuration.
    ///
    /// - Parameter components: what it may name.
    /// - Returns: nil, with the reasons in `diagnostics`, when any part of it is wrong.
    package init?(
        _ root: ConfigNode, components: ComponentSet = ComponentSet(), into diagnostics: inout ConfigDiagnostics
    ) {
        guard let config = CollectorConfig.decode(root, into: &diagnostics) else { return nil }
        self.config = config
        let settings = ConfigSection.decode(config.telemetry, path: "service::telemetry", into: &diagnostics) {
            TelemetrySettings(from: $0)
        }
        telemetry = settings ?? TelemetrySettings()
        var supported: [ComponentID: Set<Signal>] = [:]
        var reader = ComponentReader(diagnostics: diagnostics)
        for (id, component) in config.receivers {
            guard let factory = reader.find(component, among: components.receivers, \.descriptor, .receivers) else {
                continue
            }
            supported[id] = Set(factory.descriptor.signals.keys)
            receivers[id] = factory.prepare(component, &reader.diagnostics)
        }
        var signals = PipelineSignals(receivers: supported)
        for (id, component) in config.processors {
            guard let factory = reader.find(component, among: components.processors, \.descriptor, .processors) else {
                continue
            }
            signals.processors[id] = Set(factory.descriptor.signals.keys)
            processors[id] = factory.prepare(component, &reader.diagnostics)
        }
        for (id, component) in config.exporters {
            guard let factory = reader.find(component, among: components.exporters, \.descriptor, .exporters) else {
                continue
            }
            signals.exporters[id] = Set(factory.descriptor.signals.keys)
            exporters[id] = factory.prepare(component, &reader.diagnostics)
        }
        for (id, component) in config.connectors {
            guard let factory = reader.find(component, among: components.connectors, \.descriptor, .connectors) else {
                continue
            }
            signals.connectors[id] = Set(factory.descriptor.signals.keys)
            connectors[id] = factory.prepare(component, &reader.diagnostics).map {
                PreparedConnector(make: $0, outputs: factory.outputs)
            }
        }
        var prepared: [ComponentID: PreparedExtension] = [:]
        for (id, component) in config.extensions {
            guard let factory = reader.find(component, among: components.extensions, \.descriptor, .extensions) else {
                continue
            }
            prepared[id] = factory.prepare(component, &reader.diagnostics)
        }
        extensions = config.serviceExtensions.compactMap { reference in
            prepared[reference.id].map { (reference.id, $0) }
        }
        references = reader.diagnostics.references
        Self.check(references, extensions, config, &reader.diagnostics)
        signals.check(config, connectors.mapValues(\.outputs), &reader.diagnostics)
        memoryLimit = Self.memoryLimit(config, processors, extensions.map(\.prepared))
        checkStorages(&reader.diagnostics)
        diagnostics = reader.diagnostics
        if diagnostics.hasErrors { return nil }
    }

    /// Records an error for each extension that a component names and that is not there, or cannot do what it is for.
    private static func check(
        _ references: [ConfigReference], _ extensions: [(id: ComponentID, prepared: PreparedExtension)],
        _ config: CollectorConfig, _ diagnostics: inout ConfigDiagnostics
    ) {
        for reference in references {
            let message: String
            switch extensions.first(where: { $0.id == reference.id })?.prepared {
            case .running(let roles, _)? where roles.contains { $0.rawValue == reference.role }: continue
            case .storage? where reference.role == StorageName.role: continue
            case .some: message = "the extension \"\(reference.id)\" is no \(reference.role) as it is configured"
            case nil where config.extensions[reference.id] == nil:
                message = "the extension \"\(reference.id)\" is not defined"
            case nil where config.serviceExtensions.contains { $0.id == reference.id }:
                // It has an error of its own.
                continue
            case nil: message = "the extension \"\(reference.id)\" is not listed in service::extensions"
            }
            diagnostics.error(ConfigDiagnostic(at: reference.position, path: reference.path, message))
        }
    }

    /// Queues can only be kept by a storage extension that is in use.
    private func checkStorages(_ diagnostics: inout ConfigDiagnostics) {
        let known = extensions.filter { if case .storage = $0.prepared { true } else { false } }.map(\.id)
        for (id, component) in config.exporters {
            guard let storage = exporters[id]?.delivery?.queue.storage, !known.contains(storage) else { continue }
            let queue = component.node["sending_queue"] ?? component.node["remote_write_queue"]
            let message =
                config.extensions[storage] == nil
                ? "there is no storage extension \"\(storage)\""
                : "the extension \"\(storage)\" keeps no data, or is not in service::extensions"
            diagnostics.error(
                ConfigDiagnostic(
                    at: queue?["storage"]?.position ?? component.position, path: "\(component.path)::storage", message))
        }
    }

    private static func memoryLimit(
        _ config: CollectorConfig, _ processors: [ComponentID: PreparedProcessor], _ extensions: [PreparedExtension]
    ) -> MemoryLimit {
        var limits: [MemoryLimit] = []
        for (_, pipeline) in config.pipelines {
            for reference in pipeline.processors {
                if case .memoryLimit(let limit)? = processors[reference.id] { limits.append(limit) }
            }
        }
        for case .memoryLimit(let limit) in extensions { limits.append(limit) }
        guard let first = limits.first else { return .default }
        return limits.dropFirst().reduce(first) { $0.tightened(by: $1) }
    }

    /// The extensions that a component works with: its authenticator, the storage of what it holds.
    func extensionsUsed(by component: ComponentConfig) -> [ComponentID] {
        let inside = component.path + "::"
        var used = references.filter { $0.path.hasPrefix(inside) }.map(\.id)
        if let storage = exporters[component.id]?.delivery?.queue.storage, component.path.hasPrefix("exporters::") {
            used.append(storage)
        }
        if case .scalar(let scalar)? = component.node["storage"]?.content, let id = try? ComponentID.parse(scalar.text)
        {
            used.append(id)
        }
        return used.filter { id in extensions.contains { $0.id == id } }
    }

    /// The batching that a pipeline asks its exporters for; nil without a `batch` processor.
    func batching(of pipeline: PipelineConfig) -> BatchProcessorSettings? {
        for reference in pipeline.processors.reversed() {
            if case .batching(let settings)? = processors[reference.id] { return settings }
        }
        return nil
    }
}

/// Finds the factory of each component and records those that do not exist.
private struct ComponentReader {
    var diagnostics: ConfigDiagnostics

    mutating func find<Factory>(
        _ component: ComponentConfig, among factories: [Factory], _ descriptor: (Factory) -> ComponentDescriptor,
        _ kind: CollectorConfig.Kind
    ) -> Factory? {
        let type = component.id.type
        if let factory = factories.first(where: { descriptor($0).names.contains(type) }) { return factory }
        let names = factories.flatMap { descriptor($0).names }
        let suggestion = NearestName.find(type, among: names)
        var message = "there is no \(kind.singular) of type \"\(type)\""
        if suggestion == nil { message += "; this build has: \(names.sorted().joined(separator: ", "))" }
        diagnostics.error(
            ConfigDiagnostic(at: component.position, path: kind.rawValue, message, suggestion: suggestion))
        return nil
    }
}
