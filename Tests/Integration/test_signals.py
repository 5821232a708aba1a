"""Metrics and logs, beside traces: from the SDK, by hand, in batches, to files; each signal counted as itself."""
import json
import logging

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from support.otlp import NOW, from_json, new_span_id, new_trace_id, to_json, traces
from support.process import configuration, to_sink
from support.wire import JSON, PROTOBUF

SIGNALS = ("traces", "metrics", "logs")


def all_signals(exporters, processors=None):
    pipelines = {}
    for signal in SIGNALS:
        pipelines[signal] = {"receivers": ["otlp"], "exporters": list(exporters)}
        if processors:
            pipelines[signal]["processors"] = list(processors)
    return configuration(exporters, processors=processors, pipelines=pipelines)


@pytest.fixture
def martlet(launch, sink):
    return launch(all_signals({"otlp_http": to_sink(sink)}))


def url(martlet, signal):
    return f"http://127.0.0.1:{martlet.port}/v1/{signal}"


def canonical(message):
    return message.SerializeToString(deterministic=True)


# ---- the SDK


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=lambda value: value.value)
def test_metrics_of_the_sdk(martlet, sink, compression):
    recorded = []

    class Exporter(OTLPMetricExporter):
        def export(self, metrics_data, *arguments, **options):
            recorded.append(encode_metrics(metrics_data))
            return super().export(metrics_data, *arguments, **options)

    reader = PeriodicExportingMetricReader(
        Exporter(endpoint=url(martlet, "metrics"), compression=compression), export_interval_millis=3_600_000)
    view = View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], Resource({"service.name": "metrics"}), views=[view])
    meter = provider.get_meter("scope", "1.0", "https://example.com/schema", {"a": "b"})
    counter = meter.create_counter("counter", "1", "a counter, größer")
    gauge = meter.create_gauge("gauge")
    meter.create_observable_up_down_counter("observed", [lambda _: []])
    for number in range(50):
        counter.add(number + 0.5, {"key": f"value {number % 7}", "flag": True, "list": ["a", "b"]})
        meter.create_up_down_counter("down").add(-number)
        gauge.set(-1.5e300, {"number": number % 3})
        meter.create_histogram("explicit", "ms").record(number * 10, {"model": "m"})
        meter.create_histogram("exponential").record(1.1 ** number)
    assert provider.force_flush(20_000)
    provider.shutdown()
    sink.wait_for_deliveries(len(recorded))
    assert martlet.stop() == 0
    assert sorted(canonical(delivery.request) for delivery in sink.accepted) == sorted(map(canonical, recorded))
    assert {delivery.path for delivery in sink.deliveries} == {"/v1/metrics"}


