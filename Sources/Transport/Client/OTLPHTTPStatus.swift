/// What an OTLP/HTTP answer means for the data that was sent (OTLP specification, "OTLP/HTTP Response").
package enum OTLPHTTPStatus: Equatable, Sendable {
    /// Taken, wholly or in part: the body says how much.
    case success
    /// Not taken; the same data may be sent again, no sooner than `after` if the server asked for that.
    case retryable(after: Duration?)
    /// Not taken, and sending the same data again would not change that.
    case permanent
    /// Not taken because of its size; it may be sent again in smaller parts.
    case tooLarge

    /// - Parameters:
    ///   - status: HTTP status. All of 2xx is success, since some backends answer 202 or 204. Redirects are not
    ///     followed and count as permanent.
    ///   - retryAfter: the `Retry-After` header, if any; ignored when malformed.
    ///   - now: seconds since 1970, UTC.
    package init(status: Int, retryAfter: String?, now: Int64) {
        switch status {
        case 200..<300: self = .success
        case 413: self = .tooLarge
        case 429, 502, 503, 504: self = .retryable(after: retryAfter.flatMap { RetryAfter.delay($0, now: now) })
        default: self = .permanent
        }
    }
}
