"""What happens between a taken request and a destination that answers, in every way that it can answer."""
import base64
import json
import threading
import time
from email.utils import formatdate

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (ExportTraceServiceRequest,
                                                                      ExportTraceServiceResponse)

from support.hostile import in_span, message
from support.otlp import flat, ids_of, rpc_status, to_json, traces
from support.process import configuration, to_sink
from support.sink import Reply, answer, first, slow
from support.waiting import wait_for

SENT = "otelcol_exporter_sent_spans_total"
FAILED = "otelcol_exporter_send_failed_spans_total"


def gap(deliveries):
    """Seconds between the first two requests."""
    return deliveries[1].at - deliveries[0].at


# ---- answers that mean: again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_tried_again(martlet, sink, status):
    sink.behaviour = first(3, answer(status))
    sent = traces(5)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(5)
    assert [delivery.status for delivery in sink.deliveries] == [status] * 3 + [200]
    assert all(delivery.ids == ids_of(sent) for delivery in sink.deliveries)
    martlet.wait_for_metric(SENT, 5)
    assert martlet.metric(FAILED) == 0


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds(martlet, sink, status):
    sink.behaviour = first(1, answer(status, Retry_After=2))
    martlet.post(traces(1))
    sink.wait_for_spans(1)
    assert 2.0 <= gap(sink.deliveries) < 4.0


def test_retry_after_as_a_date(martlet, sink):
    sink.behaviour = first(1, lambda _: Reply(503, {"Retry-After": formatdate(time.time() + 3, usegmt=True)}))
    martlet.post(traces(1))
    sink.wait_for_spans(1)
    # Dates have whole seconds.
    assert 1.9 <= gap(sink.deliveries) < 30


def test_retry_info_in_the_status(martlet, sink):
    """google.rpc.RetryInfo holds where there is no Retry-After."""
    status = Status(code=14)
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)))
    sink.behaviour = first(1, answer(503, status.SerializeToString(), Content_Type="application/x-protobuf"))
    martlet.post(traces(1))
    sink.wait_for_spans(1)
    assert 1.5 <= gap(sink.deliveries) < 3.5


