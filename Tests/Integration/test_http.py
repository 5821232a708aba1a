"""HTTP/1.1 itself: framing, connections, pipelining, malformed input."""
import socket
import subprocess
import time

import pytest
import requests

from support import wire
from support.otlp import flat, rpc_status, traces
from support.process import configuration, to_sink
from support.wire import JSON, PROTOBUF, Connection, ask, chunked, head, post_bytes


@pytest.fixture
def port(shared_martlet):
    return shared_martlet.port


def test_continue_is_sent_before_the_body(martlet, sink):
    sent = traces(1, padding=5000)
    body = sent.SerializeToString()
    with Connection(martlet.port) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": len(body), "Expect": "100-continue"}))
        assert connection.read_answer().status == 100
        connection.send(body)
        assert connection.read_answer().status == 200
    sink.wait_for_spans(1)
    assert flat(*sink.requests) == flat(sent)


@pytest.mark.parametrize("fields, status", [
    ({"Content-Type": PROTOBUF, "Content-Length": 1 << 30}, 413), ({"Content-Type": "x", "Content-Length": 10}, 415)])
def test_no_continue_for_what_is_not_wanted(port, fields, status):
    with Connection(port) as connection:
        connection.send(head(headers={**fields, "Expect": "100-continue"}))
        assert connection.read_answer().status == status


def test_a_large_body_by_curl(martlet, sink, tmp_path):
    """curl asks with Expect: 100-continue for bodies over 1 MB."""
    sent = traces(30, padding=100_000)
    path = tmp_path / "body"
    path.write_bytes(sent.SerializeToString())
    command = ["curl", "-sS", "--max-time", "10", "-H", f"Content-Type: {PROTOBUF}", "-H", "Expect: 100-continue",
               "--data-binary", f"@{path}", "-o", "/dev/null", "-w", "%{http_code}", martlet.url]
    assert subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout == "200"
    sink.wait_for_spans(30)
    assert flat(*sink.requests) == flat(sent)


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
def test_chunked_bodies(martlet, sink, size):
    sent = traces(5, padding=2000 if size > 1 else 5)
    fields = {"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}
    assert ask(martlet.port, head(headers=fields) + chunked(sent.SerializeToString(), size)).status == 200
    sink.wait_for_spans(5)
    assert flat(*sink.requests) == flat(sent)


def test_a_request_byte_by_byte(martlet, sink):
    sent = traces(1)
    data = post_bytes(sent.SerializeToString())
    with Connection(martlet.port) as connection:
        for index in range(len(data)):
            connection.send(data[index:index + 1])
        assert connection.read_answer().status == 200
    sink.wait_for_spans(1)
    assert flat(*sink.requests) == flat(sent)


def test_pipelined_requests_are_answered_in_order(martlet, sink):
    sent = [traces(1) for _ in range(20)]
    data = b""
    expected = []
    for request in sent:
        data += post_bytes(request.SerializeToString()) + post_bytes(b"{", JSON) + post_bytes(b"", path="/nowhere")
        data += head(headers={"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"})
        data += chunked(b"\x0a\x00") + head("GET")
        expected += [200, 400, 404, 200, 405]
    with Connection(martlet.port) as connection:
        connection.send(data)
        assert [connection.read_answer().status for _ in expected] == expected
    sink.wait_for_spans(20)
    assert flat(*sink.requests) == flat(*sent)


def test_a_pipeline_waits_for_the_answer_before(launch, sink):
    """While a request waits for its receipt the next one on its connection is not taken."""
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"wait_for_result": True})}))
    sent = [traces(1), traces(1)]
    with Connection(martlet.port) as connection:
        connection.send(b"".join(post_bytes(request.SerializeToString()) for request in sent))
        sink.wait_for_deliveries(1)
        time.sleep(0.1)
        assert len(sink.deliveries) == 1
        sink.release()
        assert [connection.read_answer().status for _ in sent] == [200, 200]
    assert flat(*sink.requests) == flat(*sent)


def test_connections_are_kept_alive(port):
    with Connection(port) as connection:
        for _ in range(100):
            connection.send(post_bytes(b""))
            answer = connection.read_answer()
            assert answer.status == 200
            assert answer.headers.get("connection", "keep-alive").lower() == "keep-alive"


def test_connection_close_is_honoured(port):
    with Connection(port) as connection:
        connection.send(post_bytes(b"", headers={"Connection": "close"}))
        answer = connection.read_answer()
        assert answer.status == 200 and answer.headers["connection"].lower() == "close"
        assert connection.is_ended()


def test_http_1_0(port):
    """Each request is answered and ends its connection, also one that asks to keep it."""
    for headers in ({}, {"Connection": "keep-alive"}):
        with Connection(port) as connection:
            connection.send(post_bytes(b"", version="HTTP/1.0", headers=headers))
            answer = connection.read_answer()
            assert answer.status == 200 and answer.headers["connection"].lower() == "close"
            assert connection.is_ended()


