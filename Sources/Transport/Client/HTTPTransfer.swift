internal import CCurl
internal import Config
internal import Glibc

/// One request under way, on one libcurl easy handle. Reused for the next request when it is through.
/// Belongs to the client's thread.
final class HTTPTransfer {
    /// Bodies up to this size go out in one `send` with the head; larger ones are pulled piece by piece.
    private static let joinedBodyBytes = 64 << 10 - 1

    let easy: UnsafeMutableRawPointer
    private let settings: HTTPClientSettings
    /// libcurl writes the cause of a failure here.
    private let errorText: UnsafeMutablePointer<CChar>
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var connectTo: UnsafeMutablePointer<curl_slist>?
    /// A small body of several pieces, joined.
    private var joined: [UInt8] = []
    private var upload = BodyCursor()
    private var response: [UInt8] = []
    private var responseOverflow = false
    /// The blank line after the final answer's headers has come. libcurl takes a connection that closes before it for
    /// an answer without body.
    private var headComplete = false

    private(set) var submission: HTTPSubmission?
    private var target: HTTPTarget?
    private(set) var opening = ConnectionOpening.asNeeded
    /// libcurl asked for a connection while `opening` was `.never`.
    private let refused: UnsafeMutablePointer<Bool>
    /// How often that happened to this request.
    private(set) var refusals = 0
    /// The address to connect to, in place of what libcurl finds for the host.
    private(set) var address: String?
    /// Addresses that did not connect for this request.
    private(set) var failedAddresses: [String] = []
    /// Where this transfer is in its owner's list.
    var index = 0

    /// Nil when libcurl has no memory or refuses a setting.
    ///
    /// - Parameter sockets: lists the connections' sockets, and outlives them.
    init?(settings: HTTPClientSettings, sockets: UnsafeMutablePointer<martlet_curl_sockets>) {
        guard let easy = martlet_curl_easy_init() else { return nil }
        self.easy = easy
        self.settings = settings
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        refused = .allocate(capacity: 1)
        refused.initialize(to: false)
        guard configure(), martlet_curl_list_sockets(easy, sockets) == CURLE_OK else { return nil }
    }

    deinit {
        martlet_curl_easy_cleanup(easy)
        martlet_curl_slist_free_all(headerList)
        martlet_curl_slist_free_all(connectTo)
        errorText.deallocate()
        refused.deallocate()
    }

