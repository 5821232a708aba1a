internal import Glibc
internal import Synchronization

/// The addresses of one host, taken in turn. Those that did not connect are passed over for a while.
///
/// Names are resolved on a thread that lives for one look-up, so that `next` never waits.
final class AddressRotation: Sendable {
    /// How long a list of addresses is used before the name is looked up again.
    static let refreshNanoseconds: UInt64 = 30_000_000_000
    /// The same after an address did not connect: it may be gone.
    static let refreshAfterFailureNanoseconds: UInt64 = 1_000_000_000
    /// How long an address that did not connect is passed over.
    static let pauseNanoseconds: UInt64 = 5_000_000_000
    /// Addresses beyond this many are not used.
    static let maxAddresses = 256

    struct State {
        var addresses: [Entry] = []
        var cursor = 0
        var isResolving = false
        /// When the next look-up is due, monotonic nanoseconds.
        var dueAt: UInt64 = 0
    }

    struct Entry: Equatable {
        /// IPv6 in brackets.
        var address: String
        /// Passed over until then; 0 for an address without a failure.
        var pausedUntil: UInt64 = 0
    }

    private let host: String
    private let resolve: @Sendable (String) -> [String]
    private let state = Mutex(State())

    /// - Parameters:
    ///   - origin: `host:port`.
    ///   - resolve: the addresses of a host, IPv6 in brackets; may block.
    init(_ origin: String, resolve: @escaping @Sendable (String) -> [String] = resolvedAddresses) {
        let colon = origin.utf8.lastIndex(of: UInt8(ascii: ":")) ?? origin.endIndex
        host = String(origin[..<colon])
        self.resolve = resolve
    }

    /// The address for the next request. Nil while none is known, or when all are in `excluded`.
    func next(now: UInt64, except excluded: [String] = []) -> String? {
        let (address, isDue) = state.withLock { state in
            let isDue = now >= state.dueAt && !state.isResolving
            if isDue { state.isResolving = true }
            return (state.next(now: now, except: excluded), isDue)
        }
        if isDue { startResolving() }
        return address
    }

    /// An address did not connect.
    func failed(_ address: String, now: UInt64) {
        state.withLock { state in
            state.pause(address, until: now + Self.pauseNanoseconds)
            state.dueAt = min(state.dueAt, now + Self.refreshAfterFailureNanoseconds)
        }
    }

    /// An address answered.
    func connected(_ address: String) { state.withLock { $0.pause(address, until: 0) } }

    private func startResolving() {
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, resolveOnThread, context.toOpaque())
        guard code == 0 else {
            // Without a thread the list stays as it is until the next time.
            context.release()
            return finishResolving(nil)
        }
        pthread_detach(thread)
    }

    fileprivate func resolveNow() { finishResolving(resolve(host)) }

    private func finishResolving(_ found: [String]?) {
        let now = monotonicNanoseconds()
        state.withLock { state in
            state.isResolving = false
            state.dueAt = now + Self.refreshNanoseconds
            if let found { state.update(Array(found.prefix(Self.maxAddresses))) }
        }
    }
}

extension AddressRotation.State {
    /// The next address in turn that is not paused; when all are, the one whose pause ends first.
    mutating func next(now: UInt64, except excluded: [String]) -> String? {
        var best: Int?
        for step in 0..<addresses.count {
            let index = (cursor + step) % addresses.count
            let entry = addresses[index]
            if excluded.contains(entry.address) { continue }
            if entry.pausedUntil <= now {
                best = index
                break
            }
            if let other = best, addresses[other].pausedUntil <= entry.pausedUntil { continue }
            best = index
        }
        guard let best else { return nil }
        cursor = (best + 1) % addresses.count
        return addresses[best].address
    }

    /// Takes a new list; an empty one, from a failed look-up, changes nothing. Pauses stay.
    mutating func update(_ found: [String]) {
        guard !found.isEmpty else { return }
        let known = addresses
        addresses = found.map { address in known.first { $0.address == address } ?? .init(address: address) }
        cursor = addresses.isEmpty ? 0 : cursor % addresses.count
    }

    mutating func pause(_ address: String, until end: UInt64) {
        guard let index = addresses.firstIndex(where: { $0.address == address }) else { return }
        addresses[index].pausedUntil = end
    }
}

/// The thread's body: gets the rotation that `startResolving` retained for it.
private func resolveOnThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    Unmanaged<AddressRotation>.fromOpaque(context).takeRetainedValue().resolveNow()
    return nil
}

/// All addresses of a host, IPv6 in brackets, each once; empty when there are none. Blocks.
@Sendable
private func resolvedAddresses(_ host: String) -> [String] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    var name = Substring(host)
    if name.utf8.first == UInt8(ascii: "["), name.utf8.last == UInt8(ascii: "]") { name = name.dropFirst().dropLast() }
    guard getaddrinfo(String(name), nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [String] = []
    var entry = list
    while let current = entry?.pointee {
        entry = current.ai_next
        var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard let address = current.ai_addr,
            getnameinfo(address, current.ai_addrlen, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST) == 0
        else { continue }
        let numeric = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let text = current.ai_family == AF_INET6 ? "[\(numeric)]" : numeric
        if !found.contains(text) { found.append(text) }
    }
    return found
}
