/// A scalar's text cut into literal parts and `${…}` references.
///
/// `$$` is a dollar; `${` opens a reference that ends at its own `}`, references inside counted; `$NAME` is refused
/// in configuration text, because it looks like a reference and is none; any other `$` stands for itself, as do all
/// malformed forms in the values of environment variables and files, which may be passwords.
struct SubstitutionText {
    enum Part {
        case text(String)
        case reference(Reference)
    }

    struct Reference {
        /// `env`, `file`, `yaml`, or another that the evaluation refuses.
        var scheme: String
        /// What follows the scheme, up to the default.
        var target: [Part]
        /// What follows `:-`; nil without one.
        var fallback: [Part]?
        /// The text between `${` and `}` as it is written.
        var written: String
    }

    /// A malformed text; the message says how to write it.
    struct Malformed: Error {
        var message: String
    }

    private let bytes: ArraySlice<UInt8>
    private let isStrict: Bool
    /// For the `$` of each `${` that is closed, the index of its `}`.
    private let closings: [Int: Int]

    /// The parts of `text`, in order. `isStrict` is false for the values of variables and files.
    static func parts(of text: String, isStrict: Bool) throws(Malformed) -> [Part] {
        let bytes = ArraySlice(text.utf8)
        return try SubstitutionText(bytes: bytes, isStrict: isStrict, closings: closings(in: bytes)).parts(depth: 0)
    }

    /// Pairs every `${` with its `}` in one pass, so that unclosed ones cost no search each.
    private static func closings(in bytes: ArraySlice<UInt8>) -> [Int: Int] {
        var result: [Int: Int] = [:]
        var open: [Int] = []
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let next = at + 1 < bytes.endIndex ? bytes[at + 1] : 0
            if bytes[at] == UInt8(ascii: "$"), next == UInt8(ascii: "$") || next == UInt8(ascii: "{") {
                if next == UInt8(ascii: "{") { open.append(at) }
                at += 2
                continue
            }
            if bytes[at] == UInt8(ascii: "}"), let start = open.popLast() { result[start] = at }
            at += 1
        }
        return result
    }

    private func parts(depth: Int) throws(Malformed) -> [Part] {
        guard depth <= ConfigLimits.maximumSubstitutionDepth else {
            throw Malformed(
                message: "\"${\" is nested more than \(ConfigLimits.maximumSubstitutionDepth) deep")
        }
        var parts: [Part] = []
        var literal: [UInt8] = []
        var at = bytes.startIndex
        func flush() {
            if !literal.isEmpty { parts.append(.text(String(decoding: literal, as: UTF8.self))) }
            literal.removeAll(keepingCapacity: true)
        }
        while at < bytes.endIndex {
            let byte = bytes[at]
            let next = at + 1 < bytes.endIndex ? bytes[at + 1] : 0
            guard byte == UInt8(ascii: "$") else {
                literal.append(byte)
                at += 1
                continue
            }
            switch next {
            case UInt8(ascii: "$"):
                literal.append(byte)
                at += 2
            case UInt8(ascii: "{"):
                guard let end = closings[at] else {
                    if isStrict { throw Malformed(message: "\"${\" has no \"}\"; write \"$$\" for a dollar sign") }
                    literal.append(byte)
                    at += 1
                    continue
                }
                flush()
                parts.append(.reference(try reference(bytes[(at + 2)..<end], depth: depth + 1)))
                at = end + 1
            case let letter where isStrict && (SubstitutionScheme.isLetter(letter) || letter == UInt8(ascii: "_")):
                throw Malformed(message: bareVariable(from: at + 1))
            default:
                literal.append(byte)
                at += 1
            }
        }
        flush()
        return parts
    }

    private func bareVariable(from start: Int) -> String {
        let name = bytes[start...].prefix {
            SubstitutionScheme.isLetter($0) || SubstitutionScheme.isDigit($0) || $0 == UInt8(ascii: "_")
        }
        let text = printable(String(decoding: name, as: UTF8.self))
        return "\"$\(text)\" is not expanded; write \"${env:\(text)}\" for the variable or \"$$\(text)\" for the text"
    }

    private func reference(_ content: ArraySlice<UInt8>, depth: Int) throws(Malformed) -> Reference {
        let written = String(decoding: content, as: UTF8.self)
        var (scheme, target) = (String?.none, content)
        let (found, _) = SubstitutionScheme.cut(written)
        // `${NAME:-default}` has no scheme, although `NAME:` looks like one.
        if let found {
            let rest = content.dropFirst(found.utf8.count + 1)
            if SubstitutionScheme.supported.contains(found) || rest.first != UInt8(ascii: "-") {
                (scheme, target) = (found, rest)
            }
        }
        var fallback: ArraySlice<UInt8>?
        if scheme == nil || scheme == "env", let split = defaultSeparator(in: target) {
            fallback = target[(split + 2)...]
            target = target[..<split]
        }
        func inner(_ slice: ArraySlice<UInt8>) throws(Malformed) -> [Part] {
            try SubstitutionText(bytes: slice, isStrict: isStrict, closings: closings).parts(depth: depth)
        }
        var fallbackParts: [Part]?
        if let fallback { fallbackParts = try inner(fallback) }
        return Reference(
            scheme: scheme ?? "env", target: try inner(target), fallback: fallbackParts, written: written)
    }

    /// The index of the first `:-` outside inner references.
    private func defaultSeparator(in slice: ArraySlice<UInt8>) -> Int? {
        var at = slice.startIndex
        while at + 1 < slice.endIndex {
            if slice[at] == UInt8(ascii: "$"), slice[at + 1] == UInt8(ascii: "{") {
                at = (closings[at] ?? at + 1) + 1
                continue
            }
            if slice[at] == UInt8(ascii: ":"), slice[at + 1] == UInt8(ascii: "-") { return at }
            at += 1
        }
        return nil
    }
}
