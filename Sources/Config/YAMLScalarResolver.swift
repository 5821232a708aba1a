/// Decides what a plain scalar means: the rules of Go's yaml.v3 decoding into an untyped value, which otelcol follows.
/// That is the YAML 1.2 core schema, with `_` between digits, `0b`, and `010` as octal; `yes` and `on` are strings.
/// Unlike yaml.v3, dates stay strings.
enum YAMLScalarResolver {
    /// The meaning of `text` written without quotes and without a tag.
    static func resolve(_ text: String) -> ConfigScalar.Value {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".nan", ".NaN", ".NAN": return .float(.nan)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .float(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .float(-.infinity)
        default: return number(text) ?? .string
        }
    }

    /// The number that `text` spells, or nil.
    private static func number(_ text: String) -> ConfigScalar.Value? {
        var bytes = text.utf8
        guard let first = bytes.first else { return nil }
        let isDigit = UInt8(ascii: "0")...UInt8(ascii: "9") ~= first
        guard isDigit || first == UInt8(ascii: "+") || first == UInt8(ascii: "-") || first == UInt8(ascii: ".") else {
            return nil
        }
        // No number of use is longer, and the bound keeps a megabyte of digits cheap.
        guard bytes.count <= 400 else { return nil }
        let plain = text.contains("_") ? String(text.filter { $0 != "_" }) : text
        if first != UInt8(ascii: "."), let integer = integer(plain) { return .int(integer) }
        bytes = plain.utf8
        guard isFloat(bytes), let value = Double(plain), value.isFinite else { return nil }
        return .float(value)
    }

    private static func integer(_ text: String) -> Int64? {
        var digits = Substring(text)
        var sign = ""
        if let first = digits.first, first == "-" || first == "+" {
            sign = first == "-" ? "-" : ""
            digits = digits.dropFirst()
        }
        var radix = 10
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
            radix = 16
        } else if digits.hasPrefix("0o") || digits.hasPrefix("0O") {
            radix = 8
        } else if digits.hasPrefix("0b") || digits.hasPrefix("0B") {
            radix = 2
        }
        if radix != 10 {
            digits = digits.dropFirst(2)
        } else if digits.utf8.count > 1, digits.utf8.first == UInt8(ascii: "0") {
            radix = 8
            digits = digits.dropFirst()
        }
        // `Int64(_:radix:)` would take a second sign.
        guard let first = digits.first, first != "-", first != "+" else { return nil }
        return Int64(sign + digits, radix: radix)
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
    private static func isFloat(_ bytes: String.UTF8View) -> Bool {
        var rest = bytes[...]
        func skipSign() {
            if let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
                rest = rest.dropFirst()
            }
        }
        func skipDigits() -> Int {
            let before = rest.count
            rest = rest.drop { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            return before - rest.count
        }
        skipSign()
        let whole = skipDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            let fraction = skipDigits()
            if whole == 0, fraction == 0 { return false }
        } else if whole == 0 {
            return false
        }
        if let first = rest.first, first == UInt8(ascii: "e") || first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            skipSign()
            if skipDigits() == 0 { return false }
        }
        return rest.isEmpty
    }
}
