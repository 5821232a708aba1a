"""Clients that misuse HTTP/2: each is bounded, costs little memory, and does not slow down others."""
import os
import statistics
import subprocess
import sys
import time

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from support import http2, http2_load
from support.http2_load import EXPORT, message, rapid_reset
from support.otlp import traces
from support.ports import free_port
from support.process import configuration
from support.waiting import wait_for

ENHANCE_YOUR_CALM = 11
# What one abusive connection may cost at most, in bytes. The process itself is 14 MB.
MEMORY = 100 << 20


@pytest.fixture
def server(launch):
    config = configuration({"nop": None}, http={"idle_timeout": "2s"})
    port = free_port()
    config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}"}
    return launch(config), port


def export(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        TraceServiceStub(channel).Export(traces(1), timeout=20)


def flood(connection, make, most=2_000_000, at_once=200):
    """Sends `make()` until the server ends the connection; how many were taken."""
    sent = 0
    while sent < most:
        if not connection.send(b"".join(make() for _ in range(at_once))):
            return sent
        sent += at_once
    return sent


def request_and_junk(connection):
    """A request that is answered, with many empty frames around it."""
    stream, head = connection.head(EXPORT)
    return head + http2.window_update(stream, 1) * 50 + http2.data(stream, message(), end=True)


FLOODS = {
    "rapid reset": rapid_reset,
    "settings": lambda connection: http2.settings({4: 1 << 20}),
    "settings, many in one frame": lambda connection: http2.settings({number: 1 for number in range(100, 600)}),
    "pings": lambda connection: http2.ping(),
    "answers to pings": lambda connection: http2.ping(ack=True),
    "priorities": lambda connection: http2.frame(2, 1, bytes(5)),
    "window updates": lambda connection: http2.window_update(0, 1),
    "unknown frames": lambda connection: http2.frame(0x77, 0, bytes(10)),
    "unknown frames of 16 KiB": lambda connection: http2.frame(0x77, 0, bytes(16 << 10)),
    "window updates among requests": request_and_junk,
}


@pytest.mark.parametrize("name", list(FLOODS))
def test_floods_end_the_connection(server, name):
    process, port = server
    before = process.rss()
    with http2.RawHTTP2(port) as connection:
        connection.wait_for_settings()
        taken = flood(connection, lambda: FLOODS[name](connection))
        assert taken < 200_000, "the flood was never ended"
    assert process.rss() - before < MEMORY
    export(port)
    wait_for(lambda: process.metric("martlet_server_ended_connections_total", transport="grpc") == 1,
             "the connection is counted", 20)
    assert any("HTTP/2 connection was ended" in line["msg"] for line in process.log_records())


def test_empty_and_tiny_data(server):
    process, port = server
    for content in (b"", b"x"):
        with http2.RawHTTP2(port) as connection:
            connection.wait_for_settings()
            stream, head = connection.head(EXPORT)
            connection.send(head + http2.data(stream, b"\0\0\x20\0\0"))
            assert flood(connection, lambda: http2.data(stream, content)) < 100_000
    export(port)
    assert process.is_alive()


def test_heads_that_never_end(server):
    process, port = server
    before = process.rss()
    for size in (1, 1 << 10, 16 << 10):
        with http2.RawHTTP2(port) as connection:
            connection.wait_for_settings()
            connection.send(http2.headers(1, b"", complete=False))
            block = bytes([0, 1, ord("x"), 0x7F]) * (size // 4) or b"\0"
            assert flood(connection, lambda: http2.continuation(1, block), at_once=20) < 20_000
    assert process.rss() - before < MEMORY
    export(port)


def test_large_heads(server):
    process, port = server
    before = process.rss()
    # One field of 100 KB; many fields; and a small block that stands for a large list (an indexed field, repeated).
    plain = [("x", os.urandom(50_000).hex())]
    many = [(f"field-{number}", "value") for number in range(5000)]
    for fields in (plain, many):
        with http2.RawHTTP2(port) as connection:
            connection.wait_for_settings()
            stream, head = connection.head(EXPORT, fields=fields)
            block = head[9:]
            connection.send(http2.headers(stream, block[:16_000], complete=False))
            for start in range(16_000, len(block), 16_000):
                connection.send(http2.continuation(stream, block[start:start + 16_000],
                                                   complete=start + 16_000 >= len(block)))
            assert connection.wait_for_end() in (ENHANCE_YOUR_CALM, 1, 9, None)
    with http2.RawHTTP2(port) as connection:
        connection.wait_for_settings()
        value = "v" * 3900
        _, first = connection.head(EXPORT, fields=[("bomb", value)], end=True)
        connection.send(first)
        # 0xBE: the newest entry of the dynamic table, 3.9 KB for one byte.
        connection.send(http2.headers(connection.new_stream(), b"\xbe" * 15_000, end=True))
        connection.wait_for_end()
    assert process.rss() - before < MEMORY
    export(port)


def test_many_streams(server):
    process, port = server
    before = process.rss()
    connections = [http2.RawHTTP2(port) for _ in range(20)]
    try:
        for connection in connections:
            connection.wait_for_settings()
            # Each with a message that says it is large, of which nothing comes.
            for _ in range(500):
                stream, head = connection.head(EXPORT)
                if not connection.send(head + http2.data(stream, b"\0\x03\xff\xff\xff")):
                    break
        export(port)
        assert process.rss() - before < MEMORY
    finally:
        for connection in connections:
            connection.socket.close()
    export(port)


def test_answers_that_nobody_takes(server):
    process, _ = server
    before = process.rss()
    # Windows of nothing: no answer with a body can be sent.
    with http2.RawHTTP2(process.port, {4: 0}) as connection:
        connection.wait_for_settings()
        for _ in range(3000):
            _, head = connection.head("/nowhere", end=True, content_type="application/json")
            if not connection.send(head):
                break
        resets = 0
        for frame in connection.frames(lambda frame: False, 30):
            # The streams are given up after `idle_timeout`, or the connection is ended.
            if frame is None:
                break
            resets += isinstance(frame, http2.RstStreamFrame)
            if resets >= 100:
                break
        assert resets >= 100 or frame is None
    assert process.rss() - before < MEMORY
    # A window of one byte at a time is too much work as well.
    with http2.RawHTTP2(process.port, {4: 1}) as connection:
        connection.wait_for_settings()
        stream, head = connection.head("/nowhere", end=True, content_type="application/json")
        connection.send(head)
        assert flood(connection, lambda: http2.window_update(stream, 1)) < 100_000
    assert process.post(traces(1).SerializeToString()).status == 200


def test_keepalive_enforcement(launch):
    config = configuration({"nop": None})
    strict, lenient = free_port(), free_port()
    protocols = config["receivers"]["otlp"]["protocols"]
    protocols["grpc"] = {"endpoint": f"127.0.0.1:{strict}"}
    policy = {"enforcement_policy": {"min_time": "10ms", "permit_without_stream": True}}
    config["receivers"]["otlp/lenient"] = {
        "protocols": {"grpc": {"endpoint": f"127.0.0.1:{lenient}", "keepalive": policy}}}
    config["service"]["pipelines"]["traces"]["receivers"].append("otlp/lenient")
    launch(config)
    with http2.RawHTTP2(strict) as connection:
        connection.wait_for_settings()
        for number in range(4):
            connection.send(http2.ping(number))
        assert connection.wait_for_end() == ENHANCE_YOUR_CALM
    with http2.RawHTTP2(lenient) as connection:
        connection.wait_for_settings()
        for number in range(10):
            connection.send(http2.ping(number))
            answers = list(connection.frames(lambda frame: isinstance(frame, http2.PingFrame) or frame is None))
            assert isinstance(answers[-1], http2.PingFrame) and "ACK" in answers[-1].flags
            time.sleep(0.03)


def test_connections_end_by_age_and_idleness(launch):
    for parameters in ({"max_connection_age": "300ms", "max_connection_age_grace": "300ms"},
                       {"max_connection_idle": "300ms", "max_connection_age_grace": "300ms"}, {"time": "1s", "timeout": "300ms", "max_connection_age_grace": "300ms"}):
        config = configuration({"nop": None})
        port = free_port()
        config["receivers"]["otlp"]["protocols"]["grpc"] = {
            "endpoint": f"127.0.0.1:{port}", "keepalive": {"server_parameters": parameters}}
        process = launch(config)
        with http2.RawHTTP2(port) as connection:
            connection.wait_for_settings()
            if "max_connection_age" in parameters:
                # A call that is never finished has the grace time only.
                connection.send(connection.head(EXPORT)[1])
            kinds = [type(frame).__name__ for frame in connection.frames(lambda _: False, 30) if frame]
            assert "GoAwayFrame" in kinds, kinds
        process.stop()


def latency(port, count=60):
    """Median seconds of a call on a connection of its own."""
    request = traces(50)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = TraceServiceStub(channel)
        stub.Export(request, timeout=20)
        times = []
        for _ in range(count):
            begun = time.monotonic()
            stub.Export(request, timeout=20)
            times.append(time.monotonic() - begun)
    return statistics.median(times)


@pytest.mark.parametrize("kind", [kind for kind in http2_load.KINDS if kind != "allowed"])
def test_others_are_not_slowed_down(server, kind):
    """Beside a client that misuses the protocol, others need less than twice the time that they need beside one which
    sends as fast, but only what is allowed."""
    process, port = server

    def beside(kind):
        load = subprocess.Popen([sys.executable, http2_load.__file__, kind, str(port)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            return min(latency(port) for _ in range(3))
        finally:
            load.kill()
            load.wait()
    before = process.rss()
    slow = beside(kind)
    assert slow < 2 * beside("allowed") + 0.005
    assert process.is_alive() and process.rss() - before < MEMORY
