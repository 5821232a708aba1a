import Testing

/// Each rule, on a snippet that breaks it and on one that only looks like it.
@Suite struct RuleTests {
    private func source(_ text: String, path: String = "Sources/Pipeline/Example.swift") -> SwiftSource {
        SwiftSource(path: path, text)
    }

    // MARK: What is code

    @Test func commentsAndLiteralsAreBlanked() {
        let text = """
            let a = "fatalError(" // fatalError(
            /* fatalError( /* nested */ fatalError( */ let b = #"x " fatalError( "#
            """
        #expect(source(text).offsets(of: "fatalError(").isEmpty)
        #expect(source(text).code.count == text.utf8.count)
        #expect(source(text).commentLines == [1, 2])
    }

    @Test func multilineLiteralsAreBlankedAndInterpolationsAreNot() {
        let text = "let a = \"\"\"\n  fatalError( \" x\n  \"\"\"\nlet b = \"x \\(fatalError(\"y\")) fatalError(\"\n"
        #expect(source(text).offsets(of: "fatalError(").map(source(text).line(at:)) == [4])
    }

    @Test func interpolationsNest() {
        let text = #"let a = "1 \(f(a: "2 \(g(b!)) b!")) b!"; let c = d!"#
        #expect(CodeRules.checkForceUnwraps(source(text)).count == 2)
    }

    @Test func escapedQuotesDoNotEndALiteral() {
        #expect(source(#"let a = "\" try! "; let b = 1"#).offsets(of: "try!").isEmpty)
        #expect(source(##"let a = #"\"# ; try! f()"##).offsets(of: "try!").count == 1)
    }

    @Test func linesAreCounted() {
        #expect(source("a\nb\nc\n").lineCount == 3)
        #expect(source("a\nb\nc").lineCount == 3)
        #expect(source("a\nb\nc").line(at: 4) == 3)
    }

    // MARK: Imports

    @Test func importsOfEveryForm() {
        let text = """
            import Glibc
            internal import OTLP
            @preconcurrency package import struct Config.ComponentID
            #if canImport(NIOCore)
              import NIOCore.Channel
            #endif
            // import Foundation
            let text = "import Foundation"
            """
        let modules = ImportRules.imports(of: source(text)).map(\.module)
        #expect(modules == ["Glibc", "OTLP", "Config", "NIOCore"])
    }

    @Test func importsUpwardsAreRefused() {
        let upwards = source("import OTLP\nimport Transport\n")
        #expect(ImportRules.check(upwards).map(\.line) == [2])
        #expect(ImportRules.check(source("import CZlib")).count == 1)
        #expect(ImportRules.check(source("import Pipeline", path: "Sources/GenAI/A.swift")).count == 1)
        #expect(ImportRules.check(source("import Processors", path: "Sources/Exporters/File/A.swift")).count == 1)
        #expect(ImportRules.check(source("import OTLP", path: "Sources/Unknown/A.swift")).count == 1)
    }

    @Test func importsDownwardsAreAllowed() {
        let text = "internal import OTLP\npackage import Pipeline\nimport NIOCore\nimport Glibc\n"
        #expect(ImportRules.check(source(text, path: "Sources/Receivers/OTLP/A.swift")).isEmpty)
    }

    @Test func foundationIsRefusedInTestsToo() {
        let test = source("import Testing\nimport FoundationEssentials\n", path: "Tests/OTLPTests/A.swift")
        #expect(ImportRules.checkBanned(test).map(\.line) == [2])
    }

    @Test func theTableHasNoCycle() {
        var open: Set<String> = []
        func reachesItself(_ target: String) -> Bool {
            guard open.insert(target).inserted else { return true }
            defer { open.remove(target) }
            return (ImportRules.edges[target] ?? []).contains(where: reachesItself)
        }
        #expect(ImportRules.edges.keys.filter(reachesItself) == [])
    }

    @Test func componentsThatUseEachOther() {
        let file = source("struct FileExporter { struct Inner {} }", path: "Sources/Exporters/File/FileExporter.swift")
        let debug = source("let other: FileExporter", path: "Sources/Exporters/Debug/DebugExporter.swift")
        let shared = source("struct ExporterParts {}", path: "Sources/Exporters/ExporterParts.swift")
        let user = source("let a: ExporterParts, b: Inner", path: "Sources/Processors/Batch/A.swift")
        #expect(ImportRules.checkSiblings([file, debug, shared, user]).map(\.path) == [debug.path])
        #expect(ImportRules.checkSiblings([file, shared, user]).isEmpty)
    }

    // MARK: Size

    @Test func longFilesAndFunctions() {
        let body = String(repeating: "    work()\n", count: CodeRules.functionLimit - 2)
        #expect(CodeRules.checkLength(source("func short() {\n\(body)}\n")).isEmpty)
        let long = CodeRules.checkLength(source("\nfunc long(\n    a: Int = { 1 }()\n) throws {\n\(body)}\n"))
        #expect(long.map(\.line) == [2])
        #expect(CodeRules.checkLength(source("init(a: Int) {\n\(body)\n}\n")).count == 1)
        #expect(CodeRules.checkLength(source(String(repeating: "\n", count: CodeRules.fileLimit + 1))).count == 1)
        #expect(CodeRules.checkLength(source(String(repeating: "\n", count: CodeRules.fileLimit))).isEmpty)
    }

