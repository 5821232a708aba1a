/// Turns events into nodes for `YAMLDocument`. Recursion is bounded by `ConfigLimits.maximumDepth`.
struct YAMLTreeBuilder {
    /// A finished subtree with what it costs to repeat it.
    private struct Subtree {
        var node: ConfigNode
        /// Nodes in it, itself included.
        var count: Int
        /// Levels of collections in it; 0 for a scalar.
        var height: Int
    }

    private let origin: YAMLOrigin
    private var anchors: [String: Subtree] = [:]
    /// Anchors whose node is still being read: an alias to one would contain itself.
    private var open: Set<String> = []
    private var nodes = 0
    /// What was found without ending the reading.
    var diagnostics = ConfigDiagnostics()

    init(origin: YAMLOrigin) { self.origin = origin }

    /// Reads the only document of the stream.
    mutating func document(_ reader: inout YAMLEventReader) throws(YAMLSyntaxError) -> ConfigNode {
        var root: ConfigNode?
        while true {
            let event = try reader.next()
            switch event.kind {
            case .streamStart, .documentEnd: continue
            case .streamEnd: return root ?? .null(at: position(YAMLMark(line: 0, column: 0)))
            case .documentStart:
                if root != nil {
                    throw YAMLSyntaxError(mark: event.mark, message: "it holds more than one document (\"---\")")
                }
                root = try node(reader.next(), &reader, depth: 0).node
            default: throw YAMLSyntaxError(mark: event.mark, message: "a document was expected")
            }
        }
    }

    private func position(_ mark: YAMLMark) -> ConfigPosition {
        origin.position(mark) ?? ConfigPosition(file: "", line: 1, column: 1)
    }

    /// Reads the node that `event` starts. `depth` is the number of collections around it.
    private mutating func node(
        _ event: YAMLEvent, _ reader: inout YAMLEventReader, depth: Int
    ) throws(YAMLSyntaxError) -> Subtree {
        try charge(1, at: event.mark)
        if let anchor = event.anchor { open.insert(anchor) }
        var result: Subtree
        switch event.kind {
        case .alias(let name): return try alias(name, at: event.mark, depth: depth)
        case .scalar(let text, let isPlain):
            result = Subtree(node: scalar(text, isPlain: isPlain, event), count: 1, height: 0)
        case .sequenceStart:
            try check(depth: depth + 1, at: event.mark)
            result = try sequence(event, &reader, depth: depth + 1)
        case .mappingStart:
            try check(depth: depth + 1, at: event.mark)
            result = try mapping(event, &reader, depth: depth + 1)
        default: throw YAMLSyntaxError(mark: event.mark, message: "a value was expected")
        }
        if let anchor = event.anchor {
            open.remove(anchor)
            anchors[anchor] = result
        }
        return result
    }

    private mutating func alias(_ name: String, at mark: YAMLMark, depth: Int) throws(YAMLSyntaxError) -> Subtree {
        if open.contains(name) {
            throw YAMLSyntaxError(mark: mark, message: "the value of anchor \(quoted(name)) contains itself")
        }
        guard let target = anchors[name] else {
            throw YAMLSyntaxError(mark: mark, message: "there is no anchor \(quoted(name)) above this alias")
        }
        try charge(target.count - 1, at: mark)
        try check(depth: depth + target.height, at: mark)
        return target
    }

    private mutating func sequence(
        _ start: YAMLEvent, _ reader: inout YAMLEventReader, depth: Int
    ) throws(YAMLSyntaxError) -> Subtree {
        checkTag(start, allowed: "tag:yaml.org,2002:seq")
        var elements: [ConfigNode] = []
        var total = Subtree(node: .null(at: position(start.mark)), count: 1, height: 0)
        while true {
            let event = try reader.next()
            if case .sequenceEnd = event.kind { break }
            let element = try node(event, &reader, depth: depth)
            total.count += element.count
            total.height = max(total.height, element.height)
            elements.append(element.node)
        }
        total.node.content = .sequence(elements)
        total.height += 1
        return total
    }

    private mutating func mapping(
        _ start: YAMLEvent, _ reader: inout YAMLEventReader, depth: Int
    ) throws(YAMLSyntaxError) -> Subtree {
        checkTag(start, allowed: "tag:yaml.org,2002:map")
        var assembly = MappingAssembly()
        var merges: [ConfigNode] = []
        var total = Subtree(node: .null(at: position(start.mark)), count: 1, height: 0)
        while true {
            let event = try reader.next()
            if case .mappingEnd = event.kind { break }
            let (key, isPlain) = try self.key(event)
            let parts = try keyPath(key, isPlain: isPlain, at: event.mark)
            // Each further part of the key is a mapping of its own.
            try check(depth: depth + parts.count - 1, at: event.mark)
            try charge(parts.count - 1, at: event.mark)
            let value = try node(reader.next(), &reader, depth: depth + parts.count - 1)
            total.count += value.count + parts.count - 1
            total.height = max(total.height, value.height + parts.count - 1)
            if key == "<<", isPlain {
                merges.append(value.node)
                continue
            }
            if let duplicate = assembly.insert(parts, at: position(event.mark), value: value.node) {
                diagnostics.error(
                    ConfigDiagnostic(
                        at: position(event.mark),
                        "the key \(quoted(key)) is here twice; it is first at line \(duplicate.line), "
                            + "column \(duplicate.column)"))
            }
        }
        for source in merges { try merge(source, into: &assembly) }
        total.node.content = .mapping(assembly.mapping)
        total.height += 1
        return total
    }

