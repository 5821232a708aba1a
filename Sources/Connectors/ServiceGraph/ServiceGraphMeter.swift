internal import Aggregation
internal import GenAI
internal import OTLP

/// Pairs spans to edges and measures the edges. Used by one thread at a time.
final class ServiceGraphMeter {
    /// Of the first family: all that an edge is measured by.
    private enum Instrument {
        static let requests = 0
        static let failures = 1
        static let server = 2
        static let client = 3
        static let cost = 4
    }

    private static let edges = 0
    private static let losses = 1
    private static let unpaired = 0
    private static let dropped = 1

    private let settings: ServiceGraphSettings
    private var store: EdgeStore
    /// By name: the dimensions, then names of databases, then those of peers, then the cost.
    private let lookup: AttributeLookup
    private let firstDatabase: Int
    private let firstPeer: Int
    private let cost: Int
    private var key = WireWriter()
    private var encoded = WireWriter()

    init(_ settings: ServiceGraphSettings) {
        self.settings = settings
        store = EdgeStore(limit: settings.maximumEdges, timeToLive: settings.timeToLive)
        firstDatabase = settings.dimensions.count
        firstPeer = firstDatabase + settings.databaseAttributes.count
        cost = firstPeer + settings.peerAttributes.count
        lookup = AttributeLookup(
            settings.dimensions + settings.databaseAttributes + settings.peerAttributes + ["gen_ai.usage.cost"])
    }

    static func aggregation(_ settings: ServiceGraphSettings) -> AggregationSettings {
        let prefix = "traces_service_graph_"
        var aggregation = AggregationSettings(
            scopeName: "traces_service_graph",
            families: [
                [
                    MetricInstrument(name: prefix + "request_total", kind: .sum),
                    MetricInstrument(name: prefix + "request_failed_total", kind: .sum),
                    MetricInstrument(name: prefix + "request_server_seconds", unit: "s", kind: settings.latency),
                    MetricInstrument(name: prefix + "request_client_seconds", unit: "s", kind: settings.latency),
                    MetricInstrument(
                        name: "martlet_service_graph_cost_total",
                        description: "Cost of the model calls of an edge, as the spans' gen_ai.usage.cost says",
                        unit: "USD", kind: .fixedPointSum { Money(zeptodollars: $0).doubleValue }),
                ],
                [
                    MetricInstrument(name: prefix + "unpaired_spans_total", kind: .sum),
                    MetricInstrument(name: prefix + "dropped_spans_total", kind: .sum),
                ],
            ])
        aggregation.seriesExpiration = ServiceGraphSettings.seriesExpiration
        aggregation.memoryLimit = settings.memoryLimit
        return aggregation
    }

    // MARK: Spans

    /// Measures the edges that the spans of a batch complete. `now` is monotonic, in nanoseconds.
    func measure(_ batch: TelemetryBatch, at now: UInt64, _ recorder: MetricRecorder) {
        let graph = recorder.resource(UnsafeRawBufferPointer(start: nil, count: 0))
        expire(at: now, graph, recorder)
        let items = batch.items
        for record in batch.resources {
            let resource = WireFields.payload(of: 1, in: batch.message(of: record))
            let service = Self.service(resource)
            for scope in batch.scopes[record.scopes] {
                for index in scope.items {
                    let payload = batch.payload(of: items[index])
                    let tail = batch.tail(of: items[index])
                    let span = SpanFields(payload, tail: tail)
                    guard (2...5).contains(span.kind), let trace = Self.words(span.traceID) else { continue }
                    lookup.clear()
                    // Of the resource first, as in otelcol.
                    lookup.find(in: resource, key: 0x0A)
                    lookup.find(in: payload, key: 0x4A, keepsFound: true)
                    if tail.count > 0 { lookup.find(in: tail, key: 0x4A, keepsFound: true) }
                    measure(span, payload, trace, service, now, graph, recorder)
                }
            }
        }
    }

    private func measure(
        _ span: SpanFields, _ payload: UnsafeRawBufferPointer, _ trace: (UInt64, UInt64), _ service: [UInt8],
        _ now: UInt64, _ graph: MetricRecorder.Resource, _ recorder: MetricRecorder
    ) {
        let isClient = span.kind == 3 || span.kind == 4
        let isMessaging = span.kind == 4 || span.kind == 5
        var key = EdgeKey(trace: trace, span: Self.word(isClient ? span.spanID : span.parentSpanID))
        if span.kind == 5, key.span == 0, let linked = Self.link(payload) { key = linked }
        let hasFailed = span.statusCode == 2
        let outcome = store.update(key, at: now) { edge in
            edge.connection = isMessaging ? .messaging : edge.connection
            edge.hasFailed = edge.hasFailed || hasFailed
            if isClient { fillClient(&edge, span, service) } else { fillServer(&edge, span, service, key) }
        }
        switch outcome {
        case .waiting: break
        case .completed(let edge): count(edge, graph, recorder)
        case .dropped(let edge): count(loss: Self.dropped, edge, graph, recorder)
        }
    }

