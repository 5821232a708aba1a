package import Compression
internal import Glibc
internal import OTLP
internal import Synchronization
package import Transport

/// Where generated requests go, and how.
package struct SendingSettings: Sendable {
    /// Absolute, with the path: `http://127.0.0.1:4318/v1/traces`.
    package var url: String
    package var encoding = ContentEncoding.gzip
    /// Beside `Content-Type` and `Content-Encoding`.
    package var headers: [(name: String, value: String)] = []
    /// Requests under way at the same time, at least 1.
    package var concurrency = 4
    /// Of one attempt: OTLP's usual 10 s.
    package var timeout = Duration.seconds(10)

    package init(url: String) { self.url = url }
}

/// Sends what a producer makes to an OTLP/HTTP endpoint, as protobuf. Requests that are answered 429, 502, 503 or 504,
/// or not at all, are sent again, no sooner than `Retry-After` says, and given up after a minute (after 5 s while
/// nobody has ever answered).
package final class TraceSender: Sendable {
    private let settings: SendingSettings
    private let client: HTTPClient
    private let control: RunControl
    private let flow: Mutex<RequestFlow<HTTPRequestBody>>

    /// - Throws: `HTTPClientError` when there can be no client.
    package init(_ settings: SendingSettings, control: RunControl) throws(HTTPClientError) {
        var settings = settings
        settings.headers = [("Content-Type", "application/x-protobuf"), ("User-Agent", "martlet")] + settings.headers
        if settings.encoding != .identity { settings.headers.append(("Content-Encoding", settings.encoding.token)) }
        self.settings = settings
        self.control = control
        var client = HTTPClientSettings()
        client.maxInFlight = max(client.maxInFlight, settings.concurrency)
        client.maxIdleConnections = max(client.maxIdleConnections, settings.concurrency)
        self.client = try HTTPClient(client)
        flow = Mutex(RequestFlow(concurrency: settings.concurrency))
    }

    /// Sends until the producer is exhausted and every request is through, or `control` is stopped. Blocks. Once only.
    ///
    /// - Throws: `CompressionError`; what is under way is then cut off.
    package func run(_ producer: inout TraceProducer) throws(CompressionError) -> SendingTotals {
        defer { client.shutdown() }
        var encoder = try BodyEncoder(settings.encoding)
        while true {
            let now = RunClock.now()
            let next = flow.withLock { flow in
                if control.isStopped { flow.stop() }
                return flow.next(at: now)
            }
            switch next {
            case .finished: return flow.withLock { $0.totals }
            case .wait(let until): control.wait(until: until)
            case .resend(let attempt): send(attempt)
            case .room(let until):
                switch producer.next(now: now, time: RunClock.time(), stopping: control.isStopped) {
                case .request(let request):
                    let spans = request.spans
                    let body = try body(of: request, with: &encoder)
                    send(flow.withLock { $0.start(body, spans: spans, at: RunClock.now()) })
                case .wait(let due): control.wait(until: min(until, due))
                case .exhausted: flow.withLock { $0.complete() }
                case .outOfMemory: throw .outOfMemory
                }
            }
        }
    }

    private func body(
        of request: consuming GeneratedRequest, with encoder: inout BodyEncoder
    ) throws(CompressionError) -> HTTPRequestBody {
        if settings.encoding != .identity { return HTTPRequestBody(try encoder.encode([request.bytes.bytes])) }
        let (base, count) = request.bytes.takeStorage()
        return HTTPRequestBody(OwnedBytes(adopting: base, count: count))
    }

    private func send(_ attempt: RequestFlow<HTTPRequestBody>.Attempt) {
        let request = HTTPClientRequest(
            url: settings.url, headers: settings.headers, body: attempt.payload, timeout: settings.timeout)
        client.send(request) { [self] result in
            let outcome = Self.outcome(result)
            flow.withLock { $0.finish(attempt, outcome, at: RunClock.now()) }
            control.wake()
        }
    }

    private static func outcome(_ result: Result<HTTPClientResponse, HTTPClientError>) -> AttemptOutcome {
        switch result {
        case .failure(let error):
            // Too large an answer comes from a server all the same.
            if error.code == .responseTooLarge { return .refused(error.description) }
            return error.isRetryable ? .unanswered(error.description) : .impossible(error.description)
        case .success(let response):
            let reason = "the endpoint answered HTTP \(response.status)"
            switch OTLPHTTPStatus(status: response.status, retryAfter: response.retryAfter, now: Int64(time(nil))) {
            case .success: return accepted(response)
            case .retryable(let delay):
                return .later(
                    after: delay.map { $0.wholeNanoseconds },
                    isThrottled: response.status == 429 || response.status == 503,
                    reason)
            case .permanent, .tooLarge: return .refused(reason)
            }
        }
    }

    /// An answer 2xx, which may refuse some of the spans.
    private static func accepted(_ response: HTTPClientResponse) -> AttemptOutcome {
        let isJSON = response.contentType?.lowercased().hasPrefix("application/json") == true
        let answer = response.body.withUnsafeBytes { body in
            // A body that is no OTLP answer refuses nothing.
            try? ExportResponse(decoding: body, .traces, as: isJSON ? .json : .protobuf)
        }
        guard let answer, answer.rejectedItems > 0 else { return .accepted(rejected: 0, reason: "") }
        return .accepted(
            rejected: Int(answer.rejectedItems),
            reason: "the endpoint rejected \(answer.rejectedItems) spans of a request")
    }
}
