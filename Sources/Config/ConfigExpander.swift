/// Replaces `${…}` in the values of a configuration tree; keys stay as they are.
///
/// The value that a reference gives is text as if it were written there: `${…}` and `$$` in it count too, as in
/// otelcol. A scalar that is one whole reference is read as YAML and may become anything; a reference beside other
/// text becomes part of a string. Text that is not YAML is a string. `:-` applies to variables that are not set, not
/// to empty ones. What it costs is bounded by `ConfigLimits` over the whole tree.
struct ConfigExpander {
    /// The text of one evaluated reference.
    private struct Value {
        var text: String
        /// Whether it is written in the configuration itself (`yaml:`), so that malformed `$` is refused and may be
        /// quoted in messages.
        var isStrict: Bool
        /// What gave it, for messages; holds nothing of the value.
        var name: String
    }

    /// Stops the expansion of the whole tree.
    private struct Exhausted: Error {}

    private let inputs: ConfigInputs
    /// The errors and warnings found so far.
    private(set) var diagnostics = ConfigDiagnostics()
    private var substitutions = 0
    private var producedBytes = 0
    private var producedNodes = 0
    private var warned: Set<String> = []

    init(inputs: ConfigInputs) { self.inputs = inputs }

    /// The tree with every reference replaced. Where that failed the node is null and an error is in `diagnostics`.
    mutating func expand(_ root: ConfigNode) -> ConfigNode {
        do {
            return try expand(root, depth: 0, nesting: 0, isStrict: true)
        } catch {
            return .null(at: root.position)
        }
    }

    private mutating func expand(
        _ node: ConfigNode, depth: Int, nesting: Int, isStrict: Bool
    ) throws(Exhausted) -> ConfigNode {
        var result = node
        switch node.content {
        case .scalar(let scalar):
            guard case .string = scalar.value, scalar.text.utf8.contains(UInt8(ascii: "$")) else { return node }
            return try expand(scalar.text, of: node, depth: depth, nesting: nesting, isStrict: isStrict)
        case .sequence(let elements):
            var expanded: [ConfigNode] = []
            expanded.reserveCapacity(elements.count)
            for element in elements {
                expanded.append(try expand(element, depth: depth + 1, nesting: nesting, isStrict: isStrict))
            }
            result.content = .sequence(expanded)
        case .mapping(let mapping):
            var expanded = ConfigMapping()
            for var entry in mapping.entries {
                entry.value = try expand(entry.value, depth: depth + 1, nesting: nesting, isStrict: isStrict)
                expanded.set(entry)
            }
            result.content = .mapping(expanded)
        }
        return result
    }

    /// Expands the string `text` that stands at `node`.
    private mutating func expand(
        _ text: String, of node: ConfigNode, depth: Int, nesting: Int, isStrict: Bool
    ) throws(Exhausted) -> ConfigNode {
        guard let parts = parts(of: text, isStrict: isStrict, at: node.position) else {
            return .null(at: node.position)
        }
        if parts.count == 1, case .reference(let reference) = parts[0] {
            guard let value = try evaluate(reference, at: node.position, nesting: nesting + 1) else {
                return .null(at: node.position)
            }
            return try whole(value, at: node.position, depth: depth, nesting: nesting + 1)
        }
        guard let string = try string(parts, at: node.position, nesting: nesting) else {
            return .null(at: node.position)
        }
        var result = node
        let style = node.scalar?.style ?? .quoted
        result.content = .scalar(ConfigScalar(text: string, style: style, value: .string))
        let isOnlyText = parts.allSatisfy { if case .text = $0 { true } else { false } }
        if !isOnlyText || node.substitutedText != nil { result.substitutedText = string }
        return result
    }

