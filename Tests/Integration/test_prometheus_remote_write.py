"""Metrics leave as remote write: against a receiver that checks the rules for senders, and into a real Prometheus that
is asked by PromQL for what was recorded."""
import math
import random
import time

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest, ExportMetricsServiceResponse)
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation, View)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from support import wire
from support.process import configuration
from support.prometheus import Prometheus
from support.remote_write import ORDINARY_NAN, STALE, V1, V2, Receiver, Reply, accept
from support.waiting import wait_for

CUMULATIVE, DELTA = 2, 1
NEVER = 3_600_000


@pytest.fixture
def receivers():
    made = []

    def make(**options):
        made.append(Receiver(**options))
        return made[-1]
    yield make
    for one in made:
        one.close()
    assert not [fault for one in made for fault in one.faults], "a request broke the rules for senders"


@pytest.fixture
def receiver(receivers):
    return receivers()


@pytest.fixture
def prometheus(tmp_path):
    directory = tmp_path / "prometheus"
    directory.mkdir()
    server = Prometheus(directory).start()
    yield server
    server.close()
    for line in server.log.splitlines():
        assert "level=error" not in line and "Out of order" not in line and "level=warn" not in line, line


def remote_write(endpoint, **options):
    retries = {"initial_interval": "50ms", "max_interval": "200ms", "max_elapsed_time": "60s"}
    # The receiver reads in Python: on a slow machine a large request takes longer than the exporter's own limit, and
    # one that was taken after the exporter gave up comes twice.
    exporter = {"endpoint": endpoint, "timeout": "60s", "retry_on_failure": retries, **options}
    return configuration({"prometheus_remote_write": exporter}, pipelines={
        "metrics": {"receivers": ["otlp"], "exporters": ["prometheus_remote_write"]}})


def version_2(endpoint, **options):
    return remote_write(endpoint, protobuf_message=V2, **options)


class Application:
    """The SDK with a meter; `flush` sends what it has."""

    def __init__(self, martlet, views=(), **attributes):
        self.exporter = OTLPMetricExporter(endpoint=f"http://127.0.0.1:{martlet.port}/v1/metrics")
        self.reader = PeriodicExportingMetricReader(self.exporter, export_interval_millis=NEVER)
        resource = Resource.create({"service.name": "api", "service.namespace": "shop", "service.instance.id": "pod-1",
                                    **attributes})
        self.provider = MeterProvider([self.reader], resource=resource, views=views,
                                      exemplar_filter=AlwaysOnExemplarFilter())
        self.meter = self.provider.get_meter("library", "1.2")

    def flush(self):
        assert self.provider.force_flush(30_000)

    def close(self):
        self.provider.shutdown()