    @Test func requirementsHaveNoBody() {
        let body = String(repeating: "    work()\n", count: CodeRules.functionLimit)
        let text = "protocol P {\n    func a() throws(E)\n    func b<T>(_ t: T) -> [T]\n}\nlet c = {\n\(body)}\n"
        #expect(Declarations.functionLengths(in: source(text)).isEmpty)
    }

    @Test func callsOfInitialisersAreNotDeclarations() {
        let text = "func f() {\n    self.init(a: 1)\n    let x = T.init { 2 }\n}\n"
        #expect(Declarations.functionLengths(in: source(text)).map(\.lines) == [4])
    }

    // MARK: Traps

    @Test(arguments: [
        "try! f()", "a as! B", "fatalError(\"x\")", "preconditionFailure()", "Swift.print(1)", "print(1)",
    ])
    func bannedCalls(_ text: String) {
        #expect(CodeRules.checkBannedCalls(source(text)).count == 1)
    }

    @Test func allowedCalls() {
        let text = "try? f()\nlet a = b as? C\nfunc print(_ x: Int) {}\nwriter.print(1)\nblueprint(2)\n"
        #expect(CodeRules.checkBannedCalls(source(text)).isEmpty)
        #expect(CodeRules.checkBannedCalls(source("print(1)", path: "Sources/martlet/main.swift")).isEmpty)
    }

    @Test(arguments: ["a!", "f()!", "a[0]!", "let a: B!", "a!.b", "\"x\"!", "a?!", "{ 1 }()!", "a! == b"])
    func forceUnwraps(_ text: String) {
        #expect(CodeRules.checkForceUnwraps(source(text)).count == 1)
    }

    @Test(arguments: ["a != b", "!a", "a!=b", "if !a && !b {}", "(!a)", "[!a]", "a !== b", "f(!a)", "\"!\"", "// a!"])
    func notForceUnwraps(_ text: String) {
        #expect(CodeRules.checkForceUnwraps(source(text)).isEmpty)
    }

    // MARK: Comments

    @Test func promisesNeedAReason() {
        #expect(CodeRules.checkReasons(source("final class A: @unchecked Sendable {}")).count == 1)
        #expect(CodeRules.checkReasons(source("\n\n\nnonisolated(unsafe) var a = 1")).count == 1)
        #expect(CodeRules.checkReasons(source("// Guarded by lock.\n\nfinal class A: @unchecked Sendable {}")).isEmpty)
        #expect(CodeRules.checkReasons(source("final class A: @unchecked Sendable {  // One thread.\n}")).isEmpty)
        #expect(CodeRules.checkReasons(source("// Far.\n\n\nfinal class A: @unchecked Sendable {}")).count == 1)
    }

    @Test func documentation() {
        let missing =
            "package struct A {\n    package func f() {}\n    // Not documentation.\n    package func g() {}\n}\n"
        #expect(Declarations.undocumented(in: source(missing)).map(\.line) == [1, 2, 4])
        let present = """
            /// A.
            @frozen
            package struct A {
                /// F.
                @inline(__always)
                @discardableResult package static func f() {}
                package var a = 1
                func inner() {}
            }
            package import OTLP
            package extension A {}
            """
        #expect(Declarations.undocumented(in: source(present)).isEmpty)
    }

    @Test func requirementsAreDocumentedAtTheirProtocol() {
        let contract = source(
            "package protocol P {\n    associatedtype S\n    func make(_ s: S)\n    var v: Int { get }\n}\n")
        let names = Declarations.requirements(in: contract)
        #expect(names == ["S", "make"])
        let witness = "/// A.\npackage struct A: P {\n    package typealias S = Int\n    package func make(_ s: S) {}\n"
        let other = "    package func other() {}\n}\npackage func make() {}\n"
        let missing = Declarations.undocumented(in: source(witness + other), requirements: names)
        #expect(missing.map(\.line) == [5, 7])
    }

    @Test func wording() {
        #expect(CodeRules.checkWording(source("struct PoolManager {}\n// TODO later\npublic func f() {}\n")).count == 3)
        #expect(CodeRules.checkWording(source("struct Pool {}\n// To do it once.\nfunc f() {}\n")).isEmpty)
    }

    // MARK: Files

    @Test func theTreeListsAndReads() throws {
        let files = try SourceTree.checkout.files(below: "Tests/HouseRulesTests", suffix: ".swift")
        #expect(files.contains("Tests/HouseRulesTests/RuleTests.swift"))
        #expect(throws: SourceTree.Unreadable.self) { try SourceTree.checkout.bytes(of: "nothing/here") }
        #expect(throws: SourceTree.Unreadable.self) { try SourceTree.checkout.names(in: "nothing/here") }
    }
}
