/// One line of a mapping file, cut into words.
struct MappingLine {
    /// Counted from 1.
    var number: Int
    /// Headers stand at the beginning of the line, their entries are indented.
    var isHeader: Bool
    var words: [[UInt8]]

    /// The lines that say something. Words are parted by blanks; quotes hold a word with blanks together; `#` before a
    /// blank begins a comment.
    static func lines(of text: ArraySlice<UInt8>) -> [MappingLine] {
        var lines: [MappingLine] = []
        var number = 0
        for raw in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let words = words(of: raw)
            guard let first = raw.first, !words.isEmpty else { continue }
            lines.append(MappingLine(number: number, isHeader: !isBlank(first), words: words))
        }
        return lines
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

    private static func words(of line: ArraySlice<UInt8>) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var rest = line
        while true {
            rest = rest.drop(while: isBlank)
            guard let first = rest.first else { return words }
            if first == UInt8(ascii: "#") {
                let next = rest.dropFirst().first
                if next.map(isBlank) ?? true { return words }
            }
            if first == UInt8(ascii: "\"") {
                let word = rest.dropFirst().prefix { $0 != UInt8(ascii: "\"") }
                words.append(Array(word))
                rest = rest[word.endIndex...].dropFirst()
            } else {
                let word = rest.prefix { !isBlank($0) }
                words.append(Array(word))
                rest = rest[word.endIndex...]
            }
        }
    }

    func fault(_ message: String) -> MappingError { MappingError(line: number, message: message) }

    /// A word as text, for messages; empty when there is none.
    func text(_ index: Int) -> String {
        index < words.count ? String(decoding: words[index], as: UTF8.self) : ""
    }

    /// What follows `name=` in some word after the first `skipped`.
    func option(_ name: String, after skipped: Int = 1) -> [UInt8]? {
        let start = Array("\(name)=".utf8)
        return words.dropFirst(skipped).first { $0.starts(with: start) }.map { Array($0.dropFirst(start.count)) }
    }

    /// All options `name=`.
    func options(_ name: String) -> [[UInt8]] {
        let start = Array("\(name)=".utf8)
        return words.dropFirst().filter { $0.starts(with: start) }.map { Array($0.dropFirst(start.count)) }
    }

    /// Refuses words after the first `count` that are not among `options` (`name=` with the sign, or a bare word).
    func check(after count: Int, options: [String]) throws(MappingError) {
        for word in words.dropFirst(count) {
            let text = String(decoding: word, as: UTF8.self)
            let name = word.firstIndex(of: UInt8(ascii: "=")).map {
                String(decoding: word[...$0], as: UTF8.self)
            }
            if options.contains(name ?? text) { continue }
            let known = options.isEmpty ? "nothing" : options.joined(separator: ", ")
            throw fault("\"\(text)\" is unknown here; expected: \(known)")
        }
    }
}
