import Pipeline
import Service
import Testing

@testable import Config

/// What every component does with its configuration.
@Suite struct ConfigurationTests {
    @Test func everyComponentIsInTheTable() {
        let registered = ComponentCase.all.map(\.testDescription)
        #expect(Set(registered).count == registered.count)
        #expect(registered.filter { ContractTable.entries[$0] == nil } == [], "add them to ContractTable")
        #expect(ContractTable.entries.keys.filter { !registered.contains($0) } == [])
    }

    @Test func typesAndOlderNamesAreUnique() {
        for kind in CollectorConfig.Kind.allCases {
            let names = ComponentCase.all.filter { $0.kind == kind }.flatMap(\.descriptor.names)
            #expect(Set(names).count == names.count)
            #expect(names.allSatisfy { (try? ComponentID.parse($0)) != nil })
        }
    }

    @Test(arguments: ComponentCase.all)
    func theMinimalConfigurationIsRead(_ component: ComponentCase) throws {
        let entry = try #require(ContractTable.entry(component.kind, component.descriptor.type))
        let (isRead, errors) = try component.read(entry.minimal)
        #expect(isRead)
        #expect(errors.isEmpty)
        #expect(component.kind == .extensions || !component.descriptor.signals.isEmpty)
    }

    /// An empty section means defaults; where a key is required, the error names a place and the component.
    @Test(arguments: ComponentCase.all)
    func anEmptySectionIsReadOrExplained(_ component: ComponentCase) throws {
        for yaml in ["", "{}"] {
            let (isRead, errors) = try component.read(yaml)
            #expect(isRead == errors.isEmpty)
            for error in errors {
                #expect(error.position?.file == "a.yaml")
                #expect(error.path.hasPrefix("\(component.kind.rawValue)::\(component.descriptor.type)"))
            }
        }
    }

    @Test(arguments: ComponentCase.all)
    func anUnknownKeyIsAnErrorWithItsPlace(_ component: ComponentCase) throws {
        let entry = try #require(ContractTable.entry(component.kind, component.descriptor.type))
        let separator = entry.minimal == "{}" ? "" : ", "
        let (isRead, errors) = try component.read(entry.minimal.dropLast() + "\(separator)\n  no_such_key: 1}")
        #expect(!isRead)
        #expect(errors.count == 1)
        #expect(errors.first?.message == "unknown key \"no_such_key\"")
        #expect(errors.first?.position == ConfigPosition(file: "a.yaml", line: 2, column: 3))
        #expect(errors.first?.path == "\(component.kind.rawValue)::\(component.descriptor.type)")
    }

    @Test(arguments: ComponentCase.all)
    func aSectionThatIsNoMappingIsAnError(_ component: ComponentCase) throws {
        for yaml in ["5", "[1, 2]", "text", "true"] {
            let (isRead, errors) = try component.read(yaml)
            #expect(!isRead)
            #expect(errors.contains { $0.message.hasPrefix("must be a mapping") })
        }
    }

    // MARK: READMEs

    /// Each key of the tables, set to null beside the minimal configuration, is known.
    @Test(arguments: ComponentCase.all)
    func everyDocumentedKeyIsKnown(_ component: ComponentCase) throws {
        let entry = try #require(ContractTable.entry(component.kind, component.descriptor.type))
        let readme = try ComponentReadme(of: component)
        #expect(!readme.keys.isEmpty || readme.text.contains("no options"))
        for key in readme.keys {
            let config = try config(component, entry.minimal, adding: key)
            let errors = try component.read(config).errors.map(\.message)
            let refusals = errors.filter { $0.hasPrefix("unknown key") || $0.contains("is not supported") }
            #expect(refusals.isEmpty, "\(key)")
        }
    }

    @Test(arguments: ComponentCase.all)
    func everyKeyThatIsSaidToBeRefusedIs(_ component: ComponentCase) throws {
        let entry = try #require(ContractTable.entry(component.kind, component.descriptor.type))
        for key in try ComponentReadme(of: component).refusedKeys {
            let config = try config(component, entry.minimal, adding: key)
            let errors = try component.read(config).errors.map(\.message)
            #expect(errors.contains { $0.contains("is not supported") }, "\(key): \(errors)")
        }
    }

    @Test(arguments: ComponentCase.all)
    func everyExampleIsRight(_ component: ComponentCase) throws {
        let readme = try ComponentReadme(of: component)
        #expect(!readme.examples.isEmpty)
        var found = 0
        for example in readme.examples {
            let root = try ConfigLoader().load(configs: ["yaml:" + example]).root
            for section in root[component.kind.rawValue]?.mapping?.entries ?? [] {
                let id = try ComponentID.parse(section.key)
                guard component.descriptor.names.contains(id.type) else { continue }
                found += 1
                let config = ComponentConfig(id: id, node: section.value, position: section.keyPosition, path: "x")
                let errors = try component.read(config).errors
                #expect(errors.isEmpty)
            }
        }
        #expect(found > 0)
    }

    private func config(_ component: ComponentCase, _ minimal: String, adding key: String) throws -> ComponentConfig {
        let config = try component.config(minimal)
        let node = Self.adding(key.split(separator: ":").map(String.init)[...], to: config.node)
        return ComponentConfig(id: config.id, node: node, position: config.position, path: config.path)
    }

    /// `node` with a null at `path`, unless there is something.
    private static func adding(_ path: ArraySlice<String>, to node: ConfigNode) -> ConfigNode {
        guard let key = path.first else { return node }
        var mapping = node.mapping ?? ConfigMapping()
        let inner = mapping[key]?.value ?? .null(at: node.position)
        let value = adding(path.dropFirst(), to: inner)
        mapping.set(ConfigEntry(key: key, at: node.position, value: value))
        return ConfigNode(.mapping(mapping), at: node.position)
    }
}
