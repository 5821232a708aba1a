package import NIOCore
package import OTLP
package import Pipeline

/// The parts of a request head that services look at.
package struct HTTPHead: Sendable {
    package var method: String
    /// Path without query.
    package var path: String
    /// Text after `?`; empty when there is none.
    package var query: String
    package var headers: HTTPHeaderFields
    /// Address of the peer, without port; nil when unknown.
    package var client: String?
    /// Who the client is; nil when the server asks for no credentials.
    package var identity: ClientIdentity?

    package init(
        method: String, path: String, query: String, headers: HTTPHeaderFields, client: String?,
        identity: ClientIdentity? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.client = client
        self.identity = identity
    }

    /// Whose share of what is scarce the request takes.
    package var clientKey: ClientKey { ClientKey(identity: identity, address: client) }
}

extension HTTPHead {
    /// Path and query of a request target.
    static func split(_ target: String) -> (path: String, query: String) {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (target, "") }
        return (String(target[..<mark]), String(target[target.index(after: mark)...]))
    }
}

/// Request header fields in order. Names compare case-insensitively.
package struct HTTPHeaderFields: Sendable {
    package var fields: [(name: String, value: String)]

    package init(_ fields: [(name: String, value: String)] = []) { self.fields = fields }

    /// The first value of `name`, which is given in lower case.
    package subscript(name: String) -> String? {
        for field in fields where equalIgnoringCase(field.name, name) { return field.value }
        return nil
    }

    /// All values of `name`, which is given in lower case.
    package func values(_ name: String) -> [String] {
        fields.filter { equalIgnoringCase($0.name, name) }.map(\.value)
    }
}

/// Whether `text` equals `lowercased` but for the case of ASCII letters.
package func equalIgnoringCase(_ text: String, _ lowercased: String) -> Bool {
    guard text.utf8.count == lowercased.utf8.count else { return false }
    let equal = text.utf8.withContiguousStorageIfAvailable { left in
        lowercased.utf8.withContiguousStorageIfAvailable { right in
            var index = 0
            while index < left.count {
                let byte = left[index]
                let folded = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
                if folded != right[index] { return false }
                index += 1
            }
            return true
        }
    }
    // Bridged strings have no contiguous storage; on Linux there are none.
    return (equal ?? nil) ?? (text.lowercased() == lowercased)
}

/// An answer. Bodies are small: they are held in memory whole.
package struct HTTPAnswer: Sendable {
    package var status: Int
    /// Fields beside `Content-Length` and `Connection`, which the server writes.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Close the connection after this answer.
    package var closes: Bool
    /// Fields behind the body, names in lower case. HTTP/1.1 answers go without them.
    package var trailers: [(name: String, value: String)] = []

    package init(
        status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [], closes: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.closes = closes
    }

    /// A plain text answer.
    package static func text(_ status: Int, _ text: String, headers: [(name: String, value: String)] = []) -> Self {
        HTTPAnswer(
            status: status, headers: [("Content-Type", "text/plain; charset=utf-8")] + headers,
            body: Array(text.utf8))
    }
}

/// What a service says once it has seen the head of a request.
package enum HTTPAdmission: Sendable {
    /// Read the body, up to `limit` bytes, and hand it over whole. `lease` is kept with the body's bytes, and grows
    /// with the body.
    case body(limit: Int, lease: MemoryLease?)
    /// Answer now; the body is not read into memory.
    case answer(HTTPAnswer)
    /// Let the function make what takes the body as it comes and writes an answer meanwhile. On the event loop; HTTP/2
    /// only.
    case stream(@Sendable (HTTPStreamWriter) -> any HTTPStream)
}

/// The application behind a server. One service serves all connections, on all event loops.
package protocol HTTPService: Sendable {
    /// Looks at a head and says whether the body is wanted. On the connection's event loop; must not block.
    /// - Parameter length: the announced body size in bytes; nil when chunked; 0 without a body.
    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission

    /// Gets the whole request; answers through `responder`, now or later, exactly once, from any thread. On the
    /// connection's event loop; must not block.
    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder)

    /// Whether a request must have credentials, on a server that asks for them.
    func needsAuthentication(_ head: HTTPHead) -> Bool

    /// The answer for a request whose credentials were refused; its body is not read.
    func unauthenticated(_ head: HTTPHead, _ failure: AuthenticationFailure) -> HTTPAnswer

    /// How the body of a request is framed, which says its length early.
    func framing(of head: HTTPHead) -> HTTPBodyFraming

    /// The answer for a body that passed its limit.
    func bodyTooLarge(_ head: HTTPHead, limit: Int) -> HTTPAnswer

    /// The answer for a body that the memory budget has no room for as it comes.
    func outOfMemory(_ head: HTTPHead) -> HTTPAnswer

    /// The answer for a request that is not valid HTTP, or too slow.
    func badRequest(status: Int, message: String) -> HTTPAnswer
}

extension HTTPService {
    package func framing(of head: HTTPHead) -> HTTPBodyFraming { .none }

    package func needsAuthentication(_ head: HTTPHead) -> Bool { true }

    package func unauthenticated(_ head: HTTPHead, _ failure: AuthenticationFailure) -> HTTPAnswer {
        .text(failure.httpStatus, failure.message + "\n", headers: failure.httpFields)
    }

    package func bodyTooLarge(_ head: HTTPHead, limit: Int) -> HTTPAnswer {
        .text(413, "request body larger than \(limit) bytes\n")
    }

    package func outOfMemory(_ head: HTTPHead) -> HTTPAnswer {
        .text(503, "out of memory for request bodies\n", headers: [("Retry-After", "1")])
    }

    package func badRequest(status: Int, message: String) -> HTTPAnswer { .text(status, message + "\n") }
}

extension AuthenticationFailure {
    /// 401, or 429 for credentials that were not looked at.
    package var httpStatus: Int { reason == .limited ? 429 : 401 }

    /// The fields that go with the status: `WWW-Authenticate` (RFC 9110, section 11.6.1), or `Retry-After`.
    package var httpFields: [(name: String, value: String)] {
        guard reason == .limited else { return [("WWW-Authenticate", challenge)] }
        return [("Retry-After", String(max(1, (retryAfter ?? .seconds(1)).components.seconds)))]
    }
}

/// Sends the answer to one request. May be used from any thread, once; a second answer is ignored.
package struct HTTPResponder: Sendable {
    package let eventLoop: any EventLoop
    let target: NIOLoopBound<any AnswerTarget>
    let requestNumber: UInt64

    package func send(_ answer: HTTPAnswer) {
        if eventLoop.inEventLoop {
            target.value.answer(requestNumber, answer)
        } else {
            eventLoop.execute { [self] in target.value.answer(requestNumber, answer) }
        }
    }

    /// Runs `body` on the connection's event loop after a time.
    package func schedule(after time: Duration, _ body: @escaping @Sendable () -> Void) {
        eventLoop.scheduleTask(in: TimeAmount(time), body)
    }
}
