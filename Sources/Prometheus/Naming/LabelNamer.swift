/// Translates attribute keys to label names. For use once for each key, not for each point.
struct LabelNamer {
    private let escapes: Bool
    private let sanitizesLeadingUnderscore: Bool
    private let preservesRuns: Bool

    private static let underscore = UInt8(ascii: "_")

    init(_ options: TranslationOptions) {
        escapes = options.strategy.escapes
        sanitizesLeadingUnderscore = options.sanitizesLeadingUnderscore
        preservesRuns = options.preservesUnderscoreRuns
    }

    /// The label name; nil when the key is empty or nothing but underscores are left of it.
    func name(_ key: UnsafeRawBufferPointer) -> [UInt8]? {
        guard !key.isEmpty else { return nil }
        var name = escapes ? escaped(key) : Array(key)
        guard name.contains(where: { $0 != Self.underscore }) else { return nil }
        guard escapes, let first = name.first else { return name }
        if isDigit(first) {
            name = Array("key_".utf8) + name
        } else if sanitizesLeadingUnderscore, first == Self.underscore, name.count > 1, name[1] != Self.underscore {
            name = Array("key".utf8) + name
        }
        return name
    }

    /// Every character that is not allowed becomes `_`.
    private func escaped(_ key: UnsafeRawBufferPointer) -> [UInt8] {
        var name: [UInt8] = []
        name.reserveCapacity(key.count)
        // A character of several bytes is one character: its further bytes are passed over.
        for byte in key where byte & 0xC0 != 0x80 {
            name.append(isLetter(byte) || isDigit(byte) ? byte : Self.underscore)
        }
        return preservesRuns ? name : Self.collapsed(name)
    }

    /// Runs of `_` become one, but for the two in front and the two at the end of a reserved name.
    private static func collapsed(_ name: [UInt8]) -> [UInt8] {
        let fence = [underscore, underscore]
        let isReserved = name.count > 4 && name.starts(with: fence) && name.suffix(2).elementsEqual(fence)
        var result: [UInt8] = []
        for byte in isReserved ? name[2..<name.count - 2] : name[...]
        where byte != underscore || result.last != underscore { result.append(byte) }
        return isReserved ? fence + result + fence : result
    }
}
