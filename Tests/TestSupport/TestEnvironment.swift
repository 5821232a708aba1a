package import Logging
internal import NIOCore
package import NIOPosix
package import Pipeline
internal import Synchronization
package import Telemetry

/// Log lines, kept for the test.
package final class CapturedLog: Sendable {
    package struct Line: Sendable {
        package let label: String
        package let message: String
        package let fields: [String: String]
    }

    private let captured = Mutex<[Line]>([])

    package init() {}

    package var lines: [Line] { captured.withLock { $0 } }

    package func logger(_ label: String) -> Logger { Logger(label: label) { Handler(label: $0, log: self) } }

    /// The value of `field` in the first line that has it.
    package func first(_ field: String) -> String? { lines.lazy.compactMap { $0.fields[field] }.first }

    private struct Handler: LogHandler {
        let label: String
        let log: CapturedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).mapValues { "\($0)" }
            let line = Line(label: label, message: "\(event.message)", fields: fields)
            log.captured.withLock { $0.append(line) }
        }
    }
}

/// What components are made with: one event loop, a budget, a log that the test reads.
package struct TestEnvironment: Sendable {
    package let group: MultiThreadedEventLoopGroup
    package let workers: NIOThreadPool
    package let log = CapturedLog()
    package let budget: MemoryBudget
    package let metrics = MetricRegistry()
    package let readiness = Readiness()

    package init(memory: Int = 64 << 20) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        workers = NIOThreadPool(numberOfThreads: 2)
        workers.start()
        budget = MemoryBudget(limit: memory, spike: memory / 5)
    }

    package var components: ComponentEnvironment {
        let log = log
        return ComponentEnvironment(
            metrics: metrics, budget: budget, eventLoops: group, readiness: readiness, makeLogger: { log.logger($0) })
    }

    /// Ends the threads. Call it when the components are stopped.
    package func shutDown() async throws {
        try await workers.shutdownGracefully()
        try await group.shutdownGracefully()
    }
}