    private func fillClient(_ edge: inout Edge, _ span: SpanFields, _ service: [UInt8]) {
        edge.client = service
        edge.clientLatency = span.duration
        edge.clientCost = reportedCost()
        edge.clientDimensions = dimensions("client_")
        edge.peer = first(firstPeer..<cost)
        let database = first(firstDatabase..<firstPeer)
        // Databases send no spans: the client's is all there will be.
        if !database.isEmpty {
            edge.connection = .database
            edge.server = database
            edge.serverLatency = span.duration
        }
    }

    private func fillServer(_ edge: inout Edge, _ span: SpanFields, _ service: [UInt8], _ key: EdgeKey) {
        edge.server = service
        edge.serverLatency = span.duration
        edge.serverCost = reportedCost()
        edge.serverDimensions = dimensions("server_")
        edge.isRoot = key.span == 0
    }

    /// Longest value of an attribute that names a side or becomes a dimension, encoded: 1 KiB. Longer ones count as
    /// missing, so that waiting edges stay small.
    private static let maximumValue = 1024

    /// The first value that was found among the names at `range`; empty when there is none.
    private func first(_ range: Range<Int>) -> [UInt8] {
        for index in range where (1...Self.maximumValue).contains(lookup.value(index).count) {
            return Array(lookup.value(index))
        }
        return []
    }

    private func dimensions(_ prefix: StaticString) -> [UInt8] {
        guard !settings.dimensions.isEmpty else { return [] }
        encoded.removeAll()
        for index in settings.dimensions.indices {
            guard lookup.value(index).baseAddress != nil, lookup.value(index).count <= Self.maximumValue else {
                continue
            }
            let start = encoded.count
            var name = settings.dimensions[index]
            let inner = encoded.count
            encoded.append(prefix)
            name.withUTF8 { encoded.append(UnsafeRawBufferPointer($0)) }
            encoded.wrap(since: inner, field: 1)
            encoded.append(field: 2, bytes: lookup.value(index))
            encoded.wrap(since: start, field: 1)
        }
        return Array(encoded.bytes)
    }

    /// What the span says that its call cost, in Money's unit.
    private func reportedCost() -> Int128? {
        var walk = WireFields(lookup.value(cost))
        while let field = walk.next() {
            switch (field.number, field.type) {
            // double_value, int_value
            case (4, .fixed64): return Money(reported: Double(bitPattern: field.bits))?.zeptodollars
            case (3, .varint): return Money(reported: Double(Int64(bitPattern: field.bits)))?.zeptodollars
            default: continue
            }
        }
        return nil
    }

    // MARK: Edges

    /// Measures what has waited too long. `now` is monotonic, in nanoseconds; UInt64.max lets nothing wait on.
    func expire(at now: UInt64, _ graph: MetricRecorder.Resource, _ recorder: MetricRecorder) {
        while var edge = store.expire(at: now) {
            count(loss: Self.unpaired, edge, graph, recorder)
            guard !settings.peerAttributes.isEmpty else { continue }
            if edge.client.isEmpty {
                // Somebody who sends no spans began the trace.
                guard edge.isRoot else { continue }
                edge.client = Self.text("user")
                edge.virtual = .client
            } else {
                edge.server = edge.peer.isEmpty ? Self.text("unknown") : edge.peer
                edge.virtual = .server
            }
            edge.connection = .virtualNode
            count(edge, graph, recorder)
        }
    }

    /// Edges that wait for their other half.
    var waiting: Int { store.count }

