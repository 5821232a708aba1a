"""The deltatocumulative processor: an SDK that sends deltas; what arrives is what the same SDK counts cumulatively."""
import random

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from support.otlp import from_json
from support.process import configuration

DELTA = {kind: AggregationTemporality.DELTA for kind in (Counter, UpDownCounter, Histogram)}
KINDS = ("sum", "histogram", "exponential_histogram")


def metrics_only(exporters, **processors):
    pipelines = {"metrics": {"receivers": ["otlp"], "processors": list(processors), "exporters": list(exporters)}}
    return configuration(exporters, processors=processors, pipelines=pipelines)


class DeltaSDK:
    """A meter provider that sends deltas to a URL, and counts cumulatively beside that."""

    def __init__(self, url):
        self.cumulative = InMemoryMetricReader()
        exporter = OTLPMetricExporter(endpoint=url, preferred_temporality=DELTA)
        self.sender = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        views = [View(instrument_name="exponential*", aggregation=ExponentialBucketHistogramAggregation())]
        self.provider = MeterProvider([self.cumulative, self.sender], Resource({"service.name": "deltas"}), views=views)

    def send(self):
        assert self.provider.force_flush(30_000)

    def recorded(self):
        """What was counted, as the SDK's own encoder puts it."""
        return encode_metrics(self.cumulative.get_metrics_data())


def record(meter, rounds, send, seed=1):
    """Some of everything, sent in `rounds` requests."""
    chance = random.Random(seed)
    counter = meter.create_counter("requests", "1")
    floating = meter.create_counter("seconds", "s")
    up_down = meter.create_up_down_counter("active")
    explicit = meter.create_histogram("explicit.duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1, 10])
    exponential = meter.create_histogram("exponential.duration", "s")
    for _ in range(rounds):
        for _ in range(chance.randrange(1, 30)):
            attributes = {"route": chance.choice("abc"), "ok": chance.random() < 0.9}
            counter.add(chance.randrange(5), attributes)
            floating.add(chance.randrange(64) / 8, attributes)
            up_down.add(chance.randrange(-4, 5), attributes)
            value = chance.randrange(1, 1 << 20) / 1024
            explicit.record(value, attributes)
            exponential.record(value if chance.random() < 0.9 else 0, {"route": attributes["route"]})
        send()


def points_of(*messages):
    """(metric, attributes) -> the last point, and its kind and metric."""
    found = {}
    for message in messages:
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points:
                        attributes = tuple(sorted((a.key, a.value.SerializeToString()) for a in point.attributes))
                        found[metric.name, attributes] = (kind, getattr(metric, kind), point)
    return found


def exponential(point, scale):
    """The buckets of a side by index, at a scale that is not above the point's."""
    def side(buckets):
        sums = {}
        for number, count in enumerate(buckets.bucket_counts):
            index = (buckets.offset + number) >> (point.scale - scale)
            sums[index] = sums.get(index, 0) + count
        return {index: count for index, count in sums.items() if count}
    return side(point.positive), side(point.negative), point.zero_count


def assert_same_totals(found, wanted):
    assert found.keys() == wanted.keys() and wanted
    for key, (kind, _, expected) in wanted.items():
        found_kind, data, point = found[key]
        assert found_kind == kind and data.aggregation_temporality == 2, key
        if kind == "sum":
            assert point.as_int + point.as_double == expected.as_int + expected.as_double, key
            continue
        assert (point.count, point.min, point.max) == (expected.count, expected.min, expected.max), key
        assert point.sum == pytest.approx(expected.sum, rel=1e-12), key
        if kind == "histogram":
            assert list(point.bucket_counts) == list(expected.bucket_counts), key
            assert list(point.explicit_bounds) == list(expected.explicit_bounds), key
        else:
            scale = min(point.scale, expected.scale)
            assert exponential(point, scale) == exponential(expected, scale), key


def messages(path):
    return [from_json(line, MetricsData()) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["deltatocumulative", "delta_to_cumulative"])
def test_totals_are_those_of_the_sdk(launch, tmp_path, name):
    path = tmp_path / "metrics.json"
    martlet = launch(metrics_only({"file": {"path": str(path)}}, **{name: {}}))
    sdk = DeltaSDK(f"http://127.0.0.1:{martlet.port}/v1/metrics")
    rounds = 12
    record(sdk.provider.get_meter("test", "1.0"), rounds, sdk.send)
    wanted = points_of(sdk.recorded())
    tracked = martlet.metric("otelcol_deltatocumulative_streams_tracked", processor=name)
    processed = martlet.metric("otelcol_deltatocumulative_datapoints_total", processor=name)
    assert martlet.metric("martlet_deltatocumulative_state_bytes") > 0
    assert martlet.stop() == 0
    sdk.provider.shutdown()

    received = messages(path)
    found = points_of(*received)
    assert_same_totals(found, wanted)
    assert tracked == len(wanted) and processed >= tracked
    assert {kind for kind, _, _ in found.values()} == set(KINDS)
    # Every stream keeps its start, and its time goes on.
    starts, times = {}, {}
    for message in received:
        for key, (_, _, point) in points_of(message).items():
            assert starts.setdefault(key, point.start_time_unix_nano) == point.start_time_unix_nano
            assert times.get(key, 0) < point.time_unix_nano
            times[key] = point.time_unix_nano


def test_streams_beyond_the_limit_are_dropped_and_counted(launch, tmp_path):
    path = tmp_path / "metrics.json"
    martlet = launch(metrics_only({"file": {"path": str(path)}}, deltatocumulative={"max_streams": 3}))
    sdk = DeltaSDK(f"http://127.0.0.1:{martlet.port}/v1/metrics")
    counter = sdk.provider.get_meter("test").create_counter("requests")
    for _ in range(2):
        for number in range(5):
            counter.add(number + 1, {"number": number})
        sdk.send()
    assert martlet.metric("otelcol_deltatocumulative_streams_tracked") == 3
    assert martlet.metric("otelcol_deltatocumulative_datapoints_total", error="limit") == 4
    sdk.provider.shutdown()
    assert martlet.stop() == 0
    found = points_of(*messages(path))
    assert sorted(point.as_int for _, _, point in found.values()) == [2, 4, 6]
