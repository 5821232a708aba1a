internal import NIOCore
internal import NIOHPACK

/// A request of HTTP/2 and what became of it so far, over all attempts. Belongs to the client's thread.
final class HTTP2ClientCall {
    let submission: HTTPSubmission
    /// `host:port`.
    let origin: String
    /// `scheme://host:port`.
    let destination: String
    /// The head, pseudo fields included.
    let fields: HPACKHeaders
    /// Whether libcurl would reach the host without a proxy, so that its addresses are ours to choose.
    let isDirect: Bool
    /// Addresses that did not connect for this request.
    var failedAddresses: [String] = []
    /// When it was sent last, monotonic nanoseconds; 0 before.
    var begunAt: UInt64 = 0
    /// How often it was sent again since a peer gave it back, or lost it.
    var resends = 0

    /// Fields whose values no proxy and no peer may keep for later (RFC 7541, section 7.1.3).
    private static let secretNames = ["authorization", "proxy-authorization", "cookie"]

    /// - Throws: `.invalidRequest`.
    init(_ submission: HTTPSubmission, _ settings: HTTPClientSettings) throws(HTTPClientError) {
        let request = submission.request
        guard let target = HTTPTarget(request.url) else {
            throw HTTPClientError(.invalidRequest, origin: "", detail: "the URL is not an absolute http or https URL")
        }
        origin = target.origin
        let scheme = target.isTLS ? "https" : "http"
        destination = "\(scheme)://\(target.origin)"
        isDirect =
            settings.proxyURL == nil
            && (target.isLoopback || !EnvironmentProxy.mayBeUsed(for: target.host, isTLS: target.isTLS))
        var fields = HPACKHeaders()
        fields.reserveCapacity(request.headers.count + 4)
        fields.add(name: ":method", value: request.method.rawValue)
        fields.add(name: ":scheme", value: scheme)
        fields.add(name: ":path", value: target.path)
        fields.add(name: ":authority", value: settings.authority ?? target.authority)
        for (name, value) in request.headers {
            if let problem = headerProblem(name, value) {
                throw HTTPClientError(.invalidRequest, origin: target.origin, detail: problem)
            }
            let lower = name.lowercased()
            let indexing = Self.secretNames.contains(lower) ? HPACKIndexing.neverIndexed : .indexable
            fields.add(name: lower, value: value, indexing: indexing)
        }
        self.fields = fields
        self.submission = submission
    }
}

/// One attempt at a call, on a stream of a connection. Belongs to the client's thread.
final class HTTP2ClientStream {
    let call: HTTP2ClientCall
    let id: UInt32
    /// The body from here on is not sent.
    private var slice = 0
    private var offset = 0
    /// Bytes of the body that are not sent.
    private(set) var unsent: Int
    /// Bytes that the peer takes.
    var window: Int
    /// Bytes that we take.
    var receiveWindow: Int

    private(set) var status = 0
    private var fields: HPACKHeaders?
    private var trailers: HPACKHeaders?
    private var body: [UInt8] = []

    init(_ call: HTTP2ClientCall, id: UInt32, window: Int, receiveWindow: Int) {
        self.call = call
        self.id = id
        self.window = window
        self.receiveWindow = receiveWindow
        unsent = call.submission.request.body?.count ?? 0
    }

    /// Whether something of the answer has come.
    var hasAnswer: Bool { fields != nil }

    /// Appends the next bytes of the body, as a DATA frame.
    ///
    /// - Parameter count: 1 to `unsent`.
    func send(_ count: Int, to output: inout HTTP2Output) {
        guard let body = call.submission.request.body else { return }
        unsent -= count
        window -= count
        output.appendDataHead(id, length: count, ends: unsent == 0)
        var rest = count
        while rest > 0, slice < body.slices.count {
            let bytes = body.slices[slice]
            let step = min(rest, bytes.count - offset)
            output.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + step)]), of: body)
            rest -= step
            offset += step
            if offset == bytes.count { (slice, offset) = (slice + 1, 0) }
        }
    }

    /// Takes fields of the answer: an interim head, the head, or the trailers.
    ///
    /// - Returns: false when they are malformed (RFC 9113, section 8.3.2).
    func take(_ block: HTTP2HeadReader.Block) -> Bool {
        if fields != nil {
            guard block.ends, HTTP2FieldSyntax.areTrailers(block.fields) else { return false }
            trailers = block.fields
            return true
        }
        guard let (name, value, _) = block.fields.first(where: { _ in true }), name == ":status", value.utf8.count == 3,
            let status = Int(value), status >= 100
        else { return false }
        for (name, value, _) in block.fields.dropFirst()
        where !HTTP2FieldSyntax.isName(name) || !HTTP2FieldSyntax.isValue(value) { return false }
        if status < 200 { return !block.ends }
        self.status = status
        fields = block.fields
        return true
    }

    /// Takes bytes of the answer's body.
    ///
    /// - Returns: false when there are more than the request allows.
    func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= call.submission.request.maxResponseBytes - body.count else { return false }
        body.append(contentsOf: bytes)
        return true
    }

    /// The answer, which is complete.
    var response: HTTPClientResponse {
        func first(_ name: String) -> String? { fields?.first(name: name) }
        return HTTPClientResponse(
            status: status, contentType: first("content-type"),
            retryAfter: first("retry-after").map { RetryAfter.relative($0, to: first("date")) },
            headers: call.submission.request.wantedHeaders.compactMap { name in
                (first(name) ?? trailers?.first(name: name)).map { (name, $0) }
            }, body: body)
    }

    /// How far the attempt has come.
    var phase: String {
        if unsent > 0 { return "while sending" }
        return fields == nil ? "waiting for the answer" : "while receiving the answer"
    }
}
