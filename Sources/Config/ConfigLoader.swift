/// A configuration with its sources merged and its `${…}` replaced.
package struct LoadedConfig: Sendable {
    /// The tree; a mapping, or null when every source is empty. May hold secrets.
    package var root: ConfigNode
    /// Warnings without errors.
    package var diagnostics: ConfigDiagnostics
}

/// Reads and merges the sources of a configuration.
///
/// Order: each `--config` in turn, then each `--set`; mappings merge key by key, anything else (null too) replaces
/// what was there. Substitution comes after the merge, as in otelcol.
package struct ConfigLoader: Sendable {
    private let inputs: ConfigInputs

    /// Makes a loader that reads through `inputs`.
    package init(inputs: ConfigInputs = .process) { self.inputs = inputs }

    /// Loads from the arguments as they were given: `--config` values and `--set` values. Blocks on files.
    /// Throws every error of every source; the errors of substitution come once all sources can be read.
    package func load(configs: [String], sets: [String] = []) throws(ConfigError) -> LoadedConfig {
        var diagnostics = ConfigDiagnostics()
        var root: ConfigNode?
        func add(_ body: () throws(ConfigError) -> ConfigNode) {
            do throws(ConfigError) {
                let node = try body()
                // A source without a document says nothing; only a key's null replaces.
                if node.isNull, root != nil { return }
                root = root.map { ConfigMerge.merge($0, with: node) } ?? node
            } catch {
                diagnostics.add(error)
            }
        }
        if configs.isEmpty && sets.isEmpty {
            throw ConfigError(ConfigDiagnostic(at: nil, "no configuration is given; use --config with a path"))
        }
        for (index, argument) in configs.enumerated() {
            add { () throws(ConfigError) in
                try read(ConfigSource(argument: argument), number: index + 1)
            }
        }
        for (index, argument) in sets.enumerated() {
            add { () throws(ConfigError) in try override(argument, number: index + 1) }
        }
        try diagnostics.check()
        var expander = ConfigExpander(inputs: inputs)
        let merged = root ?? .null(at: ConfigPosition(file: "", line: 1, column: 1))
        let expanded = expander.expand(merged)
        diagnostics.add(expander.diagnostics)
        try diagnostics.check()
        return LoadedConfig(root: expanded, diagnostics: diagnostics.sorted())
    }

    /// Reads one source; a mapping or null.
    func read(_ source: ConfigSource, number: Int) throws(ConfigError) -> ConfigNode {
        let name = source.name(number: number)
        let bytes: [UInt8]
        switch source {
        case .file(let path):
            do throws(ConfigReadError) {
                bytes = try inputs.readFile(path, ConfigLimits.maximumSourceBytes)
            } catch {
                throw ConfigError(
                    ConfigDiagnostic(at: nil, "cannot read the configuration file \(quoted(path)): \(error)"))
            }
        case .environment(let variable):
            guard let text = inputs.environment(variable) else {
                throw ConfigError(
                    ConfigDiagnostic(at: nil, "the environment variable \(quoted(variable)) is not set"))
            }
            bytes = Array(text.utf8)
        case .yaml(let text): bytes = Array(text.utf8)
        }
        // `yaml:` is part of the argument, so that columns count from its start.
        var firstColumn = 0
        if case .yaml = source { firstColumn = "yaml:".utf8.count }
        let node = try YAMLDocument.parse(bytes, origin: .source(name, firstColumn: firstColumn))
        guard node.mapping != nil || node.isNull else {
            throw ConfigError(
                ConfigDiagnostic(at: node.position, "the configuration must be a mapping, not \(node.kind)"))
        }
        return node
    }

    /// Reads `key=value`: the key's parts are between `::`, or between `.` when it has no `::`; the value is YAML.
    func override(_ argument: String, number: Int) throws(ConfigError) -> ConfigNode {
        let name = "--set#\(number)"
        let start = ConfigPosition(file: name, line: 1, column: 1)
        guard let equals = argument.utf8.firstIndex(of: UInt8(ascii: "=")) else {
            throw ConfigError(ConfigDiagnostic(at: start, "--set needs key=value, such as a.b=c"))
        }
        let key = String(argument[..<equals])
        let parts = ConfigPath.split(key, by: "::") ?? ConfigPath.split(key, by: ".") ?? [key]
        guard !parts.contains("") else {
            throw ConfigError(ConfigDiagnostic(at: start, "the key \(quoted(key)) has an empty part"))
        }
        guard parts.count <= ConfigLimits.maximumDepth / 2 else {
            throw ConfigError(
                ConfigDiagnostic(at: start, "the key has more than \(ConfigLimits.maximumDepth / 2) parts"))
        }
        let text = argument[argument.utf8.index(after: equals)...]
        let column = key.unicodeScalars.count + 1
        var node = try YAMLDocument.parse(Array(text.utf8), origin: .source(name, firstColumn: column))
        for part in parts.reversed() {
            var mapping = ConfigMapping()
            mapping.set(ConfigEntry(key: part, at: start, value: node))
            node = ConfigNode(.mapping(mapping), at: start)
        }
        return node
    }
}

/// Puts one configuration over another.
enum ConfigMerge {
    /// `base` with `overlay` over it: mappings merge key by key, in the order of `base` and then of `overlay`;
    /// anything else in `overlay` replaces. The recursion is as deep as the trees, which `ConfigLimits.maximumDepth` bounds.
    static func merge(_ base: ConfigNode, with overlay: ConfigNode) -> ConfigNode {
        guard case .mapping(var merged) = base.content, let added = overlay.mapping else {
            return overlay
        }
        for entry in added.entries {
            guard let existing = merged[entry.key], existing.value.mapping != nil, entry.value.mapping != nil else {
                merged.set(entry)
                continue
            }
            var joined = existing
            joined.value = merge(existing.value, with: entry.value)
            merged.set(joined)
        }
        var result = base
        result.content = .mapping(merged)
        return result
    }
}
