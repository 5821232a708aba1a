/// One mapping of the configuration being decoded, such as the options of a component.
///
/// A factory asks for each key that it knows and gives the default itself; null or a missing key is nil:
///
///     let section = ConfigSection(node, path: "receivers::otlp")
///     let timeout = section.duration("timeout", in: .zero ... .seconds(3600)) ?? .seconds(30)
///     section.refuse("cookies", because: "cookies are not supported")
///     try section.finish()
///
/// Nothing throws before `finish`: a wrong value is recorded with its place, read as nil, and decoding goes on, so
/// that one run reports everything. `finish` on the outermost section checks the inner ones too, and adds an error
/// for each key that nobody asked for. Messages quote a value only if it is written in the configuration itself:
/// never what `${…}` gave, never that of a key whose name says that it is secret.
///
/// Not for concurrent use: one section is used by one thread, and lasts as long as the decoding.
package final class ConfigSection {
    /// What the sections of one decoding share.
    private final class Record {
        var diagnostics = ConfigDiagnostics()
    }

    /// The path, such as `receivers::otlp::protocols`.
    package let path: String
    /// Where the section starts; for a missing one, where its nearest enclosing section does.
    package let position: ConfigPosition
    /// Whether the configuration has the section, be it null.
    package let isPresent: Bool

    private let mapping: ConfigMapping
    private let record: Record
    private var known: [String] = []
    private var knownSet: Set<String> = []
    private var children: [String: ConfigSection] = [:]
    private var listed: [ConfigSection] = []
    private var isKeySetOpen = false

    /// Starts decoding `node`, a mapping or null; anything else is recorded as an error and read as empty.
    /// `path` is the node's place for messages.
    package convenience init(_ node: ConfigNode, path: String) {
        self.init(node, path: path, isPresent: true, record: Record())
    }

    private init(_ node: ConfigNode, path: String, isPresent: Bool, record: Record) {
        self.path = path
        self.record = record
        self.isPresent = isPresent
        position = node.position
        mapping = node.mapping ?? ConfigMapping()
        if node.mapping == nil, !node.isNull {
            isKeySetOpen = true
            record.diagnostics.error(
                ConfigDiagnostic(at: node.position, path: path, "must be a mapping, not \(node.kind)"))
        }
    }

    // MARK: Keys

    /// The keys that the configuration has here, in order. Asking does not make them known.
    package var keys: [String] { mapping.keys }

    /// The keys with their values and places, in order. Asking does not make them known.
    package var entries: [ConfigEntry] { mapping.entries }

    /// Whether the configuration has `key`, be it null, as in `protocols: {grpc:}`. Makes the key known.
    package func contains(_ key: String) -> Bool {
        know(key)
        return mapping[key] != nil
    }

    /// The value of `key` as it is, null included; nil when the key is missing. Makes the key known.
    package func node(_ key: String) -> ConfigNode? {
        know(key)
        return mapping[key]?.value
    }

    /// The value of `key` unless it is missing or null. Makes the key known. For accessors.
    func value(_ key: String) -> ConfigNode? {
        guard let node = node(key) else { return nil }
        return node.isNull ? nil : node
    }

    /// Makes every key known: for sections whose keys are names that users choose.
    package func acceptAnyKey() { isKeySetOpen = true }

    /// Records an error when `key` is missing or null.
    package func require(_ key: String) {
        guard value(key) == nil else { return }
        record.diagnostics.error(
            ConfigDiagnostic(
                at: mapping[key]?.value.position ?? position, path: path,
                mapping[key] == nil ? "\(quoted(key)) is missing" : "\(quoted(key)) must not be empty"))
    }

    /// Records an error when the configuration has `key`: one that otelcol knows and Martlet does not support.
    /// `reason` is a sentence part that says why or what to use instead.
    package func refuse(_ key: String, because reason: String) {
        know(key)
        guard let entry = mapping[key] else { return }
        record.diagnostics.error(
            ConfigDiagnostic(
                at: entry.keyPosition, path: path, "\(quoted(key)) is not supported: \(reason)"))
    }

    // MARK: Errors

    /// Records an error about the value of `key`, at its place, or at the section's when it is missing. `message` is a
    /// sentence part such as `must not exceed "max_size" (500)`; it must hold no secret.
    package func error(_ key: String, _ message: String, suggestion: String? = nil) {
        record.diagnostics.error(diagnostic(key, message, suggestion))
    }

    /// Records a warning in the same way.
    package func warn(_ key: String, _ message: String, suggestion: String? = nil) {
        record.diagnostics.warning(diagnostic(key, message, suggestion))
    }

    /// Records an error about the section as a whole.
    package func error(_ message: String) {
        record.diagnostics.error(ConfigDiagnostic(at: position, path: path, message))
    }

    /// Records an error about a node inside this section, such as an element of a list.
    package func error(at node: ConfigNode, _ key: String, _ message: String, suggestion: String? = nil) {
        record.diagnostics.error(
            ConfigDiagnostic(
                at: node.position, path: ConfigPath.join(path, key), message, suggestion: suggestion))
    }

    /// Records an error at a place inside this section; `path` is the section's unless it is given.
    package func error(at place: ConfigPosition, path: String? = nil, _ message: String, suggestion: String? = nil) {
        record.diagnostics.error(
            ConfigDiagnostic(at: place, path: path ?? self.path, message, suggestion: suggestion))
    }

    /// Records a warning at a place inside this section.
    package func warn(at place: ConfigPosition, _ message: String) {
        record.diagnostics.warning(ConfigDiagnostic(at: place, path: path, message))
    }

    /// Remembers a component that is to be looked up later.
    func record(_ reference: ConfigReference) { record.diagnostics.reference(reference) }

    private func diagnostic(_ key: String, _ message: String, _ suggestion: String?) -> ConfigDiagnostic {
        ConfigDiagnostic(
            at: mapping[key]?.value.position ?? position, path: ConfigPath.join(path, key), message,
            suggestion: suggestion)
    }

    /// What was recorded so far, by this section, those around it and those inside it.
    package var diagnostics: ConfigDiagnostics { record.diagnostics }

    /// Ends the decoding of this section and those inside it: adds an error for each unknown key, and throws all
    /// errors recorded so far, in the order of the text. Call it once, on the outermost section.
    package func finish() throws(ConfigError) {
        reportUnknownKeys()
        try record.diagnostics.check()
    }

    /// Decodes `node` with `body` and adds what was recorded to `diagnostics`. Returns nil when there is an error.
    /// `body` may throw a `ConfigError` of its own (which is added) and need not call `finish`.
    package static func decode<Result>(
        _ node: ConfigNode, path: String, into diagnostics: inout ConfigDiagnostics,
        _ body: (ConfigSection) throws(ConfigError) -> Result
    ) -> Result? {
        let section = ConfigSection(node, path: path)
        do throws(ConfigError) {
            let result = try body(section)
            section.reportUnknownKeys()
            diagnostics.add(section.diagnostics.sorted())
            return section.diagnostics.hasErrors ? nil : result
        } catch {
            // What `finish` throws is the section's own record.
            diagnostics.add(section.diagnostics.hasErrors ? section.diagnostics.sorted() : error.diagnostics)
            return nil
        }
    }

    private func reportUnknownKeys() {
        if !isKeySetOpen {
            for entry in mapping.entries where !knownSet.contains(entry.key) {
                record.diagnostics.error(
                    ConfigDiagnostic(
                        at: entry.keyPosition, path: path, "unknown key \(quoted(entry.key))",
                        suggestion: nearest(to: entry.key, among: known)))
            }
            // A second `finish` must not report them again.
            isKeySetOpen = true
        }
        for key in mapping.keys { children[key]?.reportUnknownKeys() }
        for section in listed { section.reportUnknownKeys() }
    }

    /// The candidate that `name` was probably meant to be. A search for each of thousands of errors would take minutes,
    /// so that there is none for those that are not printed.
    func nearest(to name: String, among candidates: [String]) -> String? {
        record.diagnostics.isFull ? nil : NearestName.find(name, among: candidates)
    }

    private func know(_ key: String) {
        if knownSet.insert(key).inserted { known.append(key) }
    }

    // MARK: Inner sections

    /// The section under `key`; missing or null is an empty one, which reads as all defaults. The same object for the
    /// same key.
    package func section(_ key: String) -> ConfigSection {
        know(key)
        if let child = children[key] { return child }
        let node = mapping[key]?.value
        let child = ConfigSection(
            node ?? .null(at: position), path: ConfigPath.join(path, key), isPresent: node != nil, record: record)
        children[key] = child
        return child
    }

    /// The section under `key`, or nil when the key is missing. Null is an empty section: named, with all defaults.
    package func optionalSection(_ key: String) -> ConfigSection? {
        contains(key) ? section(key) : nil
    }

    /// The list of mappings under `key`, each as a section with a path such as `policies[0]`; nil when missing or null.
    package func sectionList(_ key: String) -> [ConfigSection]? {
        guard let node = value(key) else { return nil }
        guard let elements = node.sequence else {
            error(key, "must be a list of mappings, not \(node.kind)")
            return nil
        }
        let sections = elements.enumerated().map { index, element in
            ConfigSection(
                element, path: "\(ConfigPath.join(path, key))[\(index)]", isPresent: true, record: record)
        }
        listed += sections
        return sections
    }

    /// The mapping under `key` whose keys are names that users choose, each value as a section; nil when missing or
    /// null.
    package func sectionMap(_ key: String) -> [(name: String, section: ConfigSection)]? {
        guard value(key) != nil else { return nil }
        let outer = section(key)
        outer.acceptAnyKey()
        return outer.keys.map { ($0, outer.section($0)) }
    }
}
