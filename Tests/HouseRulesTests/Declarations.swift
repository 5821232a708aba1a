/// Finds declarations in blanked code. It knows braces and keywords, not the grammar; that is enough for house rules.
enum Declarations {
    private static let typeKeywords = ["struct", "class", "enum", "actor", "protocol", "typealias"]
    private static let declarationKeywords: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "class", "enum", "actor", "protocol",
        "extension", "typealias", "associatedtype", "import", "static", "package", "private", "fileprivate", "mutating",
    ]

    /// Types declared at brace depth 0.
    static func topLevelTypes(in source: SwiftSource) -> [(name: String, offset: Int)] {
        let depths = braceDepths(source.code)
        return typeKeywords.flatMap { keyword in
            source.offsets(of: keyword).compactMap { offset -> (name: String, offset: Int)? in
                guard depths[offset] == 0 else { return nil }
                let name = word(in: source.code, after: offset + keyword.utf8.count)
                return name.isEmpty ? nil : (name, offset)
            }
        }.sorted { $0.offset < $1.offset }
    }

    /// Functions and initialisers with a body, from the line of the keyword to that of the closing brace.
    static func functionLengths(in source: SwiftSource) -> [(name: String, offset: Int, lines: Int)] {
        var found: [(name: String, offset: Int, lines: Int)] = []
        for keyword in ["func", "init", "deinit", "subscript"] {
            for offset in source.offsets(of: keyword) {
                if offset > 0 && source.code[offset - 1] == UInt8(ascii: ".") { continue }
                guard let (open, close) = body(in: source.code, after: offset + keyword.utf8.count) else { continue }
                _ = open
                let name = keyword == "func" ? word(in: source.code, after: offset + 4) : keyword
                found.append((name, offset, source.line(at: close) - source.line(at: offset) + 1))
            }
        }
        return found.sorted { $0.offset < $1.offset }
    }

    /// Functions and types that protocols ask for: their documentation stands there, not at each conformance.
    static func requirements(in source: SwiftSource) -> Set<String> {
        var names: Set<String> = []
        for offset in source.offsets(of: "protocol") {
            guard let braces = body(in: source.code, after: offset + 8) else { continue }
            for keyword in ["func", "associatedtype"] {
                for member in source.offsets(of: keyword) where braces.open < member && member < braces.close {
                    names.insert(word(in: source.code, after: member + keyword.utf8.count))
                }
            }
        }
        return names
    }

    /// `package` and `public` types and functions that no documentation comment precedes. Attribute lines between the
    /// comment and the declaration are skipped, and so are members that fulfil one of the `requirements`.
    static func undocumented(in source: SwiftSource, requirements: Set<String> = []) -> [Violation] {
        let depths = braceDepths(source.code)
        return ["package", "public"].flatMap { access in
            source.offsets(of: access).compactMap { offset -> Violation? in
                let line = source.line(at: offset)
                let words = String(decoding: source.codeLine(line), as: UTF8.self).split { !isNameCharacter($0) }
                guard let keyword = words.first(where: { declaredKinds.contains(String($0)) }) else { return nil }
                guard !words.contains("import"), !words.contains("extension") else { return nil }
                if depths[offset] > 0, let at = words.firstIndex(of: keyword), at + 1 < words.endIndex,
                    requirements.contains(String(words[at + 1]))
                {
                    return nil
                }
                var above = line - 1
                while above > 0 && isAttributeLine(source, above) { above -= 1 }
                if above > 0 && source.documentationLines.contains(above) { return nil }
                return source.violation(at: offset, "\(access) \(keyword) has no documentation comment")
            }
        }
    }

    private static let declaredKinds: Set<String> = [
        "struct", "class", "enum", "actor", "protocol", "typealias", "func",
    ]

    private static func isNameCharacter(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }

    private static func isAttributeLine(_ source: SwiftSource, _ line: Int) -> Bool {
        source.codeLine(line).first { $0 != Byte.space } == UInt8(ascii: "@")
    }

    /// How many braces are open before each byte.
    private static func braceDepths(_ code: [UInt8]) -> [Int] {
        var depth = 0
        return code.map { byte in
            let before = depth
            if byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "}") { depth -= 1 }
            return before
        }
    }

    /// The identifier that follows, after spaces; empty when something else follows.
    static func word(in code: [UInt8], after start: Int) -> String {
        let from = code[start...].firstIndex { $0 != Byte.space && $0 != Byte.newline } ?? code.endIndex
        return String(decoding: code[from...].prefix { Byte.isIdentifier($0) }, as: UTF8.self)
    }

    /// The braces of the body that belongs to a signature, or nil when the next declaration comes first.
    private static func body(in code: [UInt8], after start: Int) -> (open: Int, close: Int)? {
        var position = start
        var nesting = 0
        while position < code.count {
            switch code[position] {
            case UInt8(ascii: "("), UInt8(ascii: "["): nesting += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): nesting -= 1
            case UInt8(ascii: "{") where nesting == 0:
                return matching(in: code, open: position).map { (position, $0) }
            case UInt8(ascii: "}") where nesting == 0: return nil
            case UInt8(ascii: "a")...UInt8(ascii: "z") where nesting == 0 && !Byte.isIdentifier(code[position - 1]):
                let word = word(in: code, after: position)
                if declarationKeywords.contains(word) { return nil }
                position += word.utf8.count - 1
            default: break
            }
            if nesting < 0 { return nil }
            position += 1
        }
        return nil
    }

    private static func matching(in code: [UInt8], open: Int) -> Int? {
        var depth = 0
        for position in open..<code.count {
            if code[position] == UInt8(ascii: "{") { depth += 1 }
            if code[position] == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return position }
            }
        }
        return nil
    }
}
