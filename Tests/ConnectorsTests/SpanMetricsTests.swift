import Aggregation
import Config
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Connectors

/// One connector with a recorded pipeline behind it.
struct SpanMetricsRun {
    let clock = TestClock()
    let environment = TestEnvironment()
    let next: RecordingConsumer
    let connector: SpanMetricsConnector

    init(_ yaml: String = "{}", next: RecordingConsumer = RecordingConsumer()) throws {
        self.next = next
        let settings = try decode(yaml) { SpanMetricsSettings(from: $0) }
        let clock = clock
        connector = SpanMetricsConnector(
            settings, id: .init(type: "span_metrics"), next: next, environment: environment.components,
            now: { clock.now })
    }

    /// The points that one more collection hands over.
    func points() throws -> [MetricPoint] {
        let before = next.batches.count
        connector.flush.flush()
        return next.batches.dropFirst(before).flatMap { MetricPoint.all(in: $0) }
    }

    /// The points of these spans.
    func points(_ json: String) throws -> [MetricPoint] {
        try give(json, to: connector)
        return try points()
    }

    func shutDown() async throws { try await environment.shutDown() }
}

@Suite struct SpanMetricsTests {
    let shop = [("service.name", "shop"), ("host.name", "h")]

    @Test func namesAndAttributesAreOtelcols() async throws {
        let run = try SpanMetricsRun()
        let points = try run.points(
            request(resource(shop, [span("GET /", kind: 2, to: 7, status: 2), span("work", kind: 1, from: 9, to: 3)])))
        #expect(Set(points.map(\.metric)) == ["traces.span.metrics.calls", "traces.span.metrics.duration"])
        #expect(points.allSatisfy { $0.scope == "spanmetricsconnector" && $0.temporality == 2 })
        #expect(points.allSatisfy { $0.resource == ["service.name=shop", "host.name=h"] })
        let call = try #require(points.one("traces.span.metrics.calls", "span.name=GET /"))
        #expect(
            call.attributes == [
                "service.name=shop", "span.name=GET /", "span.kind=SPAN_KIND_SERVER", "status.code=STATUS_CODE_ERROR",
            ])
        #expect(call.int == 1 && call.isMonotonic && call.unit == "" && call.start == 1000 && call.time == 1000)
        let duration = try #require(points.one("traces.span.metrics.duration", "span.name=GET /"))
        #expect(duration.attributes == call.attributes && duration.unit == "ms" && duration.sum == 7)
        #expect(
            duration.bounds == [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000])
        #expect(duration.buckets == [0, 0, 0, 1] + [UInt64](repeating: 0, count: 13))
        #expect(duration.minimum == nil && duration.maximum == nil)
        // One that ends before it starts took no time.
        let other = try #require(points.one("traces.span.metrics.duration", "span.name=work"))
        #expect(other.sum == 0 && other.buckets.first == 1)
        #expect(other.attributes.contains("span.kind=SPAN_KIND_INTERNAL"))
        #expect(other.attributes.contains("status.code=STATUS_CODE_UNSET"))
        try await run.shutDown()
    }

    @Test func unitsBucketsAndNamespace() async throws {
        let run = try SpanMetricsRun("{namespace: '', histogram: {unit: s, explicit: {buckets: [1ms, 5ms]}}}")
        let points = try run.points(request(resource(shop, [span(to: 5), span(to: 6)])))
        #expect(Set(points.map(\.metric)) == ["calls", "duration"])
        let duration = try #require(points.named("duration").first)
        #expect(duration.unit == "s" && duration.bounds == [0.001, 0.005] && duration.buckets == [0, 1, 1])
        try await run.shutDown()
        let seconds = try SpanMetricsRun("{histogram: {unit: s}}")
        let bounds = try seconds.points(request(resource(shop, [span()]))).named("traces.span.metrics.duration").first
        #expect(bounds?.bounds.first == 0.002 && bounds?.bounds.last == 15)
        try await seconds.shutDown()
        let exponential = try SpanMetricsRun("{histogram: {exponential: {max_size: 4}}}")
        let point = try exponential.points(request(resource(shop, [span(to: 1), span(to: 64)]))).last
        #expect(point?.count == 2 && point?.scale != nil && point?.minimum == 1 && point?.maximum == 64)
        #expect((point?.buckets.count ?? 9) <= 4)
        try await exponential.shutDown()
        let none = try SpanMetricsRun("{histogram: {disable: true}}")
        #expect(try none.points(request(resource(shop, [span()]))).map(\.metric) == ["traces.span.metrics.calls"])
        try await none.shutDown()
    }

    @Test func dimensionsComeFromSpanResourceOrDefault() async throws {
        let run = try SpanMetricsRun(
            """
            {dimensions: [{name: http.method, default: GET}, {name: host.name}, {name: region}],
             calls_dimensions: [{name: user}], histogram: {dimensions: [{name: route}]},
             exclude_dimensions: [span.kind, status.code]}
            """)
        let points = try run.points(
            request(
                resource(
                    shop,
                    [
                        span(attributes: [("http.method", "POST"), ("user", "u"), ("route", "r")]),
                        span(attributes: [("host.name", "own")]),
                    ])))
        let calls = points.named("traces.span.metrics.calls").map(\.attributes)
        #expect(calls.contains(["service.name=shop", "span.name=op", "http.method=POST", "host.name=h", "user=u"]))
        #expect(calls.contains(["service.name=shop", "span.name=op", "http.method=GET", "host.name=own"]))
        let durations = points.named("traces.span.metrics.duration").map(\.attributes)
        #expect(
            durations.contains(["service.name=shop", "span.name=op", "http.method=POST", "host.name=h", "route=r"]))
        #expect(calls.count == 2 && durations.count == 2)
        try await run.shutDown()
    }

    @Test func globsAddWhatMatches() async throws {
        let run = try SpanMetricsRun("{dimensions: [{glob: 'http.*'}, {name: http.method}]}")
        let points = try run.points(
            request(
                resource(
                    shop + [("http.scheme", "https")],
                    [
                        span(attributes: [("http.route", "/"), ("http.method", "GET"), ("other", "x")]),
                        span(attributes: [("other", "y"), ("http.method", "GET"), ("http.route", "/")]),
                        span(attributes: [("http.scheme", "h2")]),
                    ])))
        let calls = points.named("traces.span.metrics.calls")
        #expect(calls.map(\.int).contains(2) && calls.count == 2)
        #expect(
            calls.first { $0.int == 2 }?.attributes.dropFirst(4) == [
                "http.method=GET", "http.route=/", "http.scheme=https",
            ])
        #expect(calls.first { $0.int == 1 }?.attributes.dropFirst(4) == ["http.scheme=h2"])
        try await run.shutDown()
    }

    @Test func adjustedCountsWeighSpans() async throws {
        let run = try SpanMetricsRun("{enable_metrics_sampling_method: true}")
        let points = try run.points(
            request(
                resource(
                    shop,
                    [
                        span(more: ",\"traceState\":\"ot=th:c\""), span(more: ",\"traceState\":\"x=y,ot=rv:1;th:8\""),
                        span(), span(more: ",\"traceState\":\"ot=th:zz\""),
                    ])))
        let extrapolated = try #require(points.one("traces.span.metrics.calls", "sampling.method=extrapolated"))
        #expect(extrapolated.int == 6)
        let duration = try #require(points.one("traces.span.metrics.duration", "sampling.method=extrapolated"))
        #expect(duration.count == 6 && duration.sum == 30)
        #expect(points.one("traces.span.metrics.calls", "sampling.method=counted")?.int == 2)
        try await run.shutDown()
        let plain = try SpanMetricsRun()
        let calls = try plain.points(
            request(resource(shop, [span(more: ",\"traceState\":\"ot=th:c\""), span()]))
        ).named("traces.span.metrics.calls")
        #expect(calls.map(\.int) == [5])
        try await plain.shutDown()
    }

    @Test func eventsAreCounted() async throws {
        let run = try SpanMetricsRun("{events: {enabled: true, dimensions: [{name: exception.type}]}}")
        let events = """
            ,"events":[{"name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"A"}}]},
            {"name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"A"}}]},{"name":"e"}]
            """
        let points = try run.points(request(resource(shop, [span(more: events), span()])))
        let counted = points.named("traces.span.metrics.events")
        #expect(counted.count == 2)
        #expect(points.one("traces.span.metrics.events", "exception.type=A")?.int == 2)
        #expect(counted.first { $0.attributes.count == 4 }?.int == 1)
        #expect(points.one("traces.span.metrics.calls", "span.name=op")?.int == 2)
        try await run.shutDown()
    }

    @Test func scopesAreAttributesWhenNamed() async throws {
        let run = try SpanMetricsRun("{include_instrumentation_scope: [a]}")
        let points = try run.points(
            request(resource(shop, scope: "a", [span()]), resource(shop, scope: "b", [span()])))
        let calls = points.named("traces.span.metrics.calls")
        #expect(calls.count == 2)
        #expect(
            points.one("traces.span.metrics.calls", "span.instrumentation.scope.name=a")?.attributes.last
                == "span.instrumentation.scope.version=1")
        try await run.shutDown()
    }

    @Test func exemplarsNameTheirSpans() async throws {
        let run = try SpanMetricsRun("{exemplars: {enabled: true, max_per_data_point: 2}}")
        let points = try run.points(request(resource(shop, (1...4).map { span(trace: 7, id: $0, to: $0) })))
        #expect(points.count == 2)
        for point in points {
            #expect(point.exemplars.map(\.value) == [1, 2])
            #expect(point.exemplars.map { $0.spanID.last } == [1, 2])
            #expect(point.exemplars.allSatisfy { $0.traceID.last == 7 })
        }
        #expect(try run.points().allSatisfy { $0.exemplars.isEmpty })
        try await run.shutDown()
    }

    @Test func servicesStayApartWhateverTellsResourcesApart() async throws {
        let run = try SpanMetricsRun("{resource_metrics_key_attributes: [host.name]}")
        let points = try run.points(
            request(
                resource(shop, [span()]), resource([("service.name", "other"), ("host.name", "h")], [span()]),
                resource([], [span()])))
        let calls = points.named("traces.span.metrics.calls")
        #expect(
            Set(calls.compactMap(\.attributes.first)) == [
                "service.name=shop", "service.name=other", "service.name=unknown_service",
            ])
        #expect(calls.allSatisfy { $0.int == 1 })
        try await run.shutDown()
    }

    @Test func appendedAttributesCount() async throws {
        let run = try SpanMetricsRun("{dimensions: [{name: cost}]}")
        let batch = try traces(request(resource(shop, [span()])))
        let key = Array("cost".utf8)
        key.withUnsafeBytes { _ = batch.appendAttribute($0, .double(0.5), toItem: 0) }
        run.connector.consume(batch, context: RequestContext(), receipt: Outcomes().receipt())
        #expect(try run.points().one("traces.span.metrics.calls", "cost=0.5")?.int == 1)
        try await run.shutDown()
    }

    // MARK: Handing over

    @Test func refusedDeltaPointsAreHandedOverAgain() async throws {
        let refuses = TestClock(1)
        let next = RecordingConsumer { _ in
            refuses.now == 1 ? .refuse(ConsumeError(.queueFull, "full")) : .accept
        }
        let run = try SpanMetricsRun("{aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA}", next: next)
        try give(request(resource(shop, [span(), span()])), to: run.connector)
        run.clock.now = 2000
        #expect(try run.points().count == 2)
        #expect(try run.points().count == 2)
        refuses.now = 0
        try give(request(resource(shop, [span()])), to: run.connector)
        run.clock.now = 3000
        let points = try run.points().named("traces.span.metrics.calls")
        #expect(points.map(\.int) == [2, 1])
        #expect(points.map(\.start) == [1000, 2000] && points.map(\.time) == [2000, 3000])
        #expect(try run.points().isEmpty)
        try await run.shutDown()
    }

    @Test func theStopHandsOverOnceMore() async throws {
        let run = try SpanMetricsRun("{mark_stale: true}")
        try run.connector.start()
        try give(request(resource(shop, [span()])), to: run.connector)
        await run.connector.stop(deadline: .now)
        await run.connector.stop(deadline: .now)
        let points = run.next.batches.flatMap { MetricPoint.all(in: $0) }
        #expect(points.map(\.flags) == [0, 0, 1, 1])
        try await run.shutDown()
    }

    @Test func limitsHold() async throws {
        let run = try SpanMetricsRun("{aggregation_cardinality_limit: 3, histogram: {disable: true}}")
        let points = try run.points(request(resource(shop, (0..<20).map { span("op \($0)", id: $0 + 1) })))
        #expect(points.count == 4)
        #expect(points.one("traces.span.metrics.calls", "otel.metric.overflow=true")?.int == 17)
        let metrics = run.environment.metrics.prometheusText()
        #expect(metrics.contains("martlet_span_metrics_series{connector=\"span_metrics\"} 4"))
        try await run.shutDown()
    }

    // MARK: Settings

    @Test func defaultsAreOtelcols() throws {
        let settings = try decode("{}") { SpanMetricsSettings(from: $0) }
        #expect(settings.flushInterval == .seconds(60) && settings.resourceLimit == 1000 && settings.seriesLimit == 0)
        #expect(settings.exemplarLimit == 0 && settings.temporality == .cumulative && !settings.countsEvents)
        #expect(settings.resourceExpiration == .zero && settings.seriesExpiration == .zero)
        #expect(try decode("{exemplars: {enabled: true}}") { SpanMetricsSettings(from: $0) }.exemplarLimit == 5)
        if case .exponentialHistogram(let size)? = try decode(
            "{histogram: {exponential: }}", { SpanMetricsSettings(from: $0) }
        ).histogram {
            #expect(size == 160)
        } else {
            Issue.record("no exponential histogram")
        }
    }

    @Test(arguments: [
        "{histogram: {explicit: {}, exponential: {}}}", "{histogram: {explicit: {buckets: [2ms, 1ms]}}}",
        "{dimensions: [{name: service.name}]}", "{dimensions: [{name: a}, {name: a}]}", "{dimensions: [{default: a}]}",
        "{dimensions: [{name: a, glob: b}]}", "{dimensions: [{name: a}], calls_dimensions: [{name: a}]}",
        "{events: {enabled: true}}", "{metrics_flush_interval: 0s}", "{aggregation_temporality: delta}",
        "{add_resource_attributes: false}", "{aggregation_cardinality_limit: -1}", "{histogram: {unit: us}}",
        "{exemplars: {max_per_data_point: 0}}",
    ])
    func wrongSettingsAreErrors(_ yaml: String) throws {
        #expect(try errors(yaml) { SpanMetricsSettings(from: $0) }.count == 1)
    }
}
