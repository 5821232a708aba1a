/// A `host:port` to listen on or connect to.
package struct ConfigEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address, IPv6 without brackets; empty for every address of the machine (`:4318`).
    package let host: String
    /// The port, 0 to 65535; 0 lets the system choose when listening.
    package let port: Int

    /// Why a text is no endpoint; a sentence part.
    package struct Malformed: Error, Sendable, CustomStringConvertible {
        /// The reason and the remedy; does not repeat the text.
        package let description: String
    }

    /// Makes an endpoint from parts that are known to be valid.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `localhost:4318`, `0.0.0.0:4318`, `[::1]:4318` or `:4318`. Names are not looked up.
    package static func parse(_ text: String) throws(Malformed) -> ConfigEndpoint {
        if text.isEmpty { throw Malformed(description: "is empty; write host:port") }
        if ConfigPath.split(text, by: "://") != nil {
            throw Malformed(description: "must be host:port, without a scheme such as http://")
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else {
            throw Malformed(description: "has no port; write host:port")
        }
        var host = text[..<colon]
        let portText = text[text.utf8.index(after: colon)...]
        if host.utf8.first == UInt8(ascii: "[") {
            guard host.utf8.last == UInt8(ascii: "]"), host.utf8.count > 2 else {
                throw Malformed(description: "has no port after the address; write [address]:port")
            }
            host = host.dropFirst().dropLast()
            guard HostName.isIPv6(host) else { throw Malformed(description: "holds no IPv6 address between [ and ]") }
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            throw Malformed(description: "has too many colons; write an IPv6 address as [address]:port")
        } else if !host.isEmpty, !HostName.isNameOrIPv4(host) {
            throw Malformed(description: "has a host with characters that no host name has")
        }
        guard let port = HostName.port(portText) else {
            throw Malformed(description: "has a port that is no number from 0 to 65535")
        }
        return ConfigEndpoint(host: String(host), port: port)
    }

    /// `host:port`, IPv6 in brackets.
    package var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Whether it names only this machine: `localhost`, `127.…` or `::1`.
    package var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

/// A URL to connect to. No user, password or fragment: credentials have options of their own.
package struct ConfigURL: Sendable, Hashable, CustomStringConvertible {
    /// The scheme in lower case.
    package let scheme: String
    /// A name or an address, IPv6 without brackets; never empty.
    package let host: String
    /// The port as written, or the scheme's own for http (80), https (443), ws and wss; nil for other schemes
    /// without one.
    package let port: Int?
    /// The path with its query, as written; empty or starting with `/` or `?`.
    package let path: String
    private let isPortWritten: Bool

    /// Reads `scheme://host[:port][/path][?query]`. `schemes` lists what is accepted, in lower case.
    package static func parse(_ text: String, schemes: [String]) throws(ConfigEndpoint.Malformed) -> ConfigURL {
        typealias Malformed = ConfigEndpoint.Malformed
        guard let parts = ConfigPath.split(text, by: "://"), parts[0].utf8.allSatisfy({ $0 != UInt8(ascii: "/") })
        else {
            throw Malformed(description: "must start with " + schemes.map { $0 + "://" }.listed())
        }
        let scheme = parts[0].lowercased()
        guard schemes.contains(scheme) else {
            throw Malformed(description: "must start with " + schemes.map { $0 + "://" }.listed())
        }
        let rest = text.utf8.dropFirst(parts[0].utf8.count + 3)
        let authority = Substring(rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != 0x23 })
        let path = Substring(rest.dropFirst(authority.utf8.count))
        if authority.utf8.contains(UInt8(ascii: "@")) {
            throw Malformed(description: "must not hold a user or password; use the options for authentication")
        }
        if path.utf8.contains(UInt8(ascii: "#")) { throw Malformed(description: "must not have a fragment (\"#\")") }
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") }) else {
            throw Malformed(description: "has characters in its path that must be percent-encoded")
        }
        if authority.isEmpty { throw Malformed(description: "has no host") }
        let standard: Int? =
            switch scheme {
            case "http", "ws": 80
            case "https", "wss": 443
            default: nil
            }
        let afterHost =
            authority.utf8.lastIndex(of: UInt8(ascii: "]")).map { authority.utf8.index(after: $0) }
            ?? authority.startIndex
        let hasPort = authority.utf8[afterHost...].contains(UInt8(ascii: ":"))
        let endpoint = try ConfigEndpoint.parse(hasPort ? String(authority) : "\(authority):\(standard ?? 0)")
        if endpoint.host.isEmpty { throw Malformed(description: "has no host") }
        return ConfigURL(
            scheme: scheme, host: endpoint.host, port: hasPort ? endpoint.port : standard, path: String(path),
            isPortWritten: hasPort)
    }

    /// `scheme://host`, with the port when it was written; IPv6 in brackets.
    package var origin: String {
        let shownHost = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return "\(scheme)://\(shownHost)" + (isPortWritten ? port.map { ":\($0)" } ?? "" : "")
    }

    /// The URL as it was written, with the scheme in lower case.
    package var description: String { origin + path }

    /// The URL with `suffix` (such as `/v1/traces`) after its path, and before its query; a `/` at the path's end is
    /// not doubled.
    package func appending(path suffix: String) -> ConfigURL {
        let query = path.utf8.firstIndex(of: UInt8(ascii: "?")) ?? path.endIndex
        var base = path[..<query]
        while base.utf8.last == UInt8(ascii: "/") { base = base.dropLast() }
        return ConfigURL(
            scheme: scheme, host: host, port: port, path: base + suffix + path[query...], isPortWritten: isPortWritten)
    }
}

/// The shapes of host names, addresses and ports.
enum HostName {
    static func isNameOrIPv4(_ text: Substring) -> Bool {
        text.utf8.count <= 253
            && text.utf8.allSatisfy {
                SubstitutionScheme.isLetter($0) || SubstitutionScheme.isDigit($0) || $0 == UInt8(ascii: ".")
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
            }
    }

    /// Hex groups, colons and an IPv4 tail, with an optional `%zone`; the system checks the address itself in full.
    static func isIPv6(_ text: Substring) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "%"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first, address.count <= 45, address.contains(UInt8(ascii: ":")) else { return false }
        let isAddress = address.allSatisfy {
            SubstitutionScheme.isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0 | 0x20)
                || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
        }
        guard parts.count == 2 else { return isAddress }
        return isAddress && !parts[1].isEmpty && isNameOrIPv4(Substring(parts[1]))
    }

    /// 0 to 65535 in decimal digits; nil for anything else.
    static func port(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 5, text.utf8.allSatisfy(SubstitutionScheme.isDigit),
            let port = Int(text), port <= 65535
        else { return nil }
        return port
    }
}
