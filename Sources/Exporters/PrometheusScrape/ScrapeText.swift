internal import Prometheus

/// Bytes of text formats.
struct ScrapeText {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func put(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func put(_ text: some Collection<UInt8>) { bytes.append(contentsOf: text) }

    mutating func put(byte: UInt8) { bytes.append(byte) }

    /// With `\`, line feeds and, unless it is for help, `"` escaped.
    mutating func put(escaped text: some Collection<UInt8>, quotes: Bool = true) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "\\"): put("\\\\")
            case 0x0A: put("\\n")
            case UInt8(ascii: "\"") where quotes: put("\\\"")
            default: bytes.append(byte)
            }
        }
    }

    /// `name="value"`; a name that is not of the legacy character set in quotes.
    mutating func put(label name: some Collection<UInt8>, _ value: some Collection<UInt8>, isQuoted: Bool) {
        if isQuoted { put("\"") }
        put(escaped: name)
        put(isQuoted ? "\"=\"" : "=\"")
        put(escaped: value)
        put("\"")
    }

    /// Shortest digits that read back the same.
    mutating func put(_ value: Double) {
        if value == value.rounded(), abs(value) < 0x1p53, value.sign == .plus || value != 0 {
            put(Int64(value))
        } else if value.isNaN {
            put("NaN")
        } else if value.isInfinite {
            put(value < 0 ? "-Inf" : "+Inf")
        } else {
            var text = "\(value)"
            text.withUTF8 { bytes.append(contentsOf: $0) }
        }
    }

    mutating func put(_ number: Int64) {
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var rest = number.magnitude
        var at = 20
        repeat {
            at -= 1
            digits[at] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        while at < 20 {
            bytes.append(digits[at])
            at += 1
        }
    }

    /// Milliseconds as seconds.
    mutating func put(seconds milliseconds: Int64) {
        let rest = milliseconds.magnitude % 1000
        if milliseconds < 0 { bytes.append(UInt8(ascii: "-")) }
        put(Int64(milliseconds.magnitude / 1000))
        if rest == 0 { return }
        bytes.append(UInt8(ascii: "."))
        for divisor: UInt64 in [100, 10, 1] {
            bytes.append(UInt8(truncatingIfNeeded: 0x30 + rest / divisor % 10))
        }
    }

    /// An exemplar as OpenMetrics has it, without the mark before it.
    mutating func put(_ exemplar: SeriesExemplar) {
        put("{")
        var isFirst = true
        for label in exemplar.labels {
            if !isFirst { put(",") }
            isFirst = false
            let isQuoted = !ScrapeName.isLegacy(label.name)
            // Exemplars have no escaping of their own: quoted names are not for every reader.
            if isQuoted {
                put(label: ScrapeName.underscores(label.name), label.text, isQuoted: false)
            } else {
                put(label: label.name, label.text, isQuoted: false)
            }
        }
        put("} ")
        put(exemplar.value)
        put(" ")
        put(seconds: exemplar.timestamp)
    }
}
