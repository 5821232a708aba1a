import Glibc

/// A day in UTC, counted from 1970-01-01, as validity dates are.
enum PriceDay {
    /// Before every date: an open start.
    static let open = Int32.min
    /// After every date: an open end.
    static let never = Int32.max

    private static let nanosecondsPerDay: UInt64 = 86_400_000_000_000

    /// The day of a time in Unix nanoseconds.
    static func of(_ time: UInt64) -> Int32 { Int32(truncatingIfNeeded: time / nanosecondsPerDay) }

    /// When a day begins, in Unix nanoseconds; the nearest time there is for days before and after all of them.
    static func start(of day: Int32) -> UInt64 {
        guard day > 0 else { return 0 }
        let (time, overflow) = UInt64(day).multipliedReportingOverflow(by: nanosecondsPerDay)
        return overflow ? .max : time
    }

    /// The minute of the day, 0...1439, UTC.
    static func minute(of time: UInt64) -> UInt16 { UInt16(time % nanosecondsPerDay / 60_000_000_000) }

    /// Reads `YYYY-MM-DD`, a day that exists, from 1970 on.
    static func parse(_ text: some StringProtocol) -> Int32? {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard text.utf8.count == 10, parts.count == 3, parts[0].count == 4, parts[1].count == 2 else { return nil }
        guard let year = digits(parts[0]), let month = digits(parts[1]), let day = digits(parts[2]) else { return nil }
        guard year >= 1970, let seconds = seconds(year: year, month: month, day: day) else { return nil }
        return Int32(exactly: seconds / 86_400)
    }

    /// `YYYY-MM-DD`, or nil for an open end.
    static func text(_ day: Int32) -> String? {
        guard day != open, day != never else { return nil }
        var seconds = time_t(day) * 86_400
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return padded(Int(parts.tm_year) + 1900, 4) + "-" + padded(Int(parts.tm_mon) + 1, 2) + "-"
            + padded(Int(parts.tm_mday), 2)
    }

    static func padded(_ number: Int, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    static func digits(_ text: some Sequence<UInt8>) -> Int? {
        var value = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), value < 1_000_000 else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value
    }

    /// Unix seconds of a day's start, or nil when there is no such day.
    private static func seconds(year: Int, month: Int, day: Int) -> Int? {
        var parts = tm()
        parts.tm_year = Int32(year - 1900)
        parts.tm_mon = Int32(month - 1)
        parts.tm_mday = Int32(day)
        let seconds = timegm(&parts)
        guard Int(parts.tm_mon) == month - 1, Int(parts.tm_mday) == day else { return nil }
        return seconds
    }
}

/// Reads the times that price queries are asked for.
package enum PriceInstant {
    /// Unix nanoseconds of `YYYY-MM-DD` (its start, UTC) or of RFC 3339 such as `2026-11-21T12:00:00Z` or
    /// `2026-11-21T13:00:00.5+01:00`, from 1970 on; nil for anything else.
    package static func parse(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 10, let day = PriceDay.parse(String(decoding: bytes[..<10], as: UTF8.self)) else {
            return nil
        }
        var seconds = Int64(day) * 86_400
        var nanoseconds: Int64 = 0
        if bytes.count > 10 {
            guard bytes.count >= 20, bytes[10] | 0x20 == UInt8(ascii: "t"),
                let clock = minutesAndSeconds(bytes[11..<19])
            else { return nil }
            seconds += clock
            var at = 19
            if bytes[at] == UInt8(ascii: ".") {
                let fraction = bytes[(at + 1)...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
                guard !fraction.isEmpty else { return nil }
                for position in 0..<9 {
                    nanoseconds *= 10
                    if position < fraction.count {
                        nanoseconds += Int64(fraction[fraction.startIndex + position] & 0x0F)
                    }
                }
                at = fraction.endIndex
            }
            guard at < bytes.count, let offset = zoneOffset(bytes[at...]) else { return nil }
            seconds -= offset
        }
        guard seconds >= 0 else { return nil }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : whole + UInt64(nanoseconds)
    }

    /// Seconds of `HH:MM:SS`.
    private static func minutesAndSeconds(_ text: ArraySlice<UInt8>) -> Int64? {
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ $0.count == 2 }) else { return nil }
        guard let hour = PriceDay.digits(parts[0]), let minute = PriceDay.digits(parts[1]),
            let second = PriceDay.digits(parts[2]), hour < 24, minute < 60, second <= 60
        else { return nil }
        return Int64(hour * 3600 + minute * 60 + second)
    }

    /// Seconds east of UTC of `Z` or `±HH:MM`.
    private static func zoneOffset(_ text: ArraySlice<UInt8>) -> Int64? {
        guard let sign = text.first else { return nil }
        if sign | 0x20 == UInt8(ascii: "z") { return text.count == 1 ? 0 : nil }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), text.count == 6 else { return nil }
        guard let seconds = minutesAndSeconds(text.dropFirst() + Array(":00".utf8)) else { return nil }
        return sign == UInt8(ascii: "-") ? -seconds : seconds
    }
}

/// Part of every day, UTC, in which a price is multiplied: from `start` to before `end`, in minutes.
struct PeakWindow: Sendable, Equatable {
    var start: UInt16 = 0
    var end: UInt16 = 0

    /// Windows of one price, at most.
    static let maximumCount = 4

    /// Reads `HH:MM-HH:MM`; 24:00 is an end; the end is after the start.
    init?(_ text: some StringProtocol) {
        let ends = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard ends.count == 2, let start = Self.minute(ends[0]), let end = Self.minute(ends[1]), start < end else {
            return nil
        }
        self.start = start
        self.end = end
    }

    init() {}

    private static func minute(_ text: Substring.UTF8View.SubSequence) -> UInt16? { minute(Array(text)) }

    private static func minute(_ text: some Collection<UInt8>) -> UInt16? {
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 2, parts[1].count == 2 else { return nil }
        guard let hour = PriceDay.digits(parts[0]), let minute = PriceDay.digits(parts[1]), minute < 60 else {
            return nil
        }
        let total = hour * 60 + minute
        return total <= 1440 ? UInt16(total) : nil
    }

    /// `HH:MM-HH:MM`.
    var text: String {
        func clock(_ minute: UInt16) -> String {
            PriceDay.padded(Int(minute) / 60, 2) + ":" + PriceDay.padded(Int(minute) % 60, 2)
        }
        return clock(start) + "-" + clock(end)
    }
}
