"""OTLP requests with ids that no other test has, and OTLP JSON to and from protobuf messages."""
import base64
import itertools
import json
import os

from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NOW = 1_790_000_000_000_000_000
_run = os.urandom(8)
_numbers = itertools.count(1)


def new_span_id():
    return next(_numbers).to_bytes(8, "big")


def new_trace_id():
    return _run + next(_numbers).to_bytes(8, "big")


def traces(count=1, *, padding=0, service="integration", name="work"):
    """A request of `count` spans in one trace; each span has an attribute of `padding` bytes that do not compress."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    scope = resource.scope_spans.add()
    scope.scope.name = "tests"
    trace_id = new_trace_id()
    for number in range(count):
        span = scope.spans.add(trace_id=trace_id, span_id=new_span_id(), name=f"{name} {number}", kind=3)
        span.start_time_unix_nano = NOW
        span.end_time_unix_nano = NOW + 1_000_000
        if padding:
            span.attributes.add(key="padding").value.bytes_value = os.urandom(padding)
    return request


def spans_of(*requests):
    """All spans, in order."""
    return [span for request in requests for resource in request.resource_spans
            for scope in resource.scope_spans for span in scope.spans]


def ids_of(*requests):
    """(trace id, span id) of all spans, in order."""
    return [(span.trace_id, span.span_id) for span in spans_of(*requests)]


def flat(*requests):
    """By (trace id, span id): (resource, its schema URL, scope, its schema URL, span), each as protobuf bytes."""
    found = {}
    for request in requests:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    parts = (resource.resource.SerializeToString(deterministic=True), resource.schema_url,
                             scope.scope.SerializeToString(deterministic=True), scope.schema_url,
                             span.SerializeToString(deterministic=True))
                    assert (span.trace_id, span.span_id) not in found, "a span came twice"
                    found[span.trace_id, span.span_id] = parts
    return found


ID_KEYS = {"traceId", "spanId", "parentSpanId"}


def _map_ids(value, convert):
    if isinstance(value, dict):
        return {key: convert(entry) if key in ID_KEYS else _map_ids(entry, convert) for key, entry in value.items()}
    if isinstance(value, list):
        return [_map_ids(entry, convert) for entry in value]
    return value


def from_json(text, message):
    """Reads OTLP JSON, whose ids are hexadecimal, into a protobuf message; unknown keys are errors."""
    value = _map_ids(json.loads(text), lambda digits: base64.b64encode(bytes.fromhex(digits)).decode())
    return json_format.ParseDict(value, message)


def to_json(message):
    """OTLP JSON of a message."""
    value = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(_map_ids(value, lambda encoded: base64.b64decode(encoded).hex()))


def rpc_status(answer):
    """The google.rpc.Status of an HTTP answer, by the answer's own content type."""
    kind = answer.headers.get("content-type", "")
    if kind == "application/json":
        # `details` are Any messages of types that this process need not know.
        value = json.loads(answer.body)
        return Status(code=value.get("code", 0), message=value.get("message", ""))
    assert kind == "application/x-protobuf", kind
    return Status.FromString(answer.body)
