/// Reads the lines of a mapping file into the tables of a `GenAIMapping`.
struct MappingBuilder {
    /// Limits of the file format, set by the sizes of the tables.
    enum Limit {
        static let lines = 10_000
        static let keys = 8_000
        static let linesOfAField = 100
        static let rules = 250
        static let usageLines = 64
    }

    /// What is known of a key or pattern before the tables are laid out.
    struct KeyDraft {
        var text: [UInt8]
        var entry = KeyEntry()
        var actions: [FieldAction] = []
        var paths: [(steps: [[UInt8]], action: FieldAction)] = []
    }

    enum Section: String {
        case sources, recognise, evidence, marks, field, repeats, operations, names, providers, hosts, models, vectors
        case usage, errors, content
    }

    var result = Finished()
    var drafts: [KeyDraft] = []
    var draftIndex: [[UInt8]: Int] = [:]
    var eventIndex: [[UInt8]: Int] = [:]
    var eventValueDrafts: [[EventValue]] = []
    var nameIndex: [[UInt8]: Int] = [:]

    private var section: Section?
    private var field: CallField?
    private var fieldLines = 0
    private var seenFields = CallFields()
    private var format: String?

    mutating func read(_ line: MappingLine) throws(MappingError) {
        guard line.number <= Limit.lines else { throw line.fault("a mapping has at most \(Limit.lines) lines") }
        if line.isHeader { return try readHeader(line) }
        guard format != nil else { throw line.fault("the file begins with `mapping 1`") }
        guard let section else { throw line.fault("an indented line before the first section") }
        switch section {
        case .sources: try readSource(line)
        case .recognise: try readRule(line)
        case .evidence: try readEvidence(line)
        case .marks: try readMark(line)
        case .field: try readFieldLine(line)
        case .repeats:
            try line.check(after: 1, options: [])
            result.eventEntries[event(line.words[0])].repeats = true
        case .operations: try readOperation(line)
        case .names: try readSpanName(line)
        case .providers: try readProvider(line)
        case .hosts: try readHost(line)
        case .models: try readModel(line)
        case .vectors:
            try require(line, 2)
            result.vectors.append((line.words[0], name(line.words[1])))
        case .usage: try readUsage(line)
        case .errors: try readError(line)
        case .content: try readContent(line)
        }
    }

    private mutating func readHeader(_ line: MappingLine) throws(MappingError) {
        let word = line.text(0)
        if word == "mapping" {
            guard line.text(1) == "1", line.words.count == 2 else {
                throw line.fault("format \"\(line.text(1))\" is unknown; this program reads `mapping 1`")
            }
            format = line.text(1)
            return
        }
        guard format != nil else { throw line.fault("the file begins with `mapping 1`") }
        if word == "version" {
            try require(line, 2)
            result.version = line.text(1)
            return
        }
        guard let section = Section(rawValue: word) else { throw line.fault("section \"\(word)\" is unknown") }
        self.section = section
        guard section == .field else { return try line.check(after: 1, options: []) }
        guard line.words.count > 1, let field = CallField(name: line.words[1]) else {
            throw line.fault("field \"\(line.text(1))\" is unknown")
        }
        guard !seenFields.contains(field) else { throw line.fault("field \(field.name) is there twice") }
        seenFields.insert(CallFields(field))
        self.field = field
        fieldLines = 0
        if line.words.count > 2 {
            guard line.words.count == 4, line.text(2) == "=" else {
                throw line.fault("expected `field NAME` or `field NAME = ATTRIBUTE`")
            }
            guard line.words[3].count <= GenAIMapping.longestWrittenName else {
                throw line.fault("a name that is written has at most \(GenAIMapping.longestWrittenName) bytes")
            }
            result.writtenNames[Int(field.rawValue)] = intern(line.words[3])
        }
    }

    func require(_ line: MappingLine, _ count: Int) throws(MappingError) {
        guard line.words.count == count else {
            throw line.fault("expected \(count) words, found \(line.words.count)")
        }
    }

    // MARK: Fields

    private static let options: [(name: String, flag: FieldAction.Flags)] = [
        ("quoted", .quoted), ("until-dot", .untilDot), ("until-space", .untilSpace), ("milliseconds", .milliseconds),
        ("since-start", .sinceStart), ("zero-unknown", .zeroUnknown), ("ignore=auto", .ignoreAuto),
        ("else=mcp", .elseMCP), ("with-extra", .withExtra), ("without-reasoning", .withoutReasoning),
        ("highest", .highest), ("short", .short),
    ]

