package import OTLP
package import Telemetry

/// What a receiver counts for one signal, under otelcol's names.
package struct ReceiverMetrics: Sendable {
    /// Items whose request was acknowledged.
    package let acceptedItems: Counter
    /// Items pushed back: no room, or invalid.
    package let refusedItems: Counter
    /// Items that failed for a reason of Martlet's or the destination's own.
    package let failedItems: Counter
    package let requestsSucceeded: Counter
    package let requestsRefused: Counter
    package let requestsFailed: Counter

    /// - Parameters:
    ///   - receiver: component id, such as `otlp`.
    ///   - transport: `http` or `grpc`.
    package init(_ registry: MetricRegistry, receiver: String, transport: String, signal: Signal) {
        let labels = [(name: "receiver", value: receiver), (name: "transport", value: transport)]
        let noun = signal.itemNoun
        let what = signal.itemWords
        acceptedItems = registry.counter(
            "otelcol_receiver_accepted_\(noun)", help: "Number of \(what) successfully pushed into the pipeline.",
            labels: labels)
        refusedItems = registry.counter(
            "otelcol_receiver_refused_\(noun)", help: "Number of \(what) that could not be pushed into the pipeline.",
            labels: labels)
        failedItems = registry.counter(
            "otelcol_receiver_failed_\(noun)", help: "Number of \(what) that failed for an internal reason.",
            labels: labels)
        func requests(_ outcome: String) -> Counter {
            registry.counter(
                "otelcol_receiver_requests", help: "Number of requests by outcome.",
                labels: labels + [(name: "signal", value: signal.rawValue), (name: "outcome", value: outcome)])
        }
        requestsSucceeded = requests("success")
        requestsRefused = requests("refused")
        requestsFailed = requests("failure")
    }
}
