package import Config
internal import Logging
package import Pipeline
internal import Synchronization
internal import Telemetry

/// What a server says about its connections: log lines, of which there are few however many connections fail, and
/// counters. Thread-safe.
package final class HTTPServerTelemetry: Sendable {
    let logger: Logger
    private let handshakeFailures: Counter
    private let endedConnections: Counter
    private let throttle = LogThrottle(interval: .seconds(10))
    /// Whose the server is: `receiver/otlp`.
    let component: String
    let listeners: ListenerRegistry

    /// - Parameters:
    ///   - kind: of the component, such as `receiver`.
    ///   - id: the component's.
    ///   - protocolName: `http` or `grpc`, for a component with several servers.
    package init(_ environment: ComponentEnvironment, kind: String, id: ComponentID, protocolName: String) {
        logger = environment.logger(kind, id)
        component = "\(kind)/\(id)"
        listeners = environment.listeners
        let labels = [(name: kind, value: id.description), (name: "transport", value: protocolName)]
        handshakeFailures = environment.metrics.counter(
            "martlet_server_tls_handshake_failures", help: "TLS handshakes that failed.", labels: labels)
        endedConnections = environment.metrics.counter(
            "martlet_server_ended_connections",
            help: "HTTP/2 connections that were ended because the client misused the protocol.", labels: labels)
    }

    /// Counts a handshake that failed. `reason` holds nothing of the client's but its choice of protocol.
    func handshakeFailed(peer: String?, reason: String) {
        handshakeFailures.add()
        warn("a TLS handshake failed", peer, reason)
    }

    /// Counts a connection that was ended for its client's behaviour.
    func connectionEnded(peer: String?, reason: String) {
        endedConnections.add()
        warn("an HTTP/2 connection was ended", peer, reason)
    }

    private func warn(_ message: String, _ peer: String?, _ reason: String) {
        guard let unsaid = throttle.admit() else { return }
        var fields: Logger.Metadata = ["peer": "\(peer ?? "unknown")", "reason": "\(reason)"]
        if unsaid > 0 { fields["not_logged_before"] = "\(unsaid)" }
        logger.warning("\(message)", metadata: fields)
    }
}

/// Lets one line through in each interval, and counts those it holds back. Thread-safe.
package final class LogThrottle: Sendable {
    private struct State {
        var next: ContinuousClock.Instant?
        var unsaid = 0
    }

    private let interval: Duration
    private let state = Mutex(State())

    package init(interval: Duration) { self.interval = interval }

    /// - Returns: nil to stay silent; otherwise how many lines were held back since the last one.
    package func admit(now: ContinuousClock.Instant = .now) -> Int? {
        state.withLock { state in
            if let next = state.next, now < next {
                state.unsaid += 1
                return nil
            }
            defer { state.unsaid = 0 }
            state.next = now + interval
            return state.unsaid
        }
    }
}
