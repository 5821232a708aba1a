extension MappingBuilder {
    /// The tables of a mapping. Their slices live as long as `store`.
    struct Finished {
        var version = ""
        var writtenNames = [UnsafeRawBufferPointer](
            repeating: UnsafeRawBufferPointer.nothing, count: CallField.allCases.count)
        var keys: [(name: [UInt8], value: Int)] = []
        var entries: [KeyEntry] = []
        var actions: [FieldAction] = []
        var patterns: [KeyPattern] = []
        /// The first is none.
        var nodes = [PathNode(name: UnsafeRawBufferPointer.nothing)]
        var rules: [RecognitionRule] = []
        var marks: [SourceMark] = []
        var events: [(name: [UInt8], value: Int)] = []
        var eventEntries: [EventEntry] = []
        var eventValues: [EventValue] = []
        var operations: [(name: [UInt8], value: Int)] = []
        var operationPrefixes: [(prefix: Glob, entry: Int)] = []
        var operationEntries: [OperationEntry] = []
        var spanNames: [(name: [UInt8], value: Int)] = []
        var spanNameEntries: [SpanNameEntry] = []
        var providers: [(name: [UInt8], value: Int)] = []
        var hosts: [(name: [UInt8], value: Int)] = []
        var hostGlobs: [(glob: Glob, name: Int)] = []
        var models: [(prefix: UnsafeRawBufferPointer, name: Int)] = []
        var vectors: [(name: [UInt8], value: Int)] = []
        var errors: [(name: [UInt8], value: Int)] = []
        var errorPrefixes: [(prefix: Glob, category: ErrorCategory)] = []
        var errorMessages: [(text: [UInt8], category: ErrorCategory)] = []
        var names: [UnsafeRawBufferPointer] = []
        var sources: [UnsafeRawBufferPointer] = []
        var scopeGlobs: [(glob: Glob, source: UInt8)] = []
        var usage: [UsageLine] = []
        var content = ContentNames()
        let store = NameStore()
    }

    /// Lays the tables out.
    mutating func finished() throws(MappingError) -> Finished {
        guard !result.version.isEmpty else { throw MappingError(line: 0, message: "`version` is missing") }
        guard !result.sources.isEmpty, !result.rules.isEmpty else {
            throw MappingError(line: 0, message: "`sources` or `recognise` is missing")
        }
        for draft in drafts { add(draft) }
        for index in result.eventEntries.indices {
            result.eventEntries[index].firstValue = UInt16(result.eventValues.count)
            result.eventEntries[index].valueCount = UInt16(eventValueDrafts[index].count)
            result.eventEntries[index].hasKeys = eventValueDrafts[index].contains { $0.key.count > 0 }
            result.eventValues += eventValueDrafts[index]
        }
        inheritFromPatterns()
        return result
    }

    /// Notes the keys of attributes that are added, beside what they mean otherwise.
    mutating func add(_ costs: CostAttributeNames) throws(MappingError) {
        for attribute in CostAttribute.allCases {
            let name = Array(costs[attribute].utf8)
            // A shorter name is no key that is looked up; the configuration refuses it.
            guard name.count >= 4, name.count <= 255 else { continue }
            if draftIndex[name] == nil {
                drafts.append(KeyDraft(text: name))
                draftIndex[name] = drafts.count - 1
            }
            if let index = draftIndex[name] { drafts[index].entry.added = UInt8(attribute.rawValue + 1) }
        }
    }

    private mutating func add(_ draft: KeyDraft) {
        var entry = draft.entry
        entry.firstAction = UInt16(result.actions.count)
        entry.actionCount = UInt16(draft.actions.count)
        result.actions += draft.actions
        if !draft.paths.isEmpty {
            result.nodes.append(PathNode(name: intern([])))
            let root = result.nodes.count - 1
            entry.root = UInt16(root)
            for path in draft.paths { add(path.steps[...], below: root) }
            settle(root, draft.paths)
            result.nodes[root].isShort = draft.paths.allSatisfy { $0.action.flags.contains(.short) }
        }
        result.entries.append(entry)
        let index = UInt16(result.entries.count - 1)
        let fixed = draft.text.prefix { $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: "#") }
        if fixed.count == draft.text.count {
            result.keys.append((draft.text, Int(index)))
        } else {
            let isIndexed = draft.text[fixed.count] == UInt8(ascii: "#")
            result.patterns.append(
                KeyPattern(
                    prefix: intern(Array(fixed)), suffix: intern(Array(draft.text.dropFirst(fixed.count + 1))),
                    isIndexed: isIndexed, entry: index))
        }
    }

    /// Makes the nodes of a path.
    private mutating func add(_ steps: ArraySlice<[UInt8]>, below parent: Int) {
        guard let step = steps.first else { return }
        let name = step == [UInt8(ascii: "#")] ? [] : step
        var child = Int(result.nodes[parent].firstChild)
        while child != 0, !result.nodes[child].name.elementsEqual(name) { child = Int(result.nodes[child].sibling) }
        if child == 0 {
            result.nodes.append(PathNode(name: intern(name)))
            child = result.nodes.count - 1
            result.nodes[child].sibling = result.nodes[parent].firstChild
            result.nodes[parent].firstChild = UInt16(child)
        }
        add(steps.dropFirst(), below: child)
    }

    /// Gives each node below `root` the actions of the paths that end there, side by side.
    private mutating func settle(_ root: Int, _ paths: [(steps: [[UInt8]], action: FieldAction)]) {
        var ends: [Int: [FieldAction]] = [:]
        for path in paths {
            var node = root
            for step in path.steps {
                let name = step == [UInt8(ascii: "#")] ? [] : step
                node = Int(result.nodes[node].firstChild)
                while node != 0, !result.nodes[node].name.elementsEqual(name) {
                    node = Int(result.nodes[node].sibling)
                }
            }
            ends[node, default: []].append(path.action)
        }
        result.nodes[root].firstOfAll = UInt16(result.actions.count)
        result.nodes[root].countOfAll = UInt16(paths.count)
        for (node, actions) in ends.sorted(by: { $0.key < $1.key }) {
            result.nodes[node].firstAction = UInt16(result.actions.count)
            result.nodes[node].actionCount = UInt16(actions.count)
            result.actions += actions
        }
    }

    /// An exact key does what the patterns that it fits do, too.
    private mutating func inheritFromPatterns() {
        for key in result.keys {
            key.name.withUnsafeBufferPointer { name in
                guard let base = name.baseAddress else { return }
                for pattern in result.patterns where pattern.matches(base, name.count) {
                    let other = result.entries[Int(pattern.entry)]
                    var entry = result.entries[key.value]
                    if entry.rule == 0 || other.rule != 0 && other.rule < entry.rule { entry.rule = other.rule }
                    entry.mark = max(entry.mark, other.mark)
                    entry.isEvidence = entry.isEvidence || other.isEvidence
                    entry.isAggregated = entry.isAggregated || other.isAggregated
                    result.entries[key.value] = entry
                }
            }
        }
    }
}

/// Names that slices point to; freed with the last reference.
final class NameStore {
    private var blocks: [UnsafeMutableRawBufferPointer] = []

    /// A copy that lives as long as the store.
    func keep(_ text: [UInt8]) -> UnsafeRawBufferPointer {
        guard !text.isEmpty else { return UnsafeRawBufferPointer.nothing }
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 8)
        block.copyBytes(from: text)
        blocks.append(block)
        return UnsafeRawBufferPointer(block)
    }

    deinit {
        for block in blocks { block.deallocate() }
    }
}
