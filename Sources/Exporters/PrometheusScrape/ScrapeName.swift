/// How names that are not of the legacy character set are shown to a scraper: the values of `escaping`.
enum ScrapeEscaping: String, CaseIterable {
    /// As they are, in quotes.
    case allowUTF8 = "allow-utf-8"
    case underscores
    case dots
    case values
}

/// Names of metrics and labels in text formats.
enum ScrapeName {
    private static let underscore = UInt8(ascii: "_")

    /// Whether a name may stand without quotes.
    static func isLegacy(_ name: some Collection<UInt8>) -> Bool {
        guard let first = name.first, isLegacy(first, isFirst: true) else { return false }
        return name.allSatisfy { isLegacy($0, isFirst: false) }
    }

    /// Whether a byte may stand in a name without quotes.
    private static func isLegacy(_ byte: UInt8, isFirst: Bool) -> Bool {
        byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte == underscore || byte == UInt8(ascii: ":")
            || !isFirst && byte >= 0x30 && byte <= 0x39
    }

    /// The name with each character that is not allowed as `_`.
    static func underscores(_ name: some Collection<UInt8>) -> [UInt8] { escaped(name, .underscores) }

    /// The name as `escaping` has it; `allowUTF8` changes nothing.
    static func escaped(_ name: some Collection<UInt8>, _ escaping: ScrapeEscaping) -> [UInt8] {
        if escaping == .allowUTF8 || escaping != .dots && isLegacy(name) { return Array(name) }
        var result: [UInt8] = escaping == .values ? Array("U__".utf8) : []
        var isFirst = true
        for scalar in String(decoding: name, as: UTF8.self).unicodeScalars {
            let byte = UInt8(exactly: scalar.value)
            let isAllowed = byte.map { isLegacy($0, isFirst: isFirst) } ?? false
            isFirst = false
            switch escaping {
            case .underscores, .allowUTF8: result.append(isAllowed ? byte ?? underscore : underscore)
            case .dots:
                if scalar == "." {
                    result += Array("_dot_".utf8)
                } else if isAllowed, scalar != "_", let byte {
                    result.append(byte)
                } else {
                    result += [underscore, underscore]
                }
            case .values:
                if scalar == "_" {
                    result += [underscore, underscore]
                } else if isAllowed, let byte {
                    result.append(byte)
                } else {
                    result += [underscore] + Array(String(scalar.value, radix: 16).utf8) + [underscore]
                }
            }
        }
        return result
    }
}