@pytest.fixture
def applications():
    made = []

    def make(martlet, **options):
        made.append(Application(martlet, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def request(name="requests", points=(), *, kind="sum", temporality=CUMULATIVE, monotonic=True, service="api"):
    """An OTLP request of one metric; points are (attributes, seconds, value)."""
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    if service:
        add_attribute(resource.resource.attributes, "service.name", service)
    metric = resource.scope_metrics.add().metrics.add()
    metric.name = name
    data = getattr(metric, kind)
    if kind == "sum":
        data.is_monotonic = monotonic
    if kind != "gauge":
        data.aggregation_temporality = temporality
    for attributes, seconds, value in points:
        point = data.data_points.add()
        point.time_unix_nano = int(seconds * 1000) * 1_000_000
        if kind != "gauge":
            point.start_time_unix_nano = point.time_unix_nano - 60_000_000_000
        point.as_double = value
        for key, text in attributes.items():
            add_attribute(point.attributes, key, text)
    return message


def add_attribute(attributes, key, text):
    attribute = attributes.add()
    attribute.key = key
    attribute.value.string_value = text


def send(martlet, message):
    answer = wire.post(martlet.port, message.SerializeToString(), path="/v1/metrics")
    assert answer.status == 200, answer
    return ExportMetricsServiceResponse.FromString(answer.body).partial_success


def rejected(martlet, reason):
    return martlet.metric("martlet_exporter_prometheus_rejected_points_total", reason=reason)


# Against the rules

def record_everything(application):
    meter = application.meter
    counter = meter.create_counter("tokens.used", unit="{token}", description="tokens that were used")
    counter.add(5, {"gen_ai.request.model": "a", "n": 1})
    counter.add(2**53, {"gen_ai.request.model": "b"})
    meter.create_up_down_counter("queue.size", unit="By").add(-3)
    meter.create_gauge("load", unit="1").set(0.25, {"cpu": "0"})
    for name in ("latency", "native"):
        histogram = meter.create_histogram(name, unit="s")
        for value in (0.001, 0.02, 0.02, 7.5, 1200):
            histogram.record(value, {"route": "/ä\"\\\n"})


VIEWS = [View(instrument_name="latency", aggregation=ExplicitBucketHistogramAggregation((0.005, 0.1, 10))),
         View(instrument_name="native", aggregation=ExponentialBucketHistogramAggregation(max_size=16))]


@pytest.mark.parametrize("make", [remote_write, version_2])
def test_everything_the_sdk_records(launch, receiver, applications, make):
    martlet = launch(make(receiver.endpoint))
    application = applications(martlet, views=VIEWS, host="h")
    tracer = TracerProvider().get_tracer("t")
    with tracer.start_as_current_span("span") as span:
        record_everything(application)
        context = span.get_span_context()
    application.flush()
    receiver.wait("target_info")
    scope = {"job": "shop/api", "instance": "pod-1", "otel_scope_name": "library", "otel_scope_version": "1.2"}
    first = receiver.only("tokens_used_total", gen_ai_request_model="a")
    assert first.labels == {**scope, "__name__": "tokens_used_total", "gen_ai_request_model": "a", "n": "1"}
    assert first.samples[0].value == 5
    exemplar = first.exemplars[0]
    assert exemplar.value == 5
    assert exemplar.labels["trace_id"] == trace.format_trace_id(context.trace_id)
    assert exemplar.labels["span_id"] == trace.format_span_id(context.span_id)
    assert receiver.only("tokens_used_total", gen_ai_request_model="b").samples[0].value == 2**53
    assert receiver.only("queue_size_bytes").samples[0].value == -3
    assert receiver.only("load_ratio", cpu="0").samples[0].value == 0.25
    buckets = {series.labels["le"]: series.samples[0].value for series in receiver.series("latency_seconds_bucket")}
    assert buckets == {"0.005": 1, "0.1": 3, "10": 4, "+Inf": 5}
    assert receiver.only("latency_seconds_count", route="/ä\"\\\n").samples[0].value == 5
    assert receiver.only("latency_seconds_sum").samples[0].value == pytest.approx(1207.541)
    native = receiver.only("native_seconds").histograms[0]
    assert native.count == 5 and native.sum == pytest.approx(1207.541)
    base = 2.0 ** (2.0 ** -native.schema)
    for value in (0.001, 0.02, 7.5, 1200):
        assert any(base ** (index - 1) < value <= base ** index * 1.000001 for index in native.counts())
    assert receiver.only("target_info").labels["host"] == "h"
    if make is version_2:
        assert (first.type, first.help, first.unit) == (1, "tokens that were used", "")
        assert receiver.only("native_seconds").unit == "seconds"
        assert {request.version for request in receiver.requests} == {V2}
    else:
        assert {request.version for request in receiver.requests} == {V1}
    assert all(request.headers["user-agent"] == "martlet" for request in receiver.requests)
    assert martlet.metric("otelcol_exporter_send_failed_metric_points_total") == 0


def test_metadata_of_version_1(launch, receiver, applications):
    martlet = launch(remote_write(receiver.endpoint, send_metadata=True))
    application = applications(martlet, views=VIEWS)
    record_everything(application)
    application.flush()
    wait_for(lambda: any(one.metadata for one in receiver.taken()), "metadata")
    metadata = {entry[0]: entry[1:] for one in receiver.taken() for entry in one.metadata}
    assert metadata["tokens_used_total"] == (1, "tokens that were used", "")
    assert metadata["load_ratio"][0] == 2 and metadata["latency_seconds"] == (3, "", "seconds")


def test_names_in_utf8(launch, receivers):
    receiver = receivers(legacy_names=False)
    martlet = launch(remote_write(
        receiver.endpoint, translation_strategy="NoTranslation", target_info={"enabled": False}, namespace="n",
        external_labels={"zone": "ü"}))
    send(martlet, request("größe.x", [({"a.b": "1", "zone": ""}, time.time(), 1.0)]))
    series = receiver.wait("n_größe.x")[0]
    assert series.labels == {"__name__": "n_größe.x", "a.b": "1", "job": "api", "zone": "ü"}


def test_resource_attributes_as_labels(launch, receiver, applications):
    martlet = launch(remote_write(
        receiver.endpoint, resource_to_telemetry_conversion={"enabled": True, "exclude_service_attributes": True},
        disable_scope_info=True, target_info={"enabled": False}))
    application = applications(martlet, host="h")
    application.meter.create_counter("c").add(1)
    application.flush()
    labels = receiver.wait("c_total")[0].labels
    assert labels["host"] == "h" and labels["telemetry_sdk_language"] == "python"
    assert "service_name" not in labels and "otel_scope_name" not in labels
    assert receiver.names() == {"c_total"}


def test_headers_and_tenant(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint, headers={"X-Scope-OrgID": "team"}, compression="snappy"))
    send(martlet, request(points=[({}, time.time(), 1.0)]))
    receiver.wait("requests_total")
    assert receiver.requests[0].headers["x-scope-orgid"] == "team"


# Bad input

def test_the_rest_of_a_bad_request_proceeds(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint, delta_to_cumulative={"enabled": False}))
    now = time.time()
    message = request("good", [({}, now, 1.0)])
    metrics = message.resource_metrics[0].scope_metrics[0].metrics

    def add(name, **options):
        metrics.append(request(name, [({}, now, 1.0)], **options).resource_metrics[0].scope_metrics[0].metrics[0])
        return metrics[-1]
    add("delta", temporality=DELTA)
    add("unspecified", temporality=0)
    add("good.total", kind="gauge").gauge.data_points[0].as_double = 7
    add("")
    add("empty key").sum.data_points[0].attributes.add().value.string_value = "x"
    unsorted = metrics.add(name="unsorted")
    unsorted.histogram.aggregation_temporality = CUMULATIVE
    unsorted.histogram.data_points.add(explicit_bounds=[2, 1], bucket_counts=[1, 1, 1], count=3)
    lopsided = metrics.add(name="lopsided")
    lopsided.exponential_histogram.aggregation_temporality = CUMULATIVE
    lopsided.exponential_histogram.data_points.add(count=5, scale=0).positive.bucket_counts.extend([1, 2])
    coarse = metrics.add(name="coarse")
    coarse.exponential_histogram.aggregation_temporality = CUMULATIVE
    coarse.exponential_histogram.data_points.add(scale=-5)
    add("no time", kind="gauge").gauge.data_points[0].time_unix_nano = 0
    add("last", kind="gauge")
    told = send(martlet, message)
    # What a point shows by itself; the other three depend on what came before, or on the sums of buckets.
    assert told.rejected_data_points == 5 and "temporality" in told.error_message, told
    receiver.wait("last")
    assert receiver.names() == {"good_total", "no_time", "last"}
    assert abs(receiver.only("no_time").samples[0].timestamp / 1000 - now) < 30
    for reason in ("delta_temporality", "unspecified_temporality", "type_conflict", "invalid_metric_name",
                   "invalid_label_name", "unsorted_bounds", "malformed_histogram", "scale_too_low"):
        assert rejected(martlet, reason) == 1, reason
    martlet.wait_for_metric("otelcol_exporter_sent_metric_points_total", 3)
    martlet.wait_for_metric("otelcol_exporter_send_failed_metric_points_total", 8, error_type="rejected")
    assert "no Prometheus series" in martlet.log


