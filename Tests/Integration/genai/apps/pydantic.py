"""Pydantic AI with its own instrumentation and, below it, the Anthropic SDK's and, unless WITHOUT_OPENLLMETRY is set,
OpenLLMetry's."""
import os

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from . import calls, session


def instrument(provider):
    if not os.environ.get("WITHOUT_OPENLLMETRY"):
        OpenAIInstrumentor().instrument(tracer_provider=provider)
    Agent.instrument_all()


def model_of(scenario, provider):
    name, base = scenario.replies[0].model, f"{provider}/{scenario.name}"
    options = {"api_key": calls.KEY, "max_retries": 0}
    if scenario.api == "messages":
        client = AsyncAnthropic(base_url=base, **options)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))
    make = OpenAIResponsesModel if scenario.api == "responses" else OpenAIChatModel
    return make(name, provider=OpenAIProvider(openai_client=AsyncOpenAI(base_url=f"{base}/v1", **options)))


def run(scenario, provider):
    agent = Agent(model_of(scenario, provider), name="meteorologist", instructions="Answer in one sentence.",
                  retries=0)

    @agent.tool_plain
    def weather(city: str) -> str:
        """Temperature of a city."""
        return calls.TOOL_RESULT
    try:
        if scenario.streams:
            with agent.run_stream_sync(calls.QUESTION) as result:
                for _ in result.stream_text():
                    pass
        else:
            agent.run_sync(calls.QUESTION)
    except ModelHTTPError as error:
        assert error.status_code == scenario.replies[-1].status, error


session.run("pydantic", instrument, run)
