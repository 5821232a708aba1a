internal import Glibc

/// The `Retry-After` header (RFC 9110 §10.2.3).
package enum RetryAfter {
    /// Longest delay that is believed. What asks for more, a far date or a number without end, gets this.
    package static let maxDelay = Duration.seconds(24 * 3600)

    /// How long to wait from `now` on.
    ///
    /// - Parameters:
    ///   - value: delta-seconds, or an HTTP-date in any of the three forms of RFC 9110 §5.6.7.
    ///   - now: seconds since 1970, UTC.
    /// - Returns: zero for a date that has passed, `maxDelay` at most, nil for anything that is neither form.
    package static func delay(_ value: String, now: Int64) -> Duration? {
        var bytes = [UInt8](value.utf8.drop { $0 == 0x20 || $0 == 0x09 })
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        guard let first = bytes.first else { return nil }
        if isDigit(first) { return seconds(bytes) }
        guard let date = HTTPDate.parse(bytes, now: now) else { return nil }
        return min(.seconds(max(0, date &- now)), maxDelay)
    }

    /// A date as seconds from the time that the server's own clock showed; anything else as it is. Our clock may be wrong.
    ///
    /// - Parameter date: the `Date` header that came along.
    static func relative(_ value: String, to date: String?) -> String {
        guard let date, let present = HTTPDate.parse([UInt8](date.utf8), now: 0),
            let wanted = HTTPDate.parse([UInt8](value.utf8), now: present)
        else { return value }
        return String(max(0, wanted &- present))
    }

    private static func seconds(_ digits: [UInt8]) -> Duration? {
        guard digits.allSatisfy(isDigit) else { return nil }
        var value: Int64 = 0
        for digit in digits {
            value = value * 10 + Int64(digit - 0x30)
            if .seconds(value) >= maxDelay { return maxDelay }
        }
        return .seconds(value)
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
}

/// Dates of HTTP (RFC 9110 §5.6.7).
enum HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    /// A two-digit year further in the future than this many years belongs to the past century.
    private static let twoDigitHorizon = 50

    /// Seconds since 1970, UTC; nil when the text is none of the three forms or names no such moment. The name of the
    /// weekday is not compared with the date.
    static func parse(_ text: [UInt8], now: Int64) -> Int64? {
        let words = text.split(separator: 0x20, omittingEmptySubsequences: true).map { Array($0) }
        switch words.count {
        case 6:
            // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
            guard words[0].last == 0x2C, words[5] == Array("GMT".utf8), let year = number(words[3], digits: 4)
            else { return nil }
            return moment(year: year, month: words[2], day: number(words[1], digits: 2), time: words[4])
        case 4:
            // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
            let date = words[1].split(separator: 0x2D, omittingEmptySubsequences: false).map { Array($0) }
            guard words[0].last == 0x2C, words[3] == Array("GMT".utf8), date.count == 3,
                let short = number(date[2], digits: 2)
            else { return nil }
            let year = fullYear(short, now: now)
            return moment(year: year, month: date[1], day: number(date[0], digits: 2), time: words[2])
        case 5:
            // asctime: Sun Nov  6 08:49:37 1994
            guard words[0].count == 3, let year = number(words[4], digits: 4) else { return nil }
            return moment(
                year: year, month: words[1], day: number(words[2], digits: words[2].count), time: words[3])
        default: return nil
        }
    }

    private static func moment(year: Int, month: [UInt8], day: Int?, time: [UInt8]) -> Int64? {
        let clock = time.split(separator: 0x3A, omittingEmptySubsequences: false).map { number(Array($0), digits: 2) }
        guard let month = months.firstIndex(where: { Array($0.utf8) == month }), let day, clock.count == 3,
            let hour = clock[0], let minute = clock[1], let second = clock[2],
            // 60 is a leap second.
            hour < 24, minute < 60, second <= 60
        else { return nil }
        var fields = tm()
        fields.tm_year = Int32(year - 1900)
        fields.tm_mon = Int32(month)
        fields.tm_mday = Int32(day)
        fields.tm_hour = Int32(hour)
        fields.tm_min = Int32(minute)
        fields.tm_sec = Int32(min(second, 59))
        let seconds = timegm(&fields)
        // timegm carries a day that the month does not have over to the next month.
        guard fields.tm_mday == Int32(day), fields.tm_mon == Int32(month) else { return nil }
        return Int64(seconds)
    }

    private static func fullYear(_ short: Int, now: Int64) -> Int {
        var seconds = time_t(now)
        var fields = tm()
        gmtime_r(&seconds, &fields)
        let current = Int(fields.tm_year) + 1900
        let year = current / 100 * 100 + short
        return year > current + twoDigitHorizon ? year - 100 : year
    }

    private static func number(_ text: [UInt8], digits: Int) -> Int? {
        guard text.count == digits, (1...4).contains(digits), text.allSatisfy(RetryAfter.isDigit) else { return nil }
        return text.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
