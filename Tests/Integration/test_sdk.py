"""The OpenTelemetry Python SDK sends through the process under test; what arrives is what the SDK recorded."""
import math

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from support.otlp import flat, spans_of
from support.process import configuration, to_sink
from support.sink import answer, first
from support.waiting import wait_for

TEXT = "Grüße, 世界 🌍 \u0000 \u202e\ufeff \U0010ffff"


class Recording:
    """A tracer provider that exports to a URL and keeps what was recorded."""

    def __init__(self, url, **options):
        self.memory = InMemorySpanExporter()
        resource = Resource({"service.name": "sdk", "host.name": TEXT, "flag": True, "numbers": [1, 2, 3]},
                            schema_url="https://opentelemetry.io/schemas/1.30.0")
        self.provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_events=5, max_links=4))
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.exporter = OTLPSpanExporter(endpoint=url, **options)
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter, max_export_batch_size=64))

    def finish(self):
        assert self.provider.force_flush(60_000)
        self.provider.shutdown()

    @property
    def spans(self):
        return self.memory.get_finished_spans()

    def encoded(self):
        """What was recorded, as the SDK's own encoder puts it."""
        return encode_spans(self.spans)


def record_everything(provider):
    """Spans with every kind of everything that the SDK can record."""
    tracer = provider.get_tracer("scope", "1.2.3", schema_url="https://example.com/schema", attributes={"scope": "a"})
    other = provider.get_tracer("other scope")
    attributes = {
        "text": TEXT, "empty": "", "yes": True, "no": False, "zero": 0, "negative": -1, "large": 2**63 - 1,
        "small": -(2**63), "float": 0.1, "negative zero": -0.0, "infinite": math.inf, "nan": math.nan,
        "tiny": 5e-324, "texts": ["a", "", TEXT], "flags": [True, False], "ints": [0, -5, 2**40],
        "floats": [1.5, -math.inf], "none": [], TEXT: "unicode key",
    }
    remote = SpanContext(2**127 + 5, 2**63 + 7, is_remote=True, trace_flags=TraceFlags(1),
                         trace_state=TraceState([("vendor", "value"), ("other", "x=y")]))
    links = [Link(remote, attributes), Link(SpanContext(1, 1, is_remote=False))]
    for kind in SpanKind:
        with tracer.start_as_current_span(f"kind {kind.name} {TEXT}", kind=kind, attributes=attributes, links=links):
            pass
    with tracer.start_as_current_span("parent") as parent:
        parent.set_status(Status(StatusCode.OK))
        parent.add_event("event", attributes, timestamp=1)
        parent.add_event(TEXT, {}, timestamp=2**63)
        for number in range(7):
            parent.add_link(remote, {"number": number})
            parent.add_event(f"event {number}")
        with other.start_as_current_span("child", record_exception=True) as child:
            child.set_status(Status(StatusCode.ERROR, f"failed: {TEXT}"))
            child.record_exception(ValueError(TEXT))
    with other.start_as_current_span("many attributes") as many:
        for number in range(200):
            many.set_attribute(f"attribute {number}", number)
    with other.start_as_current_span("large attribute") as large:
        large.set_attribute("prompt", "Es war einmal … " * 40_000)
    other.start_span("times", start_time=1).end(end_time=2**63)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate],
                         ids=lambda compression: compression.value)
@pytest.mark.parametrize("out", ["none", "gzip", "zstd"])
def test_everything_arrives_as_recorded(launch, sink, compression, out):
    martlet = launch(configuration({"otlp_http": to_sink(sink, compression=out)}, processors={
        "batch": {"timeout": "50ms"}}))
    recording = Recording(martlet.url, compression=compression)
    record_everything(recording.provider)
    recording.finish()
    expected = flat(recording.encoded())
    assert len(expected) == len(recording.spans) == 5 + 2 + 3

    sink.wait_for_spans(len(expected))
    assert martlet.stop() == 0
    assert flat(*sink.requests) == expected
    compare_with_objects({span.name: span for span in spans_of(*sink.requests)}, recording.spans)


def compare_with_objects(arrived, recorded):
    """A few fields against the SDK's objects, past the SDK's encoder."""
    for span in recorded:
        found = arrived[span.name]
        assert int.from_bytes(found.trace_id, "big") == span.context.trace_id
        assert int.from_bytes(found.span_id, "big") == span.context.span_id
        assert (found.start_time_unix_nano, found.end_time_unix_nano) == (span.start_time, span.end_time)
        assert [attribute.key for attribute in found.attributes] == list(span.attributes)
        assert [event.name for event in found.events] == [event.name for event in span.events]
        assert [int.from_bytes(link.span_id, "big") for link in found.links] == [
            link.context.span_id for link in span.links]
        assert found.dropped_attributes_count == span.dropped_attributes
        assert found.dropped_events_count == span.dropped_events and found.dropped_links_count == span.dropped_links
        assert found.status.message == (span.status.description or "")
    assert arrived["many attributes"].dropped_attributes_count == 72
    assert arrived["parent"].dropped_events_count == 4
    assert len(arrived["large attribute"].attributes[0].value.string_value) == 640_000


def test_many_batches_of_a_batch_processor(launch, sink):
    """A thousand spans in batches of 64, gathered on the way: none missing, none twice."""
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={
        "batch": {"timeout": "100ms", "send_batch_size": 300, "send_batch_max_size": 300}}))
    recording = Recording(martlet.url)
    tracer = recording.provider.get_tracer("many")
    for number in range(1000):
        tracer.start_span(f"span {number}", attributes={"number": number}).end()
    recording.finish()
    sink.wait_for_spans(1000)
    assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(recording.encoded())
    assert max(delivery.span_count for delivery in sink.accepted) <= 300
    assert len(sink.deliveries) < 1000 / 64


def test_the_sdk_tries_again_when_the_queue_is_full(launch, sink):
    """503 with Retry-After: the SDK waits and sends again, and everything arrives once."""
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, queue={"queue_size": 1, "num_consumers": 1})}))
    recording = Recording(martlet.url, timeout=30)
    tracer = recording.provider.get_tracer("retry")
    for number in range(64 * 3):
        tracer.start_span(f"span {number}").end()
    sink.wait_for_deliveries(1)

    wait_for(lambda: martlet.metric("otelcol_receiver_refused_spans_total") >= 64, "a refusal")
    sink.release()
    recording.finish()
    sink.wait_for_spans(64 * 3)
    assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(recording.encoded())


def test_the_destination_fails_first(launch, sink):
    sink.behaviour = first(2, answer(503))
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    recording = Recording(martlet.url)
    record_everything(recording.provider)
    recording.finish()
    sink.wait_for_spans(len(recording.spans))
    assert martlet.stop() == 0
    assert flat(*sink.requests) == flat(recording.encoded())
    assert [delivery.status for delivery in sink.deliveries][:2] == [503, 503]
