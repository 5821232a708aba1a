"""OTLP over HTTP/1.1: which requests are taken, and what the client is told (OTLP specification, OTLP/HTTP)."""
import gzip
import json
import zlib

import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (ExportTraceServiceRequest,
                                                                      ExportTraceServiceResponse)

from support import wire
from support.otlp import flat, ids_of, new_span_id, new_trace_id, rpc_status, to_json, traces
from support.wire import JSON, PROTOBUF, Connection, ask, chunked, head, post_bytes

LIMIT = 1 << 20
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8


@pytest.fixture
def port(shared_martlet):
    return shared_martlet.port


# ---- what is taken


@pytest.mark.parametrize("kind, body", [
    (PROTOBUF, b""), (PROTOBUF + "; charset=utf-8", b""), ("Application/X-Protobuf", b""),
    (JSON, b"{}"), (JSON + ";charset=utf-8", b"{}"), (JSON, b' { "resourceSpans" : [ ] } '),
    (JSON, b'{"resourceSpans":null}'),
])
def test_an_empty_request_succeeds(port, kind, body):
    answer = wire.post(port, body, kind)
    assert answer.status == 200
    assert answer.headers["content-type"] == (JSON if "json" in kind else PROTOBUF)
    if "json" in kind:
        assert json.loads(answer.body) == {}
    else:
        assert answer.body == b""


def test_an_empty_body_without_a_length_succeeds(port):
    assert ask(port, head(headers={"Content-Type": PROTOBUF})).status == 200
    in_chunks = head(headers={"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"})
    assert ask(port, in_chunks + b"0\r\n\r\n").status == 200


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "identity": lambda data: data,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunked"])
def test_encodings(martlet, sink, encoding, kind, in_chunks):
    sent = traces(20, padding=50)
    body = ENCODINGS[encoding](to_json(sent).encode() if kind == JSON else sent.SerializeToString())
    fields = {"Content-Type": kind, "Content-Encoding": encoding}
    if in_chunks:
        answer = ask(martlet.port, head(headers={**fields, "Transfer-Encoding": "chunked"}) + chunked(body, 333))
    else:
        answer = wire.post(martlet.port, body, kind, fields)
    assert answer.status == 200, answer
    sink.wait_for_spans(20)
    assert set(flat(*sink.requests)) == set(flat(sent))


def test_gzip_of_several_members_and_of_nothing(martlet, sink):
    sent = traces(10)
    data = sent.SerializeToString()
    body = gzip.compress(data[:100]) + gzip.compress(data[100:])
    assert martlet.post(body, headers={"Content-Encoding": "gzip"}).status == 200
    assert martlet.post(gzip.compress(b""), headers={"Content-Encoding": "gzip"}).status == 200
    sink.wait_for_spans(10)
    assert flat(*sink.requests) == flat(sent)


def test_a_query_is_ignored(port):
    assert ask(port, post_bytes(b"", path="/v1/traces?a=b")).status == 200


def test_fields_in_any_order_and_spans_in_pieces_of_a_resource(martlet, sink):
    """Concatenated protobuf messages are one message."""
    first, second = traces(3), traces(4)
    assert martlet.post(first.SerializeToString() + second.SerializeToString()).status == 200
    sink.wait_for_spans(7)
    assert flat(*sink.requests) == flat(first, second)


# ---- what is not


@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/", "/V1/TRACES", "//v1/traces",
                                  "/v1development/profiles"])
def test_unknown_paths(port, path):
    answer = ask(port, post_bytes(b"", path=path))
    assert answer.status == 404
    assert b"/v1/traces" in answer.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods(port, method):
    with Connection(port) as connection:
        connection.send(head(method, headers={"Content-Type": PROTOBUF}))
        answer = connection.read_answer(head_only=method == "HEAD")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/protobuf2", "", "json",
                                  "application/jsonx", "application/x-protobuf-x", "application/grpc"])
def test_other_media_types(port, kind):
    answer = wire.post(port, b"", kind)
    assert answer.status == 415
    assert b"application/json" in answer.body and b"application/x-protobuf" in answer.body
    assert ask(port, head(headers={"Content-Length": 0})).status == 415


def test_every_truncation_of_protobuf(port):
    """A message cut short is 400 with a Status, or, where it ends between two fields, a shorter message."""
    data = traces(2, padding=20).SerializeToString()
    seen = set()
    with Connection(port) as connection:
        for length in range(len(data)):
            connection.send(post_bytes(data[:length]))
            answer = connection.read_answer()
            try:
                ExportTraceServiceRequest.FromString(data[:length])
                expected = 200
            except Exception:
                expected = 400
            assert answer.status == expected, length
            if expected == 400:
                assert rpc_status(answer).code == INVALID_ARGUMENT
                assert "truncated" in rpc_status(answer).message
            seen.add(expected)
    assert 400 in seen


def test_error_bodies_have_the_type_of_the_request(port):
    for kind, body in [(PROTOBUF, b"\x0a\x05x"), (JSON, b'{"resourceSpans":')]:
        answer = wire.post(port, body, kind)
        assert (answer.status, answer.headers["content-type"]) == (400, kind)
        status = rpc_status(answer)
        assert status.code == INVALID_ARGUMENT and status.message


