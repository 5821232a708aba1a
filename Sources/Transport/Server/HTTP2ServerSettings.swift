/// Bounds and time-outs of HTTP/2 connections; names as in otelcol's configgrpc where it has them.
package struct HTTP2ServerSettings: Sendable {
    /// Most requests under way on one connection. Key `max_concurrent_streams`.
    package var maximumConcurrentStreams = 100
    /// Longest time without a request; nil takes the server's `idleTimeout`. Key
    /// `keepalive.server_parameters.max_connection_idle`.
    package var maximumIdle: Duration?
    /// Longest life of a connection; nil has no bound. Key `keepalive.server_parameters.max_connection_age`.
    package var maximumAge: Duration?
    /// Longest time for requests under way once a connection is to end; nil is 5 minutes. Key
    /// `keepalive.server_parameters.max_connection_age_grace`.
    package var maximumGrace: Duration?
    /// Time without data after which a client is asked whether it is there. Key `keepalive.server_parameters.time`.
    package var pingInterval = Duration.seconds(2 * 3600)
    /// Longest wait for its answer. Key `keepalive.server_parameters.timeout`.
    package var pingTimeout = Duration.seconds(20)
    /// Least time between a client's pings; those that come earlier end the connection. Key
    /// `keepalive.enforcement_policy.min_time`.
    package var minimumPingInterval = Duration.seconds(300)
    /// Takes pings without a request under way. Key `keepalive.enforcement_policy.permit_without_stream`.
    package var permitsPingWithoutStream = false

    package init() {}
}
