"""Many connections, slow clients, little memory."""
import gzip
import os
import resource
import threading
import time

import pytest

from support import wire
from support.otlp import flat, ids_of, new_span_id, new_trace_id, rpc_status, to_json, traces
from support.process import configuration, to_sink
from support.sink import slow
from support.waiting import wait_for
from support.wire import JSON, PROTOBUF, Connection, head, post_bytes

MIB = 1 << 20
# Resident bytes of a process that holds no data: measured 23 MiB after some traffic.
BASE_RSS = 64 * MIB


def test_two_hundred_connections_at_once(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"batch": {"timeout": "100ms"}}))
    connections = [Connection(martlet.port, timeout=30) for _ in range(200)]
    sent = []
    for _ in range(3):
        for connection in connections:
            sent.append(traces(2))
            connection.send(post_bytes(sent[-1].SerializeToString()))
        assert [connection.read_answer().status for connection in connections] == [200] * 200
    for connection in connections:
        connection.close()
    sink.wait_for_spans(1200, timeout=20)
    assert flat(*sink.requests) == flat(*sent)
    assert martlet.stop() == 0


def test_the_limit_of_connections(launch):
    martlet = launch(configuration({"nop": None}, http={"max_connections": 10}))
    kept = [Connection(martlet.port) for _ in range(10)]
    for connection in kept:
        connection.send(post_bytes(b""))
        assert connection.read_answer().status == 200
    for number in range(6):
        with Connection(martlet.port) as refused:
            if number % 2:
                refused.send(post_bytes(traces(1, padding=50_000).SerializeToString()))
            answer = refused.read_answer()
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            assert refused.is_ended()
    for connection in kept:
        connection.send(post_bytes(b""))
        assert connection.read_answer().status == 200
    kept.pop().close()
    wait_for(lambda: wire.post(martlet.port, b"").status == 200, "room after a connection ended")
    assert martlet.health() == 200
    for connection in kept:
        connection.close()