@pytest.mark.parametrize("value", ["0", "-5", "soon", "1.5.2", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_odd_retry_after(martlet, sink, value):
    """Nonsense is ignored: the backoff's own wait holds."""
    sink.behaviour = first(1, answer(503, Retry_After=value))
    martlet.post(traces(1))
    sink.wait_for_spans(1)
    assert gap(sink.deliveries) < 1.5


@pytest.mark.parametrize("value", ["86400", "9" * 40, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_past_the_limit_of_time_gives_up(martlet, sink, value):
    """A wait that would pass max_elapsed_time is not begun."""
    sink.behaviour = answer(503, Retry_After=value)
    martlet.post(traces(2))
    martlet.wait_for_metric(FAILED, 2, error_type="retries_exhausted")
    assert len(sink.deliveries) == 1


def test_backoff_grows_and_the_limit_of_time_holds(launch, sink):
    sink.behaviour = answer(503)
    martlet = launch(configuration({"otlp_http": to_sink(sink, retry={
        "initial_interval": "100ms", "multiplier": 2, "randomization_factor": 0, "max_interval": "400ms",
        "max_elapsed_time": "1500ms"})}))
    martlet.post(traces(4))
    martlet.wait_for_metric(FAILED, 4, error_type="retries_exhausted")
    times = [delivery.at for delivery in sink.deliveries]
    waits = [after - before for before, after in zip(times, times[1:])]
    assert len(waits) in (4, 5)
    for wait, least in zip(waits, [0.1, 0.2, 0.4, 0.4, 0.4]):
        assert wait >= least - 0.005
    assert times[-1] - times[0] < 1.6


def test_no_retry_when_it_is_turned_off(launch, sink):
    sink.behaviour = answer(503)
    martlet = launch(configuration({"otlp_http": to_sink(sink, retry={"enabled": False})}))
    martlet.post(traces(2))
    martlet.wait_for_metric(FAILED, 2, error_type="retries_exhausted")
    assert len(sink.deliveries) == 1


# ---- answers that mean: never


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 415, 422, 500, 501, 301])
def test_what_is_not_tried_again(martlet, sink, status):
    reason = Status(code=3, message="the reason of the destination").SerializeToString()
    sink.behaviour = first(1, answer(status, reason, Retry_After=1))
    martlet.post(traces(3))
    martlet.wait_for_metric(FAILED, 3, error_type="permanent")
    assert f"HTTP {status}" in martlet.log and "the reason of the destination" in martlet.log
    after = traces(1)
    martlet.post(after)
    assert sink.wait_for_spans(1) == ids_of(after)
    assert len(sink.deliveries) == 2


@pytest.mark.parametrize("status", [202, 204, 206])
def test_other_successes(martlet, sink, status):
    sink.behaviour = answer(status)
    martlet.post(traces(2))
    martlet.wait_for_metric(SENT, 2)
    assert len(sink.deliveries) == 1


@pytest.mark.parametrize("body, kind", [(b"OK", "text/plain"), (b"\xff\xff", "application/x-protobuf"),
                                        (b"<html>", "text/html"), (b"{", "application/json")])
def test_a_success_with_a_strange_body_is_a_success(martlet, sink, body, kind):
    sink.behaviour = answer(200, body, Content_Type=kind)
    martlet.post(traces(2))
    martlet.wait_for_metric(SENT, 2)
    assert martlet.metric(FAILED) == 0 and len(sink.deliveries) == 1


# ---- too large, and in part


def refuse_above(limit):
    return lambda delivery: Reply(413) if delivery.span_count > limit else Reply()


def test_too_large_is_halved_until_it_fits(martlet, sink):
    sink.behaviour = refuse_above(10)
    sent = traces(100)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(100)
    assert flat(*sink.requests) == flat(sent)
    assert max(delivery.span_count for delivery in sink.accepted) <= 10
    martlet.wait_for_metric(SENT, 100)
    assert martlet.metric(FAILED) == 0


def test_a_single_span_that_is_too_large_does_not_take_others_with_it(martlet, sink):
    sent = traces(16)
    spans = sent.resource_spans[0].scope_spans[0].spans
    spans[11].attributes.add(key="prompt").value.string_value = "x" * 100_000
    large = (spans[11].trace_id, spans[11].span_id)
    sink.behaviour = lambda delivery: Reply(413 if large in delivery.ids else 200)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(15)
    martlet.wait_for_metric(FAILED, 1, error_type="too_large")
    assert martlet.metric(SENT) == 15
    assert sorted(sink.ids) == sorted(set(ids_of(sent)) - {large})


def test_partial_success_of_the_destination(martlet, sink):
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 4
    partial.partial_success.error_message = "four were too old"
    sink.behaviour = answer(200, partial.SerializeToString())
    assert martlet.post(traces(10)).status == 200
    martlet.wait_for_metric(FAILED, 4, error_type="rejected")
    assert martlet.metric(SENT) == 6
    assert len(sink.deliveries) == 1
    assert "four were too old" in martlet.log


def test_partial_success_in_json(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink, encoding="json")}))
    body = b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"three"}}'
    sink.behaviour = answer(200, body, Content_Type="application/json")
    martlet.post(traces(10))
    martlet.wait_for_metric(FAILED, 3, error_type="rejected")
    assert martlet.metric(SENT) == 7


def test_an_endless_answer_is_not_read_to_its_end(martlet, sink):
    """Answers are bounded. The data counts as failed, and is not sent again: it may well have arrived."""
    sink.behaviour = answer(200, b"x" * (60 << 20))
    before = martlet.rss()
    martlet.post(traces(3))
    martlet.wait_for_metric(FAILED, 3, error_type="permanent")
    assert len(sink.deliveries) == 1
    assert martlet.peak_rss() < before + (24 << 20)


# ---- dead letters


def dead_letters(directory):
    (path,) = directory.iterdir()
    assert path.stat().st_mode & 0o077 == 0, "dead letters are for their owner only"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_dead_letters_keep_what_will_never_be_taken(launch, sink, tmp_path):
    directory = tmp_path / "letters"
    directory.mkdir()
    martlet = launch(configuration({"otlp_http": to_sink(
        sink, dead_letter={"directory": str(directory)}, retry={"max_elapsed_time": "300ms"})}))
    sink.behaviour = answer(400)
    sent = [traces(3), traces(4)]
    martlet.post(sent[0])
    martlet.wait_for_metric(FAILED, 3, error_type="permanent")
    sink.behaviour = answer(503)
    martlet.post(sent[1])
    martlet.wait_for_metric(FAILED, 4, error_type="retries_exhausted")
    martlet.wait_for_metric("martlet_exporter_dead_letter_spans_total", 7)
    assert martlet.stop() == 0
    letters = dead_letters(directory)
    assert [(letter["cause"], letter["items"]) for letter in letters] == [("permanent", 3), ("retries_exhausted", 4)]
    kept = [ExportTraceServiceRequest.FromString(base64.b64decode(letter["request"])) for letter in letters]
    assert flat(*kept) == flat(*sent)


