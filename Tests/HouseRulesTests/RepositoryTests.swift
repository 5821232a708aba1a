import Testing

/// The house rules, over every Swift file of the checkout.
@Suite struct RepositoryTests {
    static let tree = SourceTree.checkout
    static let sources = Result { try tree.swiftSources(below: "Sources") }
    static let tests = Result { try tree.swiftSources(below: "Tests") }

    /// Undocumented `package` types and functions that each target still has. The numbers only ever go down.
    static let undocumentedLimit: [String: Int] = [
        "Delivery": 3, "OTLP": 5, "Pipeline": 5, "Telemetry": 2, "Transport": 1,
    ]

    private func expectNone(_ violations: [Violation], _ location: SourceLocation = #_sourceLocation) {
        let list = violations.map(\.description).joined(separator: "\n")
        #expect(violations.isEmpty, "\(violations.count) violations:\n\(list)", sourceLocation: location)
    }

    @Test func theCheckoutIsFound() throws {
        #expect(try Self.sources.get().count > 20)
        #expect(Self.tree.exists("Package.swift"))
    }

    @Test func everyTargetIsInTheImportTable() throws {
        let targets = try Self.tree.folders(in: "Sources").filter { $0 != "C" }
        #expect(targets.filter { ImportRules.edges[$0] == nil } == [])
    }

    @Test func importsPointDown() throws {
        expectNone(try Self.sources.get().flatMap(ImportRules.check))
    }

    @Test func nothingImportsFoundation() throws {
        expectNone(try (Self.sources.get() + Self.tests.get()).flatMap(ImportRules.checkBanned))
    }

    @Test func componentsDoNotUseEachOther() throws {
        expectNone(ImportRules.checkSiblings(try Self.sources.get()))
    }

    @Test func filesAndFunctionsAreShort() throws {
        expectNone(try (Self.sources.get() + Self.tests.get()).flatMap(CodeRules.checkLength))
    }

    @Test func nothingTraps() throws {
        let sources = try Self.sources.get()
        expectNone(sources.flatMap(CodeRules.checkBannedCalls))
        expectNone(sources.flatMap(CodeRules.checkForceUnwraps))
    }

    @Test func uncheckedPromisesHaveTheirReason() throws {
        expectNone(try Self.sources.get().flatMap(CodeRules.checkReasons))
    }

    @Test func wording() throws {
        expectNone(try Self.sources.get().flatMap(CodeRules.checkWording))
    }

    @Test func sharedDeclarationsAreDocumented() throws {
        let sources = try Self.sources.get()
        let requirements = Set(sources.flatMap(Declarations.requirements))
        let byTarget = Dictionary(grouping: sources) { ImportRules.target(of: $0.path) ?? "" }
        for (target, files) in byTarget.sorted(by: { $0.key < $1.key }) {
            let missing = files.flatMap { Declarations.undocumented(in: $0, requirements: requirements) }
            let limit = Self.undocumentedLimit[target, default: 0]
            let list = missing.map(\.description).joined(separator: "\n")
            #expect(missing.count <= limit, "\(target) has \(missing.count), at most \(limit) allowed:\n\(list)")
        }
    }

    @Test func everyComponentFolderHasAReadme() throws {
        var missing: [String] = []
        for kind in ImportRules.componentFolders {
            for folder in try Self.tree.folders(in: "Sources/\(kind)") {
                let path = "Sources/\(kind)/\(folder)"
                if !Self.tree.exists("\(path)/README.md") { missing.append(path) }
            }
        }
        #expect(missing == [])
    }
}
