/// How well a name is matched; the greatest wins: whole-name patterns before prefixes before parts, then more literals.
struct MatchRank: Comparable, Sendable {
    /// 3: anchored at both ends, 2: at the start, 1: elsewhere.
    let anchors: UInt8
    /// Characters of the pattern that a match must contain literally.
    let literals: UInt16

    static func < (left: MatchRank, right: MatchRank) -> Bool {
        (left.anchors, left.literals) < (right.anchors, right.literals)
    }
}

/// A regular expression over model names, ignoring ASCII case, with search semantics (a match anywhere, `^` and `$` for
/// the ends) and alternatives between top-level `|` that rank apart.
///
/// The syntax is the part of RE2's that is decidable byte by byte: literals, `.`, `[…]`, `\d \w \s` and their opposites,
/// groups, `|`, `? * + {n} {n,m}`. Look-around, back-references and the like are refused. Matching takes time in
/// proportion to pattern × name, whatever they are.
package struct NamePattern: Sendable {
    /// Bytes of a pattern.
    package static let maximumLength = 4096

    /// Why a pattern is refused; a sentence part.
    package struct Malformed: Error, Sendable, CustomStringConvertible {
        /// The reason.
        package let description: String
    }

    private struct Alternative: Sendable {
        let rank: MatchRank
        let isEndAnchored: Bool
        let program: PatternProgram
    }

    private let alternatives: [Alternative]

    /// Compiles a pattern.
    package init(_ text: some StringProtocol) throws(Malformed) {
        try self.init(Array(text.utf8))
    }

    init(_ text: [UInt8]) throws(Malformed) {
        guard text.count <= Self.maximumLength else {
            throw Malformed(description: "it is longer than \(Self.maximumLength) bytes")
        }
        var parser = PatternParser(text)
        var compiled: [Alternative] = []
        for node in try parser.alternatives() {
            let program = try PatternProgram(node)
            var isStart = false
            var isEnd = false
            if case .sequence(let parts) = node {
                if case .start? = parts.first { isStart = true }
                if case .end? = parts.last { isEnd = true }
            }
            let rank = MatchRank(
                anchors: isStart && isEnd ? 3 : isStart ? 2 : 1,
                literals: UInt16(clamping: node.literalCount))
            compiled.append(Alternative(rank: rank, isEndAnchored: isEnd, program: program))
        }
        alternatives = compiled
    }

    /// Whether the pattern is found in `name`.
    package func matches(_ name: some StringProtocol) -> Bool { match(Array(name.utf8)) != nil }

    /// The best rank of an alternative that is found in `name` (lower case), and where the longest match of that
    /// alternative ends; nil when there is none.
    func match(_ name: [UInt8]) -> (rank: MatchRank, end: Int)? {
        var best: (rank: MatchRank, end: Int)?
        for alternative in alternatives {
            if let found = best, found.rank >= alternative.rank { continue }
            if let end = alternative.program.longestEnd(in: name) { best = (alternative.rank, end) }
        }
        return best
    }
}

/// What a pattern means.
indirect enum PatternNode: Sendable {
    case byte(UInt8)
    case set(ByteSet)
    case start
    case end
    case sequence([PatternNode])
    case choice([PatternNode])
    case repetition(PatternNode, atLeast: Int, atMost: Int?)

    /// Literal characters that every match has.
    var literalCount: Int {
        switch self {
        case .byte: 1
        case .set, .start, .end: 0
        case .sequence(let parts): parts.reduce(0) { min($0 + $1.literalCount, 1 << 20) }
        case .choice(let parts): parts.map(\.literalCount).min() ?? 0
        case .repetition(let node, let atLeast, _): min(node.literalCount * atLeast, 1 << 20)
        }
    }
}

/// A set of bytes.
struct ByteSet: Sendable, Equatable {
    private var low: UInt128 = 0
    private var high: UInt128 = 0

    static let all = ByteSet().inverted()

    mutating func insert(_ range: ClosedRange<UInt8>) {
        for byte in range {
            if byte < 128 { low |= 1 << UInt128(byte) } else { high |= 1 << UInt128(byte - 128) }
        }
    }

    mutating func formUnion(_ other: ByteSet) {
        low |= other.low
        high |= other.high
    }

    func inverted() -> ByteSet {
        var result = ByteSet()
        result.low = ~low
        result.high = ~high
        return result
    }

    func contains(_ byte: UInt8) -> Bool {
        byte < 128 ? low >> UInt128(byte) & 1 == 1 : high >> UInt128(byte - 128) & 1 == 1
    }

    /// Capital letters stand for small ones, since names are compared in lower case.
    func foldedToLowerCase() -> ByteSet {
        var result = self
        for byte in UInt8(ascii: "A")...UInt8(ascii: "Z") where contains(byte) {
            result.insert((byte | 0x20)...(byte | 0x20))
        }
        return result
    }
}
