"""Metrics from spans: what the SDK sends is counted exactly, and hostile numbers of series are held."""
from collections import defaultdict

from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from support.otlp import NOW, from_json, new_span_id, new_trace_id
from support.process import configuration

BUCKETS = [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000]
MILLISECOND = 1_000_000


def with_connector(name, options, path):
    """The configuration: traces into the connector, its metrics into a file."""
    return configuration({"file": {"path": str(path)}}, connectors={name: options}, pipelines={
        "traces": {"receivers": ["otlp"], "exporters": [name]},
        "metrics": {"receivers": [name], "exporters": ["file"]}})


def metrics(path):
    """Points of the last message that has the metric: name -> [(metric, resource attributes, attributes, point)]."""
    found = defaultdict(list)
    for line in path.read_text().splitlines():
        message = from_json(line, MetricsData())
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        found[metric.name].append(
                            (metric, values(resource.resource.attributes), values(point.attributes), point))
    return found


def values(attributes):
    assert len({pair.key for pair in attributes}) == len(attributes)
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


class Service:
    """An SDK of one service."""

    def __init__(self, name, url):
        self.provider = TracerProvider(resource=Resource({"service.name": name, "host.name": f"host of {name}"}))
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url), max_export_batch_size=50))
        self.tracer = self.provider.get_tracer("tests", "1")
        self.sent = []

    def span(self, name, kind, start, duration, *, parent=None, failed=False, **attributes):
        """Times are milliseconds."""
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None
        begin = NOW + start * MILLISECOND
        span = self.tracer.start_span(name, context=context, kind=kind, start_time=begin, attributes=attributes)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(begin + duration * MILLISECOND)
        self.sent.append((name, kind, duration, failed, attributes))
        return span.get_span_context()

    def finish(self):
        assert self.provider.force_flush(60_000)
        self.provider.shutdown()


def test_calls_and_durations_are_those_that_were_sent(launch, tmp_path):
    path = tmp_path / "metrics.json"
    options = {"dimensions": [{"name": "tenant", "default": "none"}], "exemplars": {"enabled": True}}
    martlet = launch(with_connector("span_metrics", options, path))
    services = [Service(name, martlet.url) for name in ("shop", "web")]
    durations = [0, 1, 2, 3, 9, 10, 11, 150, 2000, 15_000, 15_001]
    for number in range(700):
        service = services[number % 2]
        attributes = {"tenant": f"t{number % 3}"} if number % 5 else {}
        service.span(f"op {number % 7}", list(SpanKind)[number % 5], number, durations[number % len(durations)],
                     failed=number % 11 == 0, **attributes)
    for service in services:
        service.finish()
    assert martlet.stop() == 0

    expected = defaultdict(list)
    for service, name in zip(services, ("shop", "web")):
        for span, kind, duration, failed, attributes in service.sent:
            status = "STATUS_CODE_ERROR" if failed else "STATUS_CODE_UNSET"
            key = (name, span, f"SPAN_KIND_{kind.name}", status, attributes.get("tenant", "none"))
            expected[key].append(duration)
    found = metrics(path)
    assert set(found) == {"traces.span.metrics.calls", "traces.span.metrics.duration"}
    calls = {}
    for metric, resource, attributes, point in found["traces.span.metrics.calls"]:
        assert metric.sum.is_monotonic and metric.sum.aggregation_temporality == 2
        assert resource["host.name"] == f"host of {attributes['service.name']}"
        assert list(attributes) == ["service.name", "span.name", "span.kind", "status.code", "tenant"]
        assert 0 < point.start_time_unix_nano <= point.time_unix_nano
        calls[tuple(attributes.values())] = point.as_int
        assert 1 <= len(point.exemplars) <= 5
    assert calls == {key: len(spans) for key, spans in expected.items()}
    assert sum(calls.values()) == 700
    seen = set()
    for metric, _, attributes, point in found["traces.span.metrics.duration"]:
        spans = expected[tuple(attributes.values())]
        seen.add(tuple(attributes.values()))
        assert metric.unit == "ms" and list(point.explicit_bounds) == BUCKETS
        assert point.count == len(spans) and point.sum == sum(spans)
        buckets = [0] * (len(BUCKETS) + 1)
        for duration in spans:
            buckets[next((index for index, bound in enumerate(BUCKETS) if duration <= bound), len(BUCKETS))] += 1
        assert list(point.bucket_counts) == buckets
        assert {exemplar.as_double for exemplar in point.exemplars} <= set(map(float, spans))
    assert seen == set(expected)


def test_delta_intervals_add_up(launch, tmp_path):
    path = tmp_path / "metrics.json"
    options = {"aggregation_temporality": "AGGREGATION_TEMPORALITY_DELTA", "metrics_flush_interval": "100ms",
               "histogram": {"disable": True}}
    martlet = launch(with_connector("spanmetrics", options, path))
    for _ in range(6):
        service = Service("shop", martlet.url)
        for number in range(100):
            service.span("op", SpanKind.SERVER, number, 1)
        service.finish()
    assert martlet.stop() == 0
    points = [point for _, _, _, point in metrics(path)["traces.span.metrics.calls"]]
    assert sum(point.as_int for point in points) == 600
    points.sort(key=lambda point: point.time_unix_nano)
    for before, after in zip(points, points[1:]):
        assert before.start_time_unix_nano < before.time_unix_nano <= after.start_time_unix_nano