    /// Options that hold for every request.
    private func configure() -> Bool {
        let this = Unmanaged.passUnretained(self).toOpaque()
        var accepted = true
        func set(_ option: CURLoption, _ value: Int) {
            accepted = martlet_curl_setopt_long(easy, option, value) == CURLE_OK && accepted
        }
        func set(_ option: CURLoption, _ value: UnsafeRawPointer?) {
            accepted = martlet_curl_setopt_pointer(easy, option, value) == CURLE_OK && accepted
        }
        set(CURLOPT_PRIVATE, this)
        set(CURLOPT_ERRORBUFFER, errorText)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_NOPROGRESS, 1)
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        if let idle = settings.keepAliveIdle { set(CURLOPT_TCP_KEEPIDLE, Int(idle.components.seconds)) }
        if let interval = settings.keepAliveInterval { set(CURLOPT_TCP_KEEPINTVL, Int(interval.components.seconds)) }
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        // Proxies forward requests of HTTP/1.1 only.
        set(CURLOPT_HTTPPROXYTUNNEL, settings.version == .http2 ? 1 : 0)
        // A cancelled transfer must not wait for the resolver's thread.
        set(CURLOPT_QUICK_EXIT, 1)
        set(CURLOPT_UPLOAD_BUFFERSIZE, settings.uploadBufferBytes)
        set(CURLOPT_BUFFERSIZE, settings.receiveBufferBytes)
        set(CURLOPT_FORBID_REUSE, settings.disableKeepAlives ? 1 : 0)
        // libcurl takes 0 as no limit, too.
        set(CURLOPT_MAXAGE_CONN, Int(settings.idleConnectionTimeout.components.seconds))
        "http,https".withCString { set(CURLOPT_PROTOCOLS_STR, UnsafeRawPointer($0)) }
        accepted = martlet_curl_set_writer(easy, receiveBody, this) == CURLE_OK && accepted
        accepted = martlet_curl_set_header_reader(easy, receiveHeader, this) == CURLE_OK && accepted
        accepted = martlet_curl_set_reader(easy, sendBody, seekBody, this) == CURLE_OK && accepted
        return settings.tls.apply(to: easy) && accepted
    }

    /// Takes on a request. Nil, or why that cannot be; the transfer is then free again.
    ///
    /// - Parameter choose: the address to connect to for an origin (`host:port`); nil leaves it to libcurl.
    func start(_ submission: HTTPSubmission, address choose: (String) -> String?) -> HTTPClientError? {
        let request = submission.request
        guard let parsed = HTTPTarget(request.url) else {
            return HTTPClientError(.invalidRequest, origin: "", detail: "the URL is not an absolute http or https URL")
        }
        let origin = parsed.origin
        // Requests share connections, and one that has to be made is made once. Besides, libcurl 7.88 speaks HTTP/2
        // without TLS from the start on a new connection only, and on a kept one only when it is not told to: which
        // of the two it will be has to be known beforehand.
        opening = settings.version == .http2 ? .never : .asNeeded
        let isDirect =
            settings.proxyURL == nil
            && (parsed.isLoopback || !EnvironmentProxy.mayBeUsed(for: parsed.host, isTLS: parsed.isTLS))
        target = consume parsed
        // A proxy finds the addresses itself.
        address = isDirect ? choose(origin) : nil
        self.submission = submission
        if let problem = prepare(request) {
            clear()
            return HTTPClientError(.invalidRequest, origin: origin, detail: problem)
        }
        return nil
    }

    /// Bytes of the body that have gone from libcurl's buffer.
    var written: Int { Int(martlet_curl_getinfo_off(easy, CURLINFO_SIZE_UPLOAD_T)) }

    /// Whether the attempt failed only because it wanted a connection and must not open one.
    var wasRefusedConnection: Bool { refused.pointee }

    /// `host:port` of the request; empty without one.
    var origin: String { target?.origin ?? "" }

    /// Makes the request ready for another attempt after one of which the peer got nothing. False when libcurl refuses.
    func again(opening: ConnectionOpening, address: String?) -> Bool {
        guard let request = submission?.request else { return false }
        if refused.pointee {
            refusals += 1
        } else if let failed = self.address {
            failedAddresses.append(failed)
        }
        self.opening = opening
        self.address = address
        clearAttempt()
        return prepare(request) == nil
    }

    private func prepare(_ request: HTTPClientRequest) -> String? {
        var lines: [String] = ["Expect:"]
        var hasType = false
        for (name, value) in request.headers {
            guard isHeaderName(name) else {
                return "header name \"\(name.utf8.count > 64 ? "…" : name)\" is not a token"
            }
            guard isHeaderValue(value) else {
                return "the value of header \(name) has control characters"
            }
            // libcurl's own syntax for a header without value.
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
            if name.lowercased() == "content-type" { hasType = true }
        }
        // Otherwise libcurl claims that the body is a web form.
        if !hasType { lines.append("Content-Type:") }
        if settings.disableKeepAlives { lines.append("Connection: close") }
        var hostHeader = settings.authority.map { "Host: \($0)" }
        var connectHost = address
        if let name = settings.tls.serverNameOverride, target?.isTLS == true {
            guard let own = target?.overrideName(name) else { return "server_name_override is not a host name" }
            hostHeader = hostHeader ?? own
            connectHost = connectHost ?? target?.host
        }
        if let hostHeader { lines.append(hostHeader) }
        if let connectHost, let rule = target?.connectTo(connectHost) {
            connectTo = martlet_curl_slist_append(nil, rule)
        }
        for line in lines {
            guard let longer = martlet_curl_slist_append(headerList, line) else { return "out of memory" }
            headerList = longer
        }
        return setRequestOptions(request) ? nil : "libcurl refused an option"
    }

    private func setRequestOptions(_ request: HTTPClientRequest) -> Bool {
        var accepted = true
        func set(_ option: CURLoption, _ value: Int) {
            accepted = martlet_curl_setopt_long(easy, option, value) == CURLE_OK && accepted
        }
        func set(_ option: CURLoption, _ value: UnsafeRawPointer?) {
            accepted = martlet_curl_setopt_pointer(easy, option, value) == CURLE_OK && accepted
        }
        refused.pointee = false
        martlet_curl_set_reuse_only(easy, opening == .never ? refused : nil)
        set(CURLOPT_FRESH_CONNECT, opening == .always ? 1 : 0)
        set(CURLOPT_HTTP_VERSION, version)
        set(CURLOPT_CURLU, (target?.handle).map { UnsafeRawPointer($0) })
        set(CURLOPT_HTTPHEADER, headerList)
        set(CURLOPT_CONNECT_TO, connectTo)
        if let proxy = settings.proxyURL {
            proxy.reveal().withCString { set(CURLOPT_PROXY, UnsafeRawPointer($0)) }
        } else if target?.isLoopback == true {
            "".withCString { set(CURLOPT_PROXY, UnsafeRawPointer($0)) }
        } else {
            set(CURLOPT_PROXY, nil as UnsafeRawPointer?)
        }
        let count = request.body?.count ?? 0
        upload = BodyCursor()
        if count == 0, request.method == .get || request.method == .delete {
            set(CURLOPT_HTTPGET, 1)
        } else {
            set(CURLOPT_POST, 1)
            set(CURLOPT_POSTFIELDS, bodyInOnePiece(request.body))
            accepted =
                martlet_curl_setopt_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(count)) == CURLE_OK && accepted
        }
        request.method.rawValue.withCString { set(CURLOPT_CUSTOMREQUEST, UnsafeRawPointer($0)) }
        return accepted
    }

    private var version: Int {
        switch (settings.version, opening) {
        case (.http1, _): Int(CURL_HTTP_VERSION_1_1)
        case (.http2, _) where target?.isTLS == true: Int(CURL_HTTP_VERSION_2TLS)
        case (.http2, .always): Int(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        case (.http2, _): Int(CURL_HTTP_VERSION_2_0)
        }
    }

    /// A small body, joined if it has several pieces; nil for none, and for a large one, which is pulled instead.
    /// libcurl copies either way, so that pulling saves joining.
    private func bodyInOnePiece(_ body: HTTPRequestBody?) -> UnsafeRawPointer? {
        guard let body, body.count > 0 else { return nil }
        if body.count > Self.joinedBodyBytes {
            upload = BodyCursor(slices: body.slices)
            return nil
        }
        if body.slices.count == 1 { return body.slices[0].baseAddress }
        joined.reserveCapacity(Self.joinedBodyBytes)
        joined.removeAll(keepingCapacity: true)
        for slice in body.slices { joined.append(contentsOf: slice) }
        // The array is not touched before the transfer is through, so its storage stays where it is.
        return joined.withUnsafeBytes { $0.baseAddress }
    }

    /// The outcome of a transfer that libcurl is through with. Leaves this transfer free for the next one.
    func finish(_ code: CURLcode) -> (HTTPSubmission, Result<HTTPClientResponse, HTTPClientError>)? {
        guard let submission else { return nil }
        defer { clear() }
        guard code == CURLE_OK else { return (submission, .failure(failure(code))) }
        guard headComplete else {
            return (submission, .failure(error(.reset, detail: "closed within the headers of the answer")))
        }
        if settings.version == .http2, martlet_curl_getinfo_long(easy, CURLINFO_HTTP_VERSION) < CURL_HTTP_VERSION_2_0 {
            return (submission, .failure(error(.malformedResponse, detail: "the server does not speak HTTP/2")))
        }
        let wanted = submission.request.wantedHeaders
        let answer = HTTPClientResponse(
            status: martlet_curl_getinfo_long(easy, CURLINFO_RESPONSE_CODE), contentType: header("content-type"),
            retryAfter: header("retry-after").map { RetryAfter.relative($0, to: header("date")) },
            headers: wanted.compactMap { name in header(name, orTrailer: true).map { (name, $0) } },
            body: response)
        return (submission, .success(answer))
    }

    /// The same for a transfer that is cut short by the client.
    func cancel(_ code: HTTPClientError.Code) -> (HTTPSubmission, Result<HTTPClientResponse, HTTPClientError>)? {
        guard let submission else { return nil }
        defer { clear() }
        return (submission, .failure(error(code, detail: code == .timeout ? phase : "")))
    }

    private func failure(_ code: CURLcode) -> HTTPClientError {
        if responseOverflow {
            let limit = submission?.request.maxResponseBytes ?? 0
            return error(.responseTooLarge, detail: "the body passes \(limit) bytes")
        }
        let kind = HTTPClientError.Code(code)
        let systemError = Int32(truncatingIfNeeded: martlet_curl_getinfo_long(easy, CURLINFO_OS_ERRNO))
        switch kind {
        // The text of other failures may quote what the peer sent.
        case .tls where errorText[0] != 0: return error(kind, detail: String(cString: errorText))
        case .connect where systemError != 0, .reset where systemError != 0:
            return error(kind, detail: errnoText(systemError))
        default: return error(kind, detail: String(cString: martlet_curl_easy_strerror(code)))
        }
    }

    private func error(_ code: HTTPClientError.Code, detail: String) -> HTTPClientError {
        HTTPClientError(
            code, origin: target?.origin ?? "", detail: detail,
            status: martlet_curl_getinfo_long(easy, CURLINFO_RESPONSE_CODE),
            maybeReceived: martlet_curl_getinfo_long(easy, CURLINFO_REQUEST_SIZE) > 0)
    }

    /// How far the transfer had come.
    private var phase: String {
        if martlet_curl_getinfo_long(easy, CURLINFO_REQUEST_SIZE) == 0 { return "not connected yet" }
        let sent = martlet_curl_getinfo_off(easy, CURLINFO_SIZE_UPLOAD_T)
        if sent < submission?.request.body?.count ?? 0 { return "while sending" }
        return martlet_curl_getinfo_long(easy, CURLINFO_RESPONSE_CODE) == 0
            ? "waiting for the answer" : "while receiving the answer"
    }

    private func header(_ name: String, orTrailer: Bool = false) -> String? {
        var found: UnsafeMutablePointer<curl_header>?
        let origins = UInt32(orTrailer ? CURLH_HEADER | CURLH_TRAILER : CURLH_HEADER)
        // -1: of the last answer, after any 1xx.
        guard martlet_curl_easy_header(easy, name, 0, origins, -1, &found) == CURLHE_OK,
            let found
        else {
            return nil
        }
        return String(cString: found.pointee.value)
    }

    private func clear() {
        submission = nil
        target = nil
        address = nil
        failedAddresses = []
        refusals = 0
        clearAttempt()
    }

    private func clearAttempt() {
        upload = BodyCursor()
        response = []
        responseOverflow = false
        headComplete = false
        errorText[0] = 0
        martlet_curl_slist_free_all(headerList)
        martlet_curl_slist_free_all(connectTo)
        headerList = nil
        connectTo = nil
    }

    /// One line of the head: status line, header, or the blank line at the end.
    fileprivate func receiveHead(_ line: UnsafeRawBufferPointer) {
        // Trailers come the same way, after the body.
        if headComplete { return }
        let isBlank = line.elementsEqual([0x0D, 0x0A]) || line.elementsEqual([0x0A])
        // 1xx answers come before the final one.
        headComplete = isBlank && martlet_curl_getinfo_long(easy, CURLINFO_RESPONSE_CODE) >= 200
    }

    fileprivate func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let limit = submission?.request.maxResponseBytes, bytes.count <= limit - response.count else {
            responseOverflow = true
            return false
        }
        response.append(contentsOf: bytes)
        return true
    }

    fileprivate func fill(_ target: UnsafeMutableRawBufferPointer) -> Int { upload.read(into: target) }

    fileprivate func rewind(to offset: Int) -> Bool { upload.seek(to: offset) }
}

