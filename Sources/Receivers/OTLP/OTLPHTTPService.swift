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
    package typealias Route = OTLPRoute

    private let settings: OTLPHTTPSettings
    private let routes: [String: Route]
    private let budget: MemoryBudget
    private let intake: OTLPIntake

    /// - Parameter routes: by path, such as `/v1/traces`.
    package init(settings: OTLPHTTPSettings, routes: [String: Route], budget: MemoryBudget) {
        self.settings = settings
        self.routes = routes
        self.budget = budget
        intake = OTLPIntake(
            maximumBytes: settings.maximumBodySize, decodeLimits: settings.decodeLimits, budget: budget)
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
        do throws(ConsumeError) {
            let lease = try intake.lease(announced: length, for: head.clientKey, on: route)
            return .body(limit: settings.maximumBodySize, lease: lease)
        } catch {
            return .answer(decorate(format.failure(error), head))
        }
    }

    private func unknownPath(_ head: HTTPHead) -> HTTPAnswer {
        let known = routes.keys.sorted().joined(separator: ", ")
        return decorate(.text(404, "404 page not found; OTLP/HTTP is served at: \(known)\n"), head)
    }

    /// A browser asks without credentials what it may send.
    package func needsAuthentication(_ head: HTTPHead) -> Bool {
        !(head.method == "OPTIONS" && settings.cors?.preflight(head.headers) != nil)
    }

    package func unauthenticated(_ head: HTTPHead, _ failure: AuthenticationFailure) -> HTTPAnswer {
        let format = OTLPFormat(contentType: head.headers["content-type"]) ?? .protobuf
        let code = failure.reason == .limited ? StatusCode.unavailable : .unauthenticated
        var answer = format.failure(failure.httpStatus, code, failure.message)
        answer.headers += failure.httpFields
        return decorate(answer, head)
    }

    package func bodyTooLarge(_ head: HTTPHead, limit: Int) -> HTTPAnswer {
        let format = OTLPFormat(contentType: head.headers["content-type"]) ?? .protobuf
        routes[head.path]?.metrics.requestsFailed.add()
        return decorate(format.failure(413, .resourceExhausted, "request body larger than \(limit) bytes"), head)
    }

    package func outOfMemory(_ head: HTTPHead) -> HTTPAnswer {
        let format = OTLPFormat(contentType: head.headers["content-type"]) ?? .protobuf
        routes[head.path]?.metrics.requestsRefused.add()
        return decorate(format.failure(intake.overloaded), head)
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
        do throws(OTLPRequestError) {
            let inflated = try inflate(body, encoding: head.headers["content-encoding"])
            let wire = try format.wireBytes(of: inflated, signal: route.signal, limit: settings.maximumBodySize)
            let batch = try intake.batch(of: wire, route.signal)
            let context = RequestContext(metadata: settings.metadata.metadata(of: head), client: head.clientKey)
            intake.deliver(batch, to: route, context: context) { [self] outcome in
                switch outcome {
                case .accepted(let rejected, let reason):
                    responder.send(decorate(format.success(route.signal, rejected: rejected, reason), head))
                case .failed(let error): responder.send(decorate(format.failure(error), head))
                }
            }
        } catch {
            intake.count(error, in: route.metrics)
            let answer = format.failure(error.status, error.code, error.message, retryAfter: error.retryAfter)
            responder.send(decorate(answer, head))
        }
    }

    private func inflate(_ body: WireBytes, encoding: String?) throws(OTLPRequestError) -> WireBytes {
        guard let token = encoding else { return body }
        let encoding: ContentEncoding
        do throws(CompressionError) {
            encoding = try ContentEncoding(token: token)
        } catch {
            throw OTLPRequestError(error, limit: settings.maximumBodySize)
        }
        return try intake.inflate(body, encoding)
    }
}
