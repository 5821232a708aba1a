"""Start, readiness, stop: what is drained, what is lost and said to be lost, exit codes."""
import signal
import socket
import subprocess
import time
from collections import Counter

import pytest

from support import wire
from support.hostile import in_value, message
from support.otlp import flat, ids_of, traces
from support.process import configuration, to_sink
from support.sink import answer, slow
from support.waiting import wait_for
from support.wire import PROTOBUF, Connection, head, post_bytes


def lost_by_cause(martlet):
    """{cause: items} of the lines about data that was lost at the end."""
    lost = Counter()
    for record in martlet.log_records():
        if record["msg"] == "data lost at shutdown":
            assert record["exporter"] == "otlp_http" and record["signal"] == "traces"
            lost[record["cause"]] += int(record["items"])
    return dict(lost)


# ---- a graceful stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_drains_the_queue_to_a_slow_destination(launch, sink, number):
    sink.behaviour = slow(0.1)
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"num_consumers": 2})}))
    sent = [traces(3) for _ in range(20)]
    for request in sent:
        assert martlet.post(request).status == 200
    assert len(sink.accepted) < 20
    martlet.signal(number)
    assert martlet.wait() == 0
    assert flat(*sink.requests) == flat(*sent)
    assert lost_by_cause(martlet) == {}
    assert [record["msg"] for record in martlet.log_records()][-1] == "stopped"


def test_a_stop_flushes_what_is_being_batched(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={
        "batch": {"timeout": "1h", "send_batch_size": 10_000}}))
    sent = [traces(3) for _ in range(5)]
    for request in sent:
        assert martlet.post(request).status == 200
    assert not sink.deliveries
    assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(*sent)
    assert [delivery.span_count for delivery in sink.deliveries] == [15]


def test_a_stop_tries_again_what_waits_for_its_retry(launch, sink):
    sink.behaviour = answer(503)
    martlet = launch(configuration({"otlp_http": to_sink(sink, retry={
        "initial_interval": "1h", "max_interval": "1h", "max_elapsed_time": "0s"})}))
    sent = traces(4)
    assert martlet.post(sent).status == 200
    wait_for(lambda: "will retry" in martlet.log, "a line about the retry")
    sink.behaviour = answer(200)
    assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(sent)


def test_a_stop_through_a_connector(launch, sink):
    pipelines = {
        "traces/in": {"receivers": ["otlp"], "exporters": ["forward"]},
        "traces/out": {"receivers": ["forward"], "processors": ["batch"], "exporters": ["otlp_http"]},
    }
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"batch": {"timeout": "1h"}},
                                   connectors={"forward": None}, pipelines=pipelines))
    sent = traces(4)
    assert martlet.post(sent).status == 200
    assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(sent)


def test_a_dead_destination_does_not_hold_up_the_stop(launch, sink):
    sink.stop()
    martlet = launch(configuration({"otlp_http": to_sink(sink)}), args=["--shutdown-timeout", "1500ms"])
    for size in (3, 4, 5):
        assert martlet.post(traces(size)).status == 200
    begun = time.monotonic()
    assert martlet.stop() == 0
    assert time.monotonic() - begun < 4
    lost = lost_by_cause(martlet)
    assert sum(lost.values()) == 12 and set(lost) <= {"shutdown", "interrupted", "retries_exhausted"}, lost


def test_a_hanging_destination_is_given_up_at_the_deadline(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"num_consumers": 1})}),
                     args=["--shutdown-timeout", "1500ms"])
    for size in (3, 4, 5):
        assert martlet.post(traces(size)).status == 200
    sink.wait_for_deliveries(1)
    begun = time.monotonic()
    assert martlet.stop() == 0
    assert 1.3 < time.monotonic() - begun < 4
    # What was on its way may have arrived; what was not sent has not.
    lost = lost_by_cause(martlet)
    assert sum(lost.values()) == 12 and lost["shutdown"] == 9, lost
    assert [delivery.span_count for delivery in sink.deliveries] == [3]


