package import Logging
package import Pipeline
internal import Prometheus
internal import Synchronization
internal import Transport

/// Sends metrics to a remote-write receiver, 1.0 or 2.0.
///
/// Its queue hands it one request at a time. The request's series are spread over shards by their labels, the shards
/// are sent in parallel, and the next request comes when all of them are through: samples of a series never overtake
/// each other. On a retry only the bodies that were not taken are sent again.
package final class PrometheusRemoteWriteExporter: Exporter {
    /// One request, from its first attempt to its end.
    private final class Sending: Sendable {
        let request: ExportRequest
        let state: Mutex<RemoteWriteTransmission>

        init(_ request: ExportRequest, _ transmission: RemoteWriteTransmission) {
            self.request = request
            state = Mutex(transmission)
        }

        /// Whether it is the same request: the same items of the same batches.
        func isOf(_ other: ExportRequest) -> Bool {
            request.slices.count == other.slices.count
                && zip(request.slices, other.slices).allSatisfy { $0.batch === $1.batch && $0.items == $1.items }
        }
    }

    /// One attempt.
    private struct Attempt: Sendable {
        let sending: Sending
        let deadline: ContinuousClock.Instant
        let completion: @Sendable (ExportOutcome) -> Void
    }

    /// The writer is not thread-safe; it is only used under the lock.
    private struct Work: ~Copyable {
        let writer: RemoteWriteWriter
        /// Requests that were not through at the end of an attempt. One for each queue that has this exporter; those of
        /// requests that a queue has given up make room for others.
        var unfinished: [Sending] = []
    }

    private struct Negotiated {
        var version: RemoteWriteVersion
        /// The receiver has answered in a way that only version 2.0 knows.
        var isProven = false
        /// Lowered when the receiver finds bodies too large.
        var maximumBodyBytes: Int
    }

    private static let unfinishedLimit = 8
    /// Bodies are not made smaller than this because of a receiver's answer.
    private static let smallestBodyBytes = 16_384
    /// Bytes of an answer that are read; more is an error of its own.
    private static let answerBytes = 64 << 10

    private let settings: PrometheusRemoteWriteSettings
    private let authorization: RequestAuthorization
    private let client: HTTPClient
    private let metrics: RemoteWriteMetrics
    private let logger: Logger
    private let headers: (first: [(name: String, value: String)], second: [(name: String, value: String)])
    private let work: Mutex<Work>
    private let negotiated: Mutex<Negotiated>

    /// - Throws: `HTTPClientError` when the settings cannot work.
    package init(
        _ settings: PrometheusRemoteWriteSettings, metrics: RemoteWriteMetrics, logger: Logger,
        environment: ComponentEnvironment
    ) throws {
        authorization = RequestAuthorization(settings.client.authenticator, environment)
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        client = try HTTPClient(settings.client.settings)
        headers = (settings.headers(.v1), settings.headers(.v2))
        work = Mutex(Work(writer: RemoteWriteWriter(settings)))
        negotiated = Mutex(Negotiated(version: settings.version, maximumBodyBytes: settings.maximumBodyBytes))
    }

    package func start() throws { try authorization.check() }

    package func shutdown() {
        client.shutdown()
        work.withLock { $0.unfinished = [] }
    }

    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        let deadline = ContinuousClock.now + request.timeout
        guard let sending = resumed(request) ?? translated(request) else {
            completion(.retryable("no memory for the request", after: nil))
            return
        }
        run(Attempt(sending: sending, deadline: deadline, completion: completion))
    }

    // MARK: Requests

    /// The request if an attempt was made before, with what is left of it.
    private func resumed(_ request: ExportRequest) -> Sending? {
        work.withLock { work in
            guard let index = work.unfinished.firstIndex(where: { $0.isOf(request) }) else { return nil }
            return work.unfinished.remove(at: index)
        }
    }

    private func translated(_ request: ExportRequest) -> Sending? {
        guard let (bodies, report) = encode(request) else { return nil }
        metrics.translated(report)
        return Sending(request, RemoteWriteTransmission(bodies, report))
    }

    private func encode(_ request: ExportRequest) -> (shards: [[RemoteWriteBody]], report: TranslationReport)? {
        let (version, limit) = negotiated.withLock { ($0.version, $0.maximumBodyBytes) }
        return work.withLock { $0.writer.bodies(request, version, maximumBytes: limit) }
    }

    private func run(_ attempt: Attempt) {
        let (first, outcome) = attempt.sending.state.withLock { state in
            state.isSending ? (nil, nil) : (Optional(state.begin()), Optional(state.outcome))
        }
        guard let first, let outcome else {
            // Its queue has given the last attempt up, which still runs.
            keep(attempt.sending)
            attempt.completion(.retryable("the attempt before has not ended", after: nil))
            return
        }
        if first.isEmpty { attempt.completion(outcome) }
        for (shard, body) in first { send(body, shard, attempt) }
    }

    /// Remembers a request for its next attempt.
    private func keep(_ sending: Sending) {
        work.withLock { work in
            if work.unfinished.count >= Self.unfinishedLimit { work.unfinished.removeFirst() }
            work.unfinished.append(sending)
        }
    }

    // MARK: Bodies

    private func send(_ body: RemoteWriteBody, _ shard: Int, _ attempt: Attempt) {
        let left = attempt.deadline - .now
        guard left > .zero else {
            step(attempt.sending.state.withLock { $0.outOfTime(shard) }, shard, attempt)
            return
        }
        let fields = body.version == .v1 ? headers.first : headers.second
        var message = HTTPClientRequest(
            url: settings.url, headers: authorization.authorized(fields, metadata: attempt.sending.request.metadata),
            body: body.http,
            timeout: left, maxResponseBytes: Self.answerBytes)
        if body.version == .v2 { message.wantedHeaders = RemoteWriteAnswer.writtenHeaders }
        client.send(message) { [self] result in
            step(answered(result, body, shard, attempt), shard, attempt)
        }
    }

    private func answered(
        _ result: Result<HTTPClientResponse, HTTPClientError>, _ body: RemoteWriteBody, _ shard: Int,
        _ attempt: Attempt
    ) -> RemoteWriteTransmission.Step {
        let isProven = negotiated.withLock { negotiated in
            if body.version == .v2, case .success(let response) = result, !response.headers.isEmpty {
                negotiated.isProven = true
            }
            return negotiated.isProven
        }
        let answer = RemoteWriteAnswer(result, to: body, isProven: isProven)
        switch answer {
        case .written: metrics.written(body)
        case .drop: metrics.refused(body.counts)
        case .tooLarge: learnLimit(body)
        case .retry: break
        case .unsupported(let reason): fallBack(reason)
        }
        return attempt.sending.state.withLock { $0.answered(shard, answer) }
    }

    private func step(_ step: RemoteWriteTransmission.Step, _ shard: Int, _ attempt: Attempt) {
        switch step {
        case .send(let body): send(body, shard, attempt)
        case .wait: break
        case .encodeAnew: encodeAnew(attempt)
        case .finish(let outcome):
            if case .retryable = outcome { keep(attempt.sending) }
            attempt.completion(outcome)
        }
    }

    /// Halves have been made already of this body; later requests are cut to that size from the start.
    private func learnLimit(_ body: RemoteWriteBody) {
        negotiated.withLock { negotiated in
            let half = max(body.plainCount / 2, min(Self.smallestBodyBytes, negotiated.maximumBodyBytes))
            negotiated.maximumBodyBytes = min(negotiated.maximumBodyBytes, half)
        }
    }

    // MARK: Versions

    /// Goes back to 1.0, for good.
    private func fallBack(_ reason: String) {
        let isNews = negotiated.withLock { negotiated in
            defer { negotiated.version = .v1 }
            return negotiated.version != .v1
        }
        guard isNews else { return }
        metrics.fellBack()
        logger.warning(
            "the receiver does not take remote write 2.0, going on with 1.0", metadata: ["error": "\(reason)"])
    }

    /// Encodes the whole request in the version of now. What was taken before comes twice, which receivers ignore.
    private func encodeAnew(_ attempt: Attempt) {
        guard let (bodies, report) = encode(attempt.sending.request) else {
            attempt.completion(.retryable("no memory for the request", after: nil))
            return
        }
        let sending = Sending(attempt.sending.request, RemoteWriteTransmission(bodies, report))
        run(Attempt(sending: sending, deadline: attempt.deadline, completion: attempt.completion))
    }
}