def many_names(first, count):
    """A request of spans with names that no other has."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "flood"
    spans = resource.scope_spans.add().spans
    trace_id = new_trace_id()
    for number in range(first, first + count):
        spans.add(trace_id=trace_id, span_id=new_span_id(), name=f"/customers/{number}", kind=2,
                  start_time_unix_nano=NOW, end_time_unix_nano=NOW + MILLISECOND)
    return request.SerializeToString()


def flood(martlet, total, batch=10_000):
    for first in range(0, total, batch):
        assert martlet.post(many_names(first, batch)).status == 200


def test_a_million_names_stay_within_the_limit_and_nothing_is_lost(launch, tmp_path):
    path = tmp_path / "metrics.json"
    options = {"aggregation_cardinality_limit": 1000, "histogram": {"disable": True}}
    martlet = launch(with_connector("span_metrics", options, path))
    flood(martlet, 10_000)
    before = martlet.rss()
    flood(martlet, 1_000_000)
    assert martlet.rss() - before < 64 << 20
    assert martlet.stop() == 0
    points = [(attributes, point) for _, _, attributes, point in metrics(path)["traces.span.metrics.calls"]]
    assert len(points) == 1001
    assert sum(point.as_int for _, point in points) == 1_010_000
    overflow = [point for attributes, point in points if attributes == {"otel.metric.overflow": True}]
    # The first thousand came twice.
    assert len(overflow) == 1 and overflow[0].as_int == 1_010_000 - 2 * 1000


def test_a_million_names_without_a_limit_stay_within_the_memory(launch, tmp_path):
    path = tmp_path / "metrics.json"
    options = {"memory_limit_mib": 16, "histogram": {"disable": True}}
    martlet = launch(with_connector("span_metrics", options, path))
    flood(martlet, 1_000_000)
    assert martlet.peak_rss() < 160 << 20
    assert martlet.stop() == 0
    points = [(attributes, point) for _, _, attributes, point in metrics(path)["traces.span.metrics.calls"]]
    assert sum(point.as_int for _, point in points) == 1_000_000
    assert 10_000 < len(points) < 200_000


def test_the_graph_of_three_services(launch, tmp_path):
    path = tmp_path / "metrics.json"
    options = {"store": {"ttl": "60s"}, "database_name_attributes": ["db.namespace"],
               "virtual_node_peer_attributes": ["server.address"]}
    martlet = launch(with_connector("service_graph", options, path))
    web, shop, stock = (Service(name, martlet.url) for name in ("web", "shop", "stock"))
    for number in range(60):
        failed = number % 6 == 0
        root = web.span("GET /", SpanKind.SERVER, 0, 100)
        call = web.span("call shop", SpanKind.CLIENT, 10, 50, parent=root, failed=failed)
        served = shop.span("buy", SpanKind.SERVER, 15, 40, parent=call, failed=failed)
        shop.span("select", SpanKind.CLIENT, 16, 5, parent=served, **{"db.namespace": "orders"})
        shop.span("chat", SpanKind.CLIENT, 20, 30, parent=served,
                  **{"server.address": "api.example.com", "gen_ai.usage.cost": 0.1})
        sent = shop.span("send", SpanKind.PRODUCER, 25, 1, parent=served)
        stock.span("take", SpanKind.CONSUMER, 30, 9, parent=sent)
    for service in (stock, web, shop):
        service.finish()
    assert martlet.stop() == 0

    found = metrics(path)
    def edges(name, value):
        return {(attributes["client"], attributes["server"], attributes["connection_type"], attributes["failed"]):
                value(point) for _, _, attributes, point in found[name]}
    prefix = "traces_service_graph_request_"
    assert edges(prefix + "total", lambda point: point.as_int) == {
        ("web", "shop", "", False): 50, ("web", "shop", "", True): 10,
        ("shop", "orders", "database", False): 60, ("shop", "stock", "messaging_system", False): 60,
        ("shop", "api.example.com", "virtual_node", False): 60, ("user", "web", "virtual_node", False): 60,
    }
    assert edges(prefix + "failed_total", lambda point: point.as_int) == {("web", "shop", "", True): 10}
    client = edges(prefix + "client_seconds", lambda point: (point.count, round(point.sum, 9)))
    server = edges(prefix + "server_seconds", lambda point: (point.count, round(point.sum, 9)))
    assert client[("web", "shop", "", False)] == (50, 2.5) and server[("web", "shop", "", False)] == (50, 2.0)
    assert client[("shop", "stock", "messaging_system", False)] == (60, 0.06)
    assert server[("user", "web", "virtual_node", False)] == (60, 6.0)
    assert edges("martlet_service_graph_cost_total", lambda point: point.as_double) == {
        ("shop", "api.example.com", "virtual_node", False): 6.0}
    lost = {(attributes["client"], attributes["server"]): point.as_int
            for _, _, attributes, point in found["traces_service_graph_unpaired_spans_total"]}
    assert lost == {("shop", ""): 60, ("", "web"): 60}