    private func count(_ edge: Edge, _ graph: MetricRecorder.Resource, _ recorder: MetricRecorder) {
        let label: UInt8 = settings.labelsVirtualNodes ? edge.virtual.rawValue : 0
        let tag = UInt32(edge.connection.rawValue) | (edge.hasFailed ? 4 : 0) | UInt32(label) << 3
        key.removeAll()
        for part in [edge.client, edge.server, edge.clientDimensions, edge.serverDimensions] {
            key.append(varint: UInt64(part.count))
            part.withUnsafeBytes { key.append($0) }
        }
        var series = recorder.series(Self.edges, graph, tag: tag, key: key.bytes)
        if series == nil {
            encoded.removeAll()
            appendSides(edge)
            encoded.append(field: 1, key: Self.bytes("failed"), .bool(edge.hasFailed))
            edge.clientDimensions.withUnsafeBytes { encoded.append($0) }
            edge.serverDimensions.withUnsafeBytes { encoded.append($0) }
            if settings.labelsVirtualNodes {
                let name: StaticString = label == 1 ? "client" : label == 2 ? "server" : ""
                encoded.append(field: 1, key: Self.bytes("virtual_node"), .text(Self.bytes(name)))
            }
            series = recorder.addSeries(Self.edges, graph, tag: tag, key: key.bytes, attributes: encoded.bytes)
        }
        guard let series else { return }
        series.add(1, to: Instrument.requests)
        if edge.hasFailed { series.add(1, to: Instrument.failures) }
        if let latency = edge.serverLatency { series.record(Double(latency) / 1e9, in: Instrument.server) }
        if let latency = edge.clientLatency { series.record(Double(latency) / 1e9, in: Instrument.client) }
        // Both sides may report the cost of one and the same call.
        if let cost = edge.clientCost ?? edge.serverCost { series.add(fixedPoint: cost, to: Instrument.cost) }
    }

    private func count(
        loss instrument: Int, _ edge: Edge, _ graph: MetricRecorder.Resource, _ recorder: MetricRecorder
    ) {
        key.removeAll()
        for part in [edge.client, edge.server] {
            key.append(varint: UInt64(part.count))
            part.withUnsafeBytes { key.append($0) }
        }
        let tag = UInt32(edge.connection.rawValue)
        var series = recorder.series(Self.losses, graph, tag: tag, key: key.bytes)
        if series == nil {
            encoded.removeAll()
            appendSides(edge)
            series = recorder.addSeries(Self.losses, graph, tag: tag, key: key.bytes, attributes: encoded.bytes)
        }
        series?.add(1, to: instrument)
    }

    private static let connections: [StaticString] = ["", "messaging_system", "database", "virtual_node"]

    /// Appends client, server and the type of connection.
    private func appendSides(_ edge: Edge) {
        for (name, value) in [("client" as StaticString, edge.client), ("server", edge.server)] {
            let start = encoded.count
            encoded.append(field: 1, bytes: Self.bytes(name))
            (value.isEmpty ? Self.text("") : value).withUnsafeBytes { encoded.append(field: 2, bytes: $0) }
            encoded.wrap(since: start, field: 1)
        }
        let connection = Self.connections[Int(edge.connection.rawValue)]
        encoded.append(field: 1, key: Self.bytes("connection_type"), .text(Self.bytes(connection)))
    }

    // MARK: Wire

    private static func bytes(_ text: StaticString) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// An AnyValue with a text.
    private static func text(_ text: StaticString) -> [UInt8] {
        var writer = WireWriter()
        writer.append(field: 1, bytes: bytes(text))
        return Array(writer.bytes)
    }

    /// The AnyValue of a resource's `service.name`, or the name that the conventions give to those without one.
    private static func service(_ resource: UnsafeRawBufferPointer) -> [UInt8] {
        var found: [UInt8] = []
        var walk = WireFields(resource)
        while let field = walk.next() {
            guard field.number == 1 else { continue }
            let key = WireFields.payload(of: 1, in: field.payload)
            if key.elementsEqual(bytes("service.name")) {
                found = Array(WireFields.payload(of: 2, in: field.payload))
            }
        }
        return found.isEmpty ? text("unknown_service") : found
    }

    private static func words(_ trace: UnsafeRawBufferPointer) -> (UInt64, UInt64)? {
        guard trace.count == 16 else { return nil }
        return (trace.loadUnaligned(as: UInt64.self), trace.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    private static func word(_ span: UnsafeRawBufferPointer) -> UInt64 {
        span.count == 8 ? span.loadUnaligned(as: UInt64.self) : 0
    }

    /// The span that the first link (field 13) of a span names.
    private static func link(_ span: UnsafeRawBufferPointer) -> EdgeKey? {
        var walk = WireFields(span)
        while let field = walk.next() {
            guard field.number == 13 else { continue }
            let id = word(WireFields.payload(of: 2, in: field.payload))
            guard id != 0, let trace = words(WireFields.payload(of: 1, in: field.payload)) else { continue }
            return EdgeKey(trace: trace, span: id)
        }
        return nil
    }
}
