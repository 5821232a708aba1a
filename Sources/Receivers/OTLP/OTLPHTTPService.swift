internal import Compression
package import OTLP
package import Pipeline
internal import Telemetry
package import Transport

/// OTLP over HTTP: which requests are taken, how bodies become batches, and what the client is told.
///
/// Statuses, content types and bodies follow the OTLP specification, section OTLP/HTTP; where that is silent,
/// otelcol's receiver.
package struct OTLPHTTPService: HTTPService {
    /// What one signal's path leads to.
    package struct Route: Sendable {
        package var signal: Signal
        package var consumer: any Consumer
        package var metrics: ReceiverMetrics

        package init(signal: Signal, consumer: any Consumer, metrics: ReceiverMetrics) {
            self.signal = signal
            self.consumer = consumer
            self.metrics = metrics
        }
    }

    private let settings: OTLPHTTPSettings
    private let routes: [String: Route]
    private let budget: MemoryBudget
    private let decompressors = DecompressorPool()

    /// - Parameter routes: by path, such as `/v1/traces`.
    package init(settings: OTLPHTTPSettings, routes: [String: Route], budget: MemoryBudget) {
        self.settings = settings
        self.routes = routes
        self.budget = budget
    }

    // MARK: The head

    package func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        guard let route = routes[head.path] else { return .answer(unknownPath(head)) }
        if head.method == "OPTIONS", let preflight = settings.cors?.preflight(head.headers) {
            return .answer(preflight)
        }
        guard head.method == "POST" else {
            return .answer(
                decorate(.text(405, "405 method not allowed, supported: [POST]\n", headers: [("Allow", "POST")]), head))
        }
        guard let format = OTLPFormat(contentType: head.headers["content-type"]) else {
            route.metrics.requestsFailed.add()
            let supported = "application/json, application/x-protobuf"
            return .answer(
                decorate(.text(415, "415 unsupported media type, supported: [\(supported)]\n"), head))
        }
        if let token = head.headers["content-encoding"], (try? ContentEncoding(token: token)) == nil {
            route.metrics.requestsFailed.add()
            let message = "unsupported Content-Encoding; supported: gzip, deflate, zlib, zstd, identity"
            return .answer(decorate(format.failure(400, .invalidArgument, message), head))
        }
        if let length, length > settings.maximumBodySize {
            return .answer(bodyTooLarge(head, limit: settings.maximumBodySize))
        }
        if let length, length > budget.softLimit {
            let message = "request body of \(length) bytes is larger than the memory limit of \(budget.softLimit)"
            return .answer(decorate(format.failure(413, .resourceExhausted, message), head))
        }
        let first = min(length ?? Self.firstLease, Self.firstLease)
        guard let lease = budget.lease(first, announced: length ?? 0) else {
            route.metrics.requestsRefused.add()
            return .answer(decorate(overloaded(format), head))
        }
        return .body(limit: settings.maximumBodySize, lease: lease)
    }

    /// Bytes of a body that are counted before any has come; the rest is counted as it comes.
    private static let firstLease = 64 << 10

    private func unknownPath(_ head: HTTPHead) -> HTTPAnswer {
        let known = routes.keys.sorted().joined(separator: ", ")
        return decorate(.text(404, "404 page not found; OTLP/HTTP is served at: \(known)\n"), head)
    }

    private func overloaded(_ format: OTLPFormat) -> HTTPAnswer {
        format.failure(
            ConsumeError(.memoryLimit, "memory limit reached, try again later", retryAfter: budget.retryAfter))
    }

    package func bodyTooLarge(_ head: HTTPHead, limit: Int) -> HTTPAnswer {
        let format = OTLPFormat(contentType: head.headers["content-type"]) ?? .protobuf
        routes[head.path]?.metrics.requestsFailed.add()
        return decorate(format.failure(413, .resourceExhausted, "request body larger than \(limit) bytes"), head)
    }

    package func outOfMemory(_ head: HTTPHead) -> HTTPAnswer {
        let format = OTLPFormat(contentType: head.headers["content-type"]) ?? .protobuf
        routes[head.path]?.metrics.requestsRefused.add()
        return decorate(overloaded(format), head)
    }

    /// Adds the CORS fields that the request's origin may see.
    private func decorate(_ answer: HTTPAnswer, _ head: HTTPHead) -> HTTPAnswer {
        guard let cors = settings.cors, let origin = head.headers["origin"] else { return answer }
        var answer = answer
        answer.headers += cors.fields(forOrigin: origin)
        return answer
    }

    // MARK: The body

    package func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        guard let route = routes[head.path], let format = OTLPFormat(contentType: head.headers["content-type"]) else {
            responder.send(unknownPath(head))
            return
        }
        let batch: TelemetryBatch
        do throws(OTLPRequestError) {
            let inflated = try inflate(body, encoding: head.headers["content-encoding"])
            let wire = try format.wireBytes(of: inflated, signal: route.signal, limit: settings.maximumBodySize)
            batch = try decode(wire, route.signal)
            try account(for: batch, in: wire.accounting as? MemoryLease)
        } catch {
            error.retryAfter == nil ? route.metrics.requestsFailed.add() : route.metrics.requestsRefused.add()
            let answer = format.failure(error.status, error.code, error.message, retryAfter: error.retryAfter)
            responder.send(decorate(answer, head))
            return
        }
        deliver(batch, from: head, to: route, format, responder)
    }

    private func deliver(
        _ batch: TelemetryBatch, from head: HTTPHead, to route: Route, _ format: OTLPFormat,
        _ responder: HTTPResponder
    ) {
        let rejected = batch.rejectedCount
        let count = batch.itemCount
        let metrics = route.metrics
        metrics.refusedItems.add(rejected)
        guard !batch.isEmpty else {
            metrics.requestsSucceeded.add()
            responder.send(decorate(format.success(route.signal, rejected: rejected), head))
            return
        }
        let receipt = Receipt { [self] error in
            if let error {
                error.isRetryable ? metrics.refusedItems.add(count) : metrics.failedItems.add(count)
                error.isRetryable ? metrics.requestsRefused.add() : metrics.requestsFailed.add()
                responder.send(decorate(format.failure(error), head))
            } else {
                metrics.acceptedItems.add(count)
                metrics.requestsSucceeded.add()
                responder.send(decorate(format.success(route.signal, rejected: rejected), head))
            }
        }
        let context = RequestContext(metadata: settings.includeMetadata ? metadata(of: head) : [:])
        route.consumer.consume(batch, context: context, receipt: receipt)
    }

    private func metadata(of head: HTTPHead) -> [String: [String]] {
        var metadata: [String: [String]] = [:]
        for field in head.headers.fields { metadata[field.name.lowercased(), default: []].append(field.value) }
        return metadata
    }

    private func decode(_ bytes: WireBytes, _ signal: Signal) throws(OTLPRequestError) -> TelemetryBatch {
        do throws(OTLPDecodeError) {
            return try TelemetryBatch(bytes, signal: signal, limits: settings.decodeLimits)
        } catch {
            throw OTLPRequestError(error)
        }
    }

    private func inflate(_ body: WireBytes, encoding: String?) throws(OTLPRequestError) -> WireBytes {
        guard let encoding else { return body }
        let lease = body.accounting as? MemoryLease
        // Inflated bytes are bounded before they exist: by the limit of a body, and by what memory is left.
        let room = lease.map { $0.bytes + budget.room } ?? settings.maximumBodySize
        let limit = min(settings.maximumBodySize, room)
        let inflated: WireBytes
        do throws(CompressionError) {
            let encoding = try ContentEncoding(token: encoding)
            guard encoding != .identity, body.count > 0 else { return body }
            let storage = try decompressors.decompress(body.buffer, encoding, limit: limit).release()
            inflated = WireBytes(adopting: storage.base, count: storage.count, accounting: lease)
        } catch {
            if case .tooLarge = error, limit < settings.maximumBodySize { throw memoryLimitReached }
            throw OTLPRequestError(error, limit: settings.maximumBodySize)
        }
        if let lease, !lease.resize(to: inflated.count) { throw memoryLimitReached }
        return inflated
    }

    /// Counts what the batch holds from now on, instead of what its body took on the wire.
    private func account(for batch: TelemetryBatch, in lease: MemoryLease?) throws(OTLPRequestError) {
        if let lease, !lease.resize(to: batch.heldBytes) { throw memoryLimitReached }
    }

    private var memoryLimitReached: OTLPRequestError {
        OTLPRequestError(
            status: 503, code: .unavailable, message: "memory limit reached, try again later",
            retryAfter: budget.retryAfter)
    }
}
