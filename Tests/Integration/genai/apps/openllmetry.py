"""OpenLLMetry around both SDKs. The Anthropic SDK writes spans of its own, below OpenLLMetry's."""
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

from . import calls, session


def instrument(provider):
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    AnthropicInstrumentor().instrument(tracer_provider=provider)


session.run("openllmetry", instrument, calls.run)