def test_the_answer_to_half_a_connection(port):
    """A client that ends its side after the request still gets its answer."""
    with Connection(port) as connection:
        connection.send(post_bytes(traces(1).SerializeToString()))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.read_answer().status == 200


def test_keep_alive_can_be_turned_off(launch):
    martlet = launch(configuration({"nop": None}, http={
        "keep_alives_enabled": False, "response_headers": {"X-Served-By": "martlet"}}))
    with Connection(martlet.port) as connection:
        connection.send(post_bytes(b""))
        answer = connection.read_answer()
        assert answer.headers["connection"].lower() == "close" and answer.headers["x-served-by"] == "martlet"
        assert connection.is_ended()


def test_too_long_a_head(port):
    with Connection(port) as connection:
        try:
            connection.send(head(headers={"Content-Type": PROTOBUF, "X-Long": "x" * 300_000}))
        except ConnectionError:
            pass
        answer = connection.read_answer()
    assert answer.status == 431


def test_too_many_fields(port):
    fields = {f"X-{number}": "x" * 20 for number in range(20_000)}
    assert ask(port, head(headers={"Content-Type": PROTOBUF, **fields})).status == 431


MALFORMED = {
    "text": b"nonsense\r\n\r\n",
    "no version": b"POST /v1/traces\r\n\r\n",
    "other version": b"POST /v1/traces HTTP/9.9\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "space in a name": b"POST /v1/traces HTTP/1.1\r\nBad Name: x\r\n\r\n",
    "NUL in a value": b"POST /v1/traces HTTP/1.1\r\nName: \x00\r\n\r\n",
    "negative length": head(headers={"Content-Type": PROTOBUF, "Content-Length": -1}),
    "length of text": head(headers={"Content-Type": PROTOBUF, "Content-Length": "many"}),
    "huge length": head(headers={"Content-Type": PROTOBUF, "Content-Length": "9" * 30}),
    "two lengths": b"POST /v1/traces HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "length and chunks": head(headers={"Content-Type": PROTOBUF, "Content-Length": 5,
                                       "Transfer-Encoding": "chunked"}) + b"0\r\n\r\n",
    "chunk of text": head(headers={"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}) + b"zz\r\n",
    "huge chunk": head(headers={"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}) + b"f" * 20 + b"\r\n",
    "chunk without its end": head(headers={"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}) + b"1\r\nxyz\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_http(port, name):
    with Connection(port, timeout=5) as connection:
        connection.send(MALFORMED[name])
        answer = connection.read_answer()
        assert answer is not None and 400 <= answer.status < 500, answer
        assert connection.is_ended()
    assert wire.post(port, b"").status == 200


def test_garbage_after_a_good_request_does_not_hide_its_answer(port):
    with Connection(port) as connection:
        connection.send(post_bytes(b"") + b"\x00\x01garbage\r\n\r\n")
        assert connection.read_answer().status == 200
        second = connection.read_answer()
        assert second is None or second.status == 400


def test_a_body_of_a_refused_request_is_no_request(port):
    """A body that looks like a request is read past, not served."""
    inside = post_bytes(b"", path="/inside")
    with Connection(port) as connection:
        connection.send(post_bytes(inside, kind="text/plain") + post_bytes(b"{", JSON))
        assert connection.read_answer().status == 415
        answer = connection.read_answer()
        assert answer.status == 400 and rpc_status(answer).code == 3


def test_clients_that_leave(shared_martlet):
    """Connections that end in the middle of anything do no harm."""
    data = post_bytes(traces(2).SerializeToString())
    for length in range(0, len(data), 5):
        with Connection(shared_martlet.port) as connection:
            connection.send(data[:length])
    assert shared_martlet.post(b"").status == 200


def test_a_client_that_does_not_read_its_answers_is_not_read_either(launch):
    """Pipelined requests whose answers pile up take no memory without bound."""
    martlet = launch(configuration({"nop": None}))
    before = martlet.rss()
    many = head("GET", "/nowhere") * 5000
    with Connection(martlet.port, timeout=1) as connection:
        with pytest.raises(TimeoutError):
            for _ in range(400):
                connection.send(many)
        assert martlet.peak_rss() < before + (40 << 20)
        assert martlet.post(b"").status == 200
        # Reading makes it go on.
        connection.socket.settimeout(10)
        for _ in range(20_000):
            assert connection.read_answer().status == 404


@pytest.mark.parametrize("size", [2 << 20, 30 << 20])
@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunked"])
def test_a_client_library_sees_why_its_large_body_is_refused(port, size, in_chunks):
    """The answer is not lost with a connection that is closed while the client still sends."""
    body = (b"\x0a" * (1 << 20) for _ in range(size >> 20)) if in_chunks else b"\x0a" * size
    answer = requests.post(f"http://127.0.0.1:{port}/v1/traces", data=body, headers={"Content-Type": PROTOBUF},
                           timeout=20)
    assert answer.status_code == 413