# ---- the request itself


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "deflate"])
def test_what_the_destination_sees(launch, sink, compression):
    martlet = launch(configuration({"otlp_http": to_sink(sink, compression=compression, headers={
        "X-Tenant": "acme", "Authorization": "Bearer secret-token-of-the-test"})}, level="debug"))
    sent = traces(10)
    martlet.post(sent)
    sink.wait_for_spans(10)
    seen = sink.deliveries[0]
    assert seen.path == "/v1/traces"
    assert seen.headers["content-type"] == "application/x-protobuf"
    assert seen.headers.get("content-encoding") == (None if compression == "none" else compression)
    assert seen.headers["x-tenant"] == "acme"
    assert seen.headers["authorization"] == "Bearer secret-token-of-the-test"
    assert "secret-token-of-the-test" not in martlet.log
    assert flat(seen.request) == flat(sent)


def test_endpoints(launch, sink):
    exporter = to_sink(sink, traces_endpoint=f"{sink.endpoint}/own/path?x=1")
    del exporter["endpoint"]
    other = {**to_sink(sink), "endpoint": sink.endpoint + "/prefix/"}
    martlet = launch(configuration({"otlphttp": exporter, "otlp_http/2": other}))
    martlet.post(traces(1))
    sink.wait_for_spans(2)
    assert sorted(delivery.path for delivery in sink.deliveries) == ["/own/path?x=1", "/prefix/v1/traces"]


def test_unchanged_bytes_are_passed_on(martlet, sink):
    """What nobody touched leaves as it came, unknown fields and all."""
    body = in_span(message(1000, b"unknown")) + message(999, b"unknown at the top")
    assert martlet.post(body).status == 200
    sink.wait_for_deliveries(1)
    assert sink.deliveries[0].body == body


# ---- batches


def test_batches_gather_and_are_capped(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={
        "batch": {"send_batch_size": 100, "send_batch_max_size": 100, "timeout": "300ms"}}))
    sent = [traces(size) for size in (250, 30, 3, 1, 99, 100, 101, 17)]
    for request in sent:
        assert martlet.post(request).status == 200
    sink.wait_for_spans(601)
    assert flat(*sink.requests) == flat(*sent)
    sizes = [delivery.span_count for delivery in sink.deliveries]
    assert sorted(sizes) == [1] + [100] * 6


def test_a_batch_waits_for_its_timeout(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"batch": {"timeout": "500ms"}}))
    begun = time.monotonic()
    for _ in range(3):
        martlet.post(traces(2))
    sink.wait_for_spans(6)
    assert [delivery.span_count for delivery in sink.deliveries] == [6]
    assert 0.45 < sink.deliveries[0].at - begun < 2.0


def test_batches_of_the_queue_by_metadata(launch, sink):
    queue = {"batch": {"flush_timeout": "300ms", "partition": {"metadata_keys": ["X-Tenant"]}}}
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue=queue)}, http={"include_metadata": True}))
    expected = {}
    for number in range(12):
        request = traces(1)
        tenant = "abc"[number % 3]
        expected.setdefault(tenant, []).extend(ids_of(request))
        martlet.post(request, headers={"X-Tenant": tenant})
    sink.wait_for_spans(12)
    assert sorted(sorted(delivery.ids) for delivery in sink.deliveries) == sorted(
        sorted(ids) for ids in expected.values())


# ---- queues


def test_a_full_queue_refuses_with_a_hint(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"queue_size": 3, "num_consumers": 1})}))
    taken = [traces(2) for _ in range(3)]
    assert [martlet.post(request).status for request in taken] == [200] * 3
    for kind in ("application/x-protobuf", "application/json"):
        body = traces(5) if "protobuf" in kind else to_json(traces(5)).encode()
        refused = martlet.post(body, kind=kind)
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        status = rpc_status(refused)
        assert status.code == 14 and "queue" in status.message
    martlet.wait_for_metric("otelcol_receiver_refused_spans_total", 10)
    assert martlet.metric("otelcol_exporter_enqueue_failed_spans_total") == 10
    assert martlet.metric("otelcol_exporter_queue_size") == martlet.metric("otelcol_exporter_queue_capacity") == 3
    sink.release()
    sink.wait_for_spans(6)
    assert flat(*sink.requests) == flat(*taken)
    martlet.wait_for_metric("otelcol_exporter_queue_size", 0)
    assert martlet.post(traces(1)).status == 200


def test_block_on_overflow_holds_the_answer(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={
        "queue_size": 1, "num_consumers": 1, "block_on_overflow": True})}))
    assert martlet.post(traces(1)).status == 200
    sink.wait_for_deliveries(1)
    outcome = []
    poster = threading.Thread(target=lambda: outcome.append(martlet.post(traces(1), timeout=20)))
    poster.start()
    poster.join(0.5)
    assert not outcome, "the answer should wait for room"
    # Others are served meanwhile.
    assert martlet.health() == 200
    sink.release()
    poster.join(10)
    assert outcome[0].status == 200
    sink.wait_for_spans(2)


