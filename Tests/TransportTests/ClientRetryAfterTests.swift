import Testing

@testable import Transport

@Suite struct ClientRetryAfterTests {
    /// Sun, 06 Nov 1994 08:49:37 GMT
    static let moment: Int64 = 784_111_777

    @Test(arguments: [
        ("0", 0), ("1", 1), ("120", 120), (" 120\t", 120), ("0007", 7), ("86400", 86400), ("86401", 86400),
        ("99999999999999999999999999999999999999999999999999999999999999999999999999999999999", 86400),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37), ("Sunday, 06-Nov-94 08:49:37 GMT", 37),
        ("Sun Nov  6 08:49:37 1994", 37), ("Sun, 06 Nov 1994 08:48:00 GMT", 0), ("Mon, 01 Jan 1990 00:00:00 GMT", 0),
        ("Mon Nov 14 08:49:37 1994", 86400), ("Fri, 31 Dec 9999 23:59:60 GMT", 86400),
    ])
    func accepted(value: String, seconds: Int) {
        #expect(RetryAfter.delay(value, now: Self.moment - 37) == .seconds(seconds))
    }

    @Test(arguments: [
        "", " ", "-1", "+1", "1.5", "1s", "12 3", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 66 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT extra", "٣",
    ])
    func refused(value: String) {
        #expect(RetryAfter.delay(value, now: Self.moment) == nil)
    }

    @Test(
        arguments: [
            ("120", "Sun, 06 Nov 1994 08:49:37 GMT", "120"),
            ("Sun, 06 Nov 1994 08:50:07 GMT", nil, "Sun, 06 Nov 1994 08:50:07 GMT"),
            ("Sun, 06 Nov 1994 08:50:07 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "30"),
            ("Sun, 06 Nov 1994 08:49:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "0"),
            ("Sun, 06 Nov 1994 08:50:07 GMT", "today", "Sun, 06 Nov 1994 08:50:07 GMT"),
            ("soon", "Sun, 06 Nov 1994 08:49:37 GMT", "soon"),
        ] as [(String, String?, String)])
    func datesCountFromTheServersOwn(value: String, date: String?, result: String) {
        #expect(RetryAfter.relative(value, to: date) == result)
    }

    /// RFC 9110 §5.6.7: two digits that seem more than 50 years ahead are of the past century.
    @Test func twoDigitYears() {
        let inTheYear2026: Int64 = 1_767_225_600
        func date(_ year: String) -> Int64? {
            HTTPDate.parse(Array("Sunday, 06-Nov-\(year) 08:49:37 GMT".utf8), now: inTheYear2026)
        }
        #expect(date("94") == Self.moment)
        #expect(date("77") == 247_654_177)
        #expect(date("76") == 3_371_878_177)
        #expect(date("26") == 1_793_954_977)
    }

    @Test func everyTruncationOfADate() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            for length in 0..<text.utf8.count {
                #expect(RetryAfter.delay(String(text.prefix(length)), now: Self.moment) == nil)
            }
        }
    }

    @Test func statuses() {
        func outcome(_ status: Int, _ retryAfter: String? = nil) -> OTLPHTTPStatus {
            OTLPHTTPStatus(status: status, retryAfter: retryAfter, now: 0)
        }
        for status in [200, 202, 204] { #expect(outcome(status) == .success) }
        for status in [429, 502, 503, 504] {
            #expect(outcome(status) == .retryable(after: nil))
            #expect(outcome(status, "3") == .retryable(after: .seconds(3)))
            #expect(outcome(status, "later") == .retryable(after: nil))
        }
        for status in [0, 100, 301, 400, 401, 403, 404, 405, 408, 415, 500, 501, 505] {
            #expect(outcome(status, "3") == .permanent)
        }
        #expect(outcome(413) == .tooLarge)
    }
}
