/// In which form metrics are shown, as agreed with the scraper.
struct ScrapeFormat: Equatable {
    /// OpenMetrics 1.0.0, otherwise Prometheus' text format.
    var isOpenMetrics = false
    /// Text format 1.0.0, which is 0.0.4 with quoted names.
    var isTextVersion1 = false
    var escaping = ScrapeEscaping.underscores
    /// Whether the scraper asked for an escaping; older ones know none.
    var namesEscaping = false

    /// The value of `Content-Type`.
    var contentType: String {
        let escaping = namesEscaping ? "; escaping=" + escaping.rawValue : ""
        if isOpenMetrics { return "application/openmetrics-text; version=1.0.0; charset=utf-8" + escaping }
        return "text/plain; version=" + (isTextVersion1 ? "1.0.0" : "0.0.4") + "; charset=utf-8" + escaping
    }

    /// One range of an `Accept` field.
    private struct Range {
        var type: Substring
        var quality = 1.0
        var version: Substring?
        var escaping: Substring?

        init(_ text: Substring) {
            let parts = text.split(separator: ";", omittingEmptySubsequences: false).map(ScrapeFormat.trimmed)
            type = parts.first ?? ""
            for part in parts.dropFirst() {
                guard let equals = part.firstIndex(of: "=") else { continue }
                var value = part[part.index(after: equals)...]
                if value.first == "\"", value.last == "\"", value.count > 1 { value = value.dropFirst().dropLast() }
                switch part[..<equals].lowercased() {
                case "q": quality = Double(value) ?? 0
                case "version": version = value
                case "escaping": escaping = value
                default: break
                }
            }
        }
    }

    /// The best format for `Accept` fields; the text format when nothing fits, as scrapers expect.
    static func negotiated(accept: [String], offersOpenMetrics: Bool) -> ScrapeFormat {
        var best = ScrapeFormat()
        var quality = 0.0
        for field in accept {
            for text in field.split(separator: ",").prefix(maximumRanges) {
                let range = Range(trimmed(text))
                guard range.quality > quality, var format = format(of: range, offersOpenMetrics) else { continue }
                if let escaping = range.escaping.flatMap({ ScrapeEscaping(rawValue: String($0)) }) {
                    format.escaping = escaping
                    format.namesEscaping = true
                }
                best = format
                quality = range.quality
            }
        }
        return best
    }

    /// Ranges of a field that are looked at.
    private static let maximumRanges = 32

    private static func format(of range: Range, _ offersOpenMetrics: Bool) -> ScrapeFormat? {
        switch range.type.lowercased() {
        case "application/openmetrics-text":
            guard offersOpenMetrics, range.version == nil || range.version == "1.0.0" else { return nil }
            return ScrapeFormat(isOpenMetrics: true)
        case "text/plain":
            switch range.version {
            case nil, "0.0.4": return ScrapeFormat()
            case "1.0.0": return ScrapeFormat(isTextVersion1: true)
            default: return nil
            }
        case "text/*", "*/*": return ScrapeFormat()
        default: return nil
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
