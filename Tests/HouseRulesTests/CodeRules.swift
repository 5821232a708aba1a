/// Rules about one file: size, calls that trap, reasons that must stand beside exceptions.
enum CodeRules {
    /// Lines of a file.
    static let fileLimit = 500
    /// Lines of a function, from its keyword to its closing brace.
    static let functionLimit = 80
    /// How far, in lines, a comment may stand from what it explains.
    static let reasonDistance = 2

    static func checkLength(_ source: SwiftSource) -> [Violation] {
        var violations: [Violation] = []
        if source.lineCount > fileLimit {
            violations.append(
                Violation(path: source.path, line: 1, message: "\(source.lineCount) lines; the limit is \(fileLimit)"))
        }
        for function in Declarations.functionLengths(in: source) where function.lines > functionLimit {
            violations.append(
                source.violation(
                    at: function.offset,
                    "\(function.name) has \(function.lines) lines; the limit is \(functionLimit)"))
        }
        return violations
    }

    /// Calls and casts that trap. `print` is for the command line only.
    static func checkBannedCalls(_ source: SwiftSource) -> [Violation] {
        var banned = ["try!", "as!", "fatalError(", "preconditionFailure("]
        if !source.path.hasPrefix("Sources/martlet/") { banned += ["print(", "debugPrint(", "dump("] }
        return banned.flatMap { call in
            source.offsets(of: call).compactMap { offset -> Violation? in
                if isMember(source, offset) || isDeclaredFunction(source, offset) { return nil }
                return source.violation(at: offset, "\(call) is banned")
            }
        }
    }

    /// A method of some value that has the same name; `Swift.` only spells out the module.
    private static func isMember(_ source: SwiftSource, _ offset: Int) -> Bool {
        guard offset > 0, source.code[offset - 1] == UInt8(ascii: ".") else { return false }
        return Array(source.code[..<(offset - 1)].suffix { Byte.isIdentifier($0) }) != Array("Swift".utf8)
    }

    private static func isDeclaredFunction(_ source: SwiftSource, _ offset: Int) -> Bool {
        let start = source.lineStarts[source.line(at: offset) - 1]
        return String(decoding: source.code[start..<offset], as: UTF8.self).hasSuffix("func ")
    }

    /// `name!`, `)!`, `]!`, `"…"!`, `?!` — values and implicitly unwrapped types. `a != b`, `!a` and `a!=b` are not.
    static func checkForceUnwraps(_ source: SwiftSource) -> [Violation] {
        let code = source.code
        return code.indices.compactMap { index in
            guard code[index] == UInt8(ascii: "!"), index > 0 else { return nil }
            if index + 1 < code.count && code[index + 1] == UInt8(ascii: "=") { return nil }
            let before = code[index - 1]
            let follows =
                Byte.isIdentifier(before) || [")", "]", "}", "\"", "?", ">"].contains { before == UInt8(ascii: $0) }
            guard follows, !isCheckedKeyword(code, endingAt: index) else { return nil }
            return source.violation(at: index, "force unwrap")
        }
    }

    /// `try!` and `as!` are reported by name.
    private static func isCheckedKeyword(_ code: [UInt8], endingAt index: Int) -> Bool {
        let word = Array(code[..<index].suffix { Byte.isIdentifier($0) })
        return word == Array("try".utf8) || word == Array("as".utf8)
    }

    /// Promises that the compiler does not check need their reason in a comment close by.
    static func checkReasons(_ source: SwiftSource) -> [Violation] {
        ["@unchecked Sendable", "nonisolated(unsafe)", "unowned(unsafe)"].flatMap { promise in
            source.offsets(of: promise).compactMap { offset -> Violation? in
                let line = source.line(at: offset)
                let near = (line - reasonDistance)...(line + reasonDistance)
                if near.contains(where: source.commentLines.contains) { return nil }
                return source.violation(at: offset, "\(promise) without its reason in a comment beside it")
            }
        }
    }

    /// Names that say nothing, access beyond the package, and notes to oneself.
    static func checkWording(_ source: SwiftSource) -> [Violation] {
        var violations = source.offsets(of: "public").map { source.violation(at: $0, "public: share with package") }
        for type in Declarations.topLevelTypes(in: source) {
            for suffix in ["Manager", "Helper", "Util", "Utils", "Utility"] where type.name.hasSuffix(suffix) {
                violations.append(source.violation(at: type.offset, "\(type.name): a name that says what it does"))
            }
        }
        for (line, text) in source.commentText.sorted(by: { $0.key < $1.key }) {
            for note in ["TODO", "FIXME", "XXX"] where text.contains(note) {
                violations.append(Violation(path: source.path, line: line, message: "\(note) in a comment"))
            }
        }
        return violations
    }
}

extension Collection where Self: BidirectionalCollection {
    /// The longest end of the collection whose elements all satisfy the predicate.
    fileprivate func suffix(_ predicate: (Element) -> Bool) -> SubSequence {
        var start = endIndex
        while start > startIndex, predicate(self[index(before: start)]) { start = index(before: start) }
        return self[start...]
    }
}