def test_stale_markers(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint))
    message = request("gone", [({}, time.time(), 1.0)], kind="gauge")
    metrics = message.resource_metrics[0].scope_metrics[0].metrics
    metrics[0].gauge.data_points[0].flags = 1
    histogram = metrics.add(name="h")
    histogram.histogram.aggregation_temporality = CUMULATIVE
    histogram.histogram.data_points.add(explicit_bounds=[1], bucket_counts=[0, 0], flags=1)
    native = metrics.add(name="n")
    native.exponential_histogram.aggregation_temporality = CUMULATIVE
    native.exponential_histogram.data_points.add(flags=1)
    send(martlet, message)
    receiver.wait("n")
    for series in receiver.series():
        bits = series.samples[0].bits if series.samples else series.histograms[0].sum_bits
        assert bits == STALE, series
    assert receiver.names() == {"gone", "h_sum", "h_count", "h_bucket", "n"}


def test_values_that_are_no_numbers(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint))
    values = {"nan": math.nan, "inf": math.inf, "minus": -math.inf, "zero": -0.0, "tiny": 5e-324}
    send(martlet, request("odd", [({"k": key}, time.time(), value) for key, value in values.items()], kind="gauge"))
    receiver.wait("odd", k="tiny")
    for key, value in values.items():
        found = receiver.only("odd", k=key).samples[0]
        assert found.bits == ORDINARY_NAN if key == "nan" else (found.value, math.copysign(1, found.value)) == (
            value, math.copysign(1, value))


