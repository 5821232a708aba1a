"""The prometheus exporter: what independent parsers and a real Prometheus read is what the SDK recorded."""
import time
import urllib.request

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from support.otlp import NOW
from support.ports import free_port
from support.process import configuration
from support.prometheus import Prometheus
from support.waiting import wait_for
from support.wire import get
from test_deltatocumulative import DELTA, record

TEXT = "Grüße \"quoted\" \\ back\nnew line, 世界=🌍 {}"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class SDK:
    """A meter provider that sends to a URL, and counts cumulatively beside that."""

    def __init__(self, url, temporality=None):
        self.memory = InMemoryMetricReader()
        exporter = OTLPMetricExporter(endpoint=url, preferred_temporality=temporality or {})
        resource = Resource({"service.name": "shop", "service.namespace": "eu", "service.instance.id": "i-1",
                             "host.name": TEXT})
        sender = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        self.provider = MeterProvider([self.memory, sender], resource)

    def send(self):
        assert self.provider.force_flush(30_000)

    def recorded(self):
        """{(name, attributes): point} of the last state."""
        found = {}
        for resource in self.memory.get_metrics_data().resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        found[metric.name, frozenset(point.attributes.items())] = point
        return found


def start(launch, temporality=None, **options):
    port = free_port()
    exporters = {"prometheus": {"endpoint": f"127.0.0.1:{port}", **options}}
    pipelines = {"metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}}
    martlet = launch(configuration(exporters, pipelines=pipelines))
    return martlet, port, SDK(f"http://127.0.0.1:{martlet.port}/v1/metrics", temporality)


def scrape(port, accept="text/plain"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def samples(families):
    return {(sample.name, frozenset(sample.labels.items())): sample for family in families for sample in family.samples}


def expected(sdk, **more):
    """{(sample name, labels): value} of everything that `record` has recorded, as Prometheus names it."""
    names = {"requests": "requests_total", "seconds": "seconds_total", "active": "active",
             "explicit.duration": "explicit_duration_seconds", "exponential.duration": "exponential_duration_seconds"}
    base = {"job": "eu/shop", "instance": "i-1", "otel_scope_name": "test", "otel_scope_version": "1.0", **more}
    wanted = {}
    for (name, attributes), point in sdk.recorded().items():
        labels = {**base, **{key: str(value).lower() if value in (True, False) else value for key, value in attributes}}
        if not hasattr(point, "bucket_counts"):
            wanted[names[name], frozenset(labels.items())] = point.value
            continue
        running = 0
        for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts):
            running += count
            wanted[names[name] + "_bucket", frozenset({**labels, "le": bound}.items())] = running
        wanted[names[name] + "_sum", frozenset(labels.items())] = point.sum
        wanted[names[name] + "_count", frozenset(labels.items())] = point.count
    return wanted


def with_float_bounds(found):
    return {(name, frozenset((key, float(value) if key == "le" else value) for key, value in labels)): value
            for (name, labels), value in found.items()}


def assert_shows(found, wanted):
    found = with_float_bounds(found)
    assert wanted
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=1e-12, abs=0), key


@pytest.mark.parametrize("temporality", [None, DELTA], ids=["cumulative", "delta"])
def test_independent_parsers_read_what_was_recorded(launch, temporality):
    martlet, port, sdk = start(launch, temporality, enable_open_metrics=True, const_labels={"cluster": "c1"})
    with TracerProvider().get_tracer("t").start_as_current_span("span") as span:
        record(sdk.provider.get_meter("test", "1.0"), 5, sdk.send)
        trace_id = format(span.get_span_context().trace_id, "032x")
    wanted = expected(sdk, cluster="c1")

    kind, text = scrape(port)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    families = list(parse_text(text))
    found = samples(families)
    assert_shows({key: sample.value for key, sample in found.items()}, wanted)
    info = [sample for (name, _), sample in found.items() if name == "target_info"]
    assert [(sample.value, sample.labels["host_name"], sample.labels["job"]) for sample in info] == [
        (1, TEXT, "eu/shop")]
    assert {family.name: family.type for family in families} == {
        "requests": "counter", "seconds": "counter", "active": "gauge", "explicit_duration_seconds": "histogram",
        "exponential_duration_seconds": "histogram", "target_info": "gauge"}

    kind, text = scrape(port, OPENMETRICS)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = list(parse_openmetrics(text))
    found = samples(families)
    assert_shows({key: sample.value for key, sample in found.items()}, wanted)
    assert {family.unit for family in families} == {"", "seconds"}
    exemplars = [sample.exemplar for sample in found.values() if sample.exemplar]
    assert exemplars and {exemplar.labels["trace_id"] for exemplar in exemplars} == {trace_id}
    created = [sample.value for (name, _), sample in found.items() if name.endswith("_created")]
    assert created and all(abs(time.time() - value) < 120 for value in created)
    assert martlet.metric("martlet_prometheus_series", exporter="prometheus") > 10
    assert martlet.metric("martlet_prometheus_dropped_points_total") == 0
    sdk.provider.shutdown()
    assert martlet.stop() == 0


