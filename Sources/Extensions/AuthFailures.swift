internal import Config
internal import Logging
internal import Pipeline
internal import Synchronization
internal import Telemetry
internal import Transport

/// The requests that one authenticator refused: counted, logged at a bounded rate, and remembered for each peer, so that
/// nobody can try passwords without end. Thread-safe.
final class AuthFailures: Sendable {
    private struct Peer {
        var failures: Int
        var since: ContinuousClock.Instant
    }

    /// Most peers that are remembered; when there are more, the oldest half is forgotten.
    private static let mostPeers = 4096
    /// How long failures count against a peer.
    static let window = Duration.seconds(60)

    /// Failures of one peer in a minute after which it is limited.
    let limit: Int
    private let peers = Mutex<[String: Peer]>([:])
    private let counters: [AuthenticationFailure.Reason: Counter]
    private let logger: Logger
    private let throttle = LogThrottle(interval: .seconds(1))
    private let challenge: String

    /// - Parameters:
    ///   - challenge: of refusals, for `WWW-Authenticate`.
    ///   - limit: key `max_failures_per_minute`.
    init(_ environment: ComponentEnvironment, id: ComponentID, challenge: String, limit: Int) {
        self.limit = limit
        self.challenge = challenge
        logger = environment.logger("extension", id)
        var counters: [AuthenticationFailure.Reason: Counter] = [:]
        for reason in AuthenticationFailure.Reason.allCases {
            counters[reason] = environment.metrics.counter(
                "martlet_extension_auth_failures", help: "Requests whose credentials were refused, by reason.",
                labels: [(name: "extension", value: id.description), (name: "reason", value: reason.rawValue)])
        }
        self.counters = counters
    }

    static let defaultLimit = 20

    /// Reads `max_failures_per_minute`.
    static func limit(_ section: ConfigSection) -> Int {
        section.integer("max_failures_per_minute", in: 1...1_000_000) ?? defaultLimit
    }

    /// Whether a peer has failed too often of late for its credentials to be worth much work.
    func isLimited(_ peer: String?, now: ContinuousClock.Instant = .now) -> Bool {
        peers.withLock { peers in
            guard let known = peers[peer ?? ""], now - known.since < Self.window else { return false }
            return known.failures >= limit
        }
    }

    /// Counts a refusal.
    ///
    /// - Returns: what the client is told. Its connection is closed when it has failed too often.
    func refuse(
        _ reason: AuthenticationFailure.Reason, peer: String?, now: ContinuousClock.Instant = .now
    ) -> AuthenticationFailure {
        counters[reason]?.add()
        let failures = remember(peer, now)
        if let unsaid = throttle.admit(now: now) {
            var fields: Logger.Metadata = ["peer": "\(peer ?? "unknown")", "reason": "\(reason.rawValue)"]
            if unsaid > 0 { fields["not_logged_before"] = "\(unsaid)" }
            logger.warning("a client was not authenticated", metadata: fields)
        }
        return AuthenticationFailure(
            reason, challenge: challenge, closes: failures > limit,
            retryAfter: reason == .limited ? Self.window : nil)
    }

    private func remember(_ peer: String?, _ now: ContinuousClock.Instant) -> Int {
        peers.withLock { peers in
            let key = peer ?? ""
            if peers[key] == nil, peers.count >= Self.mostPeers { Self.forget(&peers, now) }
            var known = peers[key] ?? Peer(failures: 0, since: now)
            if now - known.since >= Self.window { known = Peer(failures: 0, since: now) }
            known.failures += 1
            peers[key] = known
            return known.failures
        }
    }

    private static func forget(_ peers: inout [String: Peer], _ now: ContinuousClock.Instant) {
        peers = peers.filter { now - $0.value.since < window }
        guard peers.count >= mostPeers else { return }
        let times = peers.values.map(\.since).sorted()
        let middle = times[times.count / 2]
        peers = peers.filter { $0.value.since > middle }
    }
}
