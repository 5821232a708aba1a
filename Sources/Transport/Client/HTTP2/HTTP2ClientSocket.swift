internal import CCurl
internal import Glibc

/// A connection that libcurl makes (names, proxies and TLS are its work), over which bytes go as they are. Belongs to
/// the client's thread.
final class HTTP2ClientSocket {
    enum Reading {
        case bytes(Int)
        /// Nothing for now.
        case nothing
        case closed
        case failed(String)
    }

    /// Bytes given to TLS at a time.
    private static let stagedBytes = 64 << 10

    private let multi: UnsafeMutableRawPointer
    let easy: UnsafeMutableRawPointer
    /// libcurl looks at it as long as it connects.
    private let target: HTTPTarget
    private let isDirect: Bool
    private let isPlain: Bool
    /// libcurl writes the cause of a failure here.
    private let errorText: UnsafeMutablePointer<CChar>
    private var connectTo: UnsafeMutablePointer<curl_slist>?
    private(set) var descriptor: Int32 = -1

    /// What TLS was given and has not taken: it wants the same bytes again.
    private var staged: UnsafeMutableRawBufferPointer?
    private var stagedRange = 0..<0

    /// Begins to connect. `opened` is to be called when libcurl is through with the handle.
    ///
    /// - Parameter address: to connect to in place of the host's; IPv6 in brackets.
    /// - Throws: `.invalidRequest`, `.tls` without the TLS library that it takes, or `.failed` when libcurl refuses.
    init(
        _ url: String, _ settings: HTTPClientSettings, address: String?, isDirect: Bool, multi: UnsafeMutableRawPointer
    ) throws(HTTPClientError) {
        guard let target = HTTPTarget(url) else {
            throw HTTPClientError(.invalidRequest, origin: "", detail: "the URL is not an absolute http or https URL")
        }
        guard let easy = martlet_curl_easy_init() else {
            throw HTTPClientError(.failed, origin: target.origin, detail: "no libcurl handle")
        }
        self.multi = multi
        self.easy = easy
        self.isDirect = isDirect
        isPlain = isDirect && !target.isTLS
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        var connectHost = address
        var isNamed = true
        if let name = settings.tls.serverNameOverride, target.isTLS {
            connectHost = connectHost ?? target.host
            isNamed = target.overrideName(name)
        }
        connectTo = connectHost.flatMap { martlet_curl_slist_append(nil, target.connectTo($0)) }
        let (origin, isTLS) = (target.origin, target.isTLS)
        self.target = target
        guard isNamed else {
            throw HTTPClientError(
                .invalidRequest, origin: origin, detail: "server_name_override is not a host name")
        }
        if isTLS, martlet_curl_offer_http2(easy) != CURLE_OK {
            throw HTTPClientError(
                .tls, origin: origin, detail: "HTTP/2 over TLS needs libcurl with OpenSSL: install libcurl4")
        }
        guard configure(settings), martlet_curl_multi_add_handle(multi, easy) == CURLM_OK else {
            throw HTTPClientError(.failed, origin: origin, detail: "libcurl refused an option")
        }
    }

    deinit {
        // libcurl closes the connection with that.
        martlet_curl_multi_remove_handle(multi, easy)
        martlet_curl_easy_cleanup(easy)
        martlet_curl_slist_free_all(connectTo)
        errorText.deallocate()
        staged?.deallocate()
    }

    private func configure(_ settings: HTTPClientSettings) -> Bool {
        var options = CurlOptions(easy)
        options.set(CURLOPT_ERRORBUFFER, errorText)
        options.setConnection(settings)
        options.set(CURLOPT_CONNECT_ONLY, 1)
        options.set(CURLOPT_HTTPPROXYTUNNEL, 1)
        // What a proxy says beside its answer to CONNECT would go to the standard output.
        options.check(martlet_curl_set_writer(easy, { _, size, count, _ in size * count }, nil))
        options.set(CURLOPT_CURLU, UnsafeRawPointer(target.handle))
        options.set(CURLOPT_CONNECT_TO, connectTo)
        options.setProxy(settings, isLoopback: target.isLoopback)
        return settings.tls.apply(to: easy) && options.areAccepted
    }

