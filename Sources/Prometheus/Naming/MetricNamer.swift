/// What a metric is for the rules of names.
enum NamingKind: UInt8 {
    case counter
    case gauge
    case other
}

/// Translates metric names and units (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility"). For use
/// once for each metric, not for each point.
struct MetricNamer {
    private let strategy: TranslationStrategy
    private let namespace: [UInt8]

    init(_ options: TranslationOptions) {
        strategy = options.strategy
        namespace = Array(options.namespace.utf8)
    }

    /// The Prometheus name; nil when nothing is left of it.
    func name(_ raw: UnsafeRawBufferPointer, unit: UnsafeRawBufferPointer, _ kind: NamingKind) -> [UInt8]? {
        let result: [UInt8]
        if !strategy.escapes {
            if raw.isEmpty { return nil }
            result = verbatim(raw, unit, kind)
        } else {
            var tokens = Self.tokens(raw, keepsUnderscores: !strategy.addsSuffixes)
            // A suffix alone would be no name.
            if tokens.isEmpty { return nil }
            if strategy.addsSuffixes { addSuffixes(&tokens, unit, kind) }
            var joined = Array(tokens.joined(separator: [UInt8(ascii: "_")]))
            if !namespace.isEmpty { joined = namespace + [UInt8(ascii: "_")] + joined }
            if let first = joined.first, isDigit(first) { joined.insert(UInt8(ascii: "_"), at: 0) }
            result = joined
        }
        return result.allSatisfy { $0 == UInt8(ascii: "_") } ? nil : result
    }

    /// The name of the series about a resource.
    var targetInfo: [UInt8] {
        namespace.isEmpty ? Array("target_info".utf8) : namespace + Array("_target_info".utf8)
    }

    /// The unit in words, for metadata.
    func unit(_ unit: UnsafeRawBufferPointer) -> [UInt8] {
        let (main, per) = UnitWords.split(unit)
        if main.isEmpty || per.isEmpty { return main + per }
        return main + [UInt8(ascii: "_")] + per
    }

    /// Parts of a name between characters that are not allowed.
    private static func tokens(_ raw: UnsafeRawBufferPointer, keepsUnderscores: Bool) -> [[UInt8]] {
        raw.split { byte in
            !(isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: ":")
                || keepsUnderscores && byte == UInt8(ascii: "_"))
        }.map { Array($0) }
    }

    private func addSuffixes(_ tokens: inout [[UInt8]], _ unit: UnsafeRawBufferPointer, _ kind: NamingKind) {
        var (main, per) = UnitWords.split(unit)
        main = UnitWords.cleaned(main)
        per = UnitWords.cleaned(per)
        if tokens.contains(main) { main = [] }
        let prefix = Array("per_".utf8)
        if per.starts(with: prefix) { per.removeFirst(prefix.count) }
        if tokens.contains(per) { per = [] }
        if !per.isEmpty { while main.last == UInt8(ascii: "_") { main.removeLast() } }
        if !main.isEmpty { tokens.append(main) }
        if !per.isEmpty { tokens += [Array("per".utf8), per] }
        if kind == .counter { Self.move(Array("total".utf8), toEndOf: &tokens) }
        if kind == .gauge, unit.elementsEqual([UInt8(ascii: "1")]) { Self.move(Array("ratio".utf8), toEndOf: &tokens) }
    }

    private static func move(_ token: [UInt8], toEndOf tokens: inout [[UInt8]]) {
        tokens.removeAll { $0 == token }
        tokens.append(token)
    }

    /// The name as it is, with suffixes if they are wanted.
    private func verbatim(
        _ raw: UnsafeRawBufferPointer, _ unit: UnsafeRawBufferPointer, _ kind: NamingKind
    ) -> [UInt8] {
        var name = Array(raw)
        if !namespace.isEmpty { name = namespace + [UInt8(ascii: "_")] + name }
        guard strategy.addsSuffixes else { return name }
        let (main, per) = UnitWords.split(unit)
        // From the outermost to the innermost: what the name has already is taken off, to be added in order.
        var outer: [[UInt8]] = []
        if kind == .gauge, unit.elementsEqual([UInt8(ascii: "1")]) { outer.append(Array("ratio".utf8)) }
        if kind == .counter { outer.append(Array("total".utf8)) }
        if !per.isEmpty { outer.append(per) }
        for suffix in outer where name.count > suffix.count + 1 && name.hasSuffix(suffix) {
            name.removeLast(suffix.count + 1)
        }
        if !main.isEmpty, !name.hasSuffix(main) { outer.append(main) }
        for suffix in outer.reversed() { name += [UInt8(ascii: "_")] + suffix }
        return name
    }
}

/// UCUM units as words.
private enum UnitWords {
    private static let main: [String: String] = [
        "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
        "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
        "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
        "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
        "Hz": "hertz", "1": "", "%": "percent",
    ]
    private static let per: [String: String] = [
        "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
    ]

    /// The unit before the first `/` and, with `per_` before it, the one after. What holds braces is left out.
    static func split(_ unit: UnsafeRawBufferPointer) -> (main: [UInt8], per: [UInt8]) {
        let parts = unit.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        var result = (main: [UInt8](), per: [UInt8]())
        if let first = parts.first { result.main = word(first, main) }
        if parts.count > 1 {
            let word = word(parts[1], per)
            if !word.isEmpty { result.per = Array("per_".utf8) + word }
        }
        return result
    }

    private static func word(_ part: Slice<UnsafeRawBufferPointer>, _ words: [String: String]) -> [UInt8] {
        var bytes = Array(part.drop { isBlank($0) })
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        if bytes.contains(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }) { return [] }
        return words[String(decoding: bytes, as: UTF8.self)].map { Array($0.utf8) } ?? bytes
    }

    /// Without characters that a name must not have: each becomes `_`, runs become one, none is in front.
    static func cleaned(_ unit: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for byte in unit {
            let isAllowed = isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: ":")
            if isAllowed {
                result.append(byte)
            } else if let last = result.last, last != UInt8(ascii: "_") {
                result.append(UInt8(ascii: "_"))
            }
        }
        return result
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

extension [UInt8] {
    fileprivate func hasSuffix(_ suffix: [UInt8]) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}

func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }
func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