def test_a_low_soft_limit_of_files_is_raised(launch):
    """Shells give 1,024 open files, and let a process ask for more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    martlet = launch(configuration({"nop": None}), ready=False)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        martlet.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    connections = [Connection(martlet.port, timeout=10) for _ in range(400)]
    for connection in connections:
        connection.send(post_bytes(b""))
    assert [connection.read_answer().status for connection in connections] == [200] * 400
    assert martlet.health() == 200
    for connection in connections:
        connection.close()


# ---- clients that are slow on purpose


SLOW = {
    "a head": b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000,
    "a body": head(headers={"Content-Type": PROTOBUF, "Content-Length": 100_000}) + b"\x0a" * 100_000,
    "chunks": head(headers={"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}) + b"1\r\n\x0a\r\n" * 100_000,
    "nothing": b"",
}
TIMEOUTS = {"read_header_timeout": "1s", "read_timeout": "1s", "idle_timeout": "1s"}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_are_cut_while_others_are_served(launch, kind):
    martlet = launch(configuration({"nop": None}, http=TIMEOUTS))
    clients = [Connection(martlet.port) for _ in range(50)]
    begun = time.monotonic()
    open_ends = set(range(50))
    position = {number: 0 for number in open_ends}
    answers = []
    while open_ends:
        assert time.monotonic() - begun < 30, f"{len(open_ends)} slow clients are still connected"
        for number in list(open_ends):
            try:
                connection = clients[number]
                # A few bytes at a time, as slow as a test can be.
                data = SLOW[kind][position[number]:position[number] + 10]
                if data:
                    connection.send(data)
                    position[number] += len(data)
                connection.socket.settimeout(0.001)
                answer = connection.read_answer()
                answers.append(answer)
                open_ends.discard(number)
            except TimeoutError:
                continue
            except OSError:
                open_ends.discard(number)
        answered = time.monotonic()
        assert wire.post(martlet.port, traces(1)).status == 200
        assert time.monotonic() - answered < 10
    assert time.monotonic() - begun > 0.9, "cut too early"
    assert all(answer is None or answer.status == 408 for answer in answers)
    if kind in ("a body", "chunks"):
        assert any(answer and answer.status == 408 for answer in answers)
    for connection in clients:
        connection.close()


def test_an_idle_connection_is_ended(launch):
    martlet = launch(configuration({"nop": None}, http=TIMEOUTS))
    with Connection(martlet.port, timeout=8) as connection:
        connection.send(post_bytes(b""))
        assert connection.read_answer().status == 200
        begun = time.monotonic()
        assert connection.is_ended()
        assert 0.9 < time.monotonic() - begun < 30


def test_a_waiting_answer_is_not_cut(launch, sink):
    """Time-outs are for slow clients, not for clients that wait for us."""
    sink.behaviour = sink.hold
    martlet = launch(configuration(
        {"otlp_http": to_sink(sink, queue={"wait_for_result": True})}, http=TIMEOUTS))
    with Connection(martlet.port) as connection:
        connection.send(post_bytes(traces(1).SerializeToString()))
        sink.wait_for_deliveries(1)
        time.sleep(2.5)
        sink.release()
        assert connection.read_answer().status == 200


# ---- memory


def limited(sink, **options):
    """16 MiB at most, 12 before refusals; a queue that would hold much more."""
    return configuration(
        {"otlp_http": to_sink(sink, compression="none", queue={"queue_size": 100_000}, **options)},
        processors={"memory_limiter": {"check_interval": "1s", "limit_mib": 16, "spike_limit_mib": 4}})


@pytest.mark.parametrize("extension", [False, True], ids=["processor", "extension"])
def test_little_memory_and_a_dead_destination(launch, sink, extension):
    sink.stop()
    config = limited(sink)
    if extension:
        config["extensions"]["memory_limiter"] = config.pop("processors")["memory_limiter"]
        config["service"]["extensions"].append("memory_limiter")
        del config["service"]["pipelines"]["traces"]["processors"]
    martlet = launch(config)
    taken, refused = [], 0
    # 400 requests of 256 KiB: six times the limit.
    body = traces(4, padding=64 << 10)
    for number in range(400):
        request = body if number == 0 else renumbered(body)
        answer = martlet.post(request)
        if answer.status == 200:
            taken.append(ids_of(request))
        else:
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            assert rpc_status(answer).code == 14 and "memory" in rpc_status(answer).message
            refused += 1
    assert refused > 200 and 16 <= len(taken) <= 64
    assert martlet.metric("martlet_memory_held_bytes") <= 16 * MIB
    assert martlet.metric("martlet_memory_refused_requests_total") == refused
    assert martlet.peak_rss() < 16 * MIB + BASE_RSS, f"{martlet.peak_rss() / MIB:.0f} MiB"
    check_early_refusal(martlet)
    # The destination is back: everything that was taken arrives, and there is room again, without a restart.
    sink.start()
    sink.wait_for_spans(4 * len(taken), timeout=20)
    assert sorted(sink.ids) == sorted(identifier for ids in taken for identifier in ids)
    martlet.wait_for_metric("martlet_memory_held_bytes", 0)
    assert martlet.post(renumbered(body)).status == 200
    assert martlet.stop() == 0


def check_early_refusal(martlet):
    """A body that does not fit is refused from its head, before it is sent."""
    with Connection(martlet.port) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": 4 * MIB}))
        answer = connection.read_answer()
        assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1


def renumbered(request):
    """The same spans under new ids."""
    trace_id = new_trace_id()
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.trace_id, span.span_id = trace_id, new_span_id()
    return request


def test_announced_bodies_count_as_they_come(launch, sink):
    """Clients that announce much and send nothing keep nobody out; those that send do not pass the limit."""
    martlet = launch(limited(sink))
    connections = []
    for _ in range(40):
        connection = Connection(martlet.port)
        connections.append(connection)
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": MIB, "Expect": "100-continue"}))
        assert connection.read_answer().status == 100
    assert martlet.post(traces(1, padding=256 << 10)).status == 200
    held = []
    for connection in connections:
        try:
            connection.send(b"\0" * (MIB - 1))
        except OSError:
            # Cut off after its 503.
            pass
        held.append(martlet.metric("martlet_memory_held_bytes"))
    assert max(held) <= 16 * MIB and martlet.metric("martlet_memory_refused_requests_total") > 10
    for connection in connections:
        connection.close()
    martlet.wait_for_metric("martlet_memory_held_bytes", 0)


def test_inflated_bytes_count(launch, sink):
    """What is small on the wire and large in memory is counted as large."""
    sink.stop()
    martlet = launch(limited(sink))
    statuses = []
    for _ in range(40):
        request = traces(1)
        span = request.resource_spans[0].scope_spans[0].spans[0]
        span.attributes.add(key="prompt").value.string_value = "x" * (2 * MIB)
        statuses.append(martlet.post(request, compress=True).status)
    assert statuses[0] == 200 and statuses[-1] == 503 and statuses.count(200) <= 8
    assert martlet.metric("martlet_memory_held_bytes") <= 16 * MIB
    assert martlet.peak_rss() < 16 * MIB + BASE_RSS, f"{martlet.peak_rss() / MIB:.0f} MiB"


def test_a_bomb_does_not_pass_the_limit_while_it_is_inflated(launch, sink):
    """What does not fit is not inflated first and refused then."""
    martlet = launch(limited(sink))
    bomb = gzip.compress(b"\x0a" * (60 * MIB))
    before = martlet.rss()
    for _ in range(3):
        assert martlet.post(bomb, headers={"Content-Encoding": "gzip"}).status in (413, 503)
    # What is left of the limit, twice while the buffer grows.
    assert martlet.peak_rss() < before + 40 * MIB, f"{martlet.peak_rss() / MIB:.0f} MiB"
    assert martlet.post(traces(1)).status == 200


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_small_spans_count_with_their_records(launch, sink, kind):
    """Thousands of tiny spans, in memory several times their size on the wire, are counted as what they take."""
    sink.stop()
    martlet = launch(limited(sink))
    before = martlet.rss()
    statuses = []
    while 503 not in statuses:
        request = traces(5000)
        for span in request.resource_spans[0].scope_spans[0].spans:
            span.ClearField("name")
        body = to_json(request).encode() if kind == JSON else request.SerializeToString()
        statuses.append(martlet.post(body, kind=kind).status)
        assert len(statuses) < 200
    held, queued = martlet.metric("martlet_memory_held_bytes"), martlet.metric("martlet_exporter_queue_bytes")
    assert abs(held - queued) < 1 * MIB, f"{held / MIB:.1f} MiB counted, {queued / MIB:.1f} MiB held"
    assert martlet.rss() < before + 24 * MIB, f"{(martlet.rss() - before) / MIB:.0f} MiB more"


def test_parallel_load_in_little_memory(launch, sink):
    """Eight clients send as fast as they can to a slow destination: refusals, but no loss and no growth."""
    sink.behaviour = slow(0.02)
    martlet = launch(limited(sink, timeout="30s"))
    acknowledged, lock = [], threading.Lock()
    wrong = []

    def run():
        with Connection(martlet.port, timeout=30) as connection:
            for _ in range(40):
                request = traces(2, padding=100_000)
                connection.send(post_bytes(request.SerializeToString()))
                answer = connection.read_answer()
                if answer.status == 200:
                    with lock:
                        acknowledged.extend(ids_of(request))
                elif answer.status != 503:
                    wrong.append(answer.status)
                if answer.headers.get("connection") == "close":
                    return
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    sink.wait_for_spans(len(acknowledged), timeout=30)
    assert sorted(sink.ids) == sorted(acknowledged)
    assert martlet.peak_rss() < 16 * MIB + BASE_RSS, f"{martlet.peak_rss() / MIB:.0f} MiB"


def test_no_growth_over_many_requests(launch):
    """Resident memory is level after the first requests."""
    martlet = launch(configuration({"nop": None}, processors={"batch": None}))
    body = post_bytes(traces(100, padding=500).SerializeToString())
    with Connection(martlet.port) as connection:
        def send(count):
            for _ in range(count):
                connection.send(body)
                assert connection.read_answer().status == 200
        send(300)
        before = martlet.rss()
        send(2000)
    assert martlet.rss() < before + 8 * MIB, f"{(martlet.rss() - before) / MIB:.1f} MiB more"
    assert os.path.exists(f"/proc/{martlet.process.pid}")