def test_a_second_signal_ends_it_at_once(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    martlet.post(traces(1))
    sink.wait_for_deliveries(1)
    martlet.signal()
    wait_for(lambda: martlet.health() == 503, "not ready")
    begun = time.monotonic()
    martlet.signal()
    assert martlet.wait() in (-signal.SIGTERM, 1, 128 + signal.SIGTERM)
    assert time.monotonic() - begun < 2


def test_sighup_is_survived(launch):
    martlet = launch(configuration({"nop": None}))
    martlet.signal(signal.SIGHUP)
    wait_for(lambda: "SIGHUP" in martlet.log, "a line about SIGHUP")
    assert martlet.post(traces(1)).status == 200
    assert martlet.stop() == 0


def test_stop_without_any_data(launch):
    martlet = launch(configuration({"nop": None}))
    begun = time.monotonic()
    assert martlet.stop() == 0
    assert time.monotonic() - begun < 2


def test_a_request_in_flight_is_finished(launch, sink):
    """A body that is coming in at the signal is read, taken and answered; idle connections end."""
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    sent = traces(2, padding=1000)
    data = post_bytes(sent.SerializeToString())
    with Connection(martlet.port) as busy, Connection(martlet.port) as idle:
        idle.send(post_bytes(b""))
        assert idle.read_answer().status == 200
        busy.send(data[:500])
        time.sleep(0.05)
        martlet.signal()
        assert idle.is_ended()
        busy.send(data[500:])
        assert busy.read_answer().status == 200
        assert busy.is_ended()
    assert martlet.wait() == 0
    assert flat(*sink.requests) == flat(sent)


def test_a_stalled_client_does_not_hold_up_the_stop(launch):
    martlet = launch(configuration({"nop": None}), args=["--shutdown-timeout", "1s"])
    with Connection(martlet.port) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": 1000}) + b"x")
        time.sleep(0.05)
        begun = time.monotonic()
        assert martlet.stop() == 0
        assert time.monotonic() - begun < 4


def test_a_stalled_client_does_not_cost_what_others_were_promised(launch, sink):
    """Clients that never finish do not use up the time in which queues are drained."""
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"batch": {"timeout": "1h"}}),
                     args=["--shutdown-timeout", "2s"])
    sent = traces(5)
    assert martlet.post(sent).status == 200
    with Connection(martlet.port) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": 1000}) + b"x")
        time.sleep(0.05)
        assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(sent)
    assert lost_by_cause(martlet) == {}


def test_a_client_that_waits_for_room_is_told_at_the_stop(launch, sink):
    """Whoever still waits for an answer gets one."""
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={
        "queue_size": 1, "num_consumers": 1, "block_on_overflow": True, "overflow_timeout": "1m"})}),
        args=["--shutdown-timeout", "3s"])
    taken = traces(1)
    assert martlet.post(taken).status == 200
    sink.wait_for_deliveries(1)
    with Connection(martlet.port) as waiting:
        waiting.send(post_bytes(traces(1).SerializeToString()))
        time.sleep(0.1)
        martlet.signal()
        wait_for(lambda: martlet.health() == 503, "not ready")
        time.sleep(0.2)
        sink.release()
        answer = waiting.read_answer()
    assert martlet.wait() == 0
    # Either it was taken, and then it arrives, or it was refused for now.
    assert answer.status in (200, 503)
    assert len(sink.ids) == (2 if answer.status == 200 else 1)


def test_a_client_that_waits_for_its_result_is_told_at_the_deadline(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"wait_for_result": True})}),
                     args=["--shutdown-timeout", "1s"])
    with Connection(martlet.port) as waiting:
        waiting.send(post_bytes(traces(1).SerializeToString()))
        sink.wait_for_deliveries(1)
        martlet.signal()
        answer = waiting.read_answer()
    assert martlet.wait() == 0
    assert answer is not None and answer.status == 503


# ---- readiness


