/// Where the text of a document comes from, for the positions of its nodes.
enum YAMLOrigin {
    /// A source of its own. `firstColumn` is added to the columns of line 1, for text that starts inside an argument.
    case source(String, firstColumn: Int = 0)
    /// The value of a `${…}`: every node stands where that was written.
    case substitution(ConfigPosition)

    func position(_ mark: YAMLMark?) -> ConfigPosition? {
        switch self {
        case .substitution(let position): return position
        case .source(let name, let firstColumn):
            guard let mark else { return nil }
            let shift = mark.line == 0 ? firstColumn : 0
            return ConfigPosition(file: name, line: mark.line + 1, column: mark.column + 1 + shift)
        }
    }
}

/// Reads one YAML document into a tree: anchors, aliases and merge keys (`<<`) resolved, `a::b` keys unfolded.
///
/// Refused: more than one document, duplicate keys, keys that are not scalars, aliases of themselves, unknown tags,
/// NUL characters, and anything beyond `ConfigLimits`. Duplicate keys and tags are collected; the rest ends the reading.
enum YAMLDocument {
    /// The tree of `bytes`; null for a text without a document. Throws every error that was found.
    static func parse(_ bytes: [UInt8], origin: YAMLOrigin) throws(ConfigError) -> ConfigNode {
        guard bytes.count <= ConfigLimits.maximumSourceBytes else {
            throw ConfigError(
                ConfigDiagnostic(
                    at: origin.position(YAMLMark(line: 0, column: 0)),
                    "is \(bytes.count) bytes long; the limit is \(ConfigLimits.maximumSourceBytes)"))
        }
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        var builder = YAMLTreeBuilder(origin: origin)
        let root: ConfigNode
        do throws(YAMLSyntaxError) {
            try checkEncoding(text)
            var reader = try YAMLEventReader(text)
            root = try builder.document(&reader)
        } catch {
            builder.diagnostics.error(
                ConfigDiagnostic(at: origin.position(error.mark), "is not usable YAML: \(error.message)"))
            throw ConfigError(builder.diagnostics)
        }
        try builder.diagnostics.check()
        return root
    }

    private static func checkEncoding(_ bytes: [UInt8]) throws(YAMLSyntaxError) {
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw YAMLSyntaxError(mark: YAMLMark(line: 0, column: 0), message: "it is UTF-16; save it as UTF-8")
        }
        if let nul = bytes.firstIndex(of: 0) {
            throw YAMLSyntaxError(mark: YAMLMark(of: nul, in: bytes), message: "it contains a NUL byte")
        }
        guard String(validating: bytes, as: UTF8.self) == nil else { return }
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var valid = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { valid += UTF8.width(scalar) }
        throw YAMLSyntaxError(mark: YAMLMark(of: valid, in: bytes), message: "it is not UTF-8")
    }
}
