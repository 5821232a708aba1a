/// A component of the configuration.
package struct ComponentConfig: Sendable {
    /// Its id.
    package let id: ComponentID
    /// Its options: whatever the configuration says, often null.
    package let node: ConfigNode
    /// Where its id is written.
    package let position: ConfigPosition
    /// Its path, such as `receivers::otlp/internal`.
    package let path: String
}

/// A use of a component's id in `service`.
package struct ComponentReference: Sendable {
    /// The id.
    package let id: ComponentID
    /// Where it is written.
    package let position: ConfigPosition
}

/// A pipeline of the configuration. Every id in it is defined, and in each list at most once.
package struct PipelineConfig: Sendable {
    /// Its id.
    package let id: PipelineID
    /// Where the id is written.
    package let position: ConfigPosition
    /// Its path, such as `service::pipelines::traces`.
    package let path: String
    /// Where batches come from: receivers and connectors. Not empty.
    package let receivers: [ComponentReference]
    /// What batches go through, in this order.
    package let processors: [ComponentReference]
    /// Where batches go: exporters and connectors. Not empty.
    package let exporters: [ComponentReference]
}

/// The collector's configuration: which components there are and how they are connected. What a component's options
/// mean is decided by its factory.
package struct CollectorConfig: Sendable {
    /// A group of components: a top-level key.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Where batches come in.
        case receivers
        /// What batches go through.
        case processors
        /// Where batches go out.
        case exporters
        /// An exporter of one pipeline that is a receiver of another.
        case connectors
        /// What batches do not pass.
        case extensions

        /// `receiver` …, for messages.
        package var singular: String { String(rawValue.dropLast()) }
    }

    /// Components by id, in the order of the text, including those that nothing uses.
    package internal(set) var receivers = OrderedMap<ComponentID, ComponentConfig>()
    /// Components by id, in the order of the text, including those that nothing uses.
    package internal(set) var processors = OrderedMap<ComponentID, ComponentConfig>()
    /// Components by id, in the order of the text, including those that nothing uses.
    package internal(set) var exporters = OrderedMap<ComponentID, ComponentConfig>()
    /// Components by id, in the order of the text, including those that nothing uses.
    package internal(set) var connectors = OrderedMap<ComponentID, ComponentConfig>()
    /// Components by id, in the order of the text, including those that nothing starts.
    package internal(set) var extensions = OrderedMap<ComponentID, ComponentConfig>()
    /// The extensions to start, in this order; each is defined.
    package internal(set) var serviceExtensions: [ComponentReference] = []
    /// The pipelines, in the order of the text; at least one.
    package internal(set) var pipelines = OrderedMap<PipelineID, PipelineConfig>()
    /// `service::telemetry` as it is; null when missing.
    package internal(set) var telemetry: ConfigNode

    /// The components of a kind.
    package func components(_ kind: Kind) -> OrderedMap<ComponentID, ComponentConfig> {
        switch kind {
        case .receivers: receivers
        case .processors: processors
        case .exporters: exporters
        case .connectors: connectors
        case .extensions: extensions
        }
    }

    /// Decodes and validates `root`, a whole configuration. What is wrong, and warnings for components that nothing
    /// uses, go to `diagnostics`; returns nil when there is an error.
    package static func decode(_ root: ConfigNode, into diagnostics: inout ConfigDiagnostics) -> CollectorConfig? {
        ConfigSection.decode(root, path: "", into: &diagnostics) { section in
            var config = CollectorConfig(telemetry: .null(at: root.position))
            for kind in Kind.allCases { config.readComponents(kind, section.section(kind.rawValue)) }
            let service = section.section("service")
            if !service.isPresent {
                section.error("\"service\" is missing; it lists the pipelines to run")
            }
            config.telemetry = service.node("telemetry") ?? config.telemetry
            config.serviceExtensions = service.references("extensions", to: [.extensions], in: config)
            config.readPipelines(service)
            config.checkConnectors(section)
            // A misspelt reference makes its target look unused too: the error says it better.
            if !section.diagnostics.hasErrors { config.warnAboutUnused(section) }
            return config
        }
    }

    private mutating func readComponents(_ kind: Kind, _ section: ConfigSection) {
        section.acceptAnyKey()
        for entry in section.entries {
            guard let id = section.id(entry.key, at: entry.keyPosition) else { continue }
            let component = ComponentConfig(
                id: id, node: entry.value, position: entry.keyPosition,
                path: ConfigPath.join(section.path, entry.key))
            if let first = components(kind)[id] {
                section.error(
                    at: entry.keyPosition, "\(quoted(id.description)) is defined twice; first at \(first.position)")
                continue
            }
            switch kind {
            case .receivers: receivers[id] = component
            case .processors: processors[id] = component
            case .exporters: exporters[id] = component
            case .connectors: connectors[id] = component
            case .extensions: extensions[id] = component
            }
        }
    }

    private mutating func readPipelines(_ service: ConfigSection) {
        let section = service.section("pipelines")
        section.acceptAnyKey()
        for entry in section.entries {
            let pipeline = section.section(entry.key)
            let sources = pipeline.references("receivers", to: [.receivers, .connectors], in: self)
            let processors = pipeline.references("processors", to: [.processors], in: self)
            let targets = pipeline.references("exporters", to: [.exporters, .connectors], in: self)
            let id: PipelineID
            do throws(IDError) {
                id = try PipelineID.parse(entry.key)
            } catch {
                section.error(at: entry.keyPosition, error.description)
                continue
            }
            for key in ["receivers", "exporters"] where pipeline.sequenceIsEmpty(key) {
                pipeline.error(at: entry.keyPosition, "the pipeline has no \(key)")
            }
            if let first = pipelines[id] {
                section.error(
                    at: entry.keyPosition, "\(quoted(id.description)) is defined twice; first at \(first.position)")
                continue
            }
            pipelines[id] = PipelineConfig(
                id: id, position: entry.keyPosition, path: pipeline.path, receivers: sources, processors: processors,
                exporters: targets)
        }
        if service.isPresent, section.entries.isEmpty {
            section.error("there is no pipeline; name at least one, such as \"traces\"")
        }
    }

    /// A connector joins pipelines: it must end one and start another.
    private func checkConnectors(_ section: ConfigSection) {
        var ends: [ComponentID: Set<PipelineID>] = [:]
        var starts: [ComponentID: Set<PipelineID>] = [:]
        for (id, pipeline) in pipelines {
            for reference in pipeline.exporters { ends[reference.id, default: []].insert(id) }
            for reference in pipeline.receivers { starts[reference.id, default: []].insert(id) }
        }
        for (id, connector) in connectors {
            let ends = ends[id] ?? []
            let starts = starts[id] ?? []
            let name = "the connector \(quoted(id.description))"
            let place = section.section(Kind.connectors.rawValue)
            if ends.isEmpty, !starts.isEmpty {
                place.error(at: connector.position, "\(name) is a receiver, but no pipeline has it as an exporter")
            } else if starts.isEmpty, !ends.isEmpty {
                place.error(at: connector.position, "\(name) is an exporter, but no pipeline has it as a receiver")
            } else if let both = ends.intersection(starts).min(by: { $0.description < $1.description }) {
                place.error(
                    at: connector.position,
                    "\(name) is both receiver and exporter of the pipeline \(quoted(both.description)); "
                        + "it must lead to another pipeline")
            }
        }
    }

    private func warnAboutUnused(_ section: ConfigSection) {
        var used: [Kind: Set<ComponentID>] = [.extensions: Set(serviceExtensions.map(\.id))]
        for (_, pipeline) in pipelines {
            let ends = pipeline.receivers + pipeline.exporters
            used[.receivers, default: []].formUnion(pipeline.receivers.map(\.id))
            used[.processors, default: []].formUnion(pipeline.processors.map(\.id))
            used[.exporters, default: []].formUnion(pipeline.exporters.map(\.id))
            used[.connectors, default: []].formUnion(ends.map(\.id))
        }
        for kind in Kind.allCases {
            for (id, component) in components(kind) where used[kind]?.contains(id) != true {
                let user = kind == .extensions ? "\"service::extensions\" does not list it" : "no pipeline uses it"
                section.section(kind.rawValue).warn(
                    at: component.position, "\(quoted(id.description)) is defined, but \(user); it is not started")
            }
        }
    }
}

