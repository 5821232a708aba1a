import Glibc
import Synchronization

/// An HTTP server of a few lines, for what a real one would not do: on loopback, a thread for each connection, which
/// runs `handler` until it returns.
final class ClientTestServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let accepted = Atomic<Int>(0)

    /// Connections so far.
    var connections: Int { accepted.load(ordering: .sequentiallyConsistent) }
    var url: String { "http://127.0.0.1:\(port)/v1/traces?secret=1" }

    init(_ handler: @escaping @Sendable (borrowing TestConnection) -> Void) {
        let (listener, port) = listenOnLoopback()
        self.listener = listener
        self.port = port
        spawnThread { [self] in
            while true {
                let socket = accept(listener, nil, nil)
                guard socket >= 0 else {
                    // Closed by the thread that uses it, so that the number is not taken by another test meanwhile.
                    close(listener)
                    return
                }
                accepted.add(1, ordering: .sequentiallyConsistent)
                spawnThread { handler(TestConnection(socket: socket)) }
            }
        }
    }

    /// Refuses new connections; those that are open stay.
    func stop() {
        Glibc.shutdown(listener, Int32(SHUT_RDWR))
    }

    /// Answers every request on a connection in the same way.
    static func answering(_ response: String) -> ClientTestServer {
        ClientTestServer { connection in
            while connection.readRequest() != nil { connection.write(response) }
        }
    }
}

func listenOnLoopback() -> (socket: Int32, port: UInt16) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
            _ = bind(listener, raw, size)
            _ = listen(listener, 256)
            _ = getsockname(listener, raw, &size)
        }
    }
    return (listener, UInt16(bigEndian: address.sin_port))
}

/// One accepted connection; closed when it goes away.
struct TestConnection: ~Copyable {
    struct Request {
        var head: String
        var body: [UInt8]
    }

    let socket: Int32

    deinit { close(socket) }

    /// Up to the blank line; nil at the end of the connection. Reads nothing of the body.
    func readHead() -> String? {
        var bytes: [UInt8] = []
        while !bytes.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard let byte = read(1)?.first else { return nil }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func readRequest() -> Request? {
        guard let head = readHead() else { return nil }
        var length = 0
        for line in head.lowercased().split(separator: "\r\n") where line.hasPrefix("content-length: ") {
            length = Int(line.dropFirst(16)) ?? 0
        }
        guard let body = length == 0 ? [] : read(length) else { return nil }
        return Request(head: head, body: body)
    }

    /// Exactly `count` bytes, or nil.
    func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let more = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress! + got, count - got, 0) }
            guard more > 0 else { return nil }
            got += more
        }
        return bytes
    }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let more = bytes.withUnsafeBytes {
                send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard more > 0 else { return }
            sent += more
        }
    }

    /// Makes closing send RST.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Until the peer closes.
    func waitForEnd() {
        while read(1) != nil {}
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func spawnThread(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(ThreadBody(body)).toOpaque()
    pthread_create(
        &thread, nil,
        { context in
            guard let context else { return nil }
            Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
            return nil
        }, context)
    pthread_detach(thread)
}