def test_a_million_label_values(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint, max_batch_size_bytes=500_000))
    now = time.time()
    for part in range(50):
        points = [({"user": f"{part}-{number}"}, now, 1.0) for number in range(20_000)]
        send(martlet, request(points=points))
    wait_for(lambda: martlet.metric("otelcol_exporter_sent_metric_points_total") == 1_000_000, "all sent", 100, 0.2)
    seen = {series.labels["user"] for series in receiver.series("requests_total")}
    assert len(seen) == 1_000_000
    assert all(len(one.plain) <= 500_000 for one in receiver.requests)
    assert martlet.peak_rss() < 500 << 20


# Failures

def fail_some(status, every, **headers):
    """A behaviour: each n-th request fails; says so before it has taken anything."""
    generator = random.Random(5)

    def act(_):
        fields = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        return Reply(status, fields, b"busy") if generator.random() < 1 / every else Reply()
    return act


@pytest.mark.parametrize("make, status", [
    (remote_write, 500), (remote_write, 429), (remote_write, 504), (version_2, 503)])
def test_order_holds_over_retries(launch, receiver, make, status):
    queue = {"num_consumers": 5}
    martlet = launch(make(receiver.endpoint, remote_write_queue=queue, max_batch_size_bytes=60_000))
    receiver.behaviour = fail_some(status, 4)
    start = time.time() - 1000
    for round_ in range(6):
        # Far more than one shard's worth, each series in each request.
        send(martlet, request(points=[({"n": str(n)}, start + round_, float(round_)) for n in range(8000)],
                              service=""))
    wait_for(lambda: martlet.metric("otelcol_exporter_sent_metric_points_total") == 48_000, "all sent", 60, 0.1)
    receiver.check_order()
    assert sum(one.sample_count for one in receiver.taken()) == 48_000, "what was taken is not sent again"
    assert any(one.status == status for one in receiver.requests)
    assert martlet.metric("otelcol_exporter_send_failed_metric_points_total") == 0


def test_retry_after_is_kept(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint))
    times = []

    def act(_):
        times.append(time.monotonic())
        return Reply(429, {"Retry-After": "2"}) if len(times) == 1 else Reply()
    receiver.behaviour = act
    send(martlet, request(points=[({}, time.time(), 1.0)]))
    receiver.wait("requests_total")
    assert times[1] - times[0] >= 1.9


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_other_refusals_are_final(launch, receiver, status):
    martlet = launch(remote_write(receiver.endpoint))
    receiver.behaviour = lambda _: Reply(status, body=b"out of order\x1b[31m " + b"x" * 5000)
    send(martlet, request("bad", [({}, time.time(), 1.0)]))
    martlet.wait_for_metric("otelcol_exporter_send_failed_metric_points_total", 1, error_type="permanent")
    receiver.behaviour = accept
    send(martlet, request("good", [({}, time.time(), 1.0)]))
    receiver.wait("good_total")
    assert len([one for one in receiver.requests if one.status == status]) == 1
    record = next(one for one in martlet.log_records() if "dropping data" in one["msg"])
    assert f"HTTP {status}: out of order" in record["error"]
    assert len(record["error"]) < 400 and "\x1b" not in record["error"]