def test_readiness(binary, launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink)}), ready=False).launch()
    # 200 never comes before the port for data is open.
    seen = []
    while not seen or seen[-1] != 200:
        seen.append(martlet.health())
    assert set(seen) <= {None, 503, 200}
    assert martlet.post(traces(1)).status == 200
    assert martlet.health("/readyz") == martlet.health("/livez") == 200
    health = [binary, "health", "--endpoint", f"127.0.0.1:{martlet.health_port}"]
    assert subprocess.run(health, timeout=10).returncode == 0
    sink.wait_for_deliveries(1)

    martlet.signal()
    wait_for(lambda: martlet.health() == 503, "not ready")
    assert (martlet.health("/readyz"), martlet.health("/livez")) == (503, 200)
    outcome = subprocess.run(health, timeout=10, capture_output=True, text=True)
    assert outcome.returncode == 1 and "503" in outcome.stderr
    with pytest.raises(OSError):
        wait_for(lambda: Connection(martlet.port).close(), "a refused connection", timeout=2)
    sink.release()
    assert martlet.wait() == 0
    assert subprocess.run(health, timeout=10, capture_output=True).returncode == 1


def test_health_bodies(launch):
    config = configuration({"nop": None})
    config["extensions"]["health_check"].update(
        path="/health", response_body={"healthy": "fine", "unhealthy": "not fine"})
    martlet = launch(config, ready=False).launch()
    wait_for(lambda: martlet.health("/health") == 200, "ready")
    assert wire.get(martlet.health_port, "/health").body == b"fine"
    assert wire.get(martlet.health_port, "/").status == 404
    assert wire.ask(martlet.health_port, head("POST", "/health")).status == 405


# ---- what does not start


@pytest.mark.parametrize("which", ["port", "health_port", "metrics_port"])
def test_a_port_in_use(launch, which):
    martlet = launch(configuration({"nop": None}), ready=False)
    port = getattr(martlet, which)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        martlet.launch()
        assert martlet.wait() == 1
    (record,) = [record for record in martlet.log_records() if record["msg"] == "cannot start"]
    assert record["level"] == "critical"
    assert f":{port}" in record["error"] and "another process" in record["error"]


def test_a_file_that_cannot_be_written(launch, tmp_path):
    martlet = launch(configuration({"file": {"path": str(tmp_path / "no" / "such" / "file")}}), ready=False).launch()
    assert martlet.wait() == 1
    assert "no/such/file" in martlet.log


def test_a_destination_that_is_not_there_is_no_reason_not_to_start(launch, sink):
    sink.stop()
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    assert martlet.health() == 200


# ---- logs


def test_log_lines(launch):
    config = configuration({"nop": None})
    config["service"]["telemetry"]["logs"]["encoding"] = "console"
    martlet = launch(config)
    assert martlet.stop() == 0
    for line in martlet.log.splitlines():
        parts = line.split("\t")
        assert len(parts) >= 4 and parts[0].endswith("Z") and parts[1] in ("info", "warning"), line
    config["service"]["telemetry"]["logs"] = {"level": "error", "encoding": "json"}
    quiet = launch(config)
    assert quiet.stop() == 0 and quiet.log == ""


def test_telemetry_is_not_logged(launch, sink):
    """Prompts stay out of the log, whatever goes wrong with them."""
    secret = "the-secret-prompt"
    request = traces(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="prompt").value.string_value = secret
    sink.behaviour = answer(400)
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, level="debug"))
    martlet.post(request)
    martlet.post(request.SerializeToString()[:-1])
    martlet.post(in_value(message(1, secret.encode() + b"\xff")))
    martlet.post(b'{"resourceSpans":"' + secret.encode() + b'"}', kind=wire.JSON)
    martlet.wait_for_metric("otelcol_exporter_send_failed_spans_total", 1)
    assert martlet.stop() == 0
    assert secret not in martlet.log and secret not in martlet.output


def test_ids_are_counted_once(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    sent = traces(3)
    martlet.post(sent)
    assert martlet.stop() == 0
    assert Counter(sink.ids) == Counter(ids_of(sent))
