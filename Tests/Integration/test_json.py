"""OTLP JSON: in by curl, out by the exporter, against the published protobuf package."""
import gzip
import json
import math
import subprocess

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support import wire
from support.otlp import flat, from_json, new_span_id, new_trace_id, spans_of, to_json, traces
from support.process import configuration, to_sink

MAXIMUM, MINIMUM = 2**63 - 1, -(2**63)


def curl(martlet, body, directory, *arguments, kind="application/json"):
    """Posts by curl; returns (status, content type, body)."""
    path = directory / "request.json"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    command = ["curl", "-sS", "--max-time", "10", "-X", "POST", "-H", f"Content-Type: {kind}",
               "--data-binary", f"@{path}", "-w", "\n%{http_code} %{content_type}", *arguments, martlet.url]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    text, _, last = outcome.stdout.rpartition("\n")
    status, _, content_type = last.partition(" ")
    return int(status), content_type, text


def attribute(key, **value):
    return {"key": key, "value": value}


def lenient_request():
    """A request in every spelling that readers have to take, and the message that it means."""
    trace_id, span_id, parent = new_trace_id(), new_span_id(), new_span_id()
    link_trace, link_span = new_trace_id(), new_span_id()
    written = {
        "unknownAtTheTop": {"deep": [[1, {"x": None}], "text", -1.5e300]},
        "resource_spans": "snake case is unknown",
        "resourceSpans": [{
            "resource": {"attributes": [attribute("service.name", stringValue="json \u00fc \U0001f30d")],
                         "unknown": True, "droppedAttributesCount": "7"},
            "schemaUrl": "https://example.com/r", "unknown": [],
            "scopeSpans": [{
                "scope": {"name": "s", "version": None},
                "spans": [{
                    "traceId": trace_id.hex().upper(), "spanId": span_id.hex().upper(),
                    "parentSpanId": parent.hex().upper(), "traceState": "a=b",
                    "name": "\ud83c\udf0d \"quoted\" \\ \b\f\n\r\t /", "kind": 2, "unknown": {"kind": 3},
                    "startTimeUnixNano": "1790000000000000001", "endTimeUnixNano": 1790000000000000003,
                    "flags": 257, "droppedLinksCount": 4294967295,
                    "attributes": [
                        attribute("string int", intValue="42"), attribute("number int", intValue=42),
                        attribute("largest", intValue=str(MAXIMUM)), attribute("smallest", intValue=MINIMUM),
                        attribute("yes", boolValue=True), attribute("no", boolValue=False),
                        attribute("double", doubleValue=0.1), attribute("text double", doubleValue="1e3"),
                        attribute("nan", doubleValue="NaN"), attribute("infinite", doubleValue="-Infinity"),
                        attribute("bytes", bytesValue="AP/+"), attribute("url bytes", bytesValue="AP_-AA"),
                        attribute("list", arrayValue={"values": [{"stringValue": ""}, {"intValue": "0"}, {}]}),
                        attribute("map", kvlistValue={"values": [attribute("k", stringValue="v")]}),
                        attribute("empty"), attribute("null", stringValue=None),
                    ],
                    "events": [{"timeUnixNano": "5", "name": "e", "attributes": []}],
                    "links": [{"traceId": link_trace.hex(), "spanId": link_span.hex(), "flags": "1"}],
                    "status": {"code": 2, "message": "m", "deprecatedCode": 1},
                }],
            }],
        }],
    }
    meant = ExportTraceServiceRequest()
    resource = meant.resource_spans.add(schema_url="https://example.com/r")
    resource.resource.attributes.add(key="service.name").value.string_value = "json \u00fc \U0001f30d"
    resource.resource.dropped_attributes_count = 7
    scope = resource.scope_spans.add()
    scope.scope.name = "s"
    span = scope.spans.add(
        trace_id=trace_id, span_id=span_id, parent_span_id=parent, trace_state="a=b",
        name="\U0001f30d \"quoted\" \\ \b\f\n\r\t /", kind=2, start_time_unix_nano=1790000000000000001,
        end_time_unix_nano=1790000000000000003, flags=257, dropped_links_count=4294967295)
    for key, field, value in [
            ("string int", "int_value", 42), ("number int", "int_value", 42), ("largest", "int_value", MAXIMUM),
            ("smallest", "int_value", MINIMUM), ("yes", "bool_value", True), ("no", "bool_value", False),
            ("double", "double_value", 0.1), ("text double", "double_value", 1000.0),
            ("nan", "double_value", math.nan), ("infinite", "double_value", -math.inf),
            ("bytes", "bytes_value", b"\x00\xff\xfe"), ("url bytes", "bytes_value", b"\x00\xff\xfe\x00")]:
        setattr(span.attributes.add(key=key).value, field, value)
    values = span.attributes.add(key="list").value.array_value.values
    values.add().string_value = ""
    values.add().int_value = 0
    values.add()
    pair = span.attributes.add(key="map").value.kvlist_value.values.add(key="k")
    pair.value.string_value = "v"
    span.attributes.add(key="empty").value.SetInParent()
    span.attributes.add(key="null").value.SetInParent()
    span.events.add(time_unix_nano=5, name="e")
    span.links.add(trace_id=link_trace, span_id=link_span, flags=1)
    span.status.code = 2
    span.status.message = "m"
    return written, meant


