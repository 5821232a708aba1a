import Config
import Delivery
import NIOPosix
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Service

/// What the parts of a graph did, in order: `start receiver/fake`.
private final class Journal: Sendable {
    private let log = Mutex<[String]>([])
    private let entries = Mutex<[ComponentID: [Signal: any Consumer]]>([:])

    var lines: [String] { log.withLock { $0 } }

    func add(_ line: String) { log.withLock { $0.append(line) } }

    func clear() { log.withLock { $0 = [] } }

    /// What a receiver hands batches to.
    func entry(_ id: String) -> (any Consumer)? {
        entries.withLock { entries in entries.first { $0.key.description == id }?.value[.traces] }
    }

    func received(_ id: ComponentID, _ consumers: [Signal: any Consumer]) { entries.withLock { $0[id] = consumers } }
}

private struct StartRefused: Error {}

/// A component whose `fails` says that it does not start. `note` makes two configurations differ.
private struct FakeSettings: Sendable {
    var fails = false
    var changesInPlace = false

    init(_ section: ConfigSection) {
        fails = section.bool("fails") ?? false
        changesInPlace = section.bool("in_place") ?? false
        _ = section.string("note")
    }
}

private let allSignals: [Signal: Stability] = [.traces: .beta, .metrics: .beta, .logs: .beta]

private class FakePart: @unchecked Sendable {
    // Sendable: all is set once.
    let name: String
    let journal: Journal
    let fails: Bool

    init(_ name: String, _ journal: Journal, fails: Bool) {
        self.name = name
        self.journal = journal
        self.fails = fails
        journal.add("make \(name)")
    }

    func start() throws {
        journal.add("start \(name)")
        if fails { throw StartRefused() }
    }
}

private final class FakeReceiver: FakePart, Receiver, @unchecked Sendable {
    func stop(deadline: ContinuousClock.Instant) async { journal.add("stop \(name)") }
}

private final class FakeProcessor: FakePart, Processor, @unchecked Sendable {
    let next: any Consumer

    init(_ name: String, _ journal: Journal, fails: Bool, next: any Consumer) {
        self.next = next
        super.init(name, journal, fails: fails)
    }

    var mutatesBatches: Bool { next.mutatesBatches }

    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) {
        journal.add("through \(name)")
        next.consume(batch, context: context, receipt: receipt)
    }

    func stop(deadline: ContinuousClock.Instant) async { journal.add("stop \(name)") }
}

private final class FakeExporter: FakePart, Exporter, @unchecked Sendable {
    func export(_ request: ExportRequest, completion: @escaping @Sendable (ExportOutcome) -> Void) {
        journal.add("export \(name)")
        completion(.delivered)
    }

    func shutdown() { journal.add("stop \(name)") }
}

private final class FakeConnector: FakePart, Connector, @unchecked Sendable {
    let next: (any Consumer)?

    init(_ name: String, _ journal: Journal, fails: Bool, next: (any Consumer)?) {
        self.next = next
        super.init(name, journal, fails: fails)
    }

    func input(_ signal: Signal) -> (any Consumer)? { next }

    func stop(deadline: ContinuousClock.Instant) async { journal.add("stop \(name)") }
}

private final class FakeExtension: FakePart, ServiceExtension, @unchecked Sendable {
    func stop() async { journal.add("stop \(name)") }
}

private struct Fakes: ReceiverFactory, ProcessorFactory, ExporterFactory, ConnectorFactory, ExtensionFactory {
    let journal: Journal

    var descriptor: ComponentDescriptor { ComponentDescriptor(type: "fake", signals: allSignals) }

    func settings(from section: ConfigSection) -> FakeSettings { FakeSettings(section) }

    func outputs(for signal: Signal) -> Set<Signal> { [signal] }

    func delivery(for settings: FakeSettings) -> DeliverySettings? {
        var delivery = DeliverySettings()
        delivery.queue.consumers = 1
        return delivery
    }

