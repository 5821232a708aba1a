internal import Glibc

/// How AI spans are marked and what each mark means: the content of a mapping file, ready for use. The format is
/// described in `Sources/GenAI/Mappings/README.md`.
///
/// Immutable; shared by all threads. Slices that it gives out are valid as long as it lives.
package final class GenAIMapping: @unchecked Sendable {
    // Sendable: everything is written before `init` returns and never after.

    /// Most bytes of a mapping file: 1 MiB.
    package static let maximumSize = 1 << 20
    /// Bytes of the longest attribute name that is written.
    package static let longestWrittenName = 100

    /// The `version` line of the file.
    package let version: String
    /// Attribute names under which fields are written, by field; empty where a field is not written.
    let writtenNames: [UnsafeRawBufferPointer]
    /// The fields that are written.
    package let writtenFields: CallFields
    /// Names of the attributes that are added.
    package let costs: CostAttributeNames
    let writtenKeys: WrittenKeys

    let keys: NameTable
    let entries: UnsafeMutablePointer<KeyEntry>
    let actions: UnsafeMutablePointer<FieldAction>
    let patterns: UnsafeMutablePointer<KeyPattern>
    let nodes: UnsafeMutablePointer<PathNode>
    let actionCount: Int
    let patternCount: Int
    let ruleCount: Int
    let spanNameCount: Int
    let rules: UnsafeMutablePointer<RecognitionRule>
    let marks: UnsafeMutablePointer<SourceMark>
    let events: NameTable
    let eventEntries: UnsafeMutablePointer<EventEntry>
    let eventValues: UnsafeMutablePointer<EventValue>
    /// Fields that some event may fill.
    let eventFields: CallFields
    /// Bits of `KeyFilter` by a hash of a key's first four bytes.
    let filter: UnsafeMutablePointer<UInt8>

    let operations: NameTable
    let operationPrefixes: [(prefix: Glob, entry: Int)]
    let operationEntries: UnsafeMutablePointer<OperationEntry>
    let spanNames: NameTable
    let spanNameEntries: UnsafeMutablePointer<SpanNameEntry>
    let providers: ProviderTables
    let vectors: NameTable
    let errors: NameTable
    let errorPrefixes: [(prefix: Glob, category: ErrorCategory)]
    let errorTexts: ErrorTexts
    /// Names that values are translated to.
    let names: UnsafeMutablePointer<UnsafeRawBufferPointer>
    let sources: [UnsafeRawBufferPointer]
    let scopeGlobs: [(glob: Glob, source: UInt8)]
    let usage: [UsageLine]

    /// Which attributes hold content.
    let content: ContentNames

    private let store: NameStore

    /// The mapping that is part of the program.
    ///
    /// - Parameter costs: names of the attributes that are added, which are recognised on spans that have them.
    /// - Throws: never, unless the program was built with a broken file; the tests load it.
    package static func builtIn(costs: CostAttributeNames = CostAttributeNames()) throws(MappingError) -> GenAIMapping {
        try GenAIMapping(bytes: PackageResources.genai_mapping[...], costs: costs)
    }

    /// Reads a mapping from a file. Blocks on the disk.
    package convenience init(path: String) throws(MappingError) {
        guard let file = fopen(path, "rb") else {
            throw MappingError(line: 0, message: "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: Self.maximumSize + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else {
            throw MappingError(line: 0, message: "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        try self.init(bytes: bytes[..<count])
    }

    /// Reads a mapping from the bytes of its text, which are not kept.
    ///
    /// - Throws: the first fault, with its line.
    package convenience init(
        bytes: ArraySlice<UInt8>, costs: CostAttributeNames = CostAttributeNames()
    ) throws(MappingError) {
        guard bytes.count <= Self.maximumSize else {
            throw MappingError(line: 0, message: "a mapping has at most \(Self.maximumSize) bytes")
        }
        var builder = MappingBuilder()
        for line in MappingLine.lines(of: bytes) { try builder.read(line) }
        try builder.add(costs)
        self.init(try builder.finished(), costs)
    }

    init(_ finished: MappingBuilder.Finished, _ costs: CostAttributeNames) {
        version = finished.version
        self.costs = costs
        writtenKeys = WrittenKeys(finished.writtenNames)
        writtenNames = finished.writtenNames
        writtenFields = CallField.allCases.reduce(into: CallFields()) { fields, field in
            if finished.writtenNames[Int(field.rawValue)].count > 0 { fields.insert(CallFields(field)) }
        }
        keys = NameTable(finished.keys)
        entries = Self.freeze(finished.entries)
        actions = Self.freeze(finished.actions)
        patterns = Self.freeze(finished.patterns)
        nodes = Self.freeze(finished.nodes)
        rules = Self.freeze(finished.rules)
        actionCount = finished.actions.count
        patternCount = finished.patterns.count
        ruleCount = finished.rules.count
        spanNameCount = finished.spanNames.count
        marks = Self.freeze(finished.marks)
        events = NameTable(finished.events)
        eventEntries = Self.freeze(finished.eventEntries)
        eventValues = Self.freeze(finished.eventValues)
        eventFields = finished.eventEntries.reduce(into: CallFields()) { $0.formUnion($1.fields) }
        filter = KeyFilter.table(
            finished.keys.map { ($0.name, finished.entries[$0.value]) }, finished.patterns, finished.entries,
            finished.rules)
        operations = NameTable(finished.operations)
        operationPrefixes = finished.operationPrefixes
        operationEntries = Self.freeze(finished.operationEntries)
        spanNames = NameTable(finished.spanNames)
        spanNameEntries = Self.freeze(finished.spanNameEntries)
        providers = ProviderTables(finished)
        vectors = NameTable(finished.vectors)
        errors = NameTable(finished.errors)
        errorPrefixes = finished.errorPrefixes
        errorTexts = ErrorTexts(finished.errorMessages)
        names = Self.freeze(finished.names)
        sources = finished.sources
        scopeGlobs = finished.scopeGlobs
        usage = finished.usage
        content = finished.content
        store = finished.store
    }

    deinit {
        for table in [keys, events, operations, spanNames, vectors, errors] { table.deallocate() }
        entries.deallocate()
        actions.deallocate()
        patterns.deallocate()
        nodes.deallocate()
        rules.deallocate()
        marks.deallocate()
        eventEntries.deallocate()
        eventValues.deallocate()
        operationEntries.deallocate()
        spanNameEntries.deallocate()
        filter.deallocate()
        errorTexts.deallocate()
        names.deallocate()
    }

    private static func freeze<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let frozen = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        for (index, element) in elements.enumerated() { (frozen + index).initialize(to: element) }
        return frozen
    }

    /// The name of `ModelCall.source`, such as `openllmetry`.
    package func sourceName(_ source: UInt8) -> UnsafeRawBufferPointer {
        Int(source) < sources.count ? sources[Int(source)] : UnsafeRawBufferPointer.nothing
    }

    /// The key, or pattern of keys, of `ModelCall.rule`; empty when the span's name did it.
    package func ruleName(_ rule: UInt8) -> UnsafeRawBufferPointer {
        rule >= 1 && Int(rule) <= ruleCount
            ? rules[Int(rule) - 1].name : UnsafeRawBufferPointer.nothing
    }

    /// The attribute name under which a field is written; empty when it is only read.
    package func writtenName(_ field: CallField) -> UnsafeRawBufferPointer { writtenNames[Int(field.rawValue)] }

    /// The provider that owns a server name or URL; nil when it is not in the table.
    package func provider(ofHost host: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        providers.provider(ofHost: host).map { names[$0] }
    }
}

/// A test on a key's first four bytes that keeps nearly all keys of other spans from being looked up.
enum KeyFilter {
    /// The key may make its span an AI span.
    static var trigger: UInt8 { 1 }
    /// The key may mean something on an AI span.
    static var known: UInt8 { 2 }
    /// The key may fit a pattern.
    static var pattern: UInt8 { 4 }
    /// The key with some values may make its span an AI span.
    static var conditional: UInt8 { 8 }

    private static var slotBits: UInt32 { 11 }

    @inline(__always)
    static func slot(_ key: UnsafePointer<UInt8>) -> Int {
        let word = UnsafeRawPointer(key).loadUnaligned(as: UInt32.self)
        return Int((word &* 0x9E37_79B1) &>> (32 &- slotBits))
    }

    static func table(
        _ keys: [(name: [UInt8], entry: KeyEntry)], _ patterns: [KeyPattern], _ entries: [KeyEntry],
        _ rules: [RecognitionRule]
    ) -> UnsafeMutablePointer<UInt8> {
        func bits(_ entry: KeyEntry) -> UInt8 {
            guard entry.rule != 0 else { return known }
            return known | (rules[Int(entry.rule) - 1].condition == .none ? trigger : conditional)
        }
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: 1 << Int(slotBits))
        table.initialize(repeating: 0, count: 1 << Int(slotBits))
        for key in keys where key.name.count >= 4 {
            key.name.withUnsafeBufferPointer { name in
                guard let base = name.baseAddress else { return }
                table[slot(base)] |= bits(key.entry)
            }
        }
        for item in patterns {
            guard item.prefix.count >= 4, let base = item.prefix.baseAddress else { continue }
            table[slot(base.assumingMemoryBound(to: UInt8.self))] |= bits(entries[Int(item.entry)]) | pattern
        }
        return table
    }
}

/// A fault in a mapping file.
package struct MappingError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1; 0 for the file as a whole.
    package let line: Int
    /// What is wrong, and what is expected.
    package let message: String

    package var description: String { line > 0 ? "line \(line): \(message)" : message }
}
