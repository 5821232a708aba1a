"""LangChain with OpenInference around it and around the OpenAI SDK; below LangChain, the Anthropic SDK's own spans."""
import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

from . import calls, session


def instrument(provider):
    LangChainInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)


@tool
def weather(city: str) -> str:
    """Temperature of a city."""
    return calls.TOOL_RESULT


def model_of(scenario, provider):
    options = {"model": scenario.replies[0].model, "api_key": calls.KEY, "max_retries": 0}
    base = f"{provider}/{scenario.name}"
    if scenario.api == "messages":
        return ChatAnthropic(base_url=base, **options)
    return ChatOpenAI(base_url=f"{base}/v1", stream_usage=True, use_responses_api=scenario.api == "responses",
                      **options)


def run(scenario, provider):
    if scenario.api == "embeddings":
        OpenAIEmbeddings(base_url=f"{provider}/{scenario.name}/v1", model=scenario.replies[0].model, api_key=calls.KEY,
                         max_retries=0, check_embedding_ctx_length=False).embed_query(calls.QUESTION)
        return
    model = model_of(scenario, provider)
    if any(reply.calls_tool for reply in scenario.replies):
        model = model.bind_tools([weather])
    conversation = [("user", calls.QUESTION)]
    try:
        while True:
            answer = _stream(model, conversation) if scenario.streams else model.invoke(conversation)
            if not answer.tool_calls:
                return
            conversation += [answer, *(weather.invoke(call) for call in answer.tool_calls)]
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        assert error.status_code == scenario.replies[-1].status, error


def _stream(model, conversation):
    answer = None
    for chunk in model.stream(conversation):
        answer = chunk if answer is None else answer + chunk
    return answer


session.run("langchain", instrument, run)