@pytest.mark.parametrize("make", [remote_write, version_2])
def test_too_large_is_split(launch, receiver, make):
    martlet = launch(make(receiver.endpoint))
    receiver.behaviour = lambda one: Reply(413) if len(one.plain) > 20_000 else Reply()
    now = time.time()
    for round_ in range(2):
        send(martlet, request(points=[({"n": str(n)}, now + round_, 1.0) for n in range(1500)], service=""))
    wait_for(lambda: martlet.metric("otelcol_exporter_sent_metric_points_total") == 3000, "all sent", 20)
    receiver.check_order()
    assert sum(one.sample_count for one in receiver.taken()) == 3000
    refused = [one for one in receiver.requests if one.status == 413]
    # The second request begins where the first one ended.
    assert 1 < len(refused) < 12


def test_survives_odd_answers(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint))
    answers = [Reply(200, body=b"x" * 300_000), Reply(200), Reply(299), Reply(302), Reply(599), Reply(204)]
    left = list(answers)
    receiver.behaviour = lambda _: left.pop(0) if left else Reply()
    for number in range(5):
        send(martlet, request(f"m{number}", [({}, time.time(), 1.0)], service=""))
        time.sleep(0.05)
    wait_for(lambda: len(receiver.requests) == 6, "six requests")
    martlet.wait_for_metric("otelcol_exporter_sent_metric_points_total", 4)
    assert martlet.metric("otelcol_exporter_send_failed_metric_points_total", error_type="permanent") == 1


# Fall-back

@pytest.mark.parametrize("reply", [Reply(415), Reply(400, body=b"cannot decode"), Reply(204, says_written=False)])
def test_fall_back_to_version_1_for_good(launch, receiver, reply):
    martlet = launch(version_2(receiver.endpoint))
    receiver.behaviour = lambda one: reply if one.version == V2 else Reply()
    for number in range(3):
        send(martlet, request(f"m{number}", [({}, time.time(), 1.0)], service=""))
        wait_for(lambda: any(series.name == f"m{number}_total" for one in receiver.requests
                             for series in one.series if one.version == V1), f"m{number} in version 1")
    assert [one.version for one in receiver.requests] == [V2, V1, V1, V1]
    martlet.wait_for_metric("otelcol_exporter_sent_metric_points_total", 3)
    assert martlet.metric("martlet_exporter_prometheus_fallbacks_total") == 1


def test_no_fall_back_from_a_receiver_that_knows_version_2(launch, receiver):
    martlet = launch(version_2(receiver.endpoint))
    send(martlet, request("m0", [({}, time.time(), 1.0)]))
    receiver.wait("m0_total")
    receiver.behaviour = lambda _: Reply(400, body=b"out of order")
    send(martlet, request("m1", [({}, time.time(), 1.0)]))
    martlet.wait_for_metric("otelcol_exporter_send_failed_metric_points_total", 1, error_type="permanent")
    assert {one.version for one in receiver.requests} == {V2}


def test_deltas_are_added_up_once(launch, receiver):
    martlet = launch(remote_write(receiver.endpoint))
    receiver.behaviour = fail_some(503, 2)
    start = time.time() - 100
    for round_ in range(20):
        send(martlet, request("deltas", [({}, start + round_, 2.0)], temporality=DELTA))
    wait_for(lambda: martlet.metric("otelcol_exporter_sent_metric_points_total") == 20, "all sent", 20)
    assert [series.samples[0].value for series in receiver.series("deltas_total")] == [2.0 * n for n in range(1, 21)]
    receiver.check_order()


# A real Prometheus

