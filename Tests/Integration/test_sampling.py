"""The probabilistic sampler: its decisions are those that are computed here, independently, and its counts add up."""
import math
import random
import struct

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from support.otlp import spans_of
from support.process import configuration, to_sink

RANGE = 1 << 56
COUNT = "otelcol_processor_probabilistic_sampler_count_{}_sampled_total"


# The rules, from the specification and from the description of otelcol's hash.

def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def is_hash_kept(source, percentage, seed):
    """Below the percentage's share of 2^14, which is computed in single precision and cut off."""
    single = struct.unpack("f", struct.pack("f", percentage))[0]
    scale = struct.unpack("f", struct.pack("f", 163.84))[0]
    bound = int(struct.unpack("f", struct.pack("f", single * scale))[0])
    return fnv1a(struct.pack("<I", seed) + source) & 0x3FFF < bound


def randomness(trace_id):
    return int.from_bytes(trace_id[9:], "big")


def sampling_of(state):
    """(rv, th) of a trace state as numbers; None for what is not there."""
    found = {}
    for member in state.split(","):
        if member.startswith("ot="):
            found = dict(entry.split(":", 1) for entry in member[3:].split(";"))
    rv, th = found.get("rv"), found.get("th")
    return rv and int(rv, 16), th and int(th.ljust(14, "0"), 16)


def adjusted_count(state):
    return RANGE / (RANGE - sampling_of(state)[1])


# Requests, put together from bytes: a million spans.

def field(number, payload):
    length, size = bytearray(), len(payload)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + payload


def span(trace_id, state=b""):
    return field(2, field(1, trace_id) + field(2, b"\1\2\3\4\5\6\7\x08") + (field(3, state) if state else b"")
                 + field(5, b"work"))


def request(spans):
    return field(1, field(2, b"".join(spans)))


def run(launch, sink, settings, spans, *, chunk=5000):
    """What is left of the spans."""
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"probabilistic_sampler": settings}))
    for start in range(0, len(spans), chunk):
        assert martlet.post(request(spans[start:start + chunk])).status == 200
    sampled = int(martlet.metric(COUNT.format("traces"), sampled="true"))
    assert sampled + int(martlet.metric(COUNT.format("traces"), sampled="false")) == len(spans)
    assert martlet.stop() == 0
    left = spans_of(*sink.requests)
    assert len(left) == sampled
    return left


@pytest.mark.parametrize("percentage, seed", [(10, 0), (15.3, 22), (0.5, 4294967295), (99.9, 1)])
def test_hash_seed_keeps_what_the_hash_says(launch, sink, percentage, seed):
    source = random.Random(seed)
    ids = [source.randbytes(16) for _ in range(20_000)]
    left = run(launch, sink, {"sampling_percentage": percentage, "hash_seed": seed}, [span(i, b"v=1") for i in ids])
    assert {each.trace_id for each in left} == {i for i in ids if is_hash_kept(i, percentage, seed)}
    for each in left:
        rv, th = sampling_of(each.trace_state)
        assert rv >= th and each.trace_state.endswith(",v=1")
        assert 0x3FFF - (rv >> 42) == fnv1a(struct.pack("<I", seed) + each.trace_id) & 0x3FFF


@pytest.mark.parametrize("mode", ["equalizing", "proportional"])
@pytest.mark.parametrize("percentage", [10, 33.3, 0.1])
def test_consistent_modes_keep_what_the_threshold_says(launch, sink, mode, percentage):
    source = random.Random(percentage)
    ids = [source.randbytes(16) for _ in range(20_000)]
    left = run(launch, sink, {"sampling_percentage": percentage, "mode": mode, "sampling_precision": 14},
               [span(i) for i in ids])
    share = struct.unpack("f", struct.pack("f", percentage))[0] / 100
    threshold = RANGE - round(share * RANGE)
    assert {each.trace_id for each in left} == {i for i in ids if randomness(i) >= threshold}
    assert {sampling_of(each.trace_state) for each in left} <= {(None, threshold)}


