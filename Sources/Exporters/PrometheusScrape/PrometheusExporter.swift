internal import Config
internal import Glibc
internal import Logging
internal import OTLP
package import Pipeline
internal import Prometheus
internal import Synchronization
internal import Telemetry
internal import Transport

/// Keeps the latest point of every series and shows them at `/metrics`.
package final class PrometheusExporter: Exporter {
    private let server: HTTPServer
    private let scrape: PrometheusScrape
    private let environment: ComponentEnvironment
    private let logger: Logger
    private let settings: PrometheusExporterSettings
    private let isRunning = Atomic<Bool>(false)
    private let sent: Counter
    private let dropped: [RejectReason: Counter]
    private let rejected: [Counter]

    init(_ settings: PrometheusExporterSettings, id: ComponentID, environment: ComponentEnvironment) {
        self.settings = settings
        self.environment = environment
        scrape = PrometheusScrape(settings)
        server = HTTPServer(
            settings: settings.server, service: PrometheusScrapeService(scrape: scrape),
            telemetry: HTTPServerTelemetry(environment, kind: "exporter", id: id, protocolName: "http"),
            authenticators: environment.authenticators)
        logger = environment.logger("exporter", id)
        let registry = environment.metrics
        let labels: MetricRegistry.Labels = [("exporter", "\(id)")]
        sent = registry.counter(
            "otelcol_exporter_sent_metric_points",
            help: "Number of metric_points successfully sent to the destination.", labels: labels)
        func counter(_ reason: String) -> Counter {
            registry.counter(
                "martlet_prometheus_dropped_points", help: "Number of points that are not shown, by reason.",
                labels: labels + [("reason", reason)])
        }
        dropped = Dictionary(uniqueKeysWithValues: RejectReason.allCases.map { ($0, counter($0.label)) })
        // The translator has a type conflict of its own.
        rejected = ScrapeRejection.allCases.map { counter($0.label) }
        registry.gauge("martlet_prometheus_series", help: "Series that are shown.", labels: labels) {
            [scrape] in Double(scrape.seriesCount)
        }
    }

    /// Begins to listen.
    package func start() throws {
        let port = try server.start(on: environment.eventLoops)
        isRunning.store(true, ordering: .releasing)
        logger.info(
            "metrics are shown", metadata: ["endpoint": "\(settings.server.host):\(port)", "path": "/metrics"])
    }

    /// Takes the latest points. Answers at once.
    package func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        guard isRunning.load(ordering: .acquiring) else {
            return completion(.retryable("the prometheus exporter is not running", after: nil))
        }
        let (report, rejections) = scrape.take(request)
        var lost = report.rejected
        for reason in RejectReason.allCases { dropped[reason]?.add(report.rejected(reason)) }
        for (index, count) in rejections.enumerated() {
            rejected[index].add(count)
            lost += count
        }
        sent.add(max(0, report.points - lost))
        completion(.delivered(rejected: lost, message: lost > 0 ? report.mainReason?.text ?? "series limit" : ""))
    }

    package func shutdown() {
        isRunning.store(false, ordering: .releasing)
        server.close()
    }
}

/// The store behind a lock, and how it is read. Any thread may use it.
final class PrometheusScrape: Sendable {
    private struct State: ~Copyable {
        var translator: MetricTranslator
        var store: ScrapeStore
        /// Scrapes that read positions: nothing may be removed meanwhile.
        var readers = 0
    }

    // Unchecked: made for the lock, which guards it from then on.
    private struct Sealed: @unchecked Sendable {
        let translator: MetricTranslator
        let store: ScrapeStore
    }

    private let state: Mutex<State>
    private let settings: PrometheusExporterSettings
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let wallClock: @Sendable () -> Int64
    private let epoch: ContinuousClock.Instant
    private let expirationTicks: UInt32
    private let series = Atomic<Int>(0)
    /// Bytes of the last text.
    private let lastSize = Atomic<Int>(0)

    /// Label sets that are written under the lock at a time: some 100 microseconds.
    private static let chunk = 256
    /// Of the store's ticks.
    private static let ticksPerSecond: Int64 = 10

    /// - Parameters:
    ///   - clock: must not run backwards.
    ///   - wallClock: milliseconds since 1970.
    init(
        _ settings: PrometheusExporterSettings, clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        wallClock: @escaping @Sendable () -> Int64 = PrometheusScrape.milliseconds
    ) {
        self.settings = settings
        self.clock = clock
        self.wallClock = wallClock
        epoch = clock()
        expirationTicks = Self.ticks(settings.expiration)
        var random = SystemRandomNumberGenerator()
        let sealed = Sealed(
            translator: MetricTranslator(settings.translation),
            store: ScrapeStore(
                maximumSeries: settings.maximumSeries, keepsExemplars: settings.offersOpenMetrics, using: &random))
        state = Mutex(State(translator: sealed.translator, store: sealed.store))
    }