def test_prometheus_answers_what_was_recorded(launch, prometheus, applications):
    martlet = launch(remote_write(prometheus.endpoint))
    application = applications(martlet, views=VIEWS, region="eu")
    tracer = TracerProvider().get_tracer("t")
    with tracer.start_as_current_span("span") as span:
        counter = application.meter.create_counter("requests", unit="1")
        counter.add(7, {"code": "200"})
        counter.add(1, {"code": "500"})
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        classic = application.meter.create_histogram("latency", unit="s")
        native = application.meter.create_histogram("native", unit="s")
        values = [0.001 * 1.02 ** number for number in range(500)]
        for value in values:
            classic.record(value)
            native.record(value)
        application.meter.create_gauge("load", unit="1").set(0.5)
        application.meter.create_up_down_counter("jobs").add(-4)
    application.flush()
    prometheus.wait('requests_total{code="200"}', 7)
    assert prometheus.value('sum(requests_total{job="shop/api",instance="pod-1"})') == 8
    assert prometheus.value("load_ratio") == 0.5 and prometheus.value("jobs") == -4
    assert prometheus.value('latency_seconds_bucket{le="+Inf"}') == 500
    assert prometheus.value('latency_seconds_bucket{le="0.1"}') == sum(value <= 0.1 for value in values)
    assert prometheus.value("latency_seconds_sum") == pytest.approx(sum(values))
    assert prometheus.value("histogram_count(native_seconds)") == 500
    assert prometheus.value("histogram_sum(native_seconds)") == pytest.approx(sum(values))
    for quantile in (0.1, 0.5, 0.99):
        exact = sorted(values)[int(quantile * 500)]
        found = prometheus.value(f"histogram_quantile({quantile}, native_seconds)")
        assert exact / 2.2 < found < exact * 2.2
    joined = prometheus.query('requests_total{code="500"} * on (job, instance) group_left (region) target_info')
    assert joined[0][0]["region"] == "eu" and joined[0][1] == 1
    exemplars = prometheus.get("query_exemplars", query='requests_total{code="200"}', start=time.time() - 600,
                               end=time.time() + 60)
    assert exemplars[0]["exemplars"][0]["labels"]["trace_id"] == trace_id


def test_prometheus_sees_a_reset_and_an_end(launch, prometheus):
    martlet = launch(remote_write(prometheus.endpoint))
    now = time.time()
    # Up to 50, then from zero up to 20: 70 more than at the start.
    for second, value in enumerate([0, 25, 50, 5, 20]):
        send(martlet, request("restarts", [({}, now - 100 + 10 * second, float(value))]))
    prometheus.wait("max_over_time(restarts_total[5m])", 50)
    wait_for(lambda: len(prometheus.samples("restarts_total")) == 5, "five samples", 10)
    assert prometheus.value("resets(restarts_total[5m])") == 1
    end = request("restarts", [({}, now - 40, 0.0)])
    end.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].flags = 1
    assert prometheus.value("restarts_total", at=now - 41) == 20
    send(martlet, end)
    wait_for(lambda: prometheus.value("restarts_total") is None, "the series has ended", 10)
    assert prometheus.value("restarts_total", at=now - 41) == 20


def test_prometheus_as_receiver_of_version_1_only(launch, prometheus):
    """It answers 204 to what it does not understand."""
    martlet = launch(version_2(prometheus.endpoint))
    send(martlet, request("requests", [({}, time.time(), 3.0)]))
    prometheus.wait("requests_total", 3)
    fallbacks = martlet.metric("martlet_exporter_prometheus_fallbacks_total")
    version = prometheus.get("status/buildinfo")["version"]
    assert fallbacks == (1 if version.startswith("2.4") else 0)


def test_prometheus_is_killed_and_comes_back(launch, prometheus):
    martlet = launch(remote_write(prometheus.endpoint, remote_write_queue={"num_consumers": 5}))
    start = time.time() - 300
    total = 240

    def step(number):
        points = [({"n": str(n)}, start + number, float(number)) for n in range(50)]
        send(martlet, request("ticks", points))
    for number in range(80):
        step(number)
    prometheus.wait('count(ticks_total)', 50)
    prometheus.kill()
    for number in range(80, 160):
        step(number)
    assert martlet.metric("otelcol_exporter_queue_size") > 0
    prometheus.start()
    for number in range(160, total):
        step(number)
    wait_for(lambda: martlet.metric("otelcol_exporter_sent_metric_points_total") == total * 50, "all sent", 60, 0.1)
    for n in (0, 17, 49):
        samples = prometheus.samples(f'ticks_total{{n="{n}"}}', window="10m")
        assert [value for _, value in samples] == [float(number) for number in range(total)], "a gap"
    assert martlet.metric("otelcol_exporter_send_failed_metric_points_total") == 0
