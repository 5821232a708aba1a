internal import Prometheus

/// Writes families and label sets in one of the formats.
struct ScrapeWriter {
    let format: ScrapeFormat
    let sendsTimestamps: Bool
    private(set) var text: ScrapeText
    /// The present family's names, escaped: of the family, as the format has it, and of its samples.
    private var familyName: [UInt8] = []
    private var sampleName: [UInt8] = []
    /// The sample's name does not stand without quotes.
    private var isQuoted = false
    private var type = MetricType.unknown

    init(_ format: ScrapeFormat, sendsTimestamps: Bool, capacity: Int) {
        self.format = format
        self.sendsTimestamps = sendsTimestamps
        text = ScrapeText(capacity: capacity)
    }

    // MARK: Families

    /// Begins a family: its metadata. Its label sets follow.
    mutating func begin(_ family: ScrapeFamily) {
        type = family.type
        sampleName = ScrapeName.escaped(family.name, format.escaping)
        familyName = sampleName
        if format.isOpenMetrics { setOpenMetricsNames(family) }
        isQuoted = !ScrapeName.isLegacy(sampleName)
        putMetadata("# HELP ") { writer in writer.text.put(escaped: family.help, quotes: writer.format.isOpenMetrics) }
        putMetadata("# TYPE ") { writer in writer.text.put(writer.typeName) }
        if format.isOpenMetrics, Self.hasSuffix(familyName, [UInt8(ascii: "_")] + family.unit), !family.unit.isEmpty {
            putMetadata("# UNIT ") { writer in writer.text.put(family.unit) }
        }
    }

    /// Counters and info metrics have their suffix at the samples only.
    private mutating func setOpenMetricsNames(_ family: ScrapeFamily) {
        if family.isTargetInfo { type = .info }
        let suffix: [UInt8]
        switch type {
        case .counter: suffix = Array("_total".utf8)
        case .info: suffix = Array("_info".utf8)
        default: return
        }
        if Self.hasSuffix(familyName, suffix) {
            familyName.removeLast(suffix.count)
        } else if type == .counter {
            sampleName += suffix
        } else {
            type = .gauge
        }
    }

    private static func hasSuffix(_ name: [UInt8], _ suffix: [UInt8]) -> Bool {
        name.count > suffix.count && name.suffix(suffix.count).elementsEqual(suffix)
    }

    private mutating func putMetadata(_ keyword: StaticString, _ body: (inout ScrapeWriter) -> Void) {
        text.put(keyword)
        putName(familyName, isQuoted: !ScrapeName.isLegacy(familyName))
        text.put(" ")
        body(&self)
        text.put("\n")
    }

    private mutating func putName(_ name: [UInt8], isQuoted: Bool) {
        if isQuoted { text.put("\"") }
        text.put(escaped: name)
        if isQuoted { text.put("\"") }
    }

    private var typeName: StaticString {
        switch type {
        case .counter: "counter"
        case .gauge, .stateSet: "gauge"
        case .histogram: "histogram"
        case .summary: "summary"
        case .info: format.isOpenMetrics ? "info" : "gauge"
        case .gaugeHistogram, .unknown: format.isOpenMetrics ? "unknown" : "untyped"
        }
    }

    // MARK: Samples

    /// Writes the lines of one label set.
    mutating func put(_ child: ScrapeChild, _ bounds: ScrapeBounds?) {
        let labels = labels(of: child)
        switch child.form {
        case .value:
            put("", child, labels, child.value, exemplarOf: 0)
            if type == .counter { putCreated(child, labels) }
        case .histogram:
            for (index, count) in child.parts.enumerated() {
                guard let bounds, index < bounds.texts.count else { break }
                put("_bucket", child, labels, count, exemplarOf: index, extra: "le", bounds.texts[index])
            }
            if child.hasSum { put("_sum", child, labels, child.value) }
            put("_count", child, labels, child.count)
            putCreated(child, labels)
        case .summary:
            for (index, value) in child.parts.enumerated() {
                guard let bounds, index < bounds.texts.count else { break }
                put("", child, labels, value, extra: "quantile", bounds.texts[index])
            }
            if child.hasSum { put("_sum", child, labels, child.value) }
            put("_count", child, labels, child.count)
            putCreated(child, labels)
        }
    }

