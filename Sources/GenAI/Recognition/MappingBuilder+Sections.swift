extension MappingBuilder {
    mutating func readSource(_ line: MappingLine) throws(MappingError) {
        try line.check(after: 1, options: ["scope="])
        let text = line.words[0]
        var index = result.sources.firstIndex { $0.elementsEqual(text) }
        if index == nil {
            guard result.sources.count < Limit.rules else { throw line.fault("too many sources") }
            result.sources.append(intern(text))
            index = result.sources.count - 1
        }
        for scope in line.options("scope") {
            result.scopeGlobs.append((Glob(scope, result.store), UInt8(index ?? 0)))
        }
    }

    mutating func readRule(_ line: MappingLine) throws(MappingError) {
        guard line.words.count >= 2 else { throw line.fault("expected a key and a source") }
        try line.check(after: 2, options: ["starts=", "in=", "tentative"])
        guard result.rules.count < Limit.rules else { throw line.fault("too many rules") }
        var rule = RecognitionRule(
            name: intern(line.words[0]), source: try source(line.words[1], line),
            start: UnsafeRawBufferPointer.nothing)
        if let start = line.option("starts") {
            rule.condition = .startsWith
            rule.start = intern(start)
        }
        if let table = line.option("in") {
            guard table == Array("vectors".utf8) else { throw line.fault("expected `in=vectors`") }
            rule.condition = .isVectorSystem
        }
        rule.isTentative = line.words.contains(Array("tentative".utf8))
        result.rules.append(rule)
        let index = try draft(line.words[0], line)
        if drafts[index].entry.rule == 0 { drafts[index].entry.rule = UInt8(result.rules.count) }
    }

    mutating func readEvidence(_ line: MappingLine) throws(MappingError) {
        try line.check(after: 1, options: [])
        if let name = Self.value(of: "event=", in: line.words[0]) {
            result.eventEntries[event(name)].isEvidence = true
        } else {
            drafts[try draft(line.words[0], line)].entry.isEvidence = true
        }
    }

    mutating func readMark(_ line: MappingLine) throws(MappingError) {
        guard line.words.count >= 2 else { throw line.fault("expected a key and a source") }
        try line.check(after: 2, options: ["aggregate"])
        guard result.marks.count < Limit.rules else { throw line.fault("too many marks") }
        result.marks.append(SourceMark(source: try source(line.words[1], line)))
        let index = try draft(line.words[0], line)
        drafts[index].entry.mark = UInt8(result.marks.count)
        if line.words.count > 2 { drafts[index].entry.isAggregated = true }
    }

    /// Kind and written name, from word `first` on.
    private mutating func operation(_ line: MappingLine, _ first: Int) throws(MappingError) -> OperationEntry {
        guard line.words.count > first, let kind = CallKind(name: line.words[first]) else {
            throw line.fault("kind \"\(line.text(first))\" is unknown")
        }
        let written = line.words.count > first + 1 ? result.names[name(line.words[first + 1])] : intern([])
        return OperationEntry(kind: kind, name: written)
    }

    mutating func readOperation(_ line: MappingLine) throws(MappingError) {
        guard line.words.count <= 3 else { throw line.fault("expected a value, a kind and a name") }
        result.operationEntries.append(try operation(line, 1))
        let index = result.operationEntries.count - 1
        if line.words[0].last == UInt8(ascii: "*") {
            result.operationPrefixes.append((Glob(line.words[0], result.store), index))
        } else {
            result.operations.append((line.words[0], index))
        }
    }

    mutating func readSpanName(_ line: MappingLine) throws(MappingError) {
        guard line.words.count >= 4 else { throw line.fault("expected a name, a source, a kind and an operation") }
        try line.check(after: 4, options: ["wrapper"])
        let entry = SpanNameEntry(
            source: try source(line.words[1], line), operation: try operation(line, 2),
            isWrapper: line.words.count > 4)
        result.spanNameEntries.append(entry)
        result.spanNames.append((line.words[0], result.spanNameEntries.count - 1))
    }

    mutating func readProvider(_ line: MappingLine) throws(MappingError) {
        try require(line, 2)
        let isFramework = line.words[1] == [UInt8(ascii: "-")]
        result.providers.append((line.words[0], isFramework ? ProviderTables.framework : name(line.words[1])))
    }

    mutating func readHost(_ line: MappingLine) throws(MappingError) {
        try require(line, 2)
        let glob = Glob(line.words[0], result.store)
        if glob.shape == .exact {
            result.hosts.append((line.words[0], name(line.words[1])))
        } else {
            result.hostGlobs.append((glob, name(line.words[1])))
        }
    }

    mutating func readModel(_ line: MappingLine) throws(MappingError) {
        try require(line, 2)
        guard !line.words[0].isEmpty else { throw line.fault("a model's prefix is not empty") }
        result.models.append((intern(line.words[0].map(foldASCII)), name(line.words[1])))
    }

    mutating func readUsage(_ line: MappingLine) throws(MappingError) {
        try line.check(after: 1, options: ["scope=", "versions=", "source=", "provider="])
        let word = line.text(0)
        guard word == "inclusive" || word == "exclusive" else {
            throw line.fault("\"\(word)\" is unknown; expected inclusive or exclusive")
        }
        guard result.usage.count < Limit.usageLines else {
            throw line.fault("`usage` has at most \(Limit.usageLines) lines")
        }
        var usage = UsageLine(isExclusive: word == "exclusive")
        if let scope = line.option("scope") { usage.scope = Glob(scope, result.store) }
        if let versions = line.option("versions") {
            guard let range = VersionRange(versions) else {
                throw line.fault("versions are like `<6`, `>=1.40` or `>=2,<3`")
            }
            usage.version = range
        }
        if let source = line.option("source") { usage.source = try self.source(source, line) }
        if let provider = line.option("provider") { usage.provider = intern(provider) }
        result.usage.append(usage)
    }

    mutating func readError(_ line: MappingLine) throws(MappingError) {
        if line.text(0) == "message" {
            try require(line, 3)
            guard let category = ErrorCategory(name: line.words[2]), line.words[1].count >= ErrorTexts.shortest else {
                throw line.fault(
                    "expected `message TEXT CATEGORY`, with a text of \(ErrorTexts.shortest) bytes or more")
            }
            result.errorMessages.append((line.words[1].map(foldASCII), category))
            return
        }
        try require(line, 2)
        guard let category = ErrorCategory(name: line.words[1]) else {
            throw line.fault("error category \"\(line.text(1))\" is unknown")
        }
        if line.words[0].last == UInt8(ascii: "*") {
            result.errorPrefixes.append((Glob(line.words[0], result.store), category))
        } else {
            result.errors.append((line.words[0], Int(category.rawValue)))
        }
    }

    /// `KEY`, `not KEY` or `event=NAME`; a KEY has one `*` at most, anywhere.
    mutating func readContent(_ line: MappingLine) throws(MappingError) {
        if line.text(0) == "not" {
            try require(line, 2)
            result.content.exceptions.append(line.words[1])
            return
        }
        try require(line, 1)
        if let event = Self.value(of: "event=", in: line.words[0]) {
            guard let name = ContentNames.Pattern(event) else {
                throw line.fault("an event's name has one `*` at most")
            }
            result.content.events.append(name)
            return
        }
        guard let pattern = ContentNames.Pattern(line.words[0]) else { throw line.fault("a key has one `*` at most") }
        result.content.add(pattern)
    }
}
