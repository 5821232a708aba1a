import NIOPosix
import OTLP
import Pipeline
import Receivers
import Telemetry
import Transport

final class Nop: Consumer {
    var mutatesBatches: Bool { false }
    func consume(_ batch: TelemetryBatch, context: RequestContext, receipt: Receipt) { receipt.accept() }
}
let registry = MetricRegistry()
let settings = OTLPHTTPSettings(server: HTTPServerSettings(host: "127.0.0.1", port: 4318))
let service = OTLPHTTPService(settings: settings, routes: ["/v1/traces": .init(signal: .traces, consumer: Nop(), metrics: ReceiverMetrics(registry, receiver: "otlp", transport: "http", signal: .traces))], budget: MemoryBudget(limit: 1 << 30, spike: 1 << 28))
let server = HTTPServer(settings: settings.server, service: service)
let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
try server.start(on: group)
while true { try await Task.sleep(for: .seconds(100)) }
