"""A burst is held, decided about and let go of: its memory goes back to the system."""
import time

import yaml

from support.otlp import NOW, ExportTraceServiceRequest
from support.process import configuration
from support.waiting import wait_for

BURST = 300 << 20
SPANS = 400


def template():
    """A request of one-span traces, and where their trace ids lie."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "burst"
    scope = resource.scope_spans.add()
    for number in range(SPANS):
        mark = b"TRACE-ID" + number.to_bytes(8, "big")
        span = scope.spans.add(trace_id=mark, span_id=(number + 1).to_bytes(8, "big"), name="work", kind=3)
        span.start_time_unix_nano = NOW
        span.end_time_unix_nano = NOW + 1_000_000
        span.attributes.add(key="text").value.string_value = "x" * 500
    body = bytearray(request.SerializeToString())
    places = [body.index(b"TRACE-ID" + number.to_bytes(8, "big")) for number in range(SPANS)]
    return body, places


def test_memory_is_given_back_after_a_burst(launch):
    none = {"name": "none", "type": "span_count", "span_count": {"min_spans": 1000}}
    config = configuration(
        {"nop": None}, processors={
            "memory_limiter": {"check_interval": "1s", "limit_mib": 2000},
            "tail_sampling": {"decision_wait": "600s", "num_traces": 10_000_000, "maximum_buffer_bytes": 1 << 30,
                              "policies": [none]}})
    martlet = launch(config)
    body, places = template()

    def post(number):
        for place in places:
            body[place:place + 8] = number.to_bytes(4, "big") + place.to_bytes(4, "big")
        assert martlet.post(bytes(body)).status == 200

    # What a process that has worked needs anyway: buffers of connections, the policies' memory.
    for number in range(20):
        post(number)
    before = martlet.rss()
    requests = BURST // len(body) + 1
    for number in range(20, 20 + requests):
        post(number)
    held = martlet.rss()
    assert martlet.metric("otelcol_processor_tail_sampling_sampling_traces_on_memory") == (20 + requests) * SPANS
    assert held - before > BURST
    config["processors"]["tail_sampling"]["decision_wait"] = "1s"
    martlet.path.write_text(yaml.safe_dump(config, sort_keys=False))
    martlet.signal(1)
    begun = time.monotonic()
    try:
        wait_for(lambda: martlet.rss() < before * 1.5, "memory is given back", 120, 0.2)
    finally:
        print(f"before {before >> 20} MiB, held {held >> 20} MiB, then {martlet.rss() >> 20} MiB "
              f"after {time.monotonic() - begun:.1f} s")
    martlet.wait_for_metric("otelcol_processor_tail_sampling_sampling_traces_on_memory", 0, timeout=60)
    assert martlet.stop() == 0