@pytest.mark.parametrize("encoding, body", [
    ("gzip", b"this is not gzip"), ("gzip", b""[:0] + gzip.compress(b"x" * 1000)[:-9]),
    ("gzip", gzip.compress(b"x" * 1000)[:-8] + b"\0" * 8), ("gzip", b"\x1f\x8b"), ("gzip", zlib.compress(b"")),
    ("deflate", b"\x00\x01"), ("zstd", b"\x28\xb5\x2f\xfd\xff"), ("zstd", b"nonsense"),
    ("zstd", zstandard.ZstdCompressor().compress(b"x" * 1000)[:-1]),
], ids=range(9))
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_corrupt_compression(port, encoding, body, kind):
    answer = wire.post(port, body, kind, {"Content-Encoding": encoding})
    assert (answer.status, answer.headers["content-type"]) == (400, kind)
    assert rpc_status(answer).code == INVALID_ARGUMENT


@pytest.mark.parametrize("encoding", ["br", "compress", "lz4", "gzip, gzip", "nonsense"])
def test_unknown_compression(port, encoding):
    answer = wire.post(port, b"x", headers={"Content-Encoding": encoding})
    assert answer.status == 400
    assert "gzip" in rpc_status(answer).message


# ---- sizes


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_too_large_by_its_length_is_refused_before_it_is_sent(port, kind):
    with Connection(port) as connection:
        connection.send(head(headers={"Content-Type": kind, "Content-Length": LIMIT + 1}))
        answer = connection.read_answer()
        assert (answer.status, answer.headers["content-type"]) == (413, kind)
        status = rpc_status(answer)
        assert status.code == RESOURCE_EXHAUSTED and str(LIMIT) in status.message
        assert not status.details, "413 must not look retryable"


def test_the_limit_itself_is_taken(port):
    body = traces(1, padding=LIMIT - 200).SerializeToString()
    body += b"\xfa\x3e" + wire_length(LIMIT - len(body) - 4)
    assert len(body) == LIMIT
    assert wire.post(port, body).status == 200
    assert wire.post(port, body + b"\x0a\x00").status == 413


def wire_length(count):
    """A field's length in two bytes, and as many zeros."""
    return bytes([count & 0x7F | 0x80, count >> 7]) + bytes(count)


def test_too_large_in_chunks(port):
    fields = {"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}
    answer = ask(port, head(headers=fields) + chunked(bytes(2 * LIMIT), 50_000))
    assert answer.status == 413
    assert rpc_status(answer).code == RESOURCE_EXHAUSTED


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_a_bomb_is_refused_while_it_is_inflated(shared_martlet, encoding, kind):
    pack = {"gzip": lambda data: gzip.compress(data, 9), "deflate": zlib.compress, "zstd": ENCODINGS["zstd"]}[encoding]
    bomb = pack(b"\x0a" * (200 << 20))
    assert len(bomb) < LIMIT
    before = shared_martlet.rss()
    answer = shared_martlet.post(bomb, kind=kind, headers={"Content-Encoding": encoding})
    assert (answer.status, answer.headers["content-type"]) == (413, kind)
    assert rpc_status(answer).code == RESOURCE_EXHAUSTED
    assert shared_martlet.peak_rss() < before + (64 << 20)


# ---- partial success


def request_with_bad_ids():
    """Two good spans and seven bad ones."""
    request = traces(2)
    spans = request.resource_spans[0].scope_spans[0].spans
    good = ids_of(request)
    for trace_id, span_id in [
            (b"", new_span_id()), (b"\x01" * 15, new_span_id()), (b"\x01" * 17, new_span_id()),
            (bytes(16), new_span_id()), (new_trace_id(), b""), (new_trace_id(), b"\x01" * 7),
            (new_trace_id(), bytes(8))]:
        spans.add(trace_id=trace_id, span_id=span_id, name="bad")
    last = spans.add(trace_id=new_trace_id(), span_id=new_span_id(), name="good")
    return request, good + [(last.trace_id, last.span_id)]


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_partial_success(martlet, sink, kind):
    request, good = request_with_bad_ids()
    body = to_json(request).encode() if kind == JSON else request.SerializeToString()
    answer = martlet.post(body, kind=kind)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    if kind == JSON:
        partial = json.loads(answer.body)["partialSuccess"]
        assert int(partial["rejectedSpans"]) == 7 and "trace id" in partial["errorMessage"]
    else:
        partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
        assert partial.rejected_spans == 7 and "trace id" in partial.error_message
    sink.wait_for_spans(3)
    assert sorted(sink.ids) == sorted(good)
    martlet.wait_for_metric("otelcol_receiver_accepted_spans_total", 3)
    assert martlet.metric("otelcol_receiver_refused_spans_total") == 7


def test_nothing_but_bad_spans(martlet, sink):
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="no ids")
    answer = martlet.post(request)
    assert answer.status == 200
    assert ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans == 1
    sent = traces(1)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(1)
    assert [delivery.ids for delivery in sink.deliveries] == [ids_of(sent)]


# ---- browsers


def test_cors_preflight(port):
    fields = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
              "Access-Control-Request-Headers": "content-type,x-tenant"}
    answer = ask(port, head("OPTIONS", headers=fields))
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "content-type" in allowed and "x-tenant" in allowed
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.body == b""


@pytest.mark.parametrize("origin", ["https://example.com", "http://app.example.com", "https://evil.com", "null",
                                    "https://app.example.com.evil.com"])
def test_cors_of_other_origins(port, origin):
    fields = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = ask(port, head("OPTIONS", headers=fields))
    assert "access-control-allow-origin" not in preflight.headers
    actual = wire.post(port, b"", headers={"Origin": origin})
    assert actual.status == 200 and "access-control-allow-origin" not in actual.headers


@pytest.mark.parametrize("kind, body, status", [(PROTOBUF, b"", 200), (JSON, b"{", 400), ("text/plain", b"", 415)])
def test_cors_of_actual_requests(port, kind, body, status):
    answer = wire.post(port, body, kind, {"Origin": "http://localhost:3000"})
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"]
