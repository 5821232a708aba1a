internal import NIOCore

/// Which pings of a client are too many: the rules that gRPC's servers have for keepalive.
///
/// Pings may come at least `minimumInterval` apart, or two hours when no request is under way and that is not allowed.
/// Any answer that goes out makes good for those before.
struct HTTP2PingPolicy {
    /// What otelcol's keys say.
    let settings: HTTP2ServerSettings
    /// Pings that came too early since the last answer.
    private var strikes = 0
    private var last: NIODeadline?

    /// More strikes than this end the connection.
    private static let allowedStrikes = 2
    private static let idleInterval = Duration.seconds(2 * 3600)

    init(settings: HTTP2ServerSettings) { self.settings = settings }

    /// Part of an answer was sent.
    mutating func answered() {
        strikes = 0
        last = nil
    }

    /// A ping came.
    ///
    /// - Returns: false when the connection is to end.
    mutating func take(_ now: NIODeadline, isIdle: Bool) -> Bool {
        defer { last = now }
        guard let last else { return true }
        let interval =
            isIdle && !settings.permitsPingWithoutStream
            ? max(Self.idleInterval, settings.minimumPingInterval) : settings.minimumPingInterval
        if now - last < TimeAmount(interval) { strikes += 1 }
        return strikes <= Self.allowedStrikes
    }
}