def test_logs_of_the_sdk(martlet, sink):
    recorded = []

    class Exporter(OTLPLogExporter):
        def export(self, batch):
            recorded.append(encode_logs(batch))
            return super().export(batch)

    provider = LoggerProvider(Resource({"service.name": "logs"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(Exporter(endpoint=url(martlet, "logs"))))
    logger = logging.getLogger("test_logs_of_the_sdk")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for number in range(100):
        logger.log(10 * (number % 5 + 1), "line %d: 世界", number, extra={"key": number, "flag": True})
    try:
        raise ValueError("with a trace")
    except ValueError:
        logger.exception("failed")
    assert provider.force_flush(20_000)
    provider.shutdown()
    sink.wait_for_deliveries(len(recorded))
    assert martlet.stop() == 0
    assert sorted(canonical(delivery.request) for delivery in sink.accepted) == sorted(map(canonical, recorded))
    assert sum(len(records_of(request)) for request in recorded) == 101


# ---- by hand


def all_points():
    """Every kind of point, with everything that it can have."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(schema_url="https://example.com/r")
    resource.resource.attributes.add(key="service.name").value.string_value = "points"
    scope = resource.scope_metrics.add(schema_url="https://example.com/s")
    scope.scope.name = "scope"

    def common(point):
        point.start_time_unix_nano, point.time_unix_nano, point.flags = NOW, NOW + 1, 1
        point.attributes.add(key="k").value.int_value = -1
        return point

    def exemplar(point):
        entry = point.exemplars.add(time_unix_nano=NOW, as_double=1.5, trace_id=new_trace_id(), span_id=new_span_id())
        entry.filtered_attributes.add(key="f").value.bool_value = True

    gauge = scope.metrics.add(name="gauge", description="größe", unit="By")
    common(gauge.gauge.data_points.add()).as_int = -(2**63)
    common(gauge.gauge.data_points.add()).as_double = float("-inf")
    gauge.metadata.add(key="m").value.string_value = "v"
    total = scope.metrics.add(name="sum").sum
    total.aggregation_temporality, total.is_monotonic = 1, True
    exemplar(common(total.data_points.add(as_double=float("nan"))))
    histogram = scope.metrics.add(name="histogram").histogram
    histogram.aggregation_temporality = 2
    point = common(histogram.data_points.add(
        count=2**63, sum=0.0, min=-1.5, max=7.0, bucket_counts=[1, 2**64 - 1, 0], explicit_bounds=[0.5, 1e300]))
    exemplar(point)
    exponential = scope.metrics.add(name="exponential").exponential_histogram
    point = common(exponential.data_points.add(count=3, scale=-10, zero_count=1, zero_threshold=0.25, sum=1.5))
    point.positive.offset, point.negative.offset = -5, 2**31 - 1
    point.positive.bucket_counts.extend([1, 2**40])
    point.negative.bucket_counts.append(0)
    summary = common(scope.metrics.add(name="summary").summary.data_points.add(count=1, sum=2.0))
    summary.quantile_values.add(quantile=0.99, value=1.25)
    return request, 6


def all_records():
    """Log records with every kind of body."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for set_body in (lambda body: setattr(body, "string_value", "text 🌍"), lambda body: setattr(body, "int_value", -1),
                     lambda body: setattr(body, "double_value", 0.1), lambda body: setattr(body, "bool_value", False),
                     lambda body: setattr(body, "bytes_value", b"\x00\xff"),
                     lambda body: body.array_value.values.add(string_value="x"),
                     lambda body: body.kvlist_value.values.add(key="k")):
        record = scope.log_records.add(
            time_unix_nano=NOW, observed_time_unix_nano=NOW + 1, severity_number=17, severity_text="ERROR", flags=1,
            dropped_attributes_count=2, event_name="event")
        set_body(record.body)
        record.attributes.add(key="k").value.string_value = "v"
    scope.log_records[0].trace_id, scope.log_records[0].span_id = new_trace_id(), new_span_id()
    scope.log_records.add()
    return request, 8


def records_of(request):
    return [record for resource in request.resource_logs for scope in resource.scope_logs
            for record in scope.log_records]


CASES = {"metrics": (all_points, "metric_points"), "logs": (all_records, "log_records")}


@pytest.mark.parametrize("signal", CASES)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("out", ["proto", "json"])
def test_everything_by_hand(launch, sink, signal, kind, out):
    martlet = launch(all_signals({"otlp_http": to_sink(sink, encoding=out)}))
    make, noun = CASES[signal]
    sent, count = make()
    body = sent.SerializeToString() if kind == PROTOBUF else to_json(sent).encode()
    answer = martlet.post(body, kind=kind, path=f"/v1/{signal}")
    assert answer.status == 200 and answer.body == (b"" if kind == PROTOBUF else b"{}")
    sink.wait_for_deliveries(1)
    # Texts are compared, since not-a-number is not equal to itself.
    assert json_format.MessageToJson(sink.deliveries[0].request) == json_format.MessageToJson(sent)
    martlet.wait_for_metric(f"otelcol_receiver_accepted_{noun}_total", count)
    martlet.wait_for_metric(f"otelcol_exporter_sent_{noun}_total", count)
    assert martlet.metric("otelcol_receiver_accepted_spans_total") == 0


def test_log_records_with_bad_ids(martlet, sink):
    sent, _ = all_records()
    bad = sent.resource_logs[0].scope_logs[0].log_records
    bad.add(trace_id=b"\x01" * 5)
    bad.add(trace_id=new_trace_id(), span_id=b"\x01" * 9)
    answer = martlet.post(sent, path="/v1/logs")
    assert answer.status == 200
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_log_records == 2 and partial.error_message
    sink.wait_for_deliveries(1)
    assert len(records_of(sink.deliveries[0].request)) == 8


def points_of(request):
    return [point for resource in request.resource_metrics for scope in resource.scope_metrics
            for metric in scope.metrics for point in metric.gauge.data_points]


def many_metrics(metrics, points):
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for number in range(metrics):
        gauge = scope.metrics.add(name=f"metric {number}").gauge
        for value in range(points):
            gauge.data_points.add(as_int=number * points + value, time_unix_nano=NOW)
    return request


def test_batches_of_metrics_and_logs(launch, sink):
    """Split and joined, nothing is missing and nothing comes twice."""
    martlet = launch(all_signals({"otlp_http": to_sink(sink)}, {
        "batch": {"send_batch_size": 50, "send_batch_max_size": 50, "timeout": "100ms"}}))
    assert martlet.post(many_metrics(30, 10), path="/v1/metrics").status == 200
    logs = ExportLogsServiceRequest()
    scope = logs.resource_logs.add().scope_logs.add()
    for number in range(120):
        scope.log_records.add(time_unix_nano=number + 1)
    assert martlet.post(logs, path="/v1/logs").status == 200
    martlet.wait_for_metric("otelcol_exporter_sent_metric_points_total", 300)
    martlet.wait_for_metric("otelcol_exporter_sent_log_records_total", 120)
    arrived = [delivery for delivery in sink.accepted if delivery.path == "/v1/metrics"]
    assert sorted(point.as_int for delivery in arrived for point in points_of(delivery.request)) == list(range(300))
    assert max(len(points_of(delivery.request)) for delivery in arrived) <= 50
    arrived = [delivery for delivery in sink.accepted if delivery.path == "/v1/logs"]
    assert sorted(record.time_unix_nano for delivery in arrived for record in records_of(delivery.request)) == list(
        range(1, 121))
    assert sorted(len(records_of(delivery.request)) for delivery in arrived) == [20, 50, 50]


def test_signals_do_not_mix(martlet, sink):
    for signal, body in (("traces", traces(2)), ("metrics", all_points()[0]), ("logs", all_records()[0])):
        assert martlet.post(body, path=f"/v1/{signal}").status == 200
    sink.wait_for_deliveries(3)
    assert sorted(delivery.path for delivery in sink.deliveries) == ["/v1/logs", "/v1/metrics", "/v1/traces"]


def test_a_signal_without_a_pipeline_is_not_served(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    for signal in ("metrics", "logs"):
        answer = martlet.post(b"", path=f"/v1/{signal}")
        assert answer.status == 404 and b"/v1/traces" in answer.body


def test_files(launch, tmp_path):
    config = configuration(
        {f"file/{signal}": {"path": str(tmp_path / f"{signal}.json")} for signal in CASES},
        pipelines={signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in CASES})
    martlet = launch(config)
    for signal, message in (("metrics", MetricsData()), ("logs", LogsData())):
        sent, _ = CASES[signal][0]()
        assert martlet.post(sent, path=f"/v1/{signal}").status == 200
        (line,) = (tmp_path / f"{signal}.json").read_text().splitlines()
        assert json.loads(json_format.MessageToJson(from_json(line, message))) == json.loads(
            json_format.MessageToJson(sent))


def test_invalid_exemplar_ids_reject_the_metric_alone(launch, tmp_path):
    path = tmp_path / "metrics.json"
    pipelines = {"metrics": {"receivers": ["otlp"], "exporters": ["file"]}}
    process = launch(configuration({"file": {"path": str(path)}}, pipelines=pipelines))
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    for name, trace_id in (("good", b"1" * 16), ("bad", b"123")):
        metric = metrics.add(name=name)
        for value in range(3):
            point = metric.gauge.data_points.add(as_int=value, time_unix_nano=1)
            point.exemplars.add(trace_id=trace_id, as_int=1)
    answer = process.post(request.SerializeToString(), path="/v1/metrics")
    assert answer.status == 200
    partial = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_data_points == 3 and "trace id" in partial.error_message
    (line,) = path.read_text(encoding="utf-8").splitlines()
    arrived = from_json(line, ExportMetricsServiceRequest())
    assert [metric.name for metric in arrived.resource_metrics[0].scope_metrics[0].metrics] == ["good"]
