/// How many spans one stands for, by what its sampler wrote into the tracestate: OpenTelemetry's `ot=th:…`.
package enum SamplingThreshold {
    /// The adjusted count of a tracestate; nil when it has no valid threshold.
    ///
    /// The member `ot` holds `key:value` pairs with `;` between them. `th` is up to 14 hexadecimal digits in lower case,
    /// the rejection threshold without its trailing zeros; `0` keeps everything.
    package static func adjustedCount(_ traceState: UnsafeRawBufferPointer) -> AdjustedCount? {
        guard traceState.count >= 7 else { return nil }
        for member in traceState.split(separator: UInt8(ascii: ",")) {
            let member = trimmed(member)
            guard member.count > 3, member.prefix(3).elementsEqual("ot=".utf8) else { continue }
            for pair in member.dropFirst(3).split(separator: UInt8(ascii: ";")) {
                guard pair.prefix(3).elementsEqual("th:".utf8) else { continue }
                return threshold(pair.dropFirst(3)).map { AdjustedCount(rejectionThreshold: $0) }
            }
            return nil
        }
        return nil
    }

    private static func trimmed(_ member: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var member = member.drop(while: isSpace)
        while let last = member.last, isSpace(last) { member.removeLast() }
        return member
    }

    /// 56 bits from their leading digits.
    private static func threshold(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt64? {
        guard (1...14).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value << UInt64(4 * (14 - digits.count))
    }
}
