/// A position in a JSON text, and the tokens from there. Reads nothing outside the text; allocates nothing.
struct JSONReader {
    let start: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>
    var cursor: UnsafePointer<UInt8>
    /// Why the last function that returned nil or false did so.
    var failure = OTLPJSONError.Reason.unexpectedEnd

    init(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) {
        self.start = start
        self.end = end
        cursor = start
    }

    @inline(__always)
    mutating func fail(_ reason: OTLPJSONError.Reason) -> Bool {
        failure = reason
        return false
    }

    /// The next byte that is not white space, without taking it; 0 at the end of the text.
    @inline(__always)
    mutating func peek() -> UInt8 {
        while cursor < end {
            let byte = cursor.pointee
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            cursor += 1
        }
        return 0
    }

    /// Takes `byte`, after white space.
    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        if peek() == byte, cursor < end {
            cursor += 1
            return true
        }
        return fail(cursor < end ? .unexpectedCharacter : .unexpectedEnd)
    }

    /// Takes a literal name such as `null`.
    mutating func take(name: StaticString) -> Bool {
        for position in 0..<name.utf8CodeUnitCount {
            guard cursor < end else { return fail(.unexpectedEnd) }
            guard cursor.pointee == name.utf8Start[position] else { return fail(.unexpectedCharacter) }
            cursor += 1
        }
        return true
    }

    /// Takes `null` when it is next.
    @inline(__always)
    mutating func takeNull() -> Bool {
        guard peek() == UInt8(ascii: "n") else { return false }
        let before = cursor
        if take(name: "null") { return true }
        cursor = before
        return false
    }

    // MARK: - Strings

    /// Takes a string, with its quotes, and checks that it is UTF-8.
    mutating func takeString() -> JSONStringToken? {
        guard peek() == UInt8(ascii: "\""), cursor < end else {
            _ = fail(cursor < end ? .wrongType : .unexpectedEnd)
            return nil
        }
        cursor += 1
        let first = cursor
        var hasEscapes = false
        var isASCII = true
        while true {
            skipPlain()
            guard cursor < end else {
                _ = fail(.unexpectedEnd)
                return nil
            }
            let byte = cursor.pointee
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                // What follows may be a quote; at the end of the text the loop notices.
                cursor += end - cursor >= 2 ? 2 : 1
            } else if byte >= 0x80 {
                isASCII = false
                while cursor < end, cursor.pointee >= 0x80 { cursor += 1 }
            } else {
                _ = fail(.invalidString)
                return nil
            }
        }
        let count = cursor - first
        cursor += 1
        if !isASCII, !isValidUTF8(first, count: count) {
            cursor = first
            _ = fail(.invalidUTF8)
            return nil
        }
        return JSONStringToken(start: first, count: count, hasEscapes: hasEscapes)
    }

    /// Moves to the next quote, backslash, control character or byte beyond ASCII, or to the end.
    @inline(__always)
    private mutating func skipPlain() {
        while end - cursor >= 16 {
            let chunk = UnsafeRawPointer(cursor).loadUnaligned(as: SIMD16<UInt8>.self)
            // The high bit of each such byte.
            let hits = ((chunk &- 0x20) | ((chunk ^ 0x22) &- 1) | ((chunk ^ 0x5C) &- 1) | chunk) & 0x80
            let words = unsafeBitCast(hits, to: SIMD2<UInt64>.self)
            if words[0] != 0 {
                cursor += words[0].trailingZeroBitCount >> 3
                return
            }
            if words[1] != 0 {
                cursor += 8 &+ words[1].trailingZeroBitCount >> 3
                return
            }
            cursor += 16
        }
        while cursor < end {
            let byte = cursor.pointee
            if byte < 0x20 || byte == 0x22 || byte == 0x5C || byte >= 0x80 { return }
            cursor += 1
        }
    }

    // MARK: - Numbers

    /// Takes a number.
    mutating func takeNumber() -> JSONNumberToken? {
        guard let number = JSONNumberToken(&cursor, end) else {
            _ = fail(cursor < end ? .invalidNumber : .unexpectedEnd)
            return nil
        }
        return number
    }

    // MARK: - Values that nobody wants

    /// Takes any value, checking its form.
    mutating func skipValue(depth: Int) -> Bool {
        switch peek() {
        case UInt8(ascii: "{"):
            guard depth > 0 else { return fail(.tooDeep) }
            cursor += 1
            if peek() == UInt8(ascii: "}") { return take(UInt8(ascii: "}")) }
            repeat {
                guard let key = takeString(), checkEscapes(key) else { return false }
                guard take(UInt8(ascii: ":")), skipValue(depth: depth - 1) else { return false }
            } while takeComma()
            return take(UInt8(ascii: "}"))
        case UInt8(ascii: "["):
            guard depth > 0 else { return fail(.tooDeep) }
            cursor += 1
            if peek() == UInt8(ascii: "]") { return take(UInt8(ascii: "]")) }
            repeat {
                guard skipValue(depth: depth - 1) else { return false }
            } while takeComma()
            return take(UInt8(ascii: "]"))
        case UInt8(ascii: "\""):
            guard let text = takeString() else { return false }
            return checkEscapes(text)
        case UInt8(ascii: "t"): return take(name: "true")
        case UInt8(ascii: "f"): return take(name: "false")
        case UInt8(ascii: "n"): return take(name: "null")
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return takeNumber() != nil
        default: return fail(cursor < end ? .unexpectedCharacter : .unexpectedEnd)
        }
    }

    /// Takes a comma when it is next.
    @inline(__always)
    mutating func takeComma() -> Bool {
        guard peek() == UInt8(ascii: ",") else { return false }
        cursor += 1
        return true
    }

    private mutating func checkEscapes(_ text: JSONStringToken) -> Bool {
        guard text.hasEscapes, let problem = text.unescape({ _, _ in }) else { return true }
        return fail(problem)
    }
}
