import Config
import OTLP
import Pipeline
import TestSupport
import Testing

@testable import Connectors

struct ServiceGraphRun {
    let wall = TestClock(5_000_000)
    let monotonic = TestClock(0)
    let environment = TestEnvironment()
    let next = RecordingConsumer()
    let connector: ServiceGraphConnector

    init(_ yaml: String = "{}") throws {
        let settings = try decode(yaml) { ServiceGraphSettings(from: $0) }
        let wall = wall
        let monotonic = monotonic
        connector = ServiceGraphConnector(
            settings, id: .init(type: "service_graph"), next: next, environment: environment.components,
            clock: GraphClock(wall: { wall.now }, monotonic: { monotonic.now }))
    }

    func points(_ requests: String...) throws -> [MetricPoint] {
        for request in requests { try give(request, to: connector) }
        let before = next.batches.count
        connector.flush.flush()
        return next.batches.dropFirst(before).flatMap { MetricPoint.all(in: $0) }
    }

    func shutDown() async throws { try await environment.shutDown() }
}

@Suite struct ServiceGraphTests {
    let web = [("service.name", "web")]
    let shop = [("service.name", "shop")]
    static let total = "traces_service_graph_request_total"

    private func client(
        _ trace: Int, id: Int = 2, to end: Int = 8, status: Int = 0, _ attributes: [(String, String)] = [],
        more: String = ""
    ) -> String {
        span(
            "call", trace: trace, id: id, parent: 1, kind: 3, to: end, status: status, attributes: attributes,
            more: more)
    }

    private func server(_ trace: Int, parent: Int = 2, status: Int = 0, _ attributes: [(String, String)] = []) -> String
    {
        span("serve", trace: trace, id: 3, parent: parent, kind: 2, to: 4, status: status, attributes: attributes)
    }

