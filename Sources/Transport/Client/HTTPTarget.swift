internal import CCurl

/// A parsed URL, in the form that libcurl takes. One owner. Only for clients: they have loaded libcurl.
struct HTTPTarget: ~Copyable {
    /// libcurl's URL handle (`CURLU`).
    let handle: OpaquePointer
    /// `host:port`.
    let origin: String
    let isTLS: Bool
    let isLoopback: Bool
    /// IPv6 in brackets.
    let host: String
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

    /// What `Host` and `:authority` say: the host, with its port unless that is the scheme's own.
    var authority: String { port == (isTLS ? "443" : "80") ? host : origin }

    /// Path and query; at least a slash.
    var path: String {
        let path = Self.part(handle, CURLUPART_PATH) ?? "/"
        return Self.part(handle, CURLUPART_QUERY).map { "\(path)?\($0)" } ?? path
    }

    /// Puts `name` in the place of the host, so that TLS asks for it. Connections need `connectTo(host)` then, and
    /// requests a `Host`.
    /// - Returns: false when `name` is no host name.
    func overrideName(_ name: String) -> Bool {
        martlet_curl_url_set(handle, CURLUPART_HOST, name, 0) == CURLUE_OK
    }

    /// The rule, in libcurl's form, that leads connections to `address` (IPv6 in brackets) whatever the URL's host is.
    func connectTo(_ address: String) -> String { "::\(address):\(port)" }

    private static func part(_ url: OpaquePointer, _ part: CURLUPart, _ flags: UInt32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard martlet_curl_url_get(url, part, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { martlet_curl_free(text) }
        return String(cString: text)
    }
}
