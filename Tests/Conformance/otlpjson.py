"""OTLP JSON by the published protobuf package: its JSON mapping plus OTLP's deviations. The reference for our codec."""
import base64
import json
import math
import random

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.internal import encoder
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace

ROOTS = {
    "traceRequest": trace.ExportTraceServiceRequest,
    "metricsRequest": metrics.ExportMetricsServiceRequest,
    "logsRequest": logs.ExportLogsServiceRequest,
    "traceResponse": trace.ExportTraceServiceResponse,
    "metricsResponse": metrics.ExportMetricsServiceResponse,
    "logsResponse": logs.ExportLogsServiceResponse,
}
IDS = {"traceId", "spanId", "parentSpanId"}
PROFILES_ONLY = {"string_value_strindex", "key_strindex"}

# ---- from a message to OTLP JSON


def to_object(message):
    """The message as JSON values, in the order of field numbers."""
    return _with_hex_ids(json_format.MessageToDict(message, use_integers_for_enums=True))


def _with_hex_ids(value):
    if isinstance(value, list):
        return [_with_hex_ids(element) for element in value]
    if isinstance(value, dict):
        return {key: base64.b64decode(member).hex() if key in IDS else _with_hex_ids(member)
                for key, member in value.items()}
    return value


def to_text(value):
    """Compact JSON as our encoder writes it: doubles without a needless fraction."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{to_text(key)}:{to_text(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_text, value)) + "]"
    if isinstance(value, float) and value == int(value) and abs(value) < 10**16 and (value or not _is_negative(value)):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _is_negative(value):
    return math.copysign(1, value) < 0


# ---- random messages

STRINGS = ("", "a", "gpt-4o", "naïve", "日本語のテキスト" * 3, "🙂🙃", 'quo"te', "back\\slash", "tab\tnew\nline\r\b\f",
           "\x00\x01\x1f\x7f", "</script>&", "x" * 15, "y" * 16, "z" * 17, "long " * 40, "mixed é " * 9 + '"',
           "\u2028\uffff", "ÿ" * 15 + "\n")
INTEGERS = (0, 1, -1, 9, 10, 99, 100, 12345678, 99999999, 100000000, 10**16, 10**16 - 1, 2**31 - 1, -2**31, 2**32 - 1,
            2**53, 2**63 - 1, -2**63, 2**64 - 1)
DOUBLES = (0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 1e-5, 1e-4, 12345.678901, 1e15, 1e16, 1e22, 1e23, 5e-324,
           1.7976931348623157e308, 2.0**53, 2.0**53 + 2, 123456789012345680.0, math.nan, math.inf, -math.inf, 0.3,
           4.35, 2.5e-8, 99.99)
RANGES = {Field.TYPE_INT32: (-2**31, 2**31), Field.TYPE_SINT32: (-2**31, 2**31), Field.TYPE_UINT32: (0, 2**32),
          Field.TYPE_FIXED32: (0, 2**32), Field.TYPE_INT64: (-2**63, 2**63), Field.TYPE_SFIXED64: (-2**63, 2**63),
          Field.TYPE_UINT64: (0, 2**64), Field.TYPE_FIXED64: (0, 2**64)}


def fill(message, rnd, depth=10):
    """Sets random fields of a message, with values at the edges of their types."""
    # The envelopes are always there, so that most cases reach the items.
    density = 1 if depth > 5 else rnd.choice((0.2, 0.6, 0.95))
    for field in message.DESCRIPTOR.fields:
        if field.name in PROFILES_ONLY or rnd.random() > density:
            continue
        if field.containing_oneof and len(field.containing_oneof.fields) > 1 and rnd.random() < 0.5:
            continue
        if field.type == Field.TYPE_MESSAGE:
            if depth == 0:
                continue
            if field.is_repeated:
                for _ in range(rnd.choice((1, 1, 2) if depth > 5 else (0, 1, 1, 2, 3))):
                    fill(getattr(message, field.name).add(), rnd, depth - 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(getattr(message, field.name), rnd, depth - 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(scalar(field, rnd) for _ in range(rnd.choice((0, 1, 3, 20))))
        else:
            setattr(message, field.name, scalar(field, rnd))
    return message


def scalar(field, rnd):
    if field.type == Field.TYPE_STRING:
        return rnd.choice(STRINGS) if rnd.random() < 0.7 else "".join(rnd.choices("ab\"\\\né€🙂", k=rnd.randrange(60)))
    if field.type == Field.TYPE_BYTES:
        return rnd.randbytes(rnd.choice((0, 1, 2, 3, 7, 8, 16, 16, 17, 40)))
    if field.type == Field.TYPE_BOOL:
        return rnd.random() < 0.5
    if field.type == Field.TYPE_DOUBLE:
        return rnd.choice(DOUBLES) if rnd.random() < 0.6 else rnd.choice(
            (rnd.random(), rnd.uniform(-1e9, 1e9), round(rnd.uniform(0, 1e4), rnd.randrange(8)),
             rnd.random() * 10.0 ** rnd.randrange(-300, 300)))
    if field.type == Field.TYPE_ENUM:
        return rnd.choice(list(field.enum_type.values_by_number))
    low, high = RANGES[field.type]
    fitting = [number for number in INTEGERS if low <= number < high]
    return rnd.choice(fitting) if rnd.random() < 0.7 else rnd.randrange(low, high)


# ---- other encodings of messages

WIRE_TYPES = {0: "varint", 1: "fixed64", 2: "bytes", 5: "fixed32"}
PACKABLE = {Field.TYPE_FIXED64: 1, Field.TYPE_DOUBLE: 1, Field.TYPE_UINT64: 0}


def split_fields(data):
    """[(number, wire type, payload with its length if it has one)]"""
    fields, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        start = at
        kind = tag & 7
        if kind == 0:
            _, at = read_varint(data, at)
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        else:
            size, at = read_varint(data, at)
            start, at = at, at + size
        fields.append((tag >> 3, kind, data[start:at]))
    return fields


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def varint(value):
    return encoder._VarintBytes(value)


def join_fields(fields):
    return b"".join(varint(number << 3 | kind) + (varint(len(data)) if kind == 2 else b"") + data
                    for number, kind, data in fields)


def scramble(data, descriptor, rnd):
    """The same message encoded in another way that parsers must accept: other order, unpacked numbers, split
    sub-messages, overwritten scalars, unknown fields. Its meaning may change; ask a parser what it is."""
    fields = []
    for number, kind, payload in split_fields(data):
        field = descriptor.fields_by_number[number]
        if field.type == Field.TYPE_MESSAGE:
            payload = scramble(payload, field.message_type, rnd)
            parts = split_fields(payload)
            if not field.is_repeated and len(parts) > 1 and rnd.random() < 0.3:
                cut = rnd.randrange(len(parts))
                fields.append((number, kind, join_fields(parts[:cut])))
                payload = join_fields(parts[cut:])
        elif field.is_repeated and field.type in PACKABLE and rnd.random() < 0.5:
            wire = PACKABLE[field.type]
            at = 0
            while at < len(payload):
                end = at + 8 if wire == 1 else read_varint(payload, at)[1]
                fields.append((number, wire, payload[at:end]))
                at = end
            continue
        elif not field.is_repeated and rnd.random() < 0.1:
            fields.append((number, kind, payload))
        fields.append((number, kind, payload))
        if rnd.random() < 0.05:
            fields.append(rnd.choice(((900, 2, b"unknown"), (17, 0, varint(5)), (20000, 5, b"abcd"), (33, 1, bytes(8)))))
    if rnd.random() < 0.5:
        rnd.shuffle(fields)
    return join_fields(fields)


def random_request(name, seed):
    rnd = random.Random(f"{name} {seed}")
    message = fill(ROOTS[name](), rnd)
    return message, rnd
