import Config
import OTLP
import Pipeline
import Service
import TestSupport
import Testing

/// Starts and stops of everything but exporters, in every order that a failing start or an impatient user brings.
@Suite struct LifecycleTests {
    private func withEnvironment(_ body: (TestEnvironment) async throws -> Void) async throws {
        let environment = TestEnvironment()
        do {
            try await body(environment)
        } catch {
            try await environment.shutDown()
            throw error
        }
        try await environment.shutDown()
    }

    private func config(_ kind: CollectorConfig.Kind, _ type: String) throws -> ComponentConfig {
        let entry = try #require(ContractTable.entry(kind, type))
        return try componentConfig(entry.minimal, type: type, kind)
    }

    @Test(arguments: Components.receivers.map(\.descriptor.type))
    func receivers(_ type: String) async throws {
        let factory = try #require(Components.receivers.first { $0.descriptor.type == type })
        var diagnostics = ConfigDiagnostics()
        let make = try #require(factory.prepare(try config(.receivers, type), &diagnostics))
        var consumers: [Signal: any Consumer] = [:]
        for signal in factory.descriptor.signals.keys { consumers[signal] = RecordingConsumer() }
        try await withEnvironment { environment in
            let unstarted = try make(ComponentID(type: type), consumers, environment.components)
            await unstarted.stop(deadline: .now + .seconds(5))
            await unstarted.stop(deadline: .now)
            let started = try make(ComponentID(type: type), consumers, environment.components)
            try started.start()
            await started.stop(deadline: .now + .seconds(5))
            await started.stop(deadline: .now)
        }
    }

    @Test(arguments: Components.extensions.map(\.descriptor.type))
    func extensions(_ type: String) async throws {
        let factory = try #require(Components.extensions.first { $0.descriptor.type == type })
        var diagnostics = ConfigDiagnostics()
        let prepared = try #require(factory.prepare(try config(.extensions, type), &diagnostics))
        guard case .running(_, let make) = prepared else { return }
        try await withEnvironment { environment in
            let unstarted = try make(ComponentID(type: type), environment.components)
            await unstarted.stop()
            await unstarted.stop()
            let started = try make(ComponentID(type: type), environment.components)
            try started.start()
            await started.stop()
            await started.stop()
        }
    }

    @Test(arguments: Components.connectors.map(\.descriptor.type))
    func connectors(_ type: String) async throws {
        let factory = try #require(Components.connectors.first { $0.descriptor.type == type })
        var diagnostics = ConfigDiagnostics()
        let make = try #require(factory.prepare(try config(.connectors, type), &diagnostics))
        try await withEnvironment { environment in
            let ends = Dictionary(uniqueKeysWithValues: Signal.allCases.map { ($0, RecordingConsumer()) })
            let connector = try make(ComponentID(type: type), ends, environment.components)
            await connector.stop(deadline: .now)
            let started = try make(ComponentID(type: type), ends, environment.components)
            try started.start()
            let settled = SettlementCounts()
            var count = 0
            for signal in Signal.allCases {
                #expect((started.input(signal) != nil) == (factory.descriptor.signals[signal] != nil))
                for _ in 0..<20 where started.input(signal) != nil {
                    let batch = try SampleRequests.batch(signal, items: 1 + count % 5)
                    started.input(signal)?.consume(batch, context: RequestContext(), receipt: settled.receipt(count))
                    count += 1
                }
            }
            await started.stop(deadline: .now + .seconds(5))
            await started.stop(deadline: .now)
            #expect(settled.total == count)
            #expect((0..<count).allSatisfy { settled[$0] == 1 })
        }
    }

    @Test(arguments: Components.processors.map(\.descriptor.type), Signal.allCases)
    func processors(_ type: String, _ signal: Signal) async throws {
        let factory = try #require(Components.processors.first { $0.descriptor.type == type })
        var diagnostics = ConfigDiagnostics()
        let prepared = try #require(factory.prepare(try config(.processors, type), &diagnostics))
        guard case .stage(let make, _) = prepared, factory.descriptor.signals[signal] != nil else { return }
        try await withEnvironment { environment in
            let unstarted = try make(ComponentID(type: type), signal, RecordingConsumer(), environment.components)
            await unstarted.stop(deadline: .now)
            await unstarted.stop(deadline: .now)
            let refusing = RecordingConsumer {
                $0.items.count % 3 == 0 ? .refuse(ConsumeError(.queueFull, "full")) : .accept
            }
            let stage = try make(ComponentID(type: type), signal, refusing, environment.components)
            try stage.start()
            let settled = SettlementCounts()
            for index in 0..<50 {
                let batch = try SampleRequests.batch(signal, items: 1 + index % 7)
                stage.consume(batch, context: RequestContext(), receipt: settled.receipt(index))
            }
            await stage.stop(deadline: .now + .seconds(5))
            await stage.stop(deadline: .now)
            for index in 0..<50 { #expect(settled[index] == 1) }
            guard ContractTable.entry(.processors, type)?.makesBatches != true else { return }
            // A stage that hands batches on as they are speaks for the next one.
            let changing = RecordingConsumer(mutatesBatches: true)
            #expect(try make(ComponentID(type: type), signal, changing, environment.components).mutatesBatches)
        }
    }
}
