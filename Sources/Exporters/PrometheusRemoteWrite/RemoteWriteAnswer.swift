internal import Glibc
internal import Prometheus
internal import Transport

/// What a receiver's answer means for the body that was sent (remote write 1.0 and 2.0, "Retries & Backoff").
enum RemoteWriteAnswer: Equatable {
    /// Taken. `missing` samples and histograms the receiver says it did not write.
    case written(missing: Int)
    /// Worth another try, no sooner than `after`.
    case retry(String, after: Duration?)
    /// Never to be sent again.
    case drop(String)
    /// Too large: worth a try in halves.
    case tooLarge(String)
    /// The receiver does not know the version of the message.
    case unsupported(String)

    /// Headers of an answer to 2.0.
    static let writtenHeaders = [
        "X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written",
        "X-Prometheus-Remote-Write-Exemplars-Written",
    ]

    /// Characters of the receiver's own text that are passed on.
    private static let reasonLimit = 300

    /// - Parameter isProven: whether the receiver has shown before that it knows the version.
    init(
        _ result: Result<HTTPClientResponse, HTTPClientError>, to body: RemoteWriteBody, isProven: Bool
    ) {
        switch result {
        case .failure(let error) where error.code == .responseTooLarge && (200..<300).contains(error.status):
            // The text of a success means nothing.
            self = .written(missing: 0)
        case .failure(let error):
            self = error.isRetryable ? .retry(error.description, after: nil) : .drop(error.description)
        case .success(let response):
            self.init(response, to: body, isProven: isProven)
        }
    }

    private init(_ response: HTTPClientResponse, to body: RemoteWriteBody, isProven: Bool) {
        let knowsVersion = body.version == .v1 || isProven || !response.headers.isEmpty
        switch response.status {
        case 200..<300:
            if !knowsVersion, !body.counts.isEmpty {
                // A receiver of 1.0 that does not look at the content type finds nothing in it that it knows.
                self = .unsupported("the receiver does not say what it wrote")
            } else {
                self = .written(missing: body.version == .v1 ? 0 : Self.missing(response, body.counts))
            }
        case 415 where body.version == .v2: self = .unsupported(Self.reason(response))
        case 400 where !knowsVersion: self = .unsupported(Self.reason(response))
        case 413: self = .tooLarge(Self.reason(response))
        case 429, 500...599:
            let delay = response.retryAfter.flatMap { RetryAfter.delay($0, now: Int64(time(nil))) }
            self = .retry(Self.reason(response), after: delay)
        default: self = .drop(Self.reason(response))
        }
    }

    /// Samples and histograms that were sent and, as far as the answer says so, not written.
    private static func missing(_ response: HTTPClientResponse, _ counts: RemoteWriteCounts) -> Int {
        guard !response.headers.isEmpty else { return 0 }
        var missing = 0
        for (name, sent) in [(writtenHeaders[0], counts.samples), (writtenHeaders[1], counts.histograms)] {
            // One that is missing stands for 0.
            let text = response.headers.first { $0.name == name }?.value
            let written = text.flatMap { Int($0) } ?? 0
            missing += max(0, sent - max(0, written))
        }
        return missing
    }

    /// The status, and the beginning of what the receiver says, without control characters.
    private static func reason(_ response: HTTPClientResponse) -> String {
        var text = ""
        for scalar in String(decoding: response.body.prefix(4 * reasonLimit), as: UTF8.self).unicodeScalars.prefix(
            reasonLimit)
        {
            text.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar)
        }
        while text.last == " " { text.removeLast() }
        return "the receiver answered HTTP \(response.status)" + (text.isEmpty ? "" : ": \(text)")
    }
}