/// Where in a body of several pieces the next byte is.
struct BodyCursor {
    private var slices: [UnsafeRawBufferPointer] = []
    private var slice = 0
    private var offset = 0

    init(slices: [UnsafeRawBufferPointer] = []) { self.slices = slices }

    /// Copies as much as there is and fits; 0 at the end.
    mutating func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = target.baseAddress else { return 0 }
        var written = 0
        while slice < slices.count, written < target.count {
            let source = slices[slice]
            let count = min(source.count - offset, target.count - written)
            if let from = source.baseAddress { memcpy(base + written, from + offset, count) }
            written += count
            offset += count
            if offset == source.count {
                slice += 1
                offset = 0
            }
        }
        return written
    }

    /// Goes to a byte counted from the start. False when there is none.
    mutating func seek(to position: Int) -> Bool {
        var rest = position
        for (index, candidate) in slices.enumerated() {
            if rest >= 0, rest < candidate.count {
                slice = index
                offset = rest
                return true
            }
            rest -= candidate.count
        }
        slice = slices.count
        offset = 0
        return rest == 0
    }
}

/// Whether `name` is a token (RFC 9110 §5.6.2).
func isHeaderName(_ name: String) -> Bool {
    !name.isEmpty
        && name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}

/// Whether `value` has no control characters but tabs (RFC 9110 §5.5).
func isHeaderValue(_ value: String) -> Bool {
    !value.utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }
}

/// libcurl's callbacks get the transfer as their context, which lives as long as its handle.
private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    let total = size * count
    // Anything but `total` makes libcurl end the transfer.
    return transfer.receive(UnsafeRawBufferPointer(start: bytes, count: total)) ? total : total &+ 1
}

private func receiveHeader(
    _ line: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    transfer.receiveHead(UnsafeRawBufferPointer(start: line, count: size * count))
    return size * count
}

private func sendBody(
    _ target: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return Int(CURL_READFUNC_ABORT) }
    let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.fill(UnsafeMutableRawBufferPointer(start: target, count: size * count))
}

private func seekBody(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard let context, origin == SEEK_SET else { return CURL_SEEKFUNC_FAIL }
    let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.rewind(to: Int(offset)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
}