    private mutating func putCreated(_ child: ScrapeChild, _ labels: [UInt8]) {
        guard format.isOpenMetrics, child.start > 0 else { return }
        putSeries(familyName, "_created", labels, nil, [])
        text.put(seconds: child.start)
        text.put("\n")
    }

    private mutating func put(
        _ suffix: StaticString, _ child: ScrapeChild, _ labels: [UInt8], _ value: Double, exemplarOf part: Int = -1,
        extra: StaticString? = nil, _ extraValue: [UInt8] = []
    ) {
        putSeries(sampleName, suffix, labels, extra, extraValue)
        text.put(value)
        if sendsTimestamps {
            text.put(" ")
            if format.isOpenMetrics { text.put(seconds: child.timestamp) } else { text.put(child.timestamp) }
        }
        if format.isOpenMetrics, part >= 0, type == .counter || type == .histogram,
            let exemplar = child.exemplars.first(where: { $0.part == part })
        {
            text.put(" # ")
            text.put(exemplar.text)
        }
        text.put("\n")
    }

    /// The name and the labels, and the space after them.
    private mutating func putSeries(
        _ name: [UInt8], _ suffix: StaticString, _ labels: [UInt8], _ extra: StaticString?, _ extraValue: [UInt8]
    ) {
        if isQuoted {
            text.put("{\"")
            text.put(escaped: name)
            text.put(suffix)
            text.put("\"")
            if !labels.isEmpty || extra != nil { text.put(",") }
        } else {
            text.put(name)
            text.put(suffix)
            if !labels.isEmpty || extra != nil { text.put("{") }
        }
        text.put(labels)
        if let extra {
            if !labels.isEmpty { text.put(",") }
            text.put(extra)
            text.put("=\"")
            text.put(extraValue)
            if format.isOpenMetrics, Self.isWhole(extraValue) { text.put(".0") }
            text.put("\"")
        }
        text.put(isQuoted || !labels.isEmpty || extra != nil ? "} " : " ")
    }

    /// OpenMetrics wants bounds as floats.
    private static func isWhole(_ number: [UInt8]) -> Bool {
        number.allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 == UInt8(ascii: "-") }
    }

    /// What ends the text.
    mutating func finish() {
        if format.isOpenMetrics { text.put("# EOF\n") }
    }

    // MARK: Labels

    /// The labels with names as the format has them.
    private func labels(of child: ScrapeChild) -> [UInt8] {
        switch format.escaping {
        case .allowUTF8: return child.labels
        case .underscores, .values: if !child.hasQuotedNames { return child.labels }
        case .dots: break
        }
        var result = ScrapeText(capacity: child.labels.count + 32)
        var names: Set<[UInt8]> = []
        var rest = child.labels[...]
        while !rest.isEmpty {
            let name = ScrapeName.escaped(Self.takeName(&rest), format.escaping)
            let value = Self.takeQuoted(&rest)
            if rest.first == UInt8(ascii: ",") { rest.removeFirst() }
            // Two names may become one: the first one stays.
            guard names.insert(name).inserted else { continue }
            if !result.bytes.isEmpty { result.put(",") }
            result.put(name)
            result.put("=\"")
            result.put(value)
            result.put("\"")
        }
        return result.bytes
    }

    /// Takes a name and the `=` after it.
    private static func takeName(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        var name: [UInt8] = []
        if rest.first == UInt8(ascii: "\"") {
            var isEscaped = false
            for byte in takeQuoted(&rest) {
                if !isEscaped, byte == UInt8(ascii: "\\") {
                    isEscaped = true
                    continue
                }
                name.append(isEscaped && byte == UInt8(ascii: "n") ? 0x0A : byte)
                isEscaped = false
            }
            if !rest.isEmpty { rest.removeFirst() }
            return name
        }
        while let byte = rest.popFirst(), byte != UInt8(ascii: "=") { name.append(byte) }
        return name
    }

    /// Takes a text in quotes, without them, still escaped.
    private static func takeQuoted(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        if !rest.isEmpty { rest.removeFirst() }
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            text.append(byte)
            if byte == UInt8(ascii: "\\"), let next = rest.popFirst() { text.append(next) }
        }
        return text
    }
}
