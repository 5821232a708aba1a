"""The OpenAI Agents SDK with OpenInference around both: the agent's spans repeat those of the client below them."""
import asyncio

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool
from openai import APIStatusError, AsyncOpenAI
from openinference.instrumentation.openai import OpenAIInstrumentor
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

from . import calls, session


def instrument(provider):
    # In place of the SDK's own processor, which would send to OpenAI.
    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider, exclusive_processor=True)
    OpenAIInstrumentor().instrument(tracer_provider=provider)


@function_tool
def weather(city: str) -> str:
    """Temperature of a city."""
    return calls.TOOL_RESULT


async def answer(scenario, provider):
    async with AsyncOpenAI(base_url=f"{provider}/{scenario.name}/v1", api_key=calls.KEY, max_retries=0) as client:
        make = OpenAIResponsesModel if scenario.api == "responses" else OpenAIChatCompletionsModel
        agent = Agent(name="meteorologist", instructions="Answer in one sentence.", tools=[weather],
                      model=make(model=scenario.replies[0].model, openai_client=client),
                      model_settings=ModelSettings(include_usage=True))
        if scenario.streams:
            result = Runner.run_streamed(agent, calls.QUESTION)
            async for _ in result.stream_events():
                pass
        else:
            await Runner.run(agent, calls.QUESTION)


def run(scenario, provider):
    try:
        asyncio.run(answer(scenario, provider))
    except APIStatusError as error:
        assert error.status_code == scenario.replies[-1].status, error


session.run("agents", instrument, run)
