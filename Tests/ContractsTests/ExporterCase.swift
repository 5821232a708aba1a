import Config
import Delivery
import NIOPosix
import OTLP
import Pipeline
import Service
import Synchronization
import TestSupport
import Testing
import Transport

/// One registered exporter with its entry in the table.
struct ExporterCase: Sendable, CustomTestStringConvertible {
    let factory: AnyExporterFactory
    let entry: ContractTable.Entry

    var testDescription: String { factory.descriptor.type }

    static let all: [ExporterCase] = Components.exporters.compactMap { factory in
        ContractTable.entry(.exporters, factory.descriptor.type).map { ExporterCase(factory: factory, entry: $0) }
    }
    static let withPeer = all.filter(\.entry.hasPeer)

    var signals: [Signal] { Signal.allCases.filter { factory.descriptor.signals[$0] != nil } }

    /// - Parameter port: where the peer listens, for exporters that have one.
    func prepare(port: Int = 1) throws -> PreparedExporter {
        let yaml = entry.minimal.replacing("127.0.0.1:1'", with: "127.0.0.1:\(port)'")
        let config = try componentConfig(yaml, type: factory.descriptor.type, .exporters)
        var diagnostics = ConfigDiagnostics()
        return try #require(factory.prepare(config, &diagnostics), "\(diagnostics.errors)")
    }

    func make(port: Int = 1, _ environment: TestEnvironment) throws -> any Exporter {
        try prepare(port: port).make(ComponentID(type: factory.descriptor.type), environment.components)
    }
}

/// The outcomes that one `export` calls its completion with; a second one is seen too.
final class ExportCalls: Sendable {
    private let outcomes = Mutex<[ExportOutcome]>([])
    private let signal: AsyncStream<Void>
    private let sink: AsyncStream<Void>.Continuation

    init() { (signal, sink) = AsyncStream.makeStream() }

    var all: [ExportOutcome] { outcomes.withLock { $0 } }

    func complete(_ outcome: ExportOutcome) {
        outcomes.withLock { $0.append(outcome) }
        sink.yield()
    }

    /// Waits for the first outcome.
    func first() async -> ExportOutcome? {
        for await _ in signal { return all.first }
        return nil
    }
}

extension Exporter {
    /// Exports `slices` and waits for the answer, which is remembered in `calls` too.
    func run(_ signal: Signal, _ slices: [BatchSlice], _ calls: ExportCalls = ExportCalls()) async -> ExportOutcome? {
        let request = ExportRequest(signal: signal, slices: slices, timeout: .seconds(5))
        export(request) { calls.complete($0) }
        return await calls.first()
    }
}

extension ExportOutcome {
    var isRetryable: Bool {
        if case .retryable = self { return true }
        return false
    }
}

/// A peer that answers every request with a status, on loopback.
final class Peer: Sendable {
    let port: Int
    private let server: HTTPServer

    init(on environment: TestEnvironment, _ status: @escaping @Sendable (Int) -> Int = { _ in 200 }) throws {
        let settings = HTTPServerSettings(host: "127.0.0.1", port: 0)
        server = HTTPServer(settings: settings, service: Service(status: status))
        port = try server.start(on: environment.group)
    }

    func close() { server.close() }

    private final class Service: HTTPService {
        private let count = Atomic(0)
        private let status: @Sendable (Int) -> Int

        init(status: @escaping @Sendable (Int) -> Int) { self.status = status }

        func admit(_ head: HTTPHead, length: Int?) -> HTTPAdmission { .body(limit: 1 << 24, lease: nil) }

        func respond(to head: HTTPHead, body: WireBytes, responder: HTTPResponder) {
            let number = count.add(1, ordering: .relaxed).newValue
            var answer = HTTPAnswer(status: status(number))
            if head.headers["content-type"] == "application/grpc" {
                answer = HTTPAnswer(status: answer.status, headers: [("content-type", "application/grpc")])
                if answer.status == 200 { answer.trailers = [("grpc-status", "0")] }
            }
            responder.send(answer)
        }
    }
}
