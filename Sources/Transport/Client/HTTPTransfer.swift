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
    /// Where this transfer is in its owner's list.
    var index = 0

    /// Nil when libcurl has no memory or refuses a setting.
    init?(settings: HTTPClientSettings) {
        guard let easy = martlet_curl_easy_init() else { return nil }
        self.easy = easy
        self.settings = settings
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        guard configure() else { return nil }
    }

    deinit {
        martlet_curl_easy_cleanup(easy)
        martlet_curl_slist_free_all(headerList)
        martlet_curl_slist_free_all(connectTo)
        errorText.deallocate()
    }

    /// Options that hold for every request.
    private func configure() -> Bool {
        let this = Unmanaged.passUnretained(self).toOpaque()
        var options = CurlOptions(easy)
        options.set(CURLOPT_PRIVATE, this)
        options.set(CURLOPT_ERRORBUFFER, errorText)
        options.setConnection(settings)
        options.set(CURLOPT_FOLLOWLOCATION, 0)
        options.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        options.set(CURLOPT_UPLOAD_BUFFERSIZE, settings.uploadBufferBytes)
        options.set(CURLOPT_BUFFERSIZE, settings.receiveBufferBytes)
        options.set(CURLOPT_FORBID_REUSE, settings.disableKeepAlives ? 1 : 0)
        // libcurl takes 0 as no limit, too.
        options.set(CURLOPT_MAXAGE_CONN, Int(settings.idleConnectionTimeout.components.seconds))
        options.check(martlet_curl_set_writer(easy, receiveBody, this))
        options.check(martlet_curl_set_header_reader(easy, receiveHeader, this))
        options.check(martlet_curl_set_reader(easy, sendBody, seekBody, this))
        return settings.tls.apply(to: easy) && options.areAccepted
    }

    /// Takes on a request. Nil, or why that cannot be; the transfer is then free again.
    func start(_ submission: HTTPSubmission) -> HTTPClientError? {
        let request = submission.request
        guard let parsed = HTTPTarget(request.url) else {
            return HTTPClientError(.invalidRequest, origin: "", detail: "the URL is not an absolute http or https URL")
        }
        let origin = parsed.origin
        target = consume parsed
        self.submission = submission
        if let problem = prepare(request) {
            clear()
            return HTTPClientError(.invalidRequest, origin: origin, detail: problem)
        }
        return nil
    }

    private func prepare(_ request: HTTPClientRequest) -> String? {
        var lines: [String] = ["Expect:"]
        var hasType = false
        for (name, value) in request.headers {
            if let problem = headerProblem(name, value) { return problem }
            // libcurl's own syntax for a header without value.
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
            if name.lowercased() == "content-type" { hasType = true }
        }
        // Otherwise libcurl claims that the body is a web form.
        if !hasType { lines.append("Content-Type:") }
        if settings.disableKeepAlives { lines.append("Connection: close") }
        var hostHeader = settings.authority.map { "Host: \($0)" }
        if let name = settings.tls.serverNameOverride, target?.isTLS == true {
            guard target?.overrideName(name) == true else { return "server_name_override is not a host name" }
            hostHeader = hostHeader ?? (target?.authority).map { "Host: \($0)" }
            if let host = target?.host, let rule = target?.connectTo(host) {
                connectTo = martlet_curl_slist_append(nil, rule)
            }
        }
        if let hostHeader { lines.append(hostHeader) }
        for line in lines {
            guard let longer = martlet_curl_slist_append(headerList, line) else { return "out of memory" }
            headerList = longer
        }
        return setRequestOptions(request) ? nil : "libcurl refused an option"
    }

    private func setRequestOptions(_ request: HTTPClientRequest) -> Bool {
        var options = CurlOptions(easy)
        options.set(CURLOPT_CURLU, (target?.handle).map { UnsafeRawPointer($0) })
        options.set(CURLOPT_HTTPHEADER, headerList)
        options.set(CURLOPT_CONNECT_TO, connectTo)
        options.setProxy(settings, isLoopback: target?.isLoopback == true)
        let count = request.body?.count ?? 0
        upload = BodyCursor()
        if count == 0, request.method == .get || request.method == .delete {
            options.set(CURLOPT_HTTPGET, 1)
        } else {
            options.set(CURLOPT_POST, 1)
            options.set(CURLOPT_POSTFIELDS, bodyInOnePiece(request.body))
            options.check(martlet_curl_setopt_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(count)))
        }
        options.set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        return options.areAccepted
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
        return HTTPClientError(
            code, of: easy, errorText: errorText, origin: target?.origin ?? "",
            status: martlet_curl_getinfo_long(easy, CURLINFO_RESPONSE_CODE),
            maybeReceived: martlet_curl_getinfo_long(easy, CURLINFO_REQUEST_SIZE) > 0)
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

/// Why a header cannot be sent, or nil. Holds nothing of the value.
func headerProblem(_ name: String, _ value: String) -> String? {
    if !isHeaderName(name) { return "header name \"\(name.utf8.count > 64 ? "…" : name)\" is not a token" }
    return isHeaderValue(value) ? nil : "the value of header \(name) has control characters"
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
