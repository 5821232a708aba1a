import Testing

@testable import GenAI

/// The mapping file and its faults.
@Suite struct RecognitionMappingTests {
    private func load(_ text: String) throws(MappingError) -> GenAIMapping {
        try GenAIMapping(bytes: Array(text.utf8)[...])
    }

    private static let head = "mapping 1\nversion x\nsources\n  otel\nrecognise\n  gen_ai.system otel\n"

    @Test func theBuiltInMappingLoads() throws {
        let mapping = try GenAIMapping.builtIn()
        #expect(mapping.version.hasPrefix("20"))
        #expect(mapping.writtenName(.input).elementsEqual("gen_ai.usage.input_tokens".utf8))
        #expect(mapping.writtenName(.total).isEmpty)
        // Every field has a line: what the code knows is read from somewhere.
        let filled = (0..<mapping.actionCount).reduce(into: Set<CallField>()) { fields, index in
            fields.insert(mapping.actions[index].field)
        }
        #expect(filled == Set(CallField.allCases))
    }

    @Test func everyNameHasItsField() {
        for field in CallField.allCases { #expect(CallField(name: field.name.utf8) == field) }
        for kind in CallKind.allCases { #expect(CallKind(name: "\(kind.name)".utf8) == kind) }
        for category in ErrorCategory.allCases { #expect(ErrorCategory(name: "\(category.name)".utf8) == category) }
        #expect(CallField(name: "nonsense".utf8) == nil)
    }

    @Test(arguments: [
        ("", "`version` is missing"),
        ("sources\n  otel", "line 1: the file begins with `mapping 1`"),
        ("mapping 2", "line 1: format \"2\" is unknown; this program reads `mapping 1`"),
        (head + "nonsense", "line 7: section \"nonsense\" is unknown"),
        (head + "field nonsense", "line 7: field \"nonsense\" is unknown"),
        (head + "field input\n  abc", "line 8: a key has 4 to 255 bytes, four of them before a `*` or `#`"),
        (head + "field input\n  some.key often", "line 8: option \"often\" is unknown"),
        (head + "field input\n  some.key kind=x", "line 8: kind=x: no such kind"),
        (head + "field input\n  some.key > a..b", "line 8: a path has 1 to 8 names, parted by dots"),
        (head + "field input\n  some.key >", "line 8: expected a path after `>`"),
        (
            head + "field input = b.key\n  a.key1\n  b.key",
            "line 9: the name under which a field is written comes first"
        ),
        (head + "field input\n  a.key\nfield input", "line 9: field input is there twice"),
        (
            head + "field tool\n  some.#.key",
            "line 8: a key with `#` needs `highest`: which of the values counts must not depend on order"
        ),
        (head + "marks\n  some.key who", "line 8: source \"who\" is not in `sources`"),
        (head + "operations\n  chat talk", "line 8: kind \"talk\" is unknown"),
        (head + "usage\n  often", "line 8: \"often\" is unknown; expected inclusive or exclusive"),
        (head + "usage\n  exclusive versions=new", "line 8: versions are like `<6`, `>=1.40` or `>=2,<3`"),
        (head + "errors\n  timeout late", "line 8: error category \"late\" is unknown"),
        (
            head + "errors\n  message \"bad\" server",
            "line 8: expected `message TEXT CATEGORY`, with a text of 4 bytes or more"
        ),
        (head + "providers\n  one", "line 8: expected 2 words, found 1"),
        (head + "  some.key otel always", "line 7: \"always\" is unknown here; expected: starts=, in=, tentative"),
    ]) func faultsNameTheirLine(_ text: String, _ message: String) {
        let error = #expect(throws: MappingError.self) { try load(text) }
        #expect(error?.description == message)
    }

    @Test func limits() {
        let lines = String(repeating: "# nothing\n", count: 20) + Self.head
        #expect(throws: Never.self) { try load(lines) }
        let keys = Self.head + "providers\n" + String(repeating: "  a b\n", count: 10_000)
        #expect(throws: MappingError.self) { try load(keys) }
        #expect(throws: MappingError.self) { try load(String(repeating: " ", count: GenAIMapping.maximumSize + 1)) }
        let many = Self.head + "field input\n" + (0...100).map { "  some.key\($0)\n" }.joined()
        let error = #expect(throws: MappingError.self) { try load(many) }
        #expect(error?.message == "a field has at most 100 lines")
    }

    @Test func noMutationOfTheFileTraps() throws {
        var random = RecognitionRandom(state: 77)
        let text = PackageResources.genai_mapping
        var accepted = 0
        for _ in 0..<150 {
            var changed = text
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<changed.count, using: &random)
                if Bool.random(using: &random) {
                    changed[at] = [0x20, 0x0A, 0x23, 0x2A, 0x3D, 0x22, 0xFF, 0x30].randomElement(using: &random) ?? 0
                } else {
                    changed.removeSubrange(at..<min(changed.count, at + Int.random(in: 1...40, using: &random)))
                }
            }
            if (try? GenAIMapping(bytes: changed[...])) != nil { accepted += 1 }
        }
        #expect(accepted > 10)
    }

    @Test func aMappingFromAPath() throws {
        let error = #expect(throws: MappingError.self) { try GenAIMapping(path: "/nonexistent/genai.mapping") }
        #expect(error?.description == "cannot open /nonexistent/genai.mapping: No such file or directory")
        let here = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let mapping = try GenAIMapping(path: "/\(here)/Sources/GenAI/Mappings/genai.mapping")
        #expect(mapping.version == (try GenAIMapping.builtIn()).version)
    }

    /// A key of one's own makes spans recognisable without a change of code.
    @Test func keysOfOnesOwn() throws {
        let mapping = try load(
            """
            mapping 1
            version own
            sources
              house scope=house*
            recognise
              house.call house
            field operation = gen_ai.operation.name
              house.call
            field input = gen_ai.usage.input_tokens
              gen_ai.usage.input_tokens
              house.stats > t.in
            operations
              ask* model chat
            """)
        let bytes = spanBytes { span in
            span.attribute("house.call", "ask-twice")
            span.attribute("house.stats", "{\"x\": [1, {\"t\": 3}], \"t\": {\"in\": 12.0}}")
        }
        #expect(row(bytes, mapping) == "kind=model op=chat in=12 source=house rule=house.call")
    }

    @Test func times() {
        func nanoseconds(_ text: String) -> UInt64? { Array(text.utf8).withUnsafeBytes { UTCTime.nanoseconds($0) } }
        #expect(nanoseconds("1970-01-01T00:00:00Z") == 0)
        #expect(nanoseconds("2025-10-09T08:53:20Z") == 1_760_000_000_000_000_000)
        #expect(nanoseconds("2025-10-09T10:53:20.5+02:00") == 1_760_000_000_500_000_000)
        #expect(nanoseconds("2025-10-09 03:23:20-0530") == 1_760_000_000_000_000_000)
        #expect(nanoseconds("2024-02-29T12:00:00.123456789123") == 1_709_208_000_123_456_789)
        for bad in [
            "", "2025-13-09T08:53:20Z", "2025-10-09T08:53", "2025-10-09T25:53:20Z", "yesterday, at half past nine",
            "2025-10-09T08:53:20X", "1969-12-31T23:59:59Z",
        ] { #expect(nanoseconds(bad) == nil) }
    }
}
