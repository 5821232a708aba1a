internal import CCurl
internal import Config

/// Sets options of a libcurl handle that is not in use, and remembers whether all were accepted.
struct CurlOptions {
    let handle: UnsafeMutableRawPointer
    private(set) var areAccepted = true

    init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }

    /// Takes the code of a call that sets an option.
    mutating func check(_ code: CURLcode) { areAccepted = code == CURLE_OK && areAccepted }

    mutating func set(_ option: CURLoption, _ value: Int) { check(martlet_curl_setopt_long(handle, option, value)) }

    /// libcurl keeps the pointer.
    mutating func set(_ option: CURLoption, _ value: UnsafeRawPointer?) {
        check(martlet_curl_setopt_pointer(handle, option, value))
    }

    /// libcurl copies the text.
    mutating func set(_ option: CURLoption, _ text: String) {
        check(text.withCString { martlet_curl_setopt_pointer(handle, option, $0) })
    }

    /// What holds for every connection.
    mutating func setConnection(_ settings: HTTPClientSettings) {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_NOPROGRESS, 1)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        if let idle = settings.keepAliveIdle { set(CURLOPT_TCP_KEEPIDLE, Int(idle.components.seconds)) }
        if let interval = settings.keepAliveInterval { set(CURLOPT_TCP_KEEPINTVL, Int(interval.components.seconds)) }
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        // A cancelled transfer must not wait for the resolver's thread.
        set(CURLOPT_QUICK_EXIT, 1)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
    }

    /// Loopback hosts are reached without the environment's proxy.
    mutating func setProxy(_ settings: HTTPClientSettings, isLoopback: Bool) {
        if let proxy = settings.proxyURL {
            set(CURLOPT_PROXY, proxy.reveal())
        } else if isLoopback {
            set(CURLOPT_PROXY, "")
        } else {
            set(CURLOPT_PROXY, nil as UnsafeRawPointer?)
        }
    }
}
