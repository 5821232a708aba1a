package import Config
package import OTLP

/// A stage of one pipeline. It changes, drops or holds batches, and hands the rest to the next consumer.
package protocol Processor: Consumer {
    /// Called once, after everything downstream runs.
    func start() throws

    /// Hands on what it holds. Called after the stages before it have stopped. The second call does nothing.
    func stop(deadline: ContinuousClock.Instant) async
}

/// Makes processors of one type.
package protocol ProcessorFactory: Sendable {
    associatedtype Settings: Sendable

    var descriptor: ComponentDescriptor { get }

    /// Reads the settings; faults are recorded in the section, which the caller finishes.
    func settings(from section: ConfigSection) -> Settings

    func make(
        _ settings: Settings, id: ComponentID, signal: Signal, next: any Consumer, environment: ComponentEnvironment
    ) throws -> any Processor

    /// What it takes for a processor of this factory, which runs, to follow other settings. Changes nothing yet. Without
    /// an implementation of its own every change needs a restart.
    func change(_ processor: any Processor, to settings: Settings) throws -> SettingsChange
}

extension ProcessorFactory {
    package func change(_ processor: any Processor, to settings: Settings) throws -> SettingsChange {
        .restart(keys: [])
    }
}

/// How a running component can follow other settings.
package enum SettingsChange: Sendable {
    /// In place: `apply` does it, and cannot fail. Any thread.
    case inPlace(apply: @Sendable () -> Void)
    /// Only by a restart. The keys that demand it; none means any.
    case restart(keys: [String])
}

/// How a pipeline's exporters group what they send: the keys of otelcol's `batch` processor.
///
/// Martlet has no batching stage, where acknowledged data would lie with nobody responsible for it: the policy is
/// carried out inside the delivery queues of the pipeline's exporters.
package struct BatchProcessorSettings: Sendable, Hashable {
    /// Items that trigger a send; 0 means no such trigger. Key `send_batch_size`.
    package var sendBatchSize = 8192
    /// Longest time an item waits for others; 0 sends at once. Key `timeout`.
    package var timeout: Duration = .milliseconds(200)
    /// Most items in one request; 0 means no bound. Key `send_batch_max_size`.
    package var sendBatchMaxSize = 0
    /// Metadata keys, in lower case, whose values may not mix in one request. Key `metadata_keys`.
    package var metadataKeys: [String] = []
    /// Most combinations of metadata values. Key `metadata_cardinality_limit`.
    package var metadataCardinalityLimit = 1000

    package init() {}
}

/// Bounds of the memory budget: the keys of otelcol's `memory_limiter`.
package struct MemoryLimit: Sendable, Hashable {
    /// Bytes that may never be passed.
    package var limit: Int
    /// Room between the soft limit, where refusals begin, and `limit`, in bytes.
    package var spike: Int

    package init(limit: Int, spike: Int) {
        self.limit = limit
        self.spike = spike
    }
}

/// What a processor of a configuration turns out to be.
package enum PreparedProcessor: Sendable {
    /// Makes the stage of one pipeline.
    package typealias Make =
        @Sendable (ComponentID, Signal, any Consumer, ComponentEnvironment) throws -> any Processor
    /// What it takes for a running processor to follow these settings.
    package typealias Change = @Sendable (any Processor) throws -> SettingsChange

    /// A stage that batches run through.
    case stage(Make, Change)
    /// Not a stage: a policy for the queues of the pipeline's exporters.
    case batching(BatchProcessorSettings)
    /// Not a stage: bounds for the process-wide memory budget.
    case memoryLimit(MemoryLimit)
}

/// A processor factory whose settings type is erased, for the registry.
package struct AnyProcessorFactory: Sendable {
    package let descriptor: ComponentDescriptor
    /// Reads a configuration; nil, with the reasons in the diagnostics, when it is wrong.
    package let prepare: @Sendable (ComponentConfig, inout ConfigDiagnostics) -> PreparedProcessor?

    /// A processor that is a stage.
    package init(_ factory: some ProcessorFactory) {
        self.init(factory.descriptor) { section in
            let settings = factory.settings(from: section)
            return .stage(
                { id, signal, next, environment in
                    try factory.make(settings, id: id, signal: signal, next: next, environment: environment)
                }, { processor in try factory.change(processor, to: settings) })
        }
    }

    /// A processor that is read into a policy.
    package init(
        _ descriptor: ComponentDescriptor, read: @escaping @Sendable (ConfigSection) -> PreparedProcessor
    ) {
        self.descriptor = descriptor
        prepare = { config, diagnostics in
            ConfigSection.decode(config.node, path: config.path, into: &diagnostics) { read($0) }
        }
    }
}
