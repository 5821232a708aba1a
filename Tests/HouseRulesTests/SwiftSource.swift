/// One place where a rule is broken.
struct Violation: CustomStringConvertible, Equatable {
    let path: String
    /// Counted from 1.
    let line: Int
    let message: String
    var description: String { "\(path):\(line): \(message)" }
}

/// A Swift file in which comments and the text of string literals are blanked, so that rules can search code only.
/// Interpolations stay, because they are code. Regex literals are not recognised: the house does not use them.
struct SwiftSource {
    let path: String
    /// Same length as the file; comments and literal text are spaces, line ends and quotes stay.
    let code: [UInt8]
    /// Offset of each line's first byte.
    let lineStarts: [Int]
    /// Lines, counted from 1, that hold any part of a comment.
    let commentLines: Set<Int>
    /// Lines, counted from 1, that hold any part of a documentation comment.
    let documentationLines: Set<Int>
    /// What the comments say, by line counted from 1.
    let commentText: [Int: String]

    init(path: String, _ text: String) { self.init(path: path, bytes: Array(text.utf8)) }

    init(path: String, bytes: [UInt8]) {
        var lexer = Lexer(bytes)
        lexer.run()
        self.path = path
        code = lexer.output
        lineStarts = [0] + bytes.indices.filter { bytes[$0] == Byte.newline }.map { $0 + 1 }
        commentLines = Set(lexer.comments.keys)
        documentationLines = lexer.documentation
        commentText = lexer.comments.mapValues { String(decoding: $0, as: UTF8.self) }
    }

    /// How many lines the file has; a closing line end does not start another.
    var lineCount: Int { code.last == Byte.newline ? lineStarts.count - 1 : lineStarts.count }

    /// The line, counted from 1, of a byte.
    func line(at offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// The code of a line counted from 1.
    func codeLine(_ number: Int) -> ArraySlice<UInt8> {
        let end = number < lineStarts.count ? lineStarts[number] - 1 : code.count
        return code[lineStarts[number - 1]..<end]
    }

    /// Offsets where `text` stands in the code. With `wholeWord`, no identifier character touches it.
    func offsets(of text: String, wholeWord: Bool = true) -> [Int] {
        let pattern = Array(text.utf8)
        guard let first = pattern.first, let last = pattern.last, code.count >= pattern.count else { return [] }
        return (0...(code.count - pattern.count)).filter { start in
            guard code[start] == first, code[start..<(start + pattern.count)].elementsEqual(pattern) else {
                return false
            }
            guard wholeWord else { return true }
            let end = start + pattern.count
            let touchesBefore = Byte.isIdentifier(first) && start > 0 && Byte.isIdentifier(code[start - 1])
            let touchesAfter = Byte.isIdentifier(last) && end < code.count && Byte.isIdentifier(code[end])
            return !touchesBefore && !touchesAfter
        }
    }

    func violation(at offset: Int, _ message: String) -> Violation {
        Violation(path: path, line: line(at: offset), message: message)
    }
}

/// ASCII that the rules look for.
enum Byte {
    static let newline = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let quote = UInt8(ascii: "\"")
    static let hash = UInt8(ascii: "#")
    static let slash = UInt8(ascii: "/")
    static let star = UInt8(ascii: "*")
    static let backslash = UInt8(ascii: "\\")
    static let openParenthesis = UInt8(ascii: "(")
    static let closeParenthesis = UInt8(ascii: ")")

    static func isIdentifier(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "`"), 0x80...: true
        default: false
        }
    }
}

/// Tells code from comments and literal text.
private struct Lexer {
    private enum Mode {
        /// `parentheses` counts the open ones of an interpolation; nil outside of one.
        case code(parentheses: Int?)
        case string(hashes: Int, multiline: Bool)
    }

