internal import NIOHPACK

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