    /// libcurl is through with connecting.
    ///
    /// - Throws: why there is no connection.
    func opened(_ code: CURLcode) throws(HTTPClientError) {
        guard code == CURLE_OK else {
            throw HTTPClientError(code, of: easy, errorText: errorText, origin: target.origin, maybeReceived: false)
        }
        descriptor = martlet_curl_active_socket(easy)
        guard descriptor >= 0 else { throw HTTPClientError(.failed, origin: target.origin, detail: "no socket") }
    }

    /// What it is connected to, IPv6 in brackets. Nil through a proxy.
    var peerAddress: String? {
        guard isDirect, let found = martlet_curl_peer_address(easy) else { return nil }
        let text = String(cString: found)
        return text.utf8.contains(UInt8(ascii: ":")) ? "[\(text)]" : text
    }

    /// Sends as much of `output` as goes without waiting.
    ///
    /// - Returns: false when the connection is broken.
    func write(_ output: inout HTTP2Output) -> Bool {
        if isPlain { return writePlain(&output) }
        while stage(&output) {
            var taken = 0
            guard let base = staged?.baseAddress else { return false }
            let code = martlet_curl_easy_send(easy, base + stagedRange.lowerBound, stagedRange.count, &taken)
            if code == CURLE_AGAIN { return true }
            guard code == CURLE_OK else { return false }
            stagedRange = stagedRange.lowerBound + taken..<stagedRange.upperBound
        }
        return true
    }

    /// Whether bytes wait until the socket takes more.
    func isWaiting(_ output: borrowing HTTP2Output) -> Bool { !output.isEmpty || !stagedRange.isEmpty }

    private func writePlain(_ output: inout HTTP2Output) -> Bool {
        var isBroken = false
        while !output.isEmpty, !isBroken {
            let wrote = output.write { pieces in
                let count = send(pieces)
                if count >= 0 { return count }
                isBroken = errno != EAGAIN && errno != EINTR
                return nil
            }
            if !wrote { break }
        }
        return !isBroken
    }

    private func send(_ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count) { vectors in
            for (index, piece) in pieces.enumerated() {
                // The system has one type for both directions; nobody writes here.
                let base = UnsafeMutableRawPointer(mutating: piece.baseAddress)
                vectors.initializeElement(at: index, to: iovec(iov_base: base, iov_len: piece.count))
            }
            var message = msghdr()
            message.msg_iov = vectors.baseAddress
            message.msg_iovlen = vectors.count
            return sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    /// Takes bytes out of `output`, when those taken before are sent. False when there are none.
    private func stage(_ output: inout HTTP2Output) -> Bool {
        guard stagedRange.isEmpty else { return true }
        let room = staged ?? .allocate(byteCount: Self.stagedBytes, alignment: 16)
        staged = room
        var filled = 0
        while filled < room.count, !output.isEmpty {
            let wrote = output.write { pieces in
                let begin = filled
                for piece in pieces {
                    guard let base = room.baseAddress, let from = piece.baseAddress else { break }
                    let step = min(piece.count, room.count - filled)
                    memcpy(base + filled, from, step)
                    filled += step
                }
                return filled - begin
            }
            if !wrote { break }
        }
        stagedRange = 0..<filled
        return filled > 0
    }

    /// Whether there may be more after a read, unseen by poll: TLS keeps bytes.
    func mayHaveMore(_ count: Int, of buffer: UnsafeMutableRawBufferPointer) -> Bool {
        !isPlain || count == buffer.count
    }

    /// Takes what has come, up to the size of `buffer`.
    func read(_ buffer: UnsafeMutableRawBufferPointer) -> Reading {
        if !isPlain {
            var count = 0
            switch martlet_curl_easy_recv(easy, buffer.baseAddress, buffer.count, &count) {
            case CURLE_OK: return count == 0 ? .closed : .bytes(count)
            case CURLE_AGAIN: return .nothing
            case let code: return .failed(String(cString: martlet_curl_easy_strerror(code)))
            }
        }
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { return .bytes(count) }
            if count == 0 { return .closed }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            case let code: return .failed(errnoText(code))
            }
        }
    }
}