    /// Milliseconds since 1970.
    static let milliseconds: @Sendable () -> Int64 = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// Key `enable_open_metrics`.
    var offersOpenMetrics: Bool { settings.offersOpenMetrics }

    /// Time series that are kept.
    var seriesCount: Int { series.load(ordering: .relaxed) }

    private static func ticks(_ time: Duration) -> UInt32 {
        let (seconds, attoseconds) = time.components
        return UInt32(clamping: seconds * ticksPerSecond + attoseconds / 100_000_000_000_000_000)
    }

    private var tick: UInt32 { Self.ticks(epoch.duration(to: clock())) }

    /// Takes the points of a request. Returns what the translator said, and what the store rejected beyond that.
    func take(_ request: ExportRequest) -> (TranslationReport, [Int]) {
        state.withLock { state in
            var report = TranslationReport()
            let tick = tick
            let before = state.store.rejections
            // Room is made before something new is turned away.
            if state.readers == 0, state.store.seriesCount >= settings.maximumSeries { expire(&state, tick) }
            state.store.begin(at: tick)
            for slice in request.slices {
                report.add(
                    state.translator.translate(slice.batch, items: slice.items, now: wallClock(), into: state.store))
            }
            state.store.finish()
            series.store(state.store.seriesCount, ordering: .relaxed)
            return (report, zip(state.store.rejections, before).map { $0 - $1 })
        }
    }

    private func expire(_ state: inout State, _ tick: UInt32) {
        state.store.expire(before: tick > expirationTicks ? tick - expirationTicks : 0)
        series.store(state.store.seriesCount, ordering: .relaxed)
    }

    /// All metrics in the format. Takes the lock for a part of them at a time.
    func text(_ format: ScrapeFormat) -> [UInt8] {
        let plan = state.withLock { state in
            if state.readers == 0 { expire(&state, tick) }
            state.readers += 1
            return state.store.plan()
        }
        var writer = ScrapeWriter(
            format, sendsTimestamps: settings.sendsTimestamps,
            capacity: lastSize.load(ordering: .relaxed) / 8 * 9 + 1024)
        var family = -1
        var start = 0
        while start < plan.count {
            let end = min(plan.count, start + Self.chunk)
            state.withLock { state in
                for position in plan[start..<end] {
                    let child = state.store.children[position]
                    if child.isHidden { continue }
                    if child.family != family {
                        family = child.family
                        writer.begin(state.store.families[family])
                    }
                    let bounds = state.store.bounds
                    writer.put(child, child.bounds >= 0 && child.bounds < bounds.count ? bounds[child.bounds] : nil)
                }
            }
            start = end
        }
        state.withLock { $0.readers -= 1 }
        writer.finish()
        lastSize.store(writer.text.bytes.count, ordering: .relaxed)
        return writer.text.bytes
    }
}

extension ScrapeStore {
    /// The positions of all label sets, families together and in order of name. Valid until something is removed.
    func plan() -> [Int] {
        let order = families.indices.filter { families[$0].children > 0 }
            .sorted { families[$0].name.lexicographicallyPrecedes(families[$1].name) }
        var starts = [Int](repeating: 0, count: families.count)
        var next = 0
        for family in order {
            starts[family] = next
            next += families[family].children
        }
        var plan = [Int](repeating: 0, count: children.count)
        for (position, child) in children.enumerated() {
            plan[starts[child.family]] = position
            starts[child.family] += 1
        }
        return plan
    }
}

/// Answers at `/metrics`.
struct PrometheusScrapeService: HTTPService {
    let scrape: PrometheusScrape
    let offersOpenMetrics: Bool

    private static let bodyLimit = 1024

    init(scrape: PrometheusScrape) {
        self.scrape = scrape
        offersOpenMetrics = scrape.offersOpenMetrics
    }

    func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission {
        guard head.method == "GET" || head.method == "HEAD" else {
            return .answer(.text(405, "405 method not allowed, supported: [GET]\n", headers: [("Allow", "GET, HEAD")]))
        }
        return .body(limit: Self.bodyLimit, lease: nil)
    }

    func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
        guard head.path == "/metrics" else {
            return responder.send(.text(404, "404 page not found; metrics are at /metrics\n"))
        }
        let format = ScrapeFormat.negotiated(
            accept: head.headers.values("accept"), offersOpenMetrics: offersOpenMetrics)
        let scrape = scrape
        // Not on the event loop: the text may have many megabytes.
        Task.detached {
            responder.send(
                HTTPAnswer(status: 200, headers: [("Content-Type", format.contentType)], body: scrape.text(format)))
        }
    }
}
