"""OpenTelemetry's own instrumentation of both SDKs, of the current generation."""
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from . import calls, session


def instrument(provider):
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    AnthropicInstrumentor().instrument(tracer_provider=provider)


session.run("otel", instrument, calls.run)
