package import Config
internal import GenAI
internal import Logging
package import OTLP
package import Pipeline
internal import Synchronization

/// `genai`: gives spans of AI calls their current attribute names and their cost.
package struct GenAIProcessorFactory: ProcessorFactory {
    package init() {}

    package var descriptor: ComponentDescriptor { ComponentDescriptor(type: "genai", signals: [.traces: .alpha]) }

    package func settings(from section: ConfigSection) -> GenAIProcessorSettings {
        GenAIProcessorSettings(from: section)
    }

    package func make(
        _ settings: GenAIProcessorSettings, id: ComponentID, signal: Signal, next: any Consumer,
        environment: ComponentEnvironment
    ) throws -> any Processor {
        GenAIProcessor(try settings.shared.engine(settings, id: id, environment: environment), next: next)
    }
}

/// Makes the engine of a component once, however many pipelines it stands in.
final class GenAIShared: Sendable {
    private let made = Mutex<GenAIEngine?>(nil)

    /// Blocks on price files the first time.
    func engine(
        _ settings: GenAIProcessorSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> GenAIEngine {
        try made.withLock { made in
            if let made { return made }
            let engine = try GenAIEngine(settings, id: id, environment: environment)
            made = engine
            return engine
        }
    }
}

/// One pipeline's stage. Everything is in the engine.
final class GenAIProcessor: Processor {
    private let engine: GenAIEngine
    private let next: any Consumer
    private let isStarted = Mutex(false)

    init(_ engine: GenAIEngine, next: any Consumer) {
        self.engine = engine
        self.next = next
    }

    var mutatesBatches: Bool { true }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        engine.process(batch)
        next.consume(batch, context: context, receipt: receipt)
    }

    func start() throws {
        isStarted.withLock { isStarted in
            if !isStarted { engine.start() }
            isStarted = true
        }
    }

    func stop(deadline: ContinuousClock.Instant) async {
        isStarted.withLock { isStarted in
            if isStarted { engine.stop() }
            isStarted = false
        }
    }
}

/// The mapping, the prices, the account and the working memory of a component. Any thread may use it.
final class GenAIEngine: Sendable {
    /// Working memories that are kept; more threads than that at once make and drop theirs.
    private static let maximumIdleWorkers = 64

    // Unchecked: a worker is in this list or with one caller of `process`, never both.
    private struct IdleWorkers: @unchecked Sendable {
        var workers: [GenAIWorker] = []
    }

    private struct Reloading {
        var starts = 0
        var task: Task<Void, Never>?
    }

    let prices: PriceBook
    let account: GenAIAccount
    private let mapping: GenAIMapping
    private let options: GenAIWorker.Options
    private let reloadInterval: Duration?
    private let logger: Logger
    private let idle = Mutex(IdleWorkers())
    private let reloading = Mutex(Reloading())

    init(_ settings: GenAIProcessorSettings, id: ComponentID, environment: ComponentEnvironment) throws {
        mapping = try GenAIMapping.builtIn(costs: settings.names)
        prices = try PriceBook(settings.prices)
        account = GenAIAccount(
            metrics: environment.metrics, processor: "\(id)", countsOnce: settings.countsOnce)
        options = GenAIWorker.Options(
            keepsReportedCost: settings.keepsReportedCost, writesConventions: settings.writesConventions,
            removesOriginals: settings.removesOriginals, mirrors: settings.mirrors, content: settings.content)
        let reloads = !settings.prices.files.isEmpty && settings.prices.reloadInterval > .zero
        reloadInterval = reloads ? settings.prices.reloadInterval : nil
        logger = environment.logger("processor", id)
    }

    /// Adds to the spans of `batch` what they lack, and counts them.
    func process(_ batch: TelemetryBatch) {
        let worker = idle.withLock { $0.workers.popLast() } ?? GenAIWorker(mapping, options, account)
        worker.process(batch, prices: prices)
        // Given away: nobody uses it here any more.
        nonisolated(unsafe) let done = worker
        idle.withLock { if $0.workers.count < Self.maximumIdleWorkers { $0.workers.append(done) } }
    }

    // MARK: Price files

    func start() {
        reloading.withLock { state in
            state.starts += 1
            guard state.starts == 1, let reloadInterval else { return }
            // Not on an event loop: files are read there.
            state.task = Task.detached { [weak self] in
                while (try? await Task.sleep(for: reloadInterval)) != nil {
                    guard let self else { return }
                    self.reloadPrices()
                }
            }
        }
    }

    func stop() {
        reloading.withLock { state in
            state.starts -= 1
            guard state.starts == 0 else { return }
            state.task?.cancel()
            state.task = nil
        }
    }

    /// Takes changed price files. Blocks on them.
    func reloadPrices() {
        do throws(ConfigError) {
            if try prices.reload() { logger.info("price files were read again: version \(prices.version)") }
        } catch {
            logger.error("price files are wrong; the prices stay as they were: \(error)")
        }
    }
}
