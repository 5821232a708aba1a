internal import CCurl

/// A parsed URL, in the form that libcurl takes. One owner. Only for clients: they have loaded libcurl.
struct HTTPTarget: ~Copyable {
    /// libcurl's URL handle (`CURLU`).
    let handle: OpaquePointer
    /// `host:port`.
    let origin: String
    let isTLS: Bool
    let isLoopback: Bool
    private let host: String
    private let port: String

    /// Nil unless `url` is absolute, with http or https and a host.
    init?(_ url: String) {
        guard let parsed = martlet_curl_url() else { return nil }
        guard martlet_curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK,
            let scheme = Self.part(parsed, CURLUPART_SCHEME), scheme == "http" || scheme == "https",
            let host = Self.part(parsed, CURLUPART_HOST), !host.isEmpty,
            let port = Self.part(parsed, CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT))
        else {
            martlet_curl_url_cleanup(parsed)
            return nil
        }
        handle = parsed
        isTLS = scheme == "https"
        isLoopback = host == "localhost" || host == "[::1]" || host.hasPrefix("127.")
        self.host = host
        self.port = port
        origin = "\(host):\(port)"
    }

    deinit { martlet_curl_url_cleanup(handle) }

    /// Puts `name` in the place of the host, so that TLS asks for it.
    /// - Returns: the rule that leads connections to the host all the same, and the `Host` header that belongs to it.
    ///   Nil when `name` is no host name.
    func overrideName(_ name: String) -> (connectTo: String, hostHeader: String)? {
        guard martlet_curl_url_set(handle, CURLUPART_HOST, name, 0) == CURLUE_OK else { return nil }
        return ("\(name):\(port):\(host):\(port)", "Host: \(port == "443" ? host : origin)")
    }

    private static func part(_ url: OpaquePointer, _ part: CURLUPart, _ flags: UInt32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard martlet_curl_url_get(url, part, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { martlet_curl_free(text) }
        return String(cString: text)
    }
}