    func make(
        _ settings: FakeSettings, id: ComponentID, consumers: [Signal: any Consumer], environment: ComponentEnvironment
    ) throws -> any Receiver {
        journal.received(id, consumers)
        return FakeReceiver("receiver/\(id)", journal, fails: settings.fails)
    }

    func make(
        _ settings: FakeSettings, id: ComponentID, consumers: [Signal: any Consumer], environment: ComponentEnvironment
    ) throws -> any Connector {
        FakeConnector("connector/\(id)", journal, fails: settings.fails, next: consumers[.traces])
    }

    func make(
        _ settings: FakeSettings, id: ComponentID, signal: Signal, next: any Consumer, environment: ComponentEnvironment
    ) throws -> any Processor {
        FakeProcessor("processor/\(id)", journal, fails: settings.fails, next: next)
    }

    func change(_ processor: any Processor, to settings: FakeSettings) throws -> SettingsChange {
        settings.changesInPlace ? .inPlace { journal.add("change processor") } : .restart(keys: [])
    }

    func make(_ settings: FakeSettings, id: ComponentID, environment: ComponentEnvironment) throws -> any Exporter {
        FakeExporter("exporter/\(id)", journal, fails: settings.fails)
    }

    func make(
        _ settings: FakeSettings, id: ComponentID, environment: ComponentEnvironment
    ) throws -> any ServiceExtension {
        FakeExtension("extension/\(id)", journal, fails: settings.fails)
    }
}

