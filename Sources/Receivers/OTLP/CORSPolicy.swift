internal import Transport

/// otelcol's `cors` keys: which browser origins may send telemetry.
package struct CORSPolicy: Sendable {
    /// Origins, each with at most one `*` that stands for any text.
    package var allowedOrigins: [String]
    package var allowedHeaders: [String]
    package var exposedHeaders: [String]
    /// Seconds that a browser may keep the answer to a preflight; 0 leaves it to the browser.
    package var maximumAge: Int

    package init(
        allowedOrigins: [String], allowedHeaders: [String] = [], exposedHeaders: [String] = [], maximumAge: Int = 0
    ) {
        self.allowedOrigins = allowedOrigins
        self.allowedHeaders = allowedHeaders
        self.exposedHeaders = exposedHeaders
        self.maximumAge = maximumAge
    }

    /// Request headers that are allowed without being listed.
    private static let alwaysAllowed = ["Accept", "Content-Type", "X-Requested-With"]

    /// Whether telemetry from pages of `origin` is taken.
    package func allows(origin: String) -> Bool {
        let origin = origin.lowercased()
        return allowedOrigins.contains { pattern in
            let pattern = pattern.lowercased()
            guard let star = pattern.firstIndex(of: "*") else { return pattern == origin }
            let prefix = pattern[..<star]
            let suffix = pattern[pattern.index(after: star)...]
            return origin.count >= prefix.count + suffix.count && origin.hasPrefix(prefix) && origin.hasSuffix(suffix)
        }
    }

    /// The answer to a preflight; nil when the request is not one, or its origin is not allowed.
    func preflight(_ headers: HTTPHeaderFields) -> HTTPAnswer? {
        guard let origin = headers["origin"], headers["access-control-request-method"] != nil, allows(origin: origin)
        else { return nil }
        var fields = fields(forOrigin: origin)
        fields.append(("Access-Control-Allow-Methods", "POST"))
        let everything = allowedHeaders.contains("*") ? headers["access-control-request-headers"] : nil
        let allowed = everything ?? (Self.alwaysAllowed + allowedHeaders).joined(separator: ", ")
        fields.append(("Access-Control-Allow-Headers", allowed))
        if maximumAge > 0 { fields.append(("Access-Control-Max-Age", String(maximumAge))) }
        return HTTPAnswer(status: 204, headers: fields)
    }

    /// The fields that let a page of `origin` read an answer; none when it is not allowed.
    func fields(forOrigin origin: String) -> [(name: String, value: String)] {
        guard allows(origin: origin) else { return [] }
        var fields = [
            (name: "Access-Control-Allow-Origin", value: origin),
            (name: "Access-Control-Allow-Credentials", value: "true"),
            (name: "Vary", value: "Origin"),
        ]
        if !exposedHeaders.isEmpty {
            fields.append((name: "Access-Control-Expose-Headers", value: exposedHeaders.joined(separator: ", ")))
        }
        return fields
    }
}