extension ConfigSection {
    /// The component id that a key or an element spells; nil after recording an error.
    fileprivate func id(_ text: String, at position: ConfigPosition, path: String? = nil) -> ComponentID? {
        do throws(IDError) {
            return try ComponentID.parse(text)
        } catch {
            self.error(at: position, path: path, error.description)
            return nil
        }
    }

    /// Whether a list is missing, null or empty. Anything else is an error of its own.
    fileprivate func sequenceIsEmpty(_ key: String) -> Bool {
        guard let node = value(key) else { return true }
        return node.sequence?.isEmpty ?? false
    }

    /// The ids listed under `key`, each defined in one of `kinds`.
    fileprivate func references(
        _ key: String, to kinds: [CollectorConfig.Kind], in config: CollectorConfig
    ) -> [ComponentReference] {
        guard let node = value(key) else { return [] }
        guard let elements = node.sequence else {
            error(key, "must be a list of ids, not \(node.kind)")
            return []
        }
        var result: [ComponentReference] = []
        var seen: [ComponentID: ConfigPosition] = [:]
        for (index, element) in elements.enumerated() {
            let elementKey = "\(key)[\(index)]"
            guard !element.isNull else {
                error(at: element, elementKey, "must be an id, not null")
                continue
            }
            guard let text = text(element, elementKey),
                let id = id(text, at: element.position, path: ConfigPath.join(path, elementKey))
            else { continue }
            if let first = seen.updateValue(element.position, forKey: id) {
                error(
                    at: element, elementKey, "\(quoted(id.description)) is in the list twice; first at \(first)")
                continue
            }
            let found = kinds.filter { config.components($0)[id] != nil }
            if found.count > 1 {
                error(
                    at: element, elementKey,
                    "\(quoted(id.description)) is both a \(found.map(\.singular).joined(separator: " and a ")); "
                        + "give one of them another name")
                continue
            }
            guard !found.isEmpty else {
                reportUndefined(id, element, elementKey, kinds, config)
                continue
            }
            result.append(ComponentReference(id: id, position: element.position))
        }
        return result
    }

    private func reportUndefined(
        _ id: ComponentID, _ element: ConfigNode, _ key: String, _ kinds: [CollectorConfig.Kind],
        _ config: CollectorConfig
    ) {
        guard !diagnostics.isFull else { return error(at: element, key, "is not defined") }
        let known = kinds.flatMap { config.components($0).keys.map(\.description) }
        let places = kinds.map(\.rawValue).listed()
        error(
            at: element, key, "\(quoted(id.description)) is not defined under \(places)",
            suggestion: nearest(to: id.description, among: known))
    }
}