    @Test func namesAndAttributes() async throws {
        let run = try ServiceGraphRun("{dimensions: [zone]}")
        let points = try run.points(
            request(resource(web, [client(1, [("zone", "a")])]), resource(shop, [server(1, [("zone", "b")])])))
        let prefix = "traces_service_graph_"
        #expect(
            points.map(\.metric) == [
                prefix + "request_total", prefix + "request_server_seconds", prefix + "request_client_seconds",
            ])
        for point in points {
            #expect(
                point.attributes == [
                    "client=web", "server=shop", "connection_type=", "failed=false", "client_zone=a", "server_zone=b",
                ])
            #expect(point.resource.isEmpty && point.scope == "traces_service_graph" && point.temporality == 2)
        }
        #expect(points[0].int == 1 && points[0].isMonotonic)
        #expect(points[1].sum == 0.004 && points[1].unit == "s" && points[1].bounds.first == 0.002)
        #expect(points[2].sum == 0.008 && points[2].buckets[3] == 1)
        try await run.shutDown()
    }

    @Test func halvesMeetInAnyOrder() async throws {
        let run = try ServiceGraphRun()
        var points = try run.points(request(resource(shop, [server(1)])))
        #expect(points.isEmpty)
        points = try run.points(
            request(resource(web, [client(1, status: 2), client(2)])), request(resource(shop, [server(2)])))
        #expect(points.one(Self.total, "failed=true")?.int == 1)
        #expect(points.one(Self.total, "failed=false")?.int == 1)
        #expect(points.one("traces_service_graph_request_failed_total", "failed=true")?.int == 1)
        #expect(points.named("traces_service_graph_request_failed_total").count == 1)
        try await run.shutDown()
    }

    @Test func databasesAndQueues() async throws {
        let run = try ServiceGraphRun("{database_name_attributes: [db.namespace, db.name]}")
        let producer = span("send", trace: 2, id: 2, parent: 1, kind: 4, to: 8)
        let consumer = span("take", trace: 2, id: 3, parent: 2, kind: 5, to: 4)
        let link = ",\"links\":[{\"traceId\":\"\(hex(3, 32))\",\"spanId\":\"\(hex(2, 16))\"}]"
        let points = try run.points(
            request(
                resource(
                    web, [client(1, [("db.name", "orders")]), producer, span(trace: 3, id: 2, parent: 1, kind: 4)]),
                resource(shop, [consumer, span(trace: 9, id: 3, kind: 5, more: link)])))
        let database = try #require(points.one(Self.total, "server=orders"))
        #expect(database.attributes.contains("connection_type=database"))
        #expect(points.one("traces_service_graph_request_server_seconds", "server=orders")?.sum == 0.008)
        #expect(points.one(Self.total, "connection_type=messaging_system", "client=web", "server=shop")?.int == 2)
        try await run.shutDown()
    }

    @Test func whatFindsNoOtherHalfIsUnpaired() async throws {
        let run = try ServiceGraphRun("{store: {ttl: 2s}, virtual_node_extra_label: true}")
        _ = try run.points(
            request(
                resource(web, [client(1), client(2, [("peer.service", "mail")])]),
                resource(shop, [server(3, parent: 0), server(4, parent: 99)])))
        run.monotonic.now = 1_999_999_999
        run.connector.expire(at: run.monotonic.now)
        #expect(try run.points().isEmpty)
        run.monotonic.now = 2_000_000_000
        run.connector.expire(at: run.monotonic.now)
        let points = try run.points()
        let unpaired = points.named("traces_service_graph_unpaired_spans_total")
        #expect(unpaired.reduce(0) { $0 + Int($1.int ?? 0) } == 4)
        #expect(points.one("traces_service_graph_unpaired_spans_total", "client=web", "server=")?.int == 2)
        #expect(points.one("traces_service_graph_unpaired_spans_total", "client=", "server=shop")?.int == 2)
        #expect(points.one(Self.total, "client=web", "server=unknown", "virtual_node=server")?.int == 1)
        #expect(points.one(Self.total, "client=web", "server=mail", "connection_type=virtual_node")?.int == 1)
        #expect(points.one(Self.total, "client=user", "server=shop", "virtual_node=client")?.int == 1)
        #expect(points.named(Self.total).count == 3)
        // Of the side that sent no span nothing is known.
        #expect(points.one("traces_service_graph_request_client_seconds", "server=mail")?.count == 1)
        #expect(points.one("traces_service_graph_request_server_seconds", "server=mail") == nil)
        try await run.shutDown()
        let none = try ServiceGraphRun("{virtual_node_peer_attributes: []}")
        _ = try none.points(request(resource(web, [client(1)])))
        none.connector.expire(at: .max)
        #expect(try none.points().map(\.metric) == ["traces_service_graph_unpaired_spans_total"])
        try await none.shutDown()
    }

    @Test func theStoreIsBounded() async throws {
        let run = try ServiceGraphRun("{store: {max_items: 2}}")
        let points = try run.points(request(resource(web, [client(1), client(2), client(3), client(4)])))
        #expect(points.one("traces_service_graph_dropped_spans_total", "client=web")?.int == 2)
        // Pairs of those that have room are found, and make room.
        let more = try run.points(
            request(resource(shop, [server(1)]), resource(web, [client(5)]), resource(shop, [server(5)])))
        #expect(more.one(Self.total, "server=shop")?.int == 2)
        #expect(more.one("traces_service_graph_dropped_spans_total", "client=web")?.int == 2)
        try await run.shutDown()
    }

    @Test func costsAddUpExactly() async throws {
        let run = try ServiceGraphRun()
        let cost = { (value: String) in
            ",\"attributes\":[{\"key\":\"gen_ai.usage.cost\",\"value\":{\"doubleValue\":\(value)}}]"
        }
        let call = { (trace: Int, value: String) in
            client(trace, more: cost(value)).replacing("\"attributes\":[],", with: "")
        }
        let answer = server(3).replacing("\"attributes\":[],", with: "").dropLast() + cost("0.9") + "}"
        let points = try run.points(
            request(
                resource(web, [call(1, "0.1"), call(2, "0.2"), call(3, "0.0000001")]),
                resource(shop, [server(1), server(2), String(answer)])))
        let total = try #require(points.one("martlet_service_graph_cost_total", "client=web", "server=shop"))
        // What both sides report is counted once; 0.1 + 0.2 is no 0.30000000000000004.
        #expect(total.double == 0.3000001 && total.unit == "USD")
        try await run.shutDown()
    }

    @Test func theStopLetsNothingWait() async throws {
        let run = try ServiceGraphRun()
        try run.connector.start()
        try give(request(resource(web, [client(1)])), to: run.connector)
        await run.connector.stop(deadline: .now)
        await run.connector.stop(deadline: .now)
        let points = run.next.batches.flatMap { MetricPoint.all(in: $0) }
        #expect(points.one(Self.total, "client=web", "server=unknown")?.int == 1)
        try await run.shutDown()
    }

    @Test func eachBatchIsHandedOverWithoutAnInterval() async throws {
        let run = try ServiceGraphRun("{metrics_flush_interval: 0s, metrics_timestamp_offset: 1ms}")
        try give(request(resource(web, [client(1)]), resource(shop, [server(1)])), to: run.connector)
        let points = run.next.batches.flatMap { MetricPoint.all(in: $0) }
        #expect(points.count == 3 && points.allSatisfy { $0.time == 4_000_000 })
        try await run.shutDown()
    }

    @Test func defaultsAreOtelcols() throws {
        let settings = try decode("{}") { ServiceGraphSettings(from: $0) }
        #expect(settings.timeToLive == 2_000_000_000 && settings.maximumEdges == 1000)
        #expect(settings.peerAttributes == ["peer.service", "db.name", "db.system"])
        #expect(settings.databaseAttributes == ["db.name"] && settings.flushInterval == .seconds(60))
    }

    @Test(arguments: [
        "{latency_histogram_buckets: [1s, 1s]}",
        "{latency_histogram_buckets: [1s], exponential_histogram_max_size: 160}",
        "{exponential_histogram_max_size: 1}", "{store: {max_items: 0}}", "{store: {ttl: 0s}}",
    ])
    func wrongSettingsAreErrors(_ yaml: String) throws {
        #expect(try errors(yaml) { ServiceGraphSettings(from: $0) }.count == 1)
    }

    /// The store against a list that is searched.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func theStoreIsAListOfWaitingEdges(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var store = EdgeStore(limit: 20, timeToLive: 50)
        var reference: [(key: EdgeKey, hasClient: Bool, end: UInt64)] = []
        for now in 0..<20_000 as Range<UInt64> {
            var expired = 0
            while store.expire(at: now) != nil { expired += 1 }
            let before = reference.count
            reference.removeAll { $0.end <= now }
            #expect(expired == before - reference.count)
            let key = EdgeKey(trace: (UInt64.random(in: 0..<40, using: &generator), 0), span: 1)
            let isClient = Bool.random(using: &generator)
            let outcome = store.update(key, at: now) { edge in
                if isClient { edge.client = [1] } else { edge.server = [1] }
            }
            let known = reference.firstIndex { $0.key == key }
            switch outcome {
            case .completed: #expect(known.map { reference[$0].hasClient } == !isClient)
            case .waiting: #expect(known.map { reference[$0].hasClient == isClient } ?? (reference.count < 20))
            case .dropped: #expect(known == nil && reference.count == 20)
            }
            if case .completed = outcome, let known { reference.remove(at: known) }
            if case .waiting = outcome, known == nil { reference.append((key, isClient, now + 50)) }
            #expect(store.count == reference.count)
        }
    }
}
