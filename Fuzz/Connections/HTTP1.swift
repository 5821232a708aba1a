internal import NIOCore
internal import NIOEmbedded
internal import OTLP
internal import Pipeline
internal import Synchronization
internal import TestSupport

@testable internal import Transport

// The bytes of a connection to a server from anywhere, at once and cut into pieces: the service must see the same
// requests, and the client the same answers, in order, one for each request. The first byte says how the rest is cut, and
// what the service is like.

func fuzzHTTP1(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    let script = Script(
        isTight: data[0] & 32 != 0, answersWait: data[0] & 64 != 0, asksForCredentials: data[0] & 128 != 0,
        waitsForAll: data[0] & 1 != 0)
    let bytes = UnsafeBufferPointer(start: data + 1, count: size - 1)
    let whole = serve(bytes, pieces: max(1, bytes.count), script)
    let cut = serve(bytes, pieces: Int(data[0] & 31) + 1, script)
    if script.isTight {
        // How much memory a body takes before it is whole depends on how it comes.
    } else if !script.waitsForAll, whole.hasWaited {
        // What is malformed behind a request that waits ends the connection after that request's answer.
        let common = min(whole.seen.count, cut.seen.count)
        if whole.seen.prefix(common) != cut.seen.prefix(common) { fatalError("requests depend on how they are cut") }
    } else if whole != cut {
        fatalError("a connection depends on how it is cut")
    }
    return 0
}

private struct Script {
    /// There is little memory for bodies.
    var isTight: Bool
    /// The service answers later.
    var answersWait: Bool
    var asksForCredentials: Bool
    /// What waits goes on when all bytes have come, not when there are no more for now.
    var waitsForAll: Bool
}

private struct Outcome: Equatable {
    /// Heads, and bodies that came whole, in their order.
    var seen: [[UInt8]] = []
    var output: [UInt8] = []
    var isOpen = false
    var isHTTP2 = false
    var hasWaited = false
}

private struct OtherVersion: Error {}

/// What one connection comes to.
private func serve(_ bytes: UnsafeBufferPointer<UInt8>, pieces: Int, _ script: Script) -> Outcome {
    let service = Service(script)
    var outcome = Outcome()
    do {
        let channel = EmbeddedChannel()
        let connections = HTTPServerConnections(limit: 1)
        let registry = HTTPConnectionRegistry(connections)
        guard connections.admitOne() else { fatalError("no first connection") }
        var settings = HTTPServerSettings(host: "127.0.0.1", port: 0)
        settings.authenticator = script.asksForCredentials ? service : nil
        var isHTTP2 = false
        let detector = HTTPVersionDetector(registry: registry, timeout: .seconds(60)) { isOther, context in
            isHTTP2 = isOther
            if isOther { throw OtherVersion() }
            try HTTPListener.configure(
                context.pipeline.syncOperations,
                HTTPServerConnection(service: service, settings: settings, registry: registry))
        }
        try channel.pipeline.syncOperations.addHandler(detector)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        bytes.forEachPiece(pieces) { piece in
            guard channel.isActive else { return }
            do { try channel.writeInbound(ByteBuffer(bytes: piece)) } catch { fatalError("an error is left: \(error)") }
            if !script.waitsForAll { service.goOn(channel) }
        }
        service.goOn(channel)
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
            outcome.output += Array(buffer.readableBytesView)
        }
        outcome.isOpen = connections.count.load(ordering: .relaxed) == 1
        outcome.isHTTP2 = isHTTP2
        outcome.seen = service.seen
        outcome.hasWaited = service.hasWaited
        try service.check(outcome.output, isOpen: outcome.isOpen)
        // What is incomplete at the end.
        _ = try channel.finish(acceptAlreadyClosed: true)
        guard connections.count.load(ordering: .relaxed) == 0 else { fatalError("a connection is left") }
    } catch {
        fatalError("\(error)")
    }
    guard service.budget.heldBytes == 0 else { fatalError("memory is left") }
    return outcome
}

/// Keeps a record of what it sees and of what it says.
private final class Service: HTTPService, ServerAuthenticator, @unchecked Sendable {
    // Sendable is unchecked: the fuzzer is one thread.

    private struct Answer {
        var answer: HTTPAnswer
        /// To a HEAD request.
        var isBodiless: Bool
    }

    private static let bodyLimit = 1024

    let budget: MemoryBudget
    private let script: Script
    private(set) var seen: [[UInt8]] = []
    private(set) var hasWaited = false
    private var answers: [Answer] = []
    private var heads = 0
    /// The request whose body comes in.
    private var reading: (head: HTTPHead, length: Int?)?
    /// 100 Continue that the client is to get.
    private var interim = 0
    /// Answers to what is no request.
    private var malformed = 0
    private var waiting: [() -> Void] = []

    init(_ script: Script) {
        self.script = script
        budget = MemoryBudget(limit: script.isTight ? 700 : 1 << 20, spike: 0)
    }

    /// Answers what waits.
    func goOn(_ channel: EmbeddedChannel) {
        while !waiting.isEmpty {
            guard channel.isActive else { fatalError("a request was given up") }
            waiting.removeFirst()()
            channel.embeddedEventLoop.run()
        }
    }

