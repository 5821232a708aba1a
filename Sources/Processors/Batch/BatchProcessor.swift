internal import Config
internal import OTLP
package import Pipeline

/// otelcol's `batch`: read into a policy that the delivery queues of the pipeline's exporters carry out.
package enum BatchProcessor {
    package static let factory = AnyProcessorFactory(
        ComponentDescriptor(type: "batch", signals: [.traces: .beta, .metrics: .beta, .logs: .beta])
    ) { .batching(policy(from: $0)) }

    static func policy(from section: ConfigSection) -> BatchProcessorSettings {
        var policy = BatchProcessorSettings()
        policy.sendBatchSize = section.integer("send_batch_size", in: 0...Int(Int32.max)) ?? policy.sendBatchSize
        policy.timeout = section.duration("timeout", in: .zero ... .seconds(86_400)) ?? policy.timeout
        policy.sendBatchMaxSize = section.integer("send_batch_max_size", in: 0...Int(Int32.max)) ?? 0
        if policy.sendBatchMaxSize > 0, policy.sendBatchMaxSize < policy.sendBatchSize {
            section.error(
                "send_batch_max_size", "must not be below \"send_batch_size\" (\(policy.sendBatchSize))")
        }
        policy.metadataKeys = (section.stringList("metadata_keys") ?? []).map { $0.lowercased() }
        if Set(policy.metadataKeys).count < policy.metadataKeys.count {
            section.error("metadata_keys", "must not name a key twice")
        }
        policy.metadataCardinalityLimit =
            section.integer("metadata_cardinality_limit", in: 1...1_000_000) ?? policy.metadataCardinalityLimit
        return policy
    }
}