def parsed(bytes_by_id):
    """`flat` with the spans parsed again, so that the order of fields on the wire does not matter."""
    return {key: parts[:4] + (str(parts[4]),) for key, parts in bytes_by_id.items()}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=X"])
def test_lenient_json_by_curl(martlet, sink, tmp_path, kind):
    written, meant = lenient_request()
    status, content_type, body = curl(martlet, json.dumps(written), tmp_path, kind=kind)
    assert (status, content_type, body) == (200, "application/json", "{}")
    sink.wait_for_spans(1)
    assert parsed(flat(*sink.requests)) == parsed(flat(meant))


def test_indented_utf8_json_by_curl_in_gzip_and_chunks(martlet, sink, tmp_path):
    written, meant = lenient_request()
    text = gzip.compress(json.dumps(written, indent=4, ensure_ascii=True).encode())
    outcome = curl(martlet, text, tmp_path, "-H", "Content-Encoding: gzip", "-H", "Transfer-Encoding: chunked")
    assert outcome == (200, "application/json", "{}")
    sink.wait_for_spans(1)
    assert parsed(flat(*sink.requests)) == parsed(flat(meant))


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "1", '"text"', '{"resourceSpans":', '{"resourceSpans":{}}', '{"resourceSpans":[1]}',
    "{}x", "{}{}", '{"a":1,}', "{'a':1}", '{"a":01}', '{"a":"\x01"}', '{"a":"\\x"}', "\ufeff{}",
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}',
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abc"}]}]}]}',
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1.5"}]}]}]}',
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"99999999999999999999"}]}]}]}',
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":5}]}]}]}',
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"value":{"intValue":1,"boolValue":true}}]}]}]}]}',
    '{"resourceSpans":' + "[" * 100_000, '{"unknown":' + "[" * 100_000 + "]" * 100_000 + "}",
], ids=range(25))
def test_wrong_json_is_refused(shared_martlet, tmp_path, text):
    status, content_type, body = curl(shared_martlet, text, tmp_path)
    assert (status, content_type) == (400, "application/json")
    answer = json.loads(body)
    assert answer["message"] and answer["code"] == 3


@pytest.mark.parametrize("bad", [b'{"resourceSpans":[],"x":"\xff"}', b'\xff\xfe{\x00}\x00', b"{\x00}"])
def test_json_that_is_not_utf8_is_refused(shared_martlet, tmp_path, bad):
    assert curl(shared_martlet, bad, tmp_path)[:2] == (400, "application/json")


def test_every_truncation_of_json_is_refused(shared_martlet):
    text = json.dumps(lenient_request()[0]).encode()
    with wire.Connection(shared_martlet.port) as connection:
        for length in range(0, len(text), 7):
            connection.send(wire.post_bytes(text[:length], wire.JSON))
            answer = connection.read_answer()
            assert answer.status == 400, text[:length]


def test_json_out_of_the_exporter(launch, sink):
    """Protobuf in, JSON out: what the published package reads from it is what was sent."""
    martlet = launch(configuration({"otlp_http": to_sink(sink, encoding="json", compression="none")}))
    sent = [lenient_request()[1], traces(3, padding=100)]
    for request in sent:
        assert martlet.post(request).status == 200
    sink.wait_for_spans(4)
    assert parsed(flat(*sink.requests)) == parsed(flat(*sent))
    for delivery in sink.accepted:
        assert delivery.headers["content-type"] == "application/json"
        for span in json.loads(delivery.body)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            assert span["traceId"] == span["traceId"].lower() and len(span["traceId"]) == 32
            assert isinstance(span["startTimeUnixNano"], str) and isinstance(span["kind"], int)


def test_json_of_the_published_package(martlet, sink):
    sent = traces(50, padding=30)
    assert martlet.post(to_json(sent).encode(), kind=wire.JSON).status == 200
    sink.wait_for_spans(50)
    assert parsed(flat(*sink.requests)) == parsed(flat(sent))
    assert flat(from_json(to_json(sent), ExportTraceServiceRequest())) == flat(sent)
    assert len(spans_of(sent)) == 50
