internal import NIOHPACK

/// A request of HTTP/2 and what became of it so far, over all attempts. Belongs to the client's thread.
final class HTTP2ClientCall {
    let submission: HTTPSubmission
    /// `host:port`.
    let origin: String
    /// `scheme://host:port`.
    let destination: String
    /// The head, pseudo fields included.
    let fields: HPACKHeaders
    /// Whether libcurl would reach the host without a proxy, so that its addresses are ours to choose.
    let isDirect: Bool
    /// Addresses that did not connect for this request.
    var failedAddresses: [String] = []
    /// When it was sent last, monotonic nanoseconds; 0 before.
    var begunAt: UInt64 = 0
    /// How often it was sent again since a peer gave it back, or lost it.
    var resends = 0

    /// Fields whose values no proxy and no peer may keep for later (RFC 7541, section 7.1.3).
    private static let secretNames = ["authorization", "proxy-authorization", "cookie"]

    /// - Throws: `.invalidRequest`.
    init(_ submission: HTTPSubmission, _ settings: HTTPClientSettings) throws(HTTPClientError) {
        let request = submission.request
        guard let target = HTTPTarget(request.url) else {
            throw HTTPClientError(.invalidRequest, origin: "", detail: "the URL is not an absolute http or https URL")
        }
        origin = target.origin
        let scheme = target.isTLS ? "https" : "http"
        destination = "\(scheme)://\(target.origin)"
        isDirect =
            settings.proxyURL == nil
            && (target.isLoopback || !EnvironmentProxy.mayBeUsed(for: target.host, isTLS: target.isTLS))
        var fields = HPACKHeaders()
        fields.reserveCapacity(request.headers.count + 4)
        fields.add(name: ":method", value: request.method.rawValue)
        fields.add(name: ":scheme", value: scheme)
        fields.add(name: ":path", value: target.path)
        fields.add(name: ":authority", value: settings.authority ?? target.authority)
        for (name, value) in request.headers {
            if let problem = headerProblem(name, value) {
                throw HTTPClientError(.invalidRequest, origin: target.origin, detail: problem)
            }
            let lower = name.lowercased()
            let indexing = Self.secretNames.contains(lower) ? HPACKIndexing.neverIndexed : .indexable
            fields.add(name: lower, value: value, indexing: indexing)
        }
        self.fields = fields
        self.submission = submission
    }
}
