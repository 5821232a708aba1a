"""Martlet's own metrics: otelcol's names, in a text that Prometheus' own parser reads, with right figures."""
import pytest

from support import wire
from support.otlp import traces
from support.process import configuration, to_sink
from support.sink import answer
from support.waiting import wait_for
from support.wire import PROTOBUF

COUNTERS = {
    "otelcol_receiver_accepted_spans_total": {"receiver": "otlp", "transport": "http"},
    "otelcol_receiver_refused_spans_total": {"receiver": "otlp", "transport": "http"},
    "otelcol_receiver_failed_spans_total": {"receiver": "otlp", "transport": "http"},
    "otelcol_receiver_requests_total": {"receiver": "otlp", "transport": "http"},
    "otelcol_exporter_sent_spans_total": {"exporter": "otlp_http"},
    "otelcol_exporter_send_failed_spans_total": {"exporter": "otlp_http"},
    "otelcol_exporter_enqueue_failed_spans_total": {"exporter": "otlp_http"},
    "otelcol_process_uptime_seconds_total": {},
    "otelcol_process_cpu_seconds_total": {},
}
GAUGES = {
    "otelcol_exporter_queue_size": {"exporter": "otlp_http", "data_type": "traces"},
    "otelcol_exporter_queue_capacity": {"exporter": "otlp_http", "data_type": "traces"},
    "otelcol_exporter_in_flight_requests": {"exporter": "otlp_http"},
    "otelcol_process_memory_rss_bytes": {},
}


def test_names_and_types(martlet):
    from prometheus_client.parser import text_string_to_metric_families
    answer = wire.get(martlet.metrics_port, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain") and "version=0.0.4" in answer.headers["content-type"]
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    for wanted, kind in ((COUNTERS, "counter"), (GAUGES, "gauge")):
        for name, labels in wanted.items():
            family = families[name.removesuffix("_total")]
            assert family.type == kind and family.documentation, name
            assert all(sample.name == name for sample in family.samples)
            assert any(labels.items() <= sample.labels.items() for sample in family.samples), name
    for family in families.values():
        assert family.type in ("counter", "gauge", "histogram"), f"{family.name} has no type"
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(series)) == len(series), f"{family.name} has a series twice"
    assert families["target_info"].samples[0].labels["service_name"] == "martlet"


def test_figures(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"queue_size": 4, "num_consumers": 2})}))
    bad = traces(3)
    bad.resource_spans[0].scope_spans[0].spans.add(name="no ids")
    for body in (bad, traces(5), traces(7), traces(1)):
        assert martlet.post(body).status == 200
    assert martlet.post(traces(11)).status == 503
    assert martlet.post(b"\x0a\x05").status == 400
    sink.wait_for_deliveries(2)
    assert martlet.metric("otelcol_exporter_queue_capacity") == 4
    assert martlet.metric("otelcol_exporter_queue_size") == 4
    assert martlet.metric("otelcol_exporter_in_flight_requests") == 2
    assert martlet.metric("otelcol_receiver_accepted_spans_total") == 16
    assert martlet.metric("otelcol_receiver_refused_spans_total") == 1 + 11
    assert martlet.metric("otelcol_exporter_enqueue_failed_spans_total") == 11
    assert martlet.metric("otelcol_receiver_requests_total", outcome="success") == 4
    assert martlet.metric("otelcol_receiver_requests_total", outcome="refused") == 1
    assert martlet.metric("otelcol_receiver_requests_total", outcome="failure") == 1
    held = martlet.metric("martlet_memory_held_bytes")
    assert held > 0 and martlet.metric("martlet_exporter_queue_bytes") > 0

    # Two are answered, the other two fail for good.
    sink.release(answer(400))
    martlet.wait_for_metric("otelcol_exporter_queue_size", 0)
    sent = martlet.metric("otelcol_exporter_sent_spans_total")
    failed = martlet.metric("otelcol_exporter_send_failed_spans_total", error_type="permanent")
    assert sent + failed == 16 and sent == 3 + 5
    assert martlet.metric("otelcol_exporter_in_flight_requests") == 0
    martlet.wait_for_metric("martlet_memory_held_bytes", 0)
    assert martlet.metric("otelcol_exporter_queue_batch_send_size_sum", exporter="otlp_http") == 16
    assert martlet.metric("otelcol_exporter_queue_batch_send_size_count") == 4


def test_process_figures(martlet):
    rss = martlet.metric("otelcol_process_memory_rss_bytes")
    assert abs(rss - martlet.rss()) < 4 << 20
    first = martlet.metric("otelcol_process_uptime_seconds_total")
    assert 0 < first < 60
    wait_for(lambda: martlet.metric("otelcol_process_uptime_seconds_total") > first + 0.1, "time to pass")
    cpu = martlet.metric("otelcol_process_cpu_seconds_total")
    for _ in range(50):
        martlet.post(traces(500))
    assert martlet.metric("otelcol_process_cpu_seconds_total") > cpu > 0


def test_requests_without_any_span_count_as_successes(martlet):
    assert martlet.post(b"").status == 200
    assert martlet.metric("otelcol_receiver_requests_total", outcome="success") == 1
    assert martlet.metric("otelcol_receiver_accepted_spans_total") == 0


@pytest.mark.parametrize("status, body, kind", [
    (413, b"\x0a" * 2000, PROTOBUF), (415, b"", "text/plain"), (400, b"\x00", PROTOBUF)])
def test_a_refused_request_moves_no_span(launch, sink, status, body, kind):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, http={"max_request_body_size": 1000}))
    assert martlet.post(body, kind=kind).status == status
    for name in ("accepted", "refused", "failed"):
        assert martlet.metric(f"otelcol_receiver_{name}_spans_total") == 0


def test_one_series_for_each_exporter_and_queue(launch, sinks):
    one, two = sinks(), sinks()
    pipelines = {
        "traces/a": {"receivers": ["otlp"], "exporters": ["otlp_http/1", "otlp_http/2"]},
        "traces/b": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["otlp_http/2"]},
    }
    martlet = launch(configuration({"otlp_http/1": to_sink(one), "otlp_http/2": to_sink(two)},
                                   processors={"batch": {"timeout": "50ms"}}, pipelines=pipelines))
    assert martlet.post(traces(3)).status == 200
    martlet.wait_for_metric("otelcol_exporter_sent_spans_total", 3, exporter="otlp_http/1")
    martlet.wait_for_metric("otelcol_exporter_sent_spans_total", 6, exporter="otlp_http/2")
    series = [str(labels) for labels, _ in martlet.metrics()["otelcol_exporter_sent_spans_total"]]
    assert len(set(series)) == len(series) == 3


def test_metrics_can_be_off_and_other_paths_are_not_there(launch, martlet):
    assert wire.get(martlet.metrics_port, "/").status == 404
    config = configuration({"nop": None})
    config["service"]["telemetry"]["metrics"]["level"] = "none"
    quiet = launch(config)
    with pytest.raises(OSError):
        wire.get(quiet.metrics_port, "/metrics")


def test_label_values_are_escaped(launch):
    config = configuration({"nop": None})
    config["service"]["telemetry"]["resource"] = {"deployment.environment": 'a"b\\c\nd'}
    martlet = launch(config)
    assert martlet.metrics()["target_info"][0][0]["deployment_environment"] == 'a"b\\c\nd'
