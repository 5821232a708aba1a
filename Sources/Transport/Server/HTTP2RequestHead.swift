internal import NIOHPACK

/// A request's fields, as HTTP/2 wants them (RFC 9113, sections 8.2 and 8.3).
struct HTTP2RequestHead {
    let head: HTTPHead
    /// Bytes of the body, if the client says so.
    let length: Int?

    /// - Returns: nil for fields that are malformed.
    init?(_ fields: HPACKHeaders, client: String?) {
        var pseudo: (method: String?, path: String?, scheme: String?, authority: String?)
        var others: [(name: String, value: String)] = []
        others.reserveCapacity(fields.count)
        for (name, value, _) in fields {
            guard HTTP2FieldSyntax.isValue(value) else { return nil }
            if name.utf8.first == UInt8(ascii: ":") {
                guard others.isEmpty else { return nil }
                switch name {
                case ":method" where pseudo.method == nil: pseudo.method = value
                case ":path" where pseudo.path == nil: pseudo.path = value
                case ":scheme" where pseudo.scheme == nil: pseudo.scheme = value
                case ":authority" where pseudo.authority == nil: pseudo.authority = value
                default: return nil
                }
            } else {
                guard HTTP2FieldSyntax.isName(name), Self.isAllowed(name, value) else { return nil }
                others.append((name, value))
            }
        }
        guard let method = pseudo.method, !method.isEmpty else { return nil }
        let path = pseudo.path ?? ""
        guard method == "CONNECT" || (!path.isEmpty && pseudo.scheme != nil) else { return nil }
        if let authority = pseudo.authority { others.insert(("host", authority), at: 0) }
        let target = HTTPHead.split(path)
        let headers = HTTPHeaderFields(others)
        var length: Int?
        for value in headers.values("content-length") {
            guard let number = Self.length(value), length ?? number == number else { return nil }
            length = number
        }
        self.length = length
        head = HTTPHead(method: method, path: target.path, query: target.query, headers: headers, client: client)
    }

    private static func length(_ text: String) -> Int? {
        guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Int(text)
    }

    /// Fields about a connection of HTTP/1.1 have no place here.
    private static func isAllowed(_ name: String, _ value: String) -> Bool {
        switch name {
        case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade": false
        case "te": value == "trailers"
        default: true
        }
    }
}
