/// A JSON value with numbers as they are written, so that prices stay exact. For price files on disk, not for telemetry.
indirect enum PriceJSON: Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([PriceJSON])
    /// In the order of the text.
    case object([(key: String, value: PriceJSON)])

    /// Why a text is no JSON; with the line it is on.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    /// The value under the first `key` of an object.
    subscript(key: String) -> PriceJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The text of a string.
    var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The text of a number, or of a string that may hold one.
    var figure: String? {
        switch self {
        case .number(let text), .string(let text): text
        default: nil
        }
    }

    /// The elements of an array; none for anything else.
    var elements: [PriceJSON] {
        if case .array(let elements) = self { return elements }
        return []
    }

    /// The members of an object; none for anything else.
    var members: [(key: String, value: PriceJSON)] {
        if case .object(let members) = self { return members }
        return []
    }

    /// Reads one document.
    init(parsing bytes: [UInt8]) throws(Malformed) {
        var reader = PriceJSONReader(bytes)
        self = try reader.document()
    }
}

/// Reads JSON text. Strict, but for what follows from UTF-8: invalid sequences become U+FFFD.
struct PriceJSONReader {
    private static let maximumNesting = 64

    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(PriceJSON.Malformed) -> PriceJSON {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        let value = try value(nesting: 0)
        skipSpace()
        guard at == bytes.count else { throw malformed("something follows the value") }
        return value
    }

    private func malformed(_ reason: String) -> PriceJSON.Malformed {
        let line = bytes[..<min(at, bytes.count)].count { $0 == UInt8(ascii: "\n") } + 1
        return PriceJSON.Malformed(description: "line \(line): \(reason)")
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func value(nesting: Int) throws(PriceJSON.Malformed) -> PriceJSON {
        guard nesting < Self.maximumNesting else { throw malformed("values are nested too deeply") }
        skipSpace()
        guard at < bytes.count else { throw malformed("the text ends in the middle of a value") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(nesting: nesting)
        case UInt8(ascii: "["): return try array(nesting: nesting)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ text: String, _ value: PriceJSON) throws(PriceJSON.Malformed) -> PriceJSON {
        guard bytes[at...].starts(with: text.utf8) else { throw malformed("this is no JSON value") }
        at += text.utf8.count
        return value
    }

    private mutating func number() throws(PriceJSON.Malformed) -> PriceJSON {
        let start = at
        while at < bytes.count, "+-.0123456789eE".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        guard at > start, Double(text) != nil else { throw malformed("this is no JSON value") }
        return .number(text)
    }

    private mutating func object(nesting: Int) throws(PriceJSON.Malformed) -> PriceJSON {
        at += 1
        var members: [(key: String, value: PriceJSON)] = []
        if accept("}") { return .object(members) }
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw malformed("a key must be a string") }
            let key = try string()
            guard accept(":") else { throw malformed("a colon must follow the key") }
            members.append((key, try value(nesting: nesting + 1)))
        } while accept(",")
        guard accept("}") else { throw malformed("an object has no }") }
        return .object(members)
    }

    private mutating func array(nesting: Int) throws(PriceJSON.Malformed) -> PriceJSON {
        at += 1
        var elements: [PriceJSON] = []
        if accept("]") { return .array(elements) }
        repeat { elements.append(try value(nesting: nesting + 1)) } while accept(",")
        guard accept("]") else { throw malformed("an array has no ]") }
        return .array(elements)
    }

    private mutating func string() throws(PriceJSON.Malformed) -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): text += try escape()
            case 0..<0x20: throw malformed("a string holds a control character")
            default: text.append(byte)
            }
        }
        throw malformed("a string has no end")
    }

    private mutating func escape() throws(PriceJSON.Malformed) -> [UInt8] {
        guard at < bytes.count else { throw malformed("a string has no end") }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "u"):
            let unit = try codeUnit()
            var units = [unit]
            if unit & 0xFC00 == 0xD800, bytes[at...].starts(with: "\\u".utf8) {
                at += 2
                units.append(try codeUnit())
            }
            return Array(String(decoding: units, as: UTF16.self).utf8)
        default: throw malformed("a string has an unknown escape")
        }
    }

    private mutating func codeUnit() throws(PriceJSON.Malformed) -> UInt16 {
        let digits = bytes[at...].prefix(4)
        guard digits.count == 4, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw malformed("\\u needs four hexadecimal digits")
        }
        at += 4
        return unit
    }
}
