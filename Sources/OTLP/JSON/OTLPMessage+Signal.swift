extension OTLPMessage {
    /// The export request of a signal.
    package static func request(of signal: Signal) -> OTLPMessage {
        switch signal {
        case .traces: .traceRequest
        case .metrics: .metricsRequest
        case .logs: .logsRequest
        }
    }
}