@pytest.mark.parametrize("mode", ["hash_seed", "equalizing", "proportional"])
def test_share_and_counts_of_a_million_traces(launch, sink, mode):
    total, percentage = 1_000_000, 1
    source = random.Random(mode)
    left = run(launch, sink, {"sampling_percentage": percentage, "mode": mode},
               [span(source.randbytes(16)) for _ in range(total)], chunk=20_000)
    # hash_seed cuts the share to 14 bits.
    share = int(percentage * 163.84) / 16384 if mode == "hash_seed" else percentage / 100
    error = math.sqrt(total * share * (1 - share))
    assert abs(len(left) - total * share) <= 3 * error
    # Written with four digits, thresholds differ from the share by less than 2^-16 of it.
    counted = sum(adjusted_count(each.trace_state) for each in left)
    assert abs(counted - total) <= 3 * error / share


@pytest.mark.parametrize("mode", ["equalizing", "proportional"])
def test_counts_add_up_behind_other_samplers(launch, sink, mode):
    """A quarter of the traces each comes from senders that kept 100 %, 50 %, 10 % and 2 % of theirs."""
    total, percentage = 400_000, 20
    source = random.Random(mode)
    spans, variance = [], 0
    for number in range(total):
        before, digits = [(1, b"0"), (0.5, b"8"), (1 / 16, b"f"), (1 / 64, b"fc")][number % 4]
        share = min(before, percentage / 100) if mode == "equalizing" else before * percentage / 100
        variance += (1 - share) / share
        trace_id = source.randbytes(16)
        if randomness(trace_id) >= (1 - before) * RANGE:
            spans.append(span(trace_id, b"vendor=x,ot=th:" + digits + b";p:1"))
    left = run(launch, sink, {"sampling_percentage": percentage, "mode": mode}, spans, chunk=20_000)
    assert 1000 < len(left) < len(spans)
    counted = sum(adjusted_count(each.trace_state) for each in left)
    assert abs(counted - total) <= 3 * math.sqrt(variance)
    for each in left:
        assert randomness(each.trace_id) >= sampling_of(each.trace_state)[1]
        # What need not change stays to the byte.
        assert each.trace_state.endswith(";p:1,vendor=x") or each.trace_state.startswith("vendor=x,ot=th:f")


def test_logs_are_kept_by_trace_id_or_attribute(launch, sink):
    source = random.Random(5)
    sent = ExportLogsServiceRequest()
    records = sent.resource_logs.add().scope_logs.add().log_records
    wanted = set()
    for number in range(5000):
        record = records.add()
        record.body.string_value = str(number)
        key = f"record-{number}"
        record.attributes.add(key="log.id").value.string_value = key
        if number % 2:
            record.trace_id = source.randbytes(16)
        if is_hash_kept(record.trace_id or key.encode(), 30, 7):
            wanted.add(str(number))
    settings = {"sampling_percentage": 30, "hash_seed": 7, "from_attribute": "log.id"}
    martlet = launch(configuration(
        {"otlp_http": to_sink(sink)}, processors={"probabilistic_sampler": settings},
        pipelines={"logs": {"receivers": ["otlp"], "processors": ["probabilistic_sampler"], "exporters": ["otlp_http"]}}))
    assert martlet.post(sent.SerializeToString(), path="/v1/logs").status == 200
    for policy, parity in [("trace_id_hash", 1), ("log.id", 0)]:
        assert martlet.metric(COUNT.format("logs"), policy=policy, sampled="true") == sum(
            int(number) % 2 == parity for number in wanted)
    assert martlet.stop() == 0
    left = [record for message in sink.requests for resource in message.resource_logs
            for scope in resource.scope_logs for record in scope.log_records]
    assert {record.body.string_value for record in left} == wanted
    for record in left:
        values = {attribute.key: attribute.value.string_value for attribute in record.attributes}
        assert int(values["sampling.randomness"], 16) >= int(values["sampling.threshold"].ljust(14, "0"), 16)