    private let input: [UInt8]
    private var position = 0
    private var line = 1
    private var modes: [Mode] = [.code(parentheses: nil)]
    private(set) var output: [UInt8] = []
    private(set) var comments: [Int: [UInt8]] = [:]
    private(set) var documentation: Set<Int> = []

    init(_ input: [UInt8]) { self.input = input }

    private func peek(_ ahead: Int = 0) -> UInt8 {
        position + ahead < input.count ? input[position + ahead] : 0
    }

    private mutating func emit(blank: Bool) {
        let byte = input[position]
        output.append(blank && byte != Byte.newline ? Byte.space : byte)
        if byte == Byte.newline { line += 1 }
        position += 1
    }

    mutating func run() {
        while position < input.count {
            switch modes[modes.count - 1] {
            case .code(let parentheses): lexCode(parentheses)
            case .string(let hashes, let multiline): lexString(hashes, multiline)
            }
        }
    }

    private mutating func lexCode(_ parentheses: Int?) {
        if peek() == Byte.slash && peek(1) == Byte.slash { return lexLineComment() }
        if peek() == Byte.slash && peek(1) == Byte.star { return lexBlockComment() }
        var hashes = 0
        while peek(hashes) == Byte.hash { hashes += 1 }
        if peek(hashes) == Byte.quote { return openString(hashes) }
        let byte = peek()
        emit(blank: false)
        guard let open = parentheses else { return }
        if byte == Byte.openParenthesis { modes[modes.count - 1] = .code(parentheses: open + 1) }
        if byte == Byte.closeParenthesis {
            if open == 1 { modes.removeLast() } else { modes[modes.count - 1] = .code(parentheses: open - 1) }
        }
    }

    private mutating func openString(_ hashes: Int) {
        let multiline = peek(hashes + 1) == Byte.quote && peek(hashes + 2) == Byte.quote
        for _ in 0..<(hashes + (multiline ? 3 : 1)) { emit(blank: false) }
        modes.append(.string(hashes: hashes, multiline: multiline))
    }

    private func closes(_ hashes: Int, _ quotes: Int) -> Bool {
        (0..<quotes).allSatisfy { peek($0) == Byte.quote } && (0..<hashes).allSatisfy { peek(quotes + $0) == Byte.hash }
    }

    private mutating func lexString(_ hashes: Int, _ multiline: Bool) {
        let quotes = multiline ? 3 : 1
        if closes(hashes, quotes) || (!multiline && peek() == Byte.newline) {
            let length = peek() == Byte.newline ? 1 : quotes + hashes
            for _ in 0..<length { emit(blank: false) }
            modes.removeLast()
            return
        }
        if peek() == Byte.backslash && (0..<hashes).allSatisfy({ peek(1 + $0) == Byte.hash }) {
            let escaped = peek(1 + hashes)
            for _ in 0..<(1 + hashes) { emit(blank: true) }
            if position < input.count { emit(blank: escaped != Byte.openParenthesis) }
            if escaped == Byte.openParenthesis { modes.append(.code(parentheses: 1)) }
            return
        }
        emit(blank: true)
    }

    private mutating func noteComment(documentation isDocumentation: Bool) {
        if input[position] != Byte.newline { comments[line, default: []].append(input[position]) }
        if isDocumentation { documentation.insert(line) }
        emit(blank: true)
    }

    private mutating func lexLineComment() {
        let isDocumentation = peek(2) == Byte.slash
        while position < input.count && peek() != Byte.newline { noteComment(documentation: isDocumentation) }
    }

    private mutating func lexBlockComment() {
        let isDocumentation = peek(2) == Byte.star
        var depth = 0
        while position < input.count {
            if peek() == Byte.slash && peek(1) == Byte.star {
                depth += 1
                noteComment(documentation: isDocumentation)
            } else if peek() == Byte.star && peek(1) == Byte.slash {
                depth -= 1
                noteComment(documentation: isDocumentation)
            }
            noteComment(documentation: isDocumentation)
            if depth == 0 { return }
        }
    }
}
