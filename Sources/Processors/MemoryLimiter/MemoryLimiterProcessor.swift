internal import OTLP
package import Pipeline

/// otelcol's `memory_limiter` as a processor: read into bounds for the process-wide memory budget, which refuses
/// requests before their bodies are read.
package enum MemoryLimiterProcessor {
    package static let factory = AnyProcessorFactory(
        ComponentDescriptor(type: "memory_limiter", signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    ) { .memoryLimit(MemoryLimit(from: $0)) }
}
