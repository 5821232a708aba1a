"""OpenInference around both SDKs. The Anthropic SDK writes spans of its own, below OpenInference's."""
from openinference.instrumentation.anthropic import AnthropicInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

from . import calls, session


def instrument(provider):
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    AnthropicInstrumentor().instrument(tracer_provider=provider)


session.run("openinference", instrument, calls.run)
