internal import NIOCore

/// When a connection is to end, and when its client is asked whether it is still there: otelcol's
/// `keepalive.server_parameters`. Looked at about once a second.
struct HTTP2ConnectionClock {
    enum Action: Equatable {
        case nothing
        /// Ask the client whether it is there.
        case ping
        /// Let the requests under way finish, and take no more.
        case drain
        /// Close the connection.
        case close
    }

    /// Longest time for requests under way behind a GOAWAY, unless it is configured.
    private static let grace = Duration.seconds(300)
    /// Longest time for a client without requests to take note of it.
    private static let idleGrace = Duration.seconds(10)

    private let settings: HTTP2ServerSettings
    private let idleTimeout: Duration
    private let begun: NIODeadline
    private var lastRead: NIODeadline
    private var idleSince: NIODeadline?
    private var pingedAt: NIODeadline?
    /// When the first GOAWAY went out.
    private var drainedAt: NIODeadline?

    /// - Parameter idle: longest time without a request where the settings do not say.
    init(_ settings: HTTP2ServerSettings, idle: Duration, now: NIODeadline) {
        self.settings = settings
        idleTimeout = settings.maximumIdle ?? idle
        begun = now
        lastRead = now
        idleSince = now
    }

    /// Bytes came.
    mutating func read(_ now: NIODeadline) {
        lastRead = now
        pingedAt = nil
    }

    /// The last request is over.
    mutating func becameIdle(_ now: NIODeadline) { idleSince = now }

    mutating func becameBusy() { idleSince = nil }

    /// A GOAWAY went out.
    mutating func drained(_ now: NIODeadline) { if drainedAt == nil { drainedAt = now } }

    mutating func tick(_ now: NIODeadline) -> Action {
        if let drainedAt {
            let grace = settings.maximumGrace ?? Self.grace
            if now - drainedAt >= TimeAmount(idleSince != nil ? min(grace, Self.idleGrace) : grace) { return .close }
        } else {
            if let age = settings.maximumAge, now - begun >= TimeAmount(age) { return .drain }
            if let idleSince, now - idleSince >= TimeAmount(idleTimeout) { return .drain }
        }
        if let pingedAt {
            return now - pingedAt >= TimeAmount(settings.pingTimeout) ? .close : .nothing
        }
        guard now - lastRead >= TimeAmount(settings.pingInterval) else { return .nothing }
        pingedAt = now
        return .ping
    }
}