    /// The node of a scalar that is one reference with this value.
    private mutating func whole(
        _ value: Value, at position: ConfigPosition, depth: Int, nesting: Int
    ) throws(Exhausted) -> ConfigNode {
        func asString() -> ConfigNode {
            ConfigNode(.scalar(ConfigScalar(string: value.text)), at: position, substitutedText: value.text)
        }
        var node = asString()
        do {
            node = try YAMLDocument.parse(Array(value.text.utf8), origin: .substitution(position))
            // A string is the text as it is, quotes included, as in otelcol.
            if case .string? = node.scalar?.value { node = asString() }
        } catch {
            // A one-line value is a password more often than a mistake; a document is not.
            if value.text.utf8.dropLast().contains(UInt8(ascii: "\n")), let problem = error.diagnostics.errors.first {
                diagnostics.warning(
                    ConfigDiagnostic(
                        at: position, "the value of \(value.name) \(problem.message); it is taken as a string"))
            }
        }
        try charge(node, depth: depth)
        node.substitutedText = value.text
        guard value.text.utf8.contains(UInt8(ascii: "$")) else { return node }
        if node.scalar != nil {
            guard case .string? = node.scalar?.value else { return node }
            return try expand(value.text, of: node, depth: depth, nesting: nesting, isStrict: value.isStrict)
        }
        node.substitutedText = try quietString(value.text, at: position, nesting: nesting)
        return try expand(node, depth: depth, nesting: nesting, isStrict: value.isStrict)
    }

    /// `text` with its references replaced, or nil when that has an error; reports nothing, because this form is used
    /// only if a string option asks for it.
    private mutating func quietString(
        _ text: String, at position: ConfigPosition, nesting: Int
    ) throws(Exhausted) -> String? {
        let reported = diagnostics
        let warnedBefore = warned
        var result: String?
        if let parts = parts(of: text, isStrict: false, at: position) {
            result = try string(parts, at: position, nesting: nesting)
        }
        diagnostics = reported
        warned = warnedBefore
        return result
    }

    private mutating func parts(
        of text: String, isStrict: Bool, at position: ConfigPosition
    ) -> [SubstitutionText.Part]? {
        do throws(SubstitutionText.Malformed) {
            return try SubstitutionText.parts(of: text, isStrict: isStrict)
        } catch {
            diagnostics.error(ConfigDiagnostic(at: position, error.message))
            return nil
        }
    }

