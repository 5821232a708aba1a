/// The kinds of telemetry that OTLP carries and Martlet handles.
package enum Signal: String, Sendable, CaseIterable, Hashable {
    case traces
    case metrics
    case logs

    /// What one item of the signal is called in metric names and messages: `spans`, `metric_points`, `log_records`.
    package var itemNoun: String {
        switch self {
        case .traces: "spans"
        case .metrics: "metric_points"
        case .logs: "log_records"
        }
    }

    /// The same in words, for messages: `spans`, `metric points`, `log records`.
    package var itemWords: String {
        switch self {
        case .traces: "spans"
        case .metrics: "metric points"
        case .logs: "log records"
        }
    }
}