/// What a reload does, in which order, and what is left when it fails.
@Suite(.timeLimit(.minutes(1))) struct GraphChangeTests {
    /// A running graph of fakes.
    private final class Running {
        let journal = Journal()
        let environment = TestEnvironment()
        let components: ComponentEnvironment
        let retired = RetiredQueues()
        var plan: GraphPlan
        var graph: RunningGraph

        init(_ yaml: String) throws {
            let journal = self.journal
            components = environment.components
            plan = try Self.plan(yaml, journal)
            graph = try GraphBuilder.build(plan, environment: components, workers: environment.workers)
            try graph.start()
            journal.clear()
        }

        static func plan(_ yaml: String, _ journal: Journal) throws -> GraphPlan {
            let fakes = Fakes(journal: journal)
            var components = ComponentSet()
            components.receivers = [AnyReceiverFactory(fakes)]
            components.processors = [AnyProcessorFactory(fakes)] + components.processors
            components.exporters = [AnyExporterFactory(fakes)] + components.exporters
            components.connectors = [AnyConnectorFactory(fakes)]
            components.extensions = [AnyExtensionFactory(fakes)]
            var diagnostics = ConfigDiagnostics()
            let plan = GraphPlan(try node(yaml), components: components, into: &diagnostics)
            return try #require(plan, "\(diagnostics.errors)")
        }

        /// Changes to another configuration and waits until all that is old has ended.
        func change(_ yaml: String) async throws -> [String] {
            let new = try Self.plan(yaml, journal)
            journal.clear()
            let change = try GraphChange(
                from: plan, to: new, of: graph, retired: retired, environment: components,
                workers: environment.workers, logger: environment.log.logger("test"))
            let started = try await change.start()
            // Written before, because a queue's own thread may end the old exporter while the change commits.
            journal.add("commit")
            let passages = change.commit(started)
            (plan, graph) = (new, change.graph)
            await change.retire(passages) {}
            await retired.finish()
            return change.diff.paths
        }

        /// Hands a batch to a receiver's pipelines and returns what it went through.
        func send(_ receiver: String = "fake") async throws -> [String] {
            journal.clear()
            let outcomes = Outcomes()
            let entry = try #require(journal.entry(receiver))
            entry.consume(
                try SampleRequests.batch(.traces, items: 1), context: RequestContext(), receipt: outcomes.receipt())
            let ends = graph.deliveries
            while ends.contains(where: { $0.status.queueSize > 0 }) { try await Task.sleep(for: .milliseconds(1)) }
            #expect(outcomes.all == [nil])
            return journal.lines
        }

        func end() async throws {
            await graph.stop(deadline: .now + .seconds(60), logger: environment.log.logger("test"))
            try await environment.shutDown()
        }
    }

    private func yaml(
        receiver: String = "", processor: String = "", exporters: String = "fake: {}", extensions: String = "fake: {}",
        pipeline: String = "{receivers: [fake], processors: [fake], exporters: [fake]}", more: String = "",
        connectors: String = ""
    ) -> String {
        configuration(
            receivers: "fake: {\(receiver)}", processors: "fake: {\(processor)}\nfake/2: {}\nbatch: {timeout: 3600s}",
            exporters: exporters, connectors: connectors, extensions: extensions,
            service: """
                extensions: [\(extensions.split(separator: "\n").map { $0.split(separator: ":")[0] }.joined(separator: ", "))]
                pipelines:
                  traces: \(pipeline)
                  \(more)
                """)
    }

    @Test func theSameAgainChangesNothing() async throws {
        let running = try Running(yaml())
        let before = running.graph
        #expect(try await running.change(yaml()).isEmpty)
        #expect(running.journal.lines == ["commit"])
        #expect(running.graph.parts(notIn: before).receivers.isEmpty)
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        try await running.end()
    }

    @Test func aChangedExporterStartsBeforeTheOldOneEnds() async throws {
        let running = try Running(yaml())
        let queue = running.graph.deliveries.map(ObjectIdentifier.init)
        #expect(try await running.change(yaml(exporters: "fake: {note: other}")) == ["exporters::fake"])
        #expect(running.graph.deliveries.map(ObjectIdentifier.init) == queue, "the queue goes on")
        while !running.journal.lines.contains("stop exporter/fake") { try await Task.sleep(for: .milliseconds(1)) }
        #expect(
            running.journal.lines == [
                "make exporter/fake", "start exporter/fake", "commit", "stop exporter/fake",
            ])
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        try await running.end()
    }

    @Test func aChangedProcessorTakesTheOthersPlace() async throws {
        let running = try Running(yaml())
        #expect(try await running.change(yaml(processor: "note: other")) == ["processors::fake"])
        #expect(
            running.journal.lines == [
                "make processor/fake", "start processor/fake", "commit", "stop processor/fake",
            ])
        #expect(try await running.change(yaml(processor: "note: third, in_place: true")) == ["processors::fake"])
        #expect(running.journal.lines == ["commit", "change processor"])
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        try await running.end()
    }

    @Test func aProcessorInTheMiddleComesAndGoes() async throws {
        let running = try Running(yaml())
        let pipeline = "{receivers: [fake], processors: [fake/2, fake, batch], exporters: [fake]}"
        #expect(try await running.change(yaml(pipeline: pipeline)) == ["service::pipelines::traces"])
        #expect(running.journal.lines == ["make processor/fake/2", "start processor/fake/2", "commit"])
        let journal = running.journal
        let other = "{receivers: [fake], processors: [fake, fake/2], exporters: [fake]}"
        _ = try await running.change(yaml(pipeline: other))
        #expect(journal.lines == ["commit"], "the order is another one, the parts are the same")
        #expect(
            try await running.send() == ["through processor/fake", "through processor/fake/2", "export exporter/fake"])
        _ = try await running.change(yaml())
        #expect(journal.lines == ["commit", "stop processor/fake/2"])
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        try await running.end()
    }

    @Test func allThatIsNewStartsDownstreamFirstAndAllThatIsOldEndsUpstreamFirst() async throws {
        let running = try Running(yaml())
        let new = yaml(
            receiver: "note: a", processor: "note: a", exporters: "fake: {note: a}", extensions: "fake: {note: a}")
        _ = try await running.change(new)
        while running.journal.lines.count < 13 { try await Task.sleep(for: .milliseconds(1)) }
        let lines = running.journal.lines
        #expect(
            lines.filter { $0.hasPrefix("start") } == [
                "start extension/fake", "start exporter/fake", "start processor/fake", "start receiver/fake",
            ])
        let commit = try #require(lines.firstIndex(of: "commit"))
        #expect(
            !lines[..<commit].contains { $0.hasPrefix("stop") } && !lines[commit...].contains { $0.hasPrefix("start") })
        let stops = lines.filter { $0.hasPrefix("stop") && $0 != "stop exporter/fake" }
        #expect(stops == ["stop receiver/fake", "stop processor/fake", "stop extension/fake"])
        try await running.end()
    }

    @Test func pipelinesAndConnectorsComeAndGo() async throws {
        let running = try Running(yaml())
        let more = yaml(
            exporters: "fake: {}\nfake/2: {}", pipeline: "{receivers: [fake], exporters: [fake, fake/c]}",
            more: "traces/2: {receivers: [fake/c], processors: [fake/2], exporters: [fake/2]}",
            connectors: "fake/c: {}")
        _ = try await running.change(more)
        #expect(running.journal.lines.suffix(2) == ["commit", "stop processor/fake"])
        #expect(
            Set(try await running.send()) == [
                "through processor/fake/2", "export exporter/fake", "export exporter/fake/2",
            ])
        _ = try await running.change(yaml())
        #expect(
            Set(running.journal.lines.drop { $0 != "commit" }.dropFirst()) == [
                "stop processor/fake/2", "stop connector/fake/c", "stop exporter/fake/2",
            ])
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        try await running.end()
    }

    @Test(arguments: ["receiver", "processor", "exporters", "extensions"])
    func whatDoesNotStartLeavesAllAsItWas(_ kind: String) async throws {
        let running = try Running(yaml())
        let before = running.graph
        let metrics = running.environment.metrics.prometheusText()
        func fails(_ part: String) -> String { kind == part ? "fails: true" : "note: new" }
        let new = yaml(
            receiver: fails("receiver"), processor: fails("processor"),
            exporters: "fake: {\(fails("exporters"))}\nfake/2: {}",
            extensions: "fake: {\(fails("extensions"))}",
            pipeline: "{receivers: [fake], processors: [fake], exporters: [fake, fake/2]}")
        let plan = try Running.plan(new, running.journal)
        let change = try GraphChange(
            from: running.plan, to: plan, of: running.graph, retired: running.retired, environment: running.components,
            workers: running.environment.workers, logger: running.environment.log.logger("test"))
        await #expect(throws: StartRefused.self) { _ = try await change.start() }
        let lines = running.journal.lines
        // Whatever was started has ended again; parts that were not started may be told to end as well.
        let started = lines.filter { $0.hasPrefix("start") }.map { $0.dropFirst(6) }.dropLast()
        let wanted = Set(started.map { "stop \($0)" })
        while !Set(running.journal.lines).isSuperset(of: wanted) { try await Task.sleep(for: .milliseconds(1)) }
        #expect(running.environment.metrics.prometheusText() == metrics)
        #expect(before.parts(notIn: running.graph).receivers.isEmpty)
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        // The next one works.
        #expect(try await running.change(yaml(processor: "note: new")) == ["processors::fake"])
        #expect(try await running.send() == ["through processor/fake", "export exporter/fake"])
        try await running.end()
    }

    @Test func telemetryIsRefusedByName() async throws {
        let running = try Running(yaml())
        let other = yaml().replacing("level: fatal", with: "level: error")
        let error = await #expect(throws: ReloadRefusal.self) { _ = try await running.change(other) }
        #expect(error?.parts == ["service::telemetry::logs"])
        #expect(error?.description.contains("restart") == true)
        #expect(running.journal.lines.isEmpty)
        try await running.end()
    }
}