def test_block_on_overflow_ends(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={
        "queue_size": 1, "num_consumers": 1, "block_on_overflow": True, "overflow_timeout": "500ms"})}))
    assert martlet.post(traces(1)).status == 200
    begun = time.monotonic()
    refused = martlet.post(traces(1))
    assert refused.status == 503 and "retry-after" in refused.headers
    assert 0.45 < time.monotonic() - begun < 3


@pytest.mark.parametrize("queue", [{"wait_for_result": True}, {"enabled": False}], ids=["wait", "no queue"])
def test_wait_for_result(launch, sink, queue):
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue=queue, retry={"max_elapsed_time": "500ms"})}))
    sink.behaviour = slow(0.4)
    begun = time.monotonic()
    assert martlet.post(traces(1)).status == 200
    assert time.monotonic() - begun >= 0.4 and len(sink.accepted) == 1
    sink.behaviour = answer(400)
    refused = martlet.post(traces(1))
    assert refused.status == 500 and rpc_status(refused).message
    sink.behaviour = answer(503)
    refused = martlet.post(traces(1))
    assert refused.status == 503 and "retry-after" in refused.headers


# ---- graphs


def test_a_dead_destination_does_not_hold_up_another(launch, sinks):
    good, dead = sinks(), sinks()
    dead.stop()
    martlet = launch(configuration({"otlp_http/good": to_sink(good), "otlp_http/dead": to_sink(dead)}))
    sent = []
    for _ in range(20):
        sent.append(traces(3))
        begun = time.monotonic()
        assert martlet.post(sent[-1]).status == 200
        good.wait_for_spans(3 * len(sent), timeout=30)
        assert time.monotonic() - begun < 10
    assert flat(*good.requests) == flat(*sent)
    dead.start()
    dead.wait_for_spans(60)
    assert flat(*dead.requests) == flat(*sent)


def test_a_hanging_destination_does_not_hold_up_another(launch, sinks):
    good, hanging = sinks(), sinks()
    hanging.behaviour = hanging.hold
    martlet = launch(configuration({"otlp_http/good": to_sink(good), "otlp_http/hanging": to_sink(hanging)}))
    sent = [traces(1) for _ in range(50)]
    for request in sent:
        assert martlet.post(request).status == 200
    good.wait_for_spans(50, timeout=30)
    assert flat(*good.requests) == flat(*sent)
    hanging.release()
    hanging.wait_for_spans(50)
    assert flat(*hanging.requests) == flat(*sent)


def test_two_pipelines_and_a_connector(launch, sinks):
    direct, left, right = sinks(), sinks(), sinks()
    pipelines = {
        "traces/direct": {"receivers": ["otlp"], "exporters": ["otlp_http/direct"]},
        "traces/in": {"receivers": ["otlp"], "exporters": ["forward"]},
        "traces/left": {"receivers": ["forward"], "processors": ["batch"], "exporters": ["otlp_http/left"]},
        "traces/right": {"receivers": ["forward"], "exporters": ["otlp_http/right", "otlp_http/left"]},
    }
    martlet = launch(configuration(
        {"otlp_http/direct": to_sink(direct), "otlp_http/left": to_sink(left), "otlp_http/right": to_sink(right)},
        processors={"batch": {"timeout": "100ms"}}, connectors={"forward": None}, pipelines=pipelines))
    sent = [traces(4) for _ in range(3)]
    for request in sent:
        assert martlet.post(request).status == 200
    for sink, times in ((direct, 1), (right, 1), (left, 2)):
        sink.wait_for_spans(12 * times)
    assert martlet.stop() == 0
    assert flat(*direct.requests) == flat(*right.requests) == flat(*sent)
    assert sorted(left.ids) == sorted(ids_of(*sent) * 2)


def test_one_receiver_is_refused_when_any_branch_is_full(launch, sinks):
    """A client is told to come again when one destination did not take the data."""
    good, full = sinks(), sinks()
    full.behaviour = full.hold
    martlet = launch(configuration({
        "otlp_http/good": to_sink(good), "otlp_http/full": to_sink(full, queue={"queue_size": 1, "num_consumers": 1})}))
    assert martlet.post(traces(1)).status == 200
    wait_for(lambda: martlet.metric("otelcol_exporter_queue_size", exporter="otlp_http/full") == 1, "a full queue")
    assert martlet.post(traces(1)).status == 503
