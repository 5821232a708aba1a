/// Points in time as text.
enum UTCTime {
    /// Nanoseconds since 1970 of `2026-11-21T09:30:00.123Z`, with an offset instead of Z if need be (without either,
    /// UTC). Nil for anything else, and for years before 1970 or after 2400.
    static func nanoseconds(_ text: UnsafeRawBufferPointer) -> UInt64? {
        guard text.count >= 19, text.count <= 40, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            text[10] == UInt8(ascii: "T") || text[10] == 0x20, text[13] == UInt8(ascii: ":"),
            text[16] == UInt8(ascii: ":"),
            let year = digits(text, 0, 4), let month = digits(text, 5, 2), let day = digits(text, 8, 2),
            let hour = digits(text, 11, 2), let minute = digits(text, 14, 2), let second = digits(text, 17, 2),
            (1970...2400).contains(year), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var position = 19
        var fraction: UInt64 = 0
        if position < text.count, text[position] == UInt8(ascii: ".") {
            position += 1
            var scale: UInt64 = 100_000_000
            while position < text.count, text[position] >= 0x30, text[position] <= 0x39 {
                fraction += UInt64(text[position] - 0x30) * scale
                scale /= 10
                position += 1
            }
        }
        guard let offset = offset(text, position) else { return nil }
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second
        guard seconds >= 0 else { return nil }
        return UInt64(seconds) * 1_000_000_000 + fraction
    }

    /// Minutes east of Greenwich.
    private static func offset(_ text: UnsafeRawBufferPointer, _ position: Int) -> Int? {
        guard position < text.count else { return 0 }
        let sign = text[position]
        if sign == UInt8(ascii: "Z") || sign == UInt8(ascii: "z") { return position + 1 == text.count ? 0 : nil }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), let hours = digits(text, position + 1, 2) else {
            return nil
        }
        let colon = position + 3 < text.count && text[position + 3] == UInt8(ascii: ":") ? 1 : 0
        let rest = position + 3 + colon
        let minutes = rest < text.count ? digits(text, rest, 2) : 0
        guard let minutes, hours < 24, minutes < 60 else { return nil }
        return (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
    }

    private static func digits(_ text: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> Int? {
        guard start + count <= text.count else { return nil }
        var value = 0
        for byte in text[start..<(start + count)] {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }

    /// Days since 1970 in the proleptic Gregorian calendar; years are counted from March.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
