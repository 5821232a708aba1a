internal import CCurl
internal import Glibc

/// A connection of HTTP/2, from the first attempt to connect on, with the calls that use it or wait for it. Belongs to
/// the client's thread.
final class HTTP2ClientConnection {
    /// `scheme://host:port`.
    let destination: String
    /// `host:port`.
    let origin: String
    /// What it was told to connect to, if it was; later, what it is connected to, where addresses take turns.
    private(set) var address: String?
    let socket: HTTP2ClientSocket
    let session: HTTP2ClientSession
    private var output = HTTP2Output()
    /// Calls that have not begun, in order.
    private(set) var waiting: ArraySlice<HTTP2ClientCall> = []
    private(set) var isOpen = false
    /// Something may have come that was not taken.
    var isReadable = true
    /// Takes no further calls: it is to end when those under way are through.
    var isRetired = false
    /// When something came last, or the connection was opened; monotonic nanoseconds.
    private(set) var lastReceived: UInt64 = 0
    /// When a call was under way last; monotonic nanoseconds.
    private(set) var lastUsed: UInt64

    /// For a call like `call`, which is not appended.
    init(
        for call: HTTP2ClientCall, _ settings: HTTPClientSettings, address: String?, socket: HTTP2ClientSocket,
        now: UInt64
    ) {
        session = HTTP2ClientSession(outputBytes: settings.uploadBufferBytes)
        destination = call.destination
        origin = call.origin
        self.address = address
        self.socket = socket
        lastUsed = now
    }

    func opened(_ now: UInt64, rotatesAddresses: Bool) {
        isOpen = true
        if rotatesAddresses, address == nil { address = socket.peerAddress }
        lastReceived = now
    }

    /// Whether further calls may come.
    var takesCalls: Bool { !isRetired && !session.isClosing }

    var isUnused: Bool { session.calls == 0 && waiting.isEmpty }

    var isReady: Bool { session.isReady }

    /// The earliest deadline of a call, monotonic nanoseconds.
    var nextDeadline: UInt64 {
        waiting.reduce(session.nextDeadline) { min($0, $1.submission.deadline) }
    }

    func append(_ call: HTTP2ClientCall) { waiting.append(call) }

    /// The calls that wait; they do so no longer.
    func takeWaiting() -> ArraySlice<HTTP2ClientCall> {
        defer { waiting = [] }
        return waiting
    }

    func removeWaiting(where isOver: (HTTP2ClientCall) -> Bool) -> [HTTP2ClientCall] {
        let over = waiting.filter(isOver)
        if !over.isEmpty { waiting.removeAll(where: isOver) }
        return Array(over)
    }

    /// Begins calls that wait, and sends what goes.
    ///
    /// - Returns: false when the connection is broken.
    func send(_ now: UInt64) -> Bool {
        while session.room > 0, let call = waiting.popFirst() {
            call.begunAt = now
            session.begin(call)
        }
        if session.calls > 0 { lastUsed = now }
        while true {
            if output.isEmpty { session.fill(&output) }
            guard socket.write(&output) else { return false }
            // More than one turn of a large body.
            if socket.isWaiting(output) || !session.hasOutput { return true }
        }
    }

    /// What to wait for.
    var events: Int16 { Int16(socket.isWaiting(output) ? POLLIN | POLLOUT : POLLIN) }

    /// Takes all that has come, if `isReadable`.
    ///
    /// - Throws: why the connection ends.
    func receive(_ buffer: UnsafeMutableRawBufferPointer, _ now: UInt64) throws(HTTP2ClientEnding) {
        while isReadable {
            switch socket.read(buffer) {
            case .bytes(let count):
                lastReceived = now
                isReadable = socket.mayHaveMore(count, of: buffer)
                do throws(HTTP2ConnectionError) {
                    try session.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                } catch {
                    session.sayGoodbye(error.code)
                    session.fill(&output)
                    _ = socket.write(&output)
                    throw session.isReady
                        ? HTTP2ClientEnding(code: .malformedResponse, detail: error.reason)
                        : HTTP2ClientEnding(code: .malformedResponse, detail: "the server does not speak HTTP/2")
                }
            case .nothing: isReadable = false
            case .closed: throw HTTP2ClientEnding(code: .reset, detail: "closed by the server")
            case .failed(let text): throw HTTP2ClientEnding(code: .reset, detail: text)
            }
        }
    }
}

/// Why a connection ends.
struct HTTP2ClientEnding: Error {
    let code: HTTPClientError.Code
    /// Holds nothing of the peer's.
    let detail: String
}
