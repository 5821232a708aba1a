"""OpenTelemetry's instrumentation of OpenAI before that; by default it writes the conventions 1.30."""
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

from . import calls, session


def instrument(provider):
    OpenAIInstrumentor().instrument(tracer_provider=provider)


session.run("otel-v2", instrument, calls.run)
