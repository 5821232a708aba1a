internal import Transport

/// Takes the messages of one gRPC stream out of its bytes, and answers each. Lives on the connection's event loop.
final class GRPCStream: HTTPStream {
    /// Most bytes of a message: those of health and reflection are names.
    private static let largestMessage = 64 << 10

    /// What follows from a message.
    enum Reply {
        case message([UInt8])
        case failure(StatusCode, String)
        case nothing
    }

    private let writer: HTTPStreamWriter
    /// Whether the call ends with the client's side; otherwise it goes on until the server ends.
    private let endsWithClient: Bool
    private let reply: (UnsafeRawBufferPointer) -> Reply
    private let update: () -> Reply
    private var pending: [UInt8] = []
    private var isEnded = false

    /// - Parameters:
    ///   - reply: to a message.
    ///   - update: what there is to say about once a second.
    init(
        _ writer: HTTPStreamWriter, endsWithClient: Bool, update: @escaping () -> Reply = { .nothing },
        reply: @escaping (UnsafeRawBufferPointer) -> Reply
    ) {
        self.writer = writer
        self.endsWithClient = endsWithClient
        self.update = update
        self.reply = reply
    }

    func received(_ bytes: UnsafeRawBufferPointer, ended: Bool) {
        guard !isEnded else { return }
        pending += bytes
        var start = 0
        while !isEnded, let length = messageLength(at: start) {
            let body = start + HTTPBodyFraming.prefixBytes
            guard pending.count - body >= length else { break }
            // The reply may end the stream, which forgets what is pending.
            let message = Array(pending[body..<(body + length)])
            start = body + length
            perform(message.withUnsafeBytes { reply($0) })
        }
        if !isEnded { pending.removeSubrange(..<start) }
        guard ended, !isEnded else { return }
        if !pending.isEmpty {
            finish(.internalError, "the last message is not whole")
        } else if endsWithClient {
            finish(.ok, "")
        }
    }

    /// The length that the prefix at an offset says, once it is there.
    private func messageLength(at start: Int) -> Int? {
        guard pending.count - start >= HTTPBodyFraming.prefixBytes else { return nil }
        guard pending[start] == 0 else {
            finish(.unimplemented, "compressed messages are not supported by this method")
            return nil
        }
        var length = 0
        for byte in pending[(start + 1)..<(start + HTTPBodyFraming.prefixBytes)] { length = length << 8 | Int(byte) }
        guard length <= Self.largestMessage else {
            finish(.resourceExhausted, "a message larger than \(Self.largestMessage) bytes")
            return nil
        }
        return length
    }

    func tick() { if !isEnded { perform(update()) } }

    func drain() { if !isEnded { finish(.unavailable, "the server ends") } }

    private func perform(_ reply: Reply) {
        switch reply {
        case .message(let message): if !writer.send(GRPCFormat.framed(message)) { isEnded = true }
        case .failure(let code, let message): finish(code, message)
        case .nothing: break
        }
    }

    private func finish(_ code: StatusCode, _ message: String) {
        isEnded = true
        pending = []
        writer.finish(GRPCFormat.trailers(code, message))
    }
}