    /// The parts joined into one string; nil after an error.
    private mutating func string(
        _ parts: [SubstitutionText.Part], at position: ConfigPosition, nesting: Int
    ) throws(Exhausted) -> String? {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .reference(let reference):
                guard let value = try evaluate(reference, at: position, nesting: nesting + 1) else { return nil }
                guard value.text.utf8.contains(UInt8(ascii: "$")) else {
                    result += value.text
                    continue
                }
                guard let inner = self.parts(of: value.text, isStrict: value.isStrict, at: position),
                    let text = try string(inner, at: position, nesting: nesting + 1)
                else { return nil }
                result += text
            }
        }
        return result
    }

    /// The text that a reference gives; nil after an error.
    private mutating func evaluate(
        _ reference: SubstitutionText.Reference, at position: ConfigPosition, nesting: Int
    ) throws(Exhausted) -> Value? {
        substitutions += 1
        guard substitutions <= ConfigLimits.maximumSubstitutions else {
            try fail(position, "the configuration has more than \(ConfigLimits.maximumSubstitutions) substitutions")
        }
        guard nesting <= ConfigLimits.maximumSubstitutionDepth else {
            try fail(
                position,
                "substitutions lead into each other more than \(ConfigLimits.maximumSubstitutionDepth) deep; "
                    + "does a value refer to itself?")
        }
        guard let target = try string(reference.target, at: position, nesting: nesting) else { return nil }
        let isLiteral = reference.target.allSatisfy { if case .text = $0 { true } else { false } }
        // A computed target may hold a secret, so that messages show it as it is written.
        let shown = isLiteral ? target : reference.written
        var value: Value?
        switch reference.scheme {
        case "env":
            value = try variable(target, shown: shown, reference.fallback, at: position, nesting: nesting)
        case "file": value = file(target, shown: shown, at: position)
        case "yaml": value = Value(text: target, isStrict: true, name: "${yaml:…}")
        case "http", "https":
            error(position, "\"${\(reference.scheme):…}\" is not supported; download the file and use \"${file:…}\"")
        default:
            error(
                position,
                "the scheme \(quoted(reference.scheme)) in \"${…}\" is unknown; it can be "
                    + SubstitutionScheme.supported.listed())
        }
        if let value {
            producedBytes += value.text.utf8.count
            guard producedBytes <= ConfigLimits.maximumExpandedBytes else {
                try fail(position, "substitutions produce more than \(ConfigLimits.maximumExpandedBytes) bytes")
            }
        }
        return value
    }

    private mutating func variable(
        _ name: String, shown: String, _ fallback: [SubstitutionText.Part]?, at position: ConfigPosition, nesting: Int
    ) throws(Exhausted) -> Value? {
        guard SubstitutionScheme.isVariableName(name) else {
            error(position, "\(quoted(shown)) in \"${…}\" is no variable: \(SubstitutionScheme.variableNameRule)")
            return nil
        }
        if let text = inputs.environment(name) {
            return Value(text: text, isStrict: false, name: "${env:\(shown)}")
        }
        guard let fallback else {
            if warned.insert("\(position) \(name)").inserted {
                diagnostics.warning(
                    ConfigDiagnostic(
                        at: position, "the environment variable \(quoted(shown)) is not set; its value is empty"))
            }
            return Value(text: "", isStrict: false, name: "${env:\(shown)}")
        }
        guard let text = try string(fallback, at: position, nesting: nesting) else { return nil }
        // `string` has replaced every reference; a "$" that it produced must not start another.
        let escaped = text.utf8.contains(UInt8(ascii: "$")) ? Self.escaped(text) : text
        return Value(text: escaped, isStrict: false, name: "the default of ${env:\(shown)}")
    }

    private mutating func file(_ path: String, shown: String, at position: ConfigPosition) -> Value? {
        guard !path.isEmpty else {
            error(position, "\"${file:}\" names no file")
            return nil
        }
        do throws(ConfigReadError) {
            var bytes = try inputs.readFile(path, ConfigLimits.maximumSourceBytes)
            // Editors end a file with a line end; nobody wants it in a token.
            if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
            guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
                throw ConfigReadError("it is not UTF-8 text")
            }
            return Value(text: text, isStrict: false, name: "${file:\(printable(shown))}")
        } catch let problem {
            error(position, "cannot read the file \(quoted(shown)): \(problem)")
            return nil
        }
    }

    /// `text` with every `$` doubled, so that expansion gives it back.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            result.unicodeScalars.append(scalar)
            if scalar == "$" { result.unicodeScalars.append(scalar) }
        }
        return result
    }

    /// Nodes in a tree, and levels of collections.
    private static func measure(_ node: ConfigNode) -> (nodes: Int, height: Int) {
        var total = (nodes: 1, height: 0)
        func add(_ child: ConfigNode) {
            let (nodes, height) = measure(child)
            total.nodes += nodes
            total.height = max(total.height, height + 1)
        }
        switch node.content {
        case .scalar: break
        case .sequence(let elements):
            total.height = 1
            for element in elements { add(element) }
        case .mapping(let mapping):
            total.height = 1
            for entry in mapping.entries { add(entry.value) }
        }
        return total
    }

    /// Counts what a substitution put at `depth` in the tree.
    private mutating func charge(_ node: ConfigNode, depth: Int) throws(Exhausted) {
        let (nodes, height) = Self.measure(node)
        producedNodes += nodes
        guard producedNodes <= ConfigLimits.maximumNodes else {
            try fail(node.position, "substitutions produce more than \(ConfigLimits.maximumNodes) values")
        }
        guard depth + height <= ConfigLimits.maximumDepth else {
            try fail(node.position, "substitution nests it more than \(ConfigLimits.maximumDepth) levels deep")
        }
    }

    private mutating func error(_ position: ConfigPosition, _ message: String) {
        diagnostics.error(ConfigDiagnostic(at: position, message))
    }

    private mutating func fail(_ position: ConfigPosition, _ message: String) throws(Exhausted) -> Never {
        error(position, message)
        throw Exhausted()
    }
}
