import Glibc

/// Takes connections, into the listener's backlog, and says nothing.
final class SilentPeer: Sendable {
    let port: Int
    private let listener: Int32

    struct Failed: Error {
        let code: Int32
    }

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, size) | listen(descriptor, 16) | getsockname(descriptor, raw, &size)
            }
        }
        guard result == 0 else { throw Failed(code: errno) }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(listener) }
}
