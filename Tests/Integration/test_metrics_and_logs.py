"""Metrics and logs of the OpenTelemetry Python SDK pass through as they were sent, by every way out."""
import logging

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from support.otlp import from_json
from support.process import configuration

RESOURCE = Resource({"service.name": "sdk", "service.instance.id": "ä1"})


class RecordingMetrics(OTLPMetricExporter):
    """Keeps what it sends."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sent = []

    def export(self, metrics_data, *args, **kwargs):
        self.sent.append(encode_metrics(metrics_data))
        return super().export(metrics_data, *args, **kwargs)


class RecordingLogs(OTLPLogExporter):
    """Keeps what it sends."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sent = []

    def export(self, batch, *args, **kwargs):
        self.sent.append(encode_logs(batch))
        return super().export(batch, *args, **kwargs)


@pytest.fixture
def collector(launch, tmp_path):
    """A process that writes metrics and logs to a file each, and its two paths."""
    paths = {signal: tmp_path / f"{signal}.json" for signal in ("metrics", "logs")}
    exporters = {f"file/{signal}": {"path": str(path)} for signal, path in paths.items()}
    pipelines = {signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in paths}
    return launch(configuration(exporters, pipelines=pipelines)), paths


def received(path, message):
    return [from_json(line, message()) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_metric_type_of_the_sdk(collector):
    process, paths = collector
    exporter = RecordingMetrics(endpoint=f"http://127.0.0.1:{process.port}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], resource=RESOURCE, views=views)
    meter = provider.get_meter("scope", "1")
    counter = meter.create_counter("counter", unit="1", description="Zähler")
    meter.create_observable_gauge("gauge", [lambda _: [Observation(0.25, {"room": "küche"})]])
    for number in range(10):
        counter.add(number, {"key": "value", "number": number % 3})
        meter.create_up_down_counter("up_and_down").add(-number)
        meter.create_histogram("histogram", unit="ms").record(number * 7.5, {"a": True})
        meter.create_histogram("exponential").record(2.0 ** number)
    provider.force_flush(20_000)
    provider.shutdown()
    sent = [request for request in exporter.sent if request.resource_metrics]
    assert sent and received(paths["metrics"], ExportMetricsServiceRequest) == sent
    points = sum(len(getattr(metric, metric.WhichOneof("data")).data_points) for request in sent
                 for resource in request.resource_metrics for scope in resource.scope_metrics
                 for metric in scope.metrics)
    process.wait_for_metric("otelcol_receiver_accepted_metric_points_total", points)
    process.wait_for_metric("otelcol_exporter_sent_metric_points_total", points)


def test_logs_of_the_sdk(collector):
    process, paths = collector
    exporter = RecordingLogs(endpoint=f"http://127.0.0.1:{process.port}/v1/logs")
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = logging.getLogger("integration")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for number, level in enumerate((logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)):
        logger.log(level, "message %d: Grüße 🌍", number, extra={"number": number, "nested": {"a": [1, "b", None]}})
    provider.shutdown()
    assert len(exporter.sent) == 4 and received(paths["logs"], ExportLogsServiceRequest) == exporter.sent
    process.wait_for_metric("otelcol_receiver_accepted_log_records_total", 4)


def test_invalid_exemplar_ids_reject_the_metric_alone(collector):
    process, paths = collector
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
    (arrived,) = received(paths["metrics"], ExportMetricsServiceRequest)
    assert [metric.name for metric in arrived.resource_metrics[0].scope_metrics[0].metrics] == ["good"]