    private func note(_ head: HTTPHead) {
        guard reading == nil else { fatalError("a request within another") }
        heads += 1
        var text = "\(head.method) \(head.path) ? \(head.query)\n"
        for field in head.headers.fields { text += "\(field.name): \(field.value)\n" }
        seen.append(Array(text.utf8))
    }

    private func say(_ answer: HTTPAnswer, to head: HTTPHead?) -> HTTPAnswer {
        answers.append(Answer(answer: answer, isBodiless: head?.method == "HEAD"))
        return answer
    }

    // MARK: HTTPService

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        note(head)
        if let length, length < 0 { fatalError("a length below 0") }
        if head.path == "/no" { return .answer(say(.text(404, "no"), to: head)) }
        if head.path == "/end" {
            var answer = HTTPAnswer.text(400, "the end")
            answer.closes = true
            return .answer(say(answer, to: head))
        }
        guard let lease = budget.lease(length ?? 16) else { return .answer(say(.text(503, "full"), to: head)) }
        reading = (head, length)
        if head.path == "/stream" { return .stream { _ in fatalError("a stream of HTTP/1.1") } }
        if length ?? 0 <= Self.bodyLimit, let expect = head.headers["expect"], equalIgnoringCase(expect, "100-continue")
        {
            interim += 1
        }
        return .body(limit: Self.bodyLimit, lease: lease)
    }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        guard let request = reading else { fatalError("a request that was not admitted") }
        reading = nil
        // CONNECT has none, whatever it announces (RFC 9110, section 9.3.6).
        let length = head.method == "CONNECT" ? 0 : request.length ?? body.count
        guard body.count <= Self.bodyLimit, body.count == length else {
            fatalError("a body of a wrong length")
        }
        let bytes = Array(body.buffer)
        seen.append(bytes)
        let sum = bytes.reduce(0 as UInt32) { $0 &* 31 &+ UInt32($1) }
        let echo = head.headers["x-echo"].map { [("X-Echo", $0)] } ?? []
        let status = head.path == "/empty" ? 204 : 200
        let answer = HTTPAnswer.text(status, "\(heads) \(head.path) \(bytes.count) \(sum)", headers: echo)
        if script.answersWait {
            hasWaited = true
            waiting.append { [self] in responder.send(say(answer, to: head)) }
        } else {
            responder.send(say(answer, to: head))
        }
    }

    func unauthenticated(_ head: HTTPHead, _ failure: AuthenticationFailure) -> HTTPAnswer {
        note(head)
        return say(.text(failure.httpStatus, failure.message, headers: failure.httpFields), to: head)
    }

    func bodyTooLarge(_ head: HTTPHead, limit: Int) -> HTTPAnswer {
        reading = nil
        return say(.text(413, "too large"), to: head)
    }

    func outOfMemory(_ head: HTTPHead) -> HTTPAnswer {
        guard script.isTight else { fatalError("there is enough memory") }
        reading = nil
        return say(.text(503, "no memory"), to: head)
    }

    func badRequest(status: Int, message: String) -> HTTPAnswer {
        defer { reading = nil }
        if reading == nil { malformed += 1 }
        return say(.text(status, message), to: reading?.head)
    }

    // MARK: ServerAuthenticator

    func authenticate(_ request: AuthenticationRequest) -> AuthenticationResult {
        switch request.header("authorization")?.utf8.first {
        case UInt8(ascii: "a"): return .allowed(ClientIdentity())
        case UInt8(ascii: "c"): return .denied(AuthenticationFailure(.rejected, challenge: "Basic", closes: true))
        case UInt8(ascii: "l"):
            hasWaited = true
            return .later { [self] completion in waiting.append { completion(.success(ClientIdentity())) } }
        case UInt8(ascii: "m"):
            hasWaited = true
            return .later { [self] completion in
                waiting.append { completion(.failure(AuthenticationFailure(.rejected, challenge: "Basic"))) }
            }
        default: return .denied(AuthenticationFailure(.missing, challenge: "Basic"))
        }
    }

    // MARK: What must hold

    /// What the client gets is what was said, and the last answer says that it is the last.
    func check(_ output: [UInt8], isOpen: Bool) throws {
        let replies = try HTTPReply.all(in: output) { answers.indices.contains($0) && answers[$0].isBodiless }
        let finals = replies.filter { $0.status != 100 }
        // Clients of HTTP/1.0, whose connections end, get none.
        let came = replies.count - finals.count
        guard isOpen ? came == interim : came <= interim else { fatalError("100 Continue") }
        guard finals.count == answers.count else { fatalError("\(answers.count) answers, \(finals.count) came") }
        for (reply, said) in zip(finals, answers) {
            let isBodiless = said.isBodiless || said.answer.status == 204
            guard reply.status == said.answer.status, reply.body == (isBodiless ? [] : said.answer.body) else {
                fatalError("another answer came")
            }
        }
        for reply in finals.dropLast() where reply["connection"] != nil { fatalError("an answer behind the last") }
        if isOpen, finals.last?["connection"] != nil { fatalError("open behind the last answer") }
        guard malformed <= 1, malformed == 0 || !isOpen else { fatalError("open behind what is malformed") }
        guard answers.count == heads - (reading == nil ? 0 : 1) + malformed else { fatalError("not one answer each") }
    }
}