    private mutating func readFieldLine(_ line: MappingLine) throws(MappingError) {
        guard let field else { throw line.fault("a line outside a field") }
        guard fieldLines < Limit.linesOfAField else {
            throw line.fault("a field has at most \(Limit.linesOfAField) lines")
        }
        var action = FieldAction(field: field, rank: UInt8(fieldLines))
        fieldLines += 1
        var words = line.words[...]
        let key = words.removeFirst()
        let eventStart = Array("event=".utf8)
        if key.starts(with: eventStart) {
            var attribute: [UInt8] = []
            if let word = words.first, word != Array("event-time".utf8) {
                attribute = word
            } else if field != .firstChunk {
                throw line.fault("expected the key of an attribute of the event")
            }
            if !words.isEmpty { words.removeFirst() }
            try apply(words, to: &action, line)
            let index = event(Array(key.dropFirst(eventStart.count)))
            eventValueDrafts[index].append(EventValue(key: intern(attribute), action: action))
            result.eventEntries[index].fields.insert(CallFields(field))
            return
        }
        var steps: [[UInt8]] = []
        if words.first == [UInt8(ascii: ">")] {
            words.removeFirst()
            guard let path = words.popFirst() else { throw line.fault("expected a path after `>`") }
            steps = path.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
            guard steps.count <= BlobReader.deepestPath, !steps.contains([]) else {
                throw line.fault("a path has 1 to \(BlobReader.deepestPath) names, parted by dots")
            }
        }
        try apply(words, to: &action, line)
        let index = try draft(key, line)
        if steps.isEmpty {
            if result.writtenNames[Int(field.rawValue)].elementsEqual(key) {
                guard action.rank == 0 else { throw line.fault("the name under which a field is written comes first") }
                action.flags.insert(.isCurrent)
            }
            if key.contains(UInt8(ascii: "#")), !action.flags.contains(.highest) {
                throw line.fault("a key with `#` needs `highest`: which of the values counts must not depend on order")
            }
            drafts[index].actions.append(action)
        } else {
            if steps.contains([UInt8(ascii: "#")]) { action.flags.insert(.first) }
            drafts[index].paths.append((steps, action))
        }
    }

    private func apply(
        _ words: ArraySlice<[UInt8]>, to action: inout FieldAction, _ line: MappingLine
    ) throws(MappingError) {
        for word in words {
            let text = String(decoding: word, as: UTF8.self)
            if let option = Self.options.first(where: { $0.name == text }) {
                action.flags.insert(option.flag)
            } else if let kind = Self.value(of: "kind=", in: word) {
                guard let kind = CallKind(name: kind) else { throw line.fault("\(text): no such kind") }
                action.flags.insert(.onlyKind)
                action.argument = kind.rawValue
            } else if let source = Self.value(of: "milliseconds-from=", in: word) {
                action.flags.insert(.millisecondsFromSource)
                action.argument = try self.source(source, line)
            } else {
                throw line.fault("option \"\(text)\" is unknown")
            }
        }
    }

    static func value(of name: String, in word: [UInt8]) -> [UInt8]? {
        word.starts(with: name.utf8) ? Array(word.dropFirst(name.utf8.count)) : nil
    }

    // MARK: Tables under construction

    /// The draft of a key, made when there is none.
    mutating func draft(_ key: [UInt8], _ line: MappingLine) throws(MappingError) -> Int {
        if let index = draftIndex[key] { return index }
        let fixed = key.prefix { $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: "#") }
        guard fixed.count >= 4, key.count <= 255 else {
            throw line.fault("a key has 4 to 255 bytes, four of them before a `*` or `#`")
        }
        let wild = key.dropFirst(fixed.count)
        guard wild.isEmpty || wild.elementsEqual([UInt8(ascii: "*")]) || wild.first == UInt8(ascii: "#") else {
            throw line.fault("`*` stands at the end of a key")
        }
        guard drafts.count < Limit.keys else { throw line.fault("a mapping has at most \(Limit.keys) keys") }
        drafts.append(KeyDraft(text: key))
        draftIndex[key] = drafts.count - 1
        return drafts.count - 1
    }

    /// The entry of an event, made when there is none.
    mutating func event(_ name: [UInt8]) -> Int {
        if let index = eventIndex[name] { return index }
        result.eventEntries.append(EventEntry())
        result.events.append((name, result.eventEntries.count - 1))
        eventValueDrafts.append([])
        eventIndex[name] = result.eventEntries.count - 1
        return result.eventEntries.count - 1
    }

    /// Index in `names` of a name that values are translated to.
    mutating func name(_ text: [UInt8]) -> Int {
        if let index = nameIndex[text] { return index }
        result.names.append(intern(text))
        nameIndex[text] = result.names.count - 1
        return result.names.count - 1
    }

    func source(_ name: [UInt8], _ line: MappingLine) throws(MappingError) -> UInt8 {
        guard let index = result.sources.firstIndex(where: { $0.elementsEqual(name) }) else {
            throw line.fault("source \"\(String(decoding: name, as: UTF8.self))\" is not in `sources`")
        }
        return UInt8(index)
    }

    /// A copy that lives as long as the mapping.
    func intern(_ text: [UInt8]) -> UnsafeRawBufferPointer { result.store.keep(text) }
}
