internal import Compression
package import OTLP
package import Pipeline
internal import Synchronization
internal import Telemetry
package import Transport

/// OTLP over gRPC: the unary `Export` of the three collector services, and the standard services for health and
/// reflection.
///
/// Statuses follow the OTLP specification, section OTLP/gRPC; where that is silent, otelcol's receiver.
package struct OTLPGRPCService: HTTPService {
    private let settings: OTLPGRPCSettings
    private let routes: [String: OTLPRoute]
    private let intake: OTLPIntake
    private let health: GRPCHealth
    /// Full names of the services, as they are listed.
    private let services: [String]

    /// - Parameters:
    ///   - routes: by signal.
    ///   - isReady: what the health service says; called on event loops.
    package init(
        settings: OTLPGRPCSettings, routes: [Signal: OTLPRoute], budget: MemoryBudget,
        isReady: @escaping @Sendable () -> Bool
    ) {
        self.settings = settings
        self.routes = Dictionary(uniqueKeysWithValues: routes.map { (Self.path(of: $0.key), $0.value) })
        let exports = routes.keys.map { Self.service(of: $0) }
        services = exports.sorted() + [GRPCHealth.service] + GRPCReflection.services
        health = GRPCHealth(services: Set(services), isReady: isReady)
        intake = OTLPIntake(
            maximumBytes: settings.maximumMessageSize, decodeLimits: settings.decodeLimits, budget: budget)
    }

    /// Full name of the method that takes a signal.
    package static func path(of signal: Signal) -> String {
        switch signal {
        case .traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        case .metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
        case .logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        }
    }

    /// Full name of its service.
    private static func service(of signal: Signal) -> String {
        let path = path(of: signal).dropFirst()
        return String(path.prefix { $0 != "/" })
    }

    // MARK: The head

    package func framing(of head: HTTPHead) -> HTTPBodyFraming { .lengthPrefixed }

    package func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        guard head.method == "POST" else {
            return .answer(.text(405, "gRPC calls are POST requests\n", headers: [("allow", "POST")]))
        }
        guard GRPCFormat.isCall(head) else {
            return .answer(.text(415, "this port speaks OTLP/gRPC: content-type must be application/grpc\n"))
        }
        switch head.path {
        case GRPCHealth.check: return .body(limit: GRPCHealth.messageLimit, lease: nil)
        case GRPCHealth.watch: return .stream { [health] in health.watch($0) }
        case _ where GRPCReflection.paths.contains(head.path):
            return .stream { [services] in GRPCReflection.stream($0, services: services) }
        default: break
        }
        guard let route = routes[head.path] else {
            return .answer(GRPCFormat.failure(.unimplemented, "unknown method \(head.path)"))
        }
        guard GRPCFormat.encoding(head) != nil else {
            route.metrics.requestsFailed.add()
            return .answer(
                GRPCFormat.failure(.unimplemented, "unsupported grpc-encoding; supported: gzip, zstd, identity"))
        }
        do throws(ConsumeError) {
            let lease = try intake.lease(announced: length, for: head.clientKey, on: route)
            return .body(limit: settings.maximumMessageSize + HTTPBodyFraming.prefixBytes, lease: lease)
        } catch {
            return .answer(failure(error))
        }
    }

    package func unauthenticated(_ head: HTTPHead, _ failure: AuthenticationFailure) -> HTTPAnswer {
        var answer: HTTPAnswer
        if failure.reason == .limited {
            answer = GRPCFormat.failure(.unavailable, failure.message, retryAfter: failure.retryAfter)
        } else {
            answer = GRPCFormat.failure(.unauthenticated, failure.message)
            answer.headers += failure.httpFields.map { (name: $0.name.lowercased(), value: $0.value) }
        }
        return answer
    }

    package func bodyTooLarge(_ head: HTTPHead, limit: Int) -> HTTPAnswer {
        routes[head.path]?.metrics.requestsFailed.add()
        let bytes = limit - HTTPBodyFraming.prefixBytes
        return GRPCFormat.failure(.resourceExhausted, "message larger than max_recv_msg_size_mib, \(bytes) bytes")
    }

    package func outOfMemory(_ head: HTTPHead) -> HTTPAnswer {
        routes[head.path]?.metrics.requestsRefused.add()
        return failure(intake.memoryLimitReached)
    }

    package func badRequest(status: Int, message: String) -> HTTPAnswer {
        GRPCFormat.failure(status == 408 ? .deadlineExceeded : .internalError, message)
    }

    private func failure(_ error: OTLPRequestError) -> HTTPAnswer {
        GRPCFormat.failure(error.code, error.message, retryAfter: error.retryAfter)
    }

    // MARK: The body

    package func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        if head.path == GRPCHealth.check {
            responder.send(check(body))
            return
        }
        guard let route = routes[head.path], let encoding = GRPCFormat.encoding(head) else {
            responder.send(GRPCFormat.failure(.unimplemented, "unknown method \(head.path)"))
            return
        }
        do throws(OTLPRequestError) {
            let (message, isCompressed) = try GRPCFormat.message(in: body)
            let wire = isCompressed ? try inflate(message, encoding) : message
            let batch = try intake.batch(of: wire, route.signal)
            let answer = FirstAnswer(responder)
            if let timeout = GRPCFormat.timeout(head) { answer.expire(after: timeout) }
            let context = RequestContext(metadata: settings.metadata.metadata(of: head), client: head.clientKey)
            intake.deliver(batch, to: route, context: context) { [self] outcome in
                switch outcome {
                case .accepted(let rejected, let reason):
                    let response = OTLPFormat.response(route.signal, rejected: rejected, reason)
                    answer.send(GRPCFormat.success(response.encoded(route.signal, as: .protobuf)))
                case .failed(let error): answer.send(failure(error))
                }
            }
        } catch {
            intake.count(error, in: route.metrics)
            responder.send(failure(error))
        }
    }

    private func inflate(_ message: WireBytes, _ encoding: ContentEncoding) throws(OTLPRequestError) -> WireBytes {
        guard encoding != .identity else {
            throw OTLPRequestError(
                status: 200, code: .internalError, message: "a compressed message without grpc-encoding")
        }
        return try intake.inflate(message, encoding)
    }

    private func failure(_ error: ConsumeError) -> HTTPAnswer {
        guard error.isRetryable else { return GRPCFormat.failure(.internalError, error.message) }
        return GRPCFormat.failure(.unavailable, error.message, retryAfter: error.retryAfter ?? .seconds(1))
    }

    // MARK: Health

    private func check(_ body: WireBytes) -> HTTPAnswer {
        do throws(OTLPRequestError) {
            let (message, isCompressed) = try GRPCFormat.message(in: body)
            guard !isCompressed else {
                return GRPCFormat.failure(.unimplemented, "compressed messages are not supported by this method")
            }
            return health.answer(message.buffer)
        } catch {
            return failure(error)
        }
    }
}

/// Sends whatever comes first: the answer, or that the caller's time is over.
private final class FirstAnswer: Sendable {
    private let responder: HTTPResponder
    private let isSent = Atomic<Bool>(false)

    init(_ responder: HTTPResponder) { self.responder = responder }

    func send(_ answer: HTTPAnswer) {
        if !isSent.exchange(true, ordering: .acquiringAndReleasing) { responder.send(answer) }
    }

    /// The batch stays with the pipeline: only the caller stops waiting.
    func expire(after timeout: Duration) {
        responder.schedule(after: timeout) { [self] in
            send(GRPCFormat.failure(.deadlineExceeded, "the call's deadline passed before the data was taken"))
        }
    }
}