    /// The key that `event` spells, and whether it was written without quotes.
    private mutating func key(_ event: YAMLEvent) throws(YAMLSyntaxError) -> (String, isPlain: Bool) {
        switch event.kind {
        case .scalar(let text, let isPlain):
            let node = scalar(text, isPlain: isPlain, event)
            if let anchor = event.anchor { anchors[anchor] = Subtree(node: node, count: 1, height: 0) }
            if text.isEmpty { throw YAMLSyntaxError(mark: event.mark, message: "a key is empty") }
            return (text, isPlain)
        case .alias(let name):
            if let scalar = anchors[name]?.node.scalar, !scalar.text.isEmpty { return (scalar.text, false) }
            throw YAMLSyntaxError(mark: event.mark, message: "the alias \(quoted(name)) is no key: it must be a string")
        default:
            throw YAMLSyntaxError(mark: event.mark, message: "a key must be a string, not a sequence or mapping")
        }
    }

    /// The parts of an unquoted `a::b` key; quotes keep `::` literal.
    private func keyPath(_ key: String, isPlain: Bool, at mark: YAMLMark) throws(YAMLSyntaxError) -> [String] {
        guard isPlain, key.utf8.count > 2, let parts = ConfigPath.split(key, by: "::") else { return [key] }
        if parts.contains("") {
            throw YAMLSyntaxError(
                mark: mark, message: "the key path \(quoted(key)) has an empty part; put it in quotes if it is no path")
        }
        return parts
    }

    /// `<<`: adds the keys that are not there yet. Of several mappings the first wins.
    private mutating func merge(_ source: ConfigNode, into assembly: inout MappingAssembly) throws(YAMLSyntaxError) {
        switch source.content {
        case .mapping(let mapping):
            for entry in mapping.entries where assembly.mapping[entry.key] == nil { assembly.mapping.set(entry) }
        case .sequence(let list) where list.allSatisfy({ $0.mapping != nil }):
            for element in list { try merge(element, into: &assembly) }
        default:
            diagnostics.error(
                ConfigDiagnostic(
                    at: source.position, "\"<<\" needs a mapping or a list of mappings, not \(source.kind)"))
        }
    }

    private mutating func charge(_ count: Int, at mark: YAMLMark) throws(YAMLSyntaxError) {
        nodes += count
        if nodes > ConfigLimits.maximumNodes {
            throw YAMLSyntaxError(
                mark: mark,
                message: "it holds more than \(ConfigLimits.maximumNodes) values, counting each alias in full")
        }
    }

    private func check(depth: Int, at mark: YAMLMark) throws(YAMLSyntaxError) {
        if depth > ConfigLimits.maximumDepth {
            throw YAMLSyntaxError(
                mark: mark, message: "it is nested more than \(ConfigLimits.maximumDepth) levels deep")
        }
    }

    private mutating func checkTag(_ event: YAMLEvent, allowed: String) {
        guard let tag = event.tag, tag != allowed, tag != "!" else { return }
        refuse(tag, event)
    }

    private mutating func refuse(_ tag: String, _ event: YAMLEvent) {
        diagnostics.error(
            ConfigDiagnostic(at: position(event.mark), "the tag \(quoted(tag)) is not supported for this value"))
    }

    private mutating func scalar(_ text: String, isPlain: Bool, _ event: YAMLEvent) -> ConfigNode {
        let position = position(event.mark)
        if text.utf8.contains(0) {
            diagnostics.error(ConfigDiagnostic(at: position, "the value contains a NUL character"))
        }
        var value: ConfigScalar.Value = isPlain ? YAMLScalarResolver.resolve(text) : .string
        if let tag = event.tag {
            let meaning = YAMLScalarResolver.resolve(text)
            switch (tag, meaning) {
            case ("!", _), ("tag:yaml.org,2002:str", _): value = .string
            case ("tag:yaml.org,2002:null", .null), ("tag:yaml.org,2002:bool", .bool),
                ("tag:yaml.org,2002:int", .int), ("tag:yaml.org,2002:float", .float):
                value = meaning
            case ("tag:yaml.org,2002:float", .int(let integer)): value = .float(Double(integer))
            // The tag that libyaml gives to a plain `<<`.
            case ("tag:yaml.org,2002:merge", _) where text == "<<": break
            default: refuse(tag, event)
            }
        }
        let style: ConfigScalar.Style = isPlain && event.tag == nil ? .plain : .quoted
        return ConfigNode(.scalar(ConfigScalar(text: text, style: style, value: value)), at: position)
    }
}