@pytest.mark.parametrize("strategy", ["NoUTF8EscapingWithSuffixes", "NoTranslation"])
def test_names_of_any_character_are_read(launch, strategy):
    martlet, port, sdk = start(launch, enable_open_metrics=True, translation_strategy=strategy)
    # By hand: the SDK has narrower names.
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="größe.of \"things\"", unit="By")
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = 2
    point = metric.sum.data_points.add(as_int=3, time_unix_nano=NOW)
    for key, value in [("a.b", TEXT), ("k.люч", "x")]:
        point.attributes.add(key=key).value.string_value = value
    assert martlet.post(request.SerializeToString(), path="/v1/metrics").status == 200
    name = "größe.of \"things\"" + ("_bytes" if strategy != "NoTranslation" else "")
    for accept, parse in [("text/plain;version=1.0.0;escaping=allow-utf-8", parse_text),
                          (OPENMETRICS + ";escaping=allow-utf-8", parse_openmetrics)]:
        _, text = scrape(port, accept)
        (sample,) = [sample for family in parse(text) for sample in family.samples
                     if sample.name.startswith("größe") and not sample.name.endswith("_created")]
        assert sample.value == 3 and sample.labels["a.b"] == TEXT and sample.labels["k.люч"] == "x"
        assert sample.name.removesuffix("_total") == name
    for escaping in ("underscores", "dots", "values"):
        _, text = scrape(port, f"text/plain;escaping={escaping}")
        assert [sample.value for family in parse_text(text) for sample in family.samples
                if TEXT in sample.labels.values()] == [3]
    sdk.provider.shutdown()


def test_other_paths_and_methods(launch):
    _, port, sdk = start(launch)
    assert get(port, "/").status == 404
    assert get(port, "/metrics").status == 200
    sdk.provider.shutdown()


def test_expiry_and_types(launch):
    martlet, port, sdk = start(launch, metric_expiration="1s", without_scope_info=True)
    meter = sdk.provider.get_meter("m")
    meter.create_gauge("level").set(4)
    sdk.send()
    assert "\nlevel{" in scrape(port)[1]
    meter.create_up_down_counter("level").add(1)
    wait_for(lambda: "level" not in scrape(port)[1], "the gauge is not shown any more", 10)
    assert martlet.metric("martlet_prometheus_series") == 0
    sdk.provider.shutdown()


def values(prometheus):
    """{(name, labels): value} of the latest of everything."""
    found = {}
    for labels, value in prometheus.query('{__name__=~".+"}'):
        name = labels.pop("__name__")
        found[name, frozenset(labels.items())] = value
    return found


@pytest.fixture
def prometheus(tmp_path):
    """A real Prometheus; `prometheus(port)` scrapes that port, `prometheus()` takes remote write."""
    made = []

    def start(port=None):
        (tmp_path / "prometheus").mkdir()
        made.append(Prometheus(tmp_path / "prometheus"))
        if port:
            config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [{
                "job_name": "martlet", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}
            (made[-1].directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        return made[-1].start()
    yield start
    for process in made:
        process.close()


@pytest.mark.parametrize("open_metrics", [False, True], ids=["text", "openmetrics"])
def test_a_real_prometheus_reads_what_was_recorded(launch, prometheus, open_metrics):
    _, port, sdk = start(launch, DELTA, enable_open_metrics=open_metrics)
    with TracerProvider().get_tracer("t").start_as_current_span("span"):
        record(sdk.provider.get_meter("test", "1.0"), 5, sdk.send)
    server = prometheus(port)
    server.wait("up", 1)
    assert_shows(values(server), expected(sdk))
    kinds = {name: entries[0]["type"] for name, entries in server.get("metadata").items()}
    assert kinds["explicit_duration_seconds"] == "histogram" and kinds["active"] == "gauge"
    assert kinds["requests" if open_metrics else "requests_total"] == "counter"
    exemplars = server.get("query_exemplars", query="explicit_duration_seconds_bucket", start=time.time() - 600,
                           end=time.time() + 60)
    assert bool(exemplars) == open_metrics
    sdk.provider.shutdown()


@pytest.mark.parametrize("message", ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"])
def test_deltas_reach_a_real_prometheus_by_remote_write(launch, prometheus, message):
    server = prometheus()
    exporters = {"prometheus_remote_write": {"endpoint": server.endpoint, "protobuf_message": message}}
    pipelines = {"metrics": {"receivers": ["otlp"], "exporters": list(exporters)}}
    martlet = launch(configuration(exporters, pipelines=pipelines))
    sdk = SDK(f"http://127.0.0.1:{martlet.port}/v1/metrics", DELTA)
    # A pause, since remote write has milliseconds.
    record(sdk.provider.get_meter("test", "1.0"), 5, lambda: (time.sleep(0.01), sdk.send()))
    wanted = expected(sdk)
    total = sum(value for (name, _), value in wanted.items() if name == "requests_total")
    server.wait("sum(requests_total)", total)
    assert_shows(values(server), wanted)
    assert martlet.metric("otelcol_deltatocumulative_streams_tracked", exporter="prometheus_remote_write") > 10
    assert martlet.metric("otelcol_deltatocumulative_datapoints_total", error="delta.ErrOutOfOrder") == 0
    sdk.provider.shutdown()
    assert martlet.stop() == 0
