/// What is known about the request that a batch came with, beside its telemetry.
package struct RequestContext: Sendable {
    /// Request headers that the receiver was told to carry along (`include_metadata`); names in lower case.
    package var metadata: [String: [String]]
    /// When the request's last byte came in.
    package var receivedAt: ContinuousClock.Instant
    /// Who sent it, for the shares of what is scarce.
    package var client: ClientKey

    package init(
        metadata: [String: [String]] = [:], receivedAt: ContinuousClock.Instant = .now, client: ClientKey = .none
    ) {
        self.metadata = metadata
        self.receivedAt = receivedAt
        self.client = client
    }
}
