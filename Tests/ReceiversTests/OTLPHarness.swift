import Compression
import NIOCore
import NIOEmbedded
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Receivers
@testable import Transport

/// One connection to an OTLP/HTTP receiver, without a socket; a consumer for all signals.
struct OTLPHarness {
    let consumer: RecordingConsumer
    let registry = MetricRegistry()
    let budget: MemoryBudget
    private let settings: OTLPHTTPSettings
    private let service: OTLPHTTPService

    init(
        memory: Int = 256 << 20, answer: RecordingConsumer.Answer = .accept,
        _ change: (inout OTLPHTTPSettings) -> Void = { _ in }
    ) {
        var settings = OTLPHTTPSettings(server: HTTPServerSettings(host: "127.0.0.1", port: 0))
        change(&settings)
        self.settings = settings
        consumer = RecordingConsumer { _ in answer }
        budget = MemoryBudget(limit: memory, spike: 0)
        var routes: [String: OTLPHTTPService.Route] = [:]
        for signal in Signal.allCases {
            routes[settings.paths[signal] ?? ""] = OTLPHTTPService.Route(
                signal: signal, consumer: consumer,
                metrics: ReceiverMetrics(registry, receiver: "otlp", transport: "http", signal: signal))
        }
        service = OTLPHTTPService(settings: settings, routes: routes, budget: budget)
    }

    /// Sends a request on a connection of its own and returns its only answer; nil when there is none.
    func send(_ request: [UInt8]) throws -> HTTPReply? {
        let channel = EmbeddedChannel()
        let connections = HTTPServerConnections(limit: 10)
        _ = connections.admitOne()
        let connection = HTTPServerConnection(
            service: service, settings: settings.server, registry: HTTPConnectionRegistry(connections))
        try HTTPListener.configure(channel.pipeline.syncOperations, connection)
        channel.pipeline.fireChannelActive()
        try channel.writeInbound(ByteBuffer(bytes: request))
        var output: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { output += Array(buffer.readableBytesView) }
        channel.pipeline.fireChannelInactive()
        let replies = try HTTPReply.all(in: output)
        #expect(replies.count <= 1)
        return replies.first
    }

    func post(
        _ body: [UInt8], _ path: String = "/v1/traces", type: String? = "application/x-protobuf", fields: String = "",
        method: String = "POST"
    ) throws -> HTTPReply {
        let contentType = type.map { "Content-Type: \($0)\r\n" } ?? ""
        let head =
            "\(method) \(path) HTTP/1.1\r\nHost: h\r\n\(contentType)\(fields)Content-Length: \(body.count)\r\n\r\n"
        return try #require(try send(Array(head.utf8) + body))
    }

    /// The value of a metric's line, such as `otelcol_receiver_accepted_spans_total`; the sum over its labels.
    func metric(_ name: String, containing label: String = "") -> Int {
        registry.prometheusText().split(separator: "\n").reduce(0) { sum, line in
            guard line.hasPrefix(name), line.contains(label) else { return sum }
            return sum + (line.split(separator: " ").last.flatMap { Int($0) } ?? 0)
        }
    }

    func requests(_ outcome: String) -> Int {
        metric("otelcol_receiver_requests_total", containing: "outcome=\"\(outcome)\"")
    }
}

enum JSONSamples {
    static let spans =
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090A0b0c0d0e0f10","#
        + #""spanId":"0102030405060708","name":"chat","unknownField":[1,{"a":null}]}]}]}]}"#
    static let metrics =
        #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":"#
        + #"[{"asInt":"5","timeUnixNano":"1"},{"asDouble":1.5}]}}]}]}]}"#
    static let logs = #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"line"}}]}]}]}"#

    static func of(_ signal: Signal) -> [UInt8] {
        switch signal {
        case .traces: Array(spans.utf8)
        case .metrics: Array(metrics.utf8)
        case .logs: Array(logs.utf8)
        }
    }
}

func compressed(_ bytes: [UInt8], _ encoding: ContentEncoding) throws -> [UInt8] {
    var encoder = try BodyEncoder(encoding)
    return try bytes.withUnsafeBytes {
        let output = try encoder.encode([$0])
        return Array(output.bytes)
    }
}

extension HTTPReply {
    /// The body as a google.rpc.Status in the encoding that the content type names.
    func status(_ location: SourceLocation = #_sourceLocation) throws -> RPCStatus {
        let encoding: OTLPEncoding = try #require(bodyEncoding, sourceLocation: location)
        return try body.withUnsafeBytes { try RPCStatus(decoding: $0, as: encoding) }
    }

    func response(_ signal: Signal, _ location: SourceLocation = #_sourceLocation) throws -> ExportResponse {
        let encoding: OTLPEncoding = try #require(bodyEncoding, sourceLocation: location)
        return try body.withUnsafeBytes { try ExportResponse(decoding: $0, signal, as: encoding) }
    }

    private var bodyEncoding: OTLPEncoding? {
        switch self["content-type"] {
        case "application/x-protobuf": .protobuf
        case "application/json": .json
        default: nil
        }
    }
}
