/// Recursive descent over a pattern's text. Nesting is bounded, so that no text exhausts the stack.
struct PatternParser {
    private static let maximumNesting = 32
    private static let maximumRepetitions = 255

    private let text: [UInt8]
    private var at = 0

    init(_ text: [UInt8]) { self.text = text }

    /// The top-level alternatives of the whole text.
    mutating func alternatives() throws(NamePattern.Malformed) -> [PatternNode] {
        // Case is ignored anyway.
        if text.starts(with: Array("(?i)".utf8)) { at = 4 }
        var parts = [try sequence(nesting: 0)]
        while accept("|") { parts.append(try sequence(nesting: 0)) }
        guard at == text.count else { throw malformed("there is a ) without its (") }
        return parts
    }

    private func malformed(_ reason: String) -> NamePattern.Malformed { NamePattern.Malformed(description: reason) }

    private var peek: UInt8? { at < text.count ? text[at] : nil }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func sequence(nesting: Int) throws(NamePattern.Malformed) -> PatternNode {
        var parts: [PatternNode] = []
        while let byte = peek, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            let node = try atom(nesting: nesting)
            parts.append(try quantified(node))
        }
        return .sequence(parts)
    }

    private mutating func atom(nesting: Int) throws(NamePattern.Malformed) -> PatternNode {
        let byte = text[at]
        at += 1
        switch byte {
        case UInt8(ascii: "^"): return .start
        case UInt8(ascii: "$"): return .end
        case UInt8(ascii: "."): return .set(.all)
        case UInt8(ascii: "("): return try group(nesting: nesting)
        case UInt8(ascii: "["): return .set(try characterClass())
        case UInt8(ascii: "\\"):
            switch try escape() {
            case .byte(let literal): return .byte(Self.lowered(literal))
            case .set(let set): return .set(set)
            }
        case UInt8(ascii: "?"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "{"):
            throw malformed("there is nothing that a \(Character(Unicode.Scalar(byte))) could repeat")
        default: return .byte(Self.lowered(byte))
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    private mutating func group(nesting: Int) throws(NamePattern.Malformed) -> PatternNode {
        guard nesting < Self.maximumNesting else { throw malformed("groups are nested too deeply") }
        if accept("?"), !accept(":") {
            throw malformed("(?… is supported only as (?:…), and (?i) at the start; there is no look-around")
        }
        var parts = [try sequence(nesting: nesting + 1)]
        while accept("|") { parts.append(try sequence(nesting: nesting + 1)) }
        guard accept(")") else { throw malformed("a ( has no )") }
        return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func quantified(_ node: PatternNode) throws(NamePattern.Malformed) -> PatternNode {
        let result: PatternNode
        if accept("?") {
            result = .repetition(node, atLeast: 0, atMost: 1)
        } else if accept("*") {
            result = .repetition(node, atLeast: 0, atMost: nil)
        } else if accept("+") {
            result = .repetition(node, atLeast: 1, atMost: nil)
        } else if accept("{") {
            guard let atLeast = try number() else { throw malformed("{ needs a number, as in {8} or {1,3}") }
            var atMost: Int? = atLeast
            if accept(",") { atMost = try number() }
            guard accept("}") else { throw malformed("a { has no }") }
            if let atMost, atMost < atLeast { throw malformed("{\(atLeast),\(atMost)} ends before it starts") }
            result = .repetition(node, atLeast: atLeast, atMost: atMost)
        } else {
            return node
        }
        // Laziness does not change whether there is a match.
        _ = accept("?")
        if let next = peek, "?*+{".utf8.contains(next) { throw malformed("a repetition is repeated; use a group") }
        return result
    }

    private mutating func number() throws(NamePattern.Malformed) -> Int? {
        var value: Int?
        while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            let next = (value ?? 0) * 10 + Int(byte - UInt8(ascii: "0"))
            guard next <= Self.maximumRepetitions else {
                throw malformed("more than \(Self.maximumRepetitions) repetitions")
            }
            value = next
            at += 1
        }
        return value
    }

    private enum Escaped {
        case byte(UInt8)
        case set(ByteSet)
    }

    /// What follows a backslash.
    private mutating func escape() throws(NamePattern.Malformed) -> Escaped {
        guard let byte = peek else { throw malformed("it ends in a backslash") }
        at += 1
        var set = ByteSet()
        switch byte | 0x20 {
        case UInt8(ascii: "d"): set.insert(UInt8(ascii: "0")...UInt8(ascii: "9"))
        case UInt8(ascii: "w"):
            set.insert(UInt8(ascii: "0")...UInt8(ascii: "9"))
            set.insert(UInt8(ascii: "a")...UInt8(ascii: "z"))
            set.insert(UInt8(ascii: "_")...UInt8(ascii: "_"))
        case UInt8(ascii: "s"):
            set.insert(9...13)
            set.insert(32...32)
        default:
            let isLetterOrDigit =
                (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
                || ((byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z"))
            guard !isLetterOrDigit else {
                throw malformed("\\\(Character(Unicode.Scalar(byte))) is not supported")
            }
            return .byte(byte)
        }
        return .set(byte & 0x20 == 0 ? set.inverted() : set)
    }

    private mutating func characterClass() throws(NamePattern.Malformed) -> ByteSet {
        var set = ByteSet()
        let isInverted = accept("^")
        var isFirst = true
        while true {
            guard let byte = peek else { throw malformed("a [ has no ]") }
            if byte == UInt8(ascii: "]"), !isFirst { break }
            isFirst = false
            at += 1
            var low = byte
            if byte == UInt8(ascii: "\\") {
                switch try escape() {
                case .byte(let literal): low = literal
                case .set(let members):
                    set.formUnion(members)
                    continue
                }
            }
            guard peek == UInt8(ascii: "-"), at + 1 < text.count, text[at + 1] != UInt8(ascii: "]") else {
                set.insert(low...low)
                continue
            }
            at += 1
            var high = text[at]
            at += 1
            if high == UInt8(ascii: "\\") {
                guard case .byte(let literal) = try escape() else { throw malformed("a range ends in a class") }
                high = literal
            }
            guard low <= high else { throw malformed("a range in [ ] ends before it starts") }
            set.insert(low...high)
        }
        at += 1
        // Folding comes first: [^A] must not accept a.
        let folded = set.foldedToLowerCase()
        return isInverted ? folded.inverted() : folded
    }
}
