internal import Glibc
internal import OTLP

/// Builds the text of one batch within a bound. Keeps its buffer from one to the next. One owner; not thread-safe.
struct DebugText: ~Copyable {
    /// Most bytes of text for one batch, the notice that it was cut not included: 1 MiB.
    static let maximumBytes = 1 << 20

    private var writer: WireWriter
    private static let hexDigits: StaticString = "0123456789abcdef"

    /// - Parameter limit: replaced in tests.
    init(limit: Int = maximumBytes) { writer = WireWriter(limit: limit) }

    /// True once the bound is reached: nothing more is added.
    var isFull: Bool { writer.overflowed }

    /// The text, up to the last whole line when it was cut. Valid until the next change.
    var bytes: UnsafeRawBufferPointer {
        guard isFull else { return writer.bytes }
        let end = writer.bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return UnsafeRawBufferPointer(rebasing: writer.bytes[..<end])
    }

    /// What to add to a text that was cut; empty otherwise.
    var notice: String { isFull ? "(cut: the text of this batch is longer than \(writer.limit) bytes)\n" : "" }

    /// Forgets the text.
    mutating func removeAll() { writer.removeAll() }

    /// Ends a line, without the blank that separates words when there is one.
    mutating func endLine() {
        if writer.bytes.last == UInt8(ascii: " ") { writer.truncate(to: writer.count - 1) }
        writer.append("\n")
    }

    mutating func put(_ text: StaticString) { writer.append(text) }

    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
    }

    mutating func put(_ number: some BinaryInteger) { put(String(number)) }

    /// The shortest decimal form that reads back as the same number.
    mutating func put(_ number: Double) { put("\(number)") }

    mutating func put(hex bytes: UnsafeRawBufferPointer) {
        let digits = Self.hexDigits.utf8Start
        for byte in bytes {
            writer.append(byte: digits[Int(byte >> 4)])
            writer.append(byte: digits[Int(byte & 15)])
        }
    }

    /// Text from telemetry. Control characters are written as `\n`, `\t` or `\x1b`, so that one value stays on one line
    /// and cannot command a terminal.
    mutating func put(text: UnsafeRawBufferPointer) {
        var start = 0
        var position = 0
        while position < text.count {
            let byte = text[position]
            // U+0080 to U+009F are C2 80 to C2 9F in UTF-8.
            let isC1 = byte == 0xC2 && position + 1 < text.count && text[position + 1] < 0xA0
            guard byte < 0x20 || byte == 0x7F || isC1 else {
                position += 1
                continue
            }
            writer.append(UnsafeRawBufferPointer(rebasing: text[start..<position]))
            if isC1 { position += 1 }
            putEscape(text[position])
            position += 1
            start = position
        }
        writer.append(UnsafeRawBufferPointer(rebasing: text[start...]))
    }

    private mutating func putEscape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\n"): put("\\n")
        case UInt8(ascii: "\t"): put("\\t")
        case UInt8(ascii: "\r"): put("\\r")
        default:
            put("\\x")
            withUnsafeBytes(of: byte) { put(hex: $0) }
        }
    }

    /// A time in nanoseconds since 1970: `2020-02-11 20:26:12.000000321 +0000 UTC`.
    mutating func put(time: UInt64) {
        var seconds = time_t(time / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        put(Int(parts.tm_year) + 1900, width: 4)
        put("-")
        put(Int(parts.tm_mon) + 1, width: 2)
        put("-")
        put(Int(parts.tm_mday), width: 2)
        put(" ")
        put(Int(parts.tm_hour), width: 2)
        put(":")
        put(Int(parts.tm_min), width: 2)
        put(":")
        put(Int(parts.tm_sec), width: 2)
        var fraction = Int(time % 1_000_000_000)
        if fraction > 0 {
            var width = 9
            while fraction % 10 == 0 {
                fraction /= 10
                width -= 1
            }
            put(".")
            put(fraction, width: width)
        }
        put(" +0000 UTC")
    }

    private mutating func put(_ number: Int, width: Int) {
        let digits = String(number)
        put(String(repeating: "0", count: max(0, width - digits.count)) + digits)
    }
}
