"""What every program does: a tracer provider that exports to Martlet, a root span for each scenario, a clean end."""
import os
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from genai.scenarios import BY_NAME

#: Longer than any program runs: only a flush sends, so that a trace is in one request.
NEVER_MILLISECONDS = 3_600_000


def run(service, instrument, call):
    """`program PROVIDER_URL TRACES_URL SCENARIO…`: after `instrument(tracer_provider)`, `call(scenario, provider_url)`
    for each scenario, inside a span that has its name. `service` is the name unless OTEL_SERVICE_NAME is set."""
    provider_url, traces_url, *names = sys.argv[1:]
    service = os.environ.get("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(
        OTLPSpanExporter(endpoint=traces_url), schedule_delay_millis=NEVER_MILLISECONDS))
    trace.set_tracer_provider(provider)
    instrument(provider)
    tracer = trace.get_tracer("scenarios")
    for name in names:
        with tracer.start_as_current_span(name):
            call(BY_NAME[name], provider_url)
        assert provider.force_flush(), f"{name}: the spans did not leave"
    provider.shutdown()
