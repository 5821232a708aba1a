"""Makes a scenario's calls with the providers' SDKs."""
import asyncio
import importlib
import json

TOOL_RESULT = json.dumps({"degrees": 21})
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION = "How warm is it in Oslo?"
KEY = "sk-stand-in"


def run(scenario, provider):
    """One scenario against the stand-in at `provider`; errors of the API are what some scenarios are for."""
    is_messages = scenario.api == "messages"
    sdk = importlib.import_module("anthropic" if is_messages else "openai")
    is_async = scenario.how in ("async", "stream-async")
    kind = "Anthropic" if is_messages else "OpenAI"
    options = {"base_url": f"{provider}/{scenario.name}" + ("" if is_messages else "/v1"), "api_key": KEY,
               "max_retries": 0}
    try:
        if is_async:
            asyncio.run(_call_async(scenario, getattr(sdk, "Async" + kind)(**options)))
        else:
            with getattr(sdk, kind)(**options) as client:
                _call(scenario, client)
    except sdk.APIStatusError as error:
        assert error.status_code == scenario.replies[-1].status, error


async def _call_async(scenario, client):
    """One call; async scenarios have one."""
    async with client:
        result = await _method(scenario.api, client)(**_request(scenario, _conversation(scenario.api)))
        if scenario.streams:
            async for _ in result:
                pass


def _call(scenario, client):
    conversation = _conversation(scenario.api)
    for number in range(len(scenario.replies)):
        if number:
            _append_tool_result(scenario.api, conversation, number)
        request = _request(scenario, conversation)
        if scenario.how == "stream-helper":
            del request["stream"]
            with client.messages.stream(**request) as stream:
                for _ in stream.text_stream:
                    pass
            continue
        result = _method(scenario.api, client)(**request)
        if scenario.how == "abort":
            next(iter(result))
            result.close()
        elif scenario.streams:
            for _ in result:
                pass


def _method(api, client):
    return {"chat": lambda: client.chat.completions, "responses": lambda: client.responses,
            "embeddings": lambda: client.embeddings, "messages": lambda: client.messages}[api]().create


def _conversation(api):
    return QUESTION if api == "embeddings" else [{"role": "user", "content": QUESTION}]


def _append_tool_result(api, conversation, number):
    name, call = "weather", f"call_{number}"
    arguments = json.dumps({"city": "Oslo"})
    if api == "chat":
        conversation += [
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": call, "content": TOOL_RESULT}]
    elif api == "responses":
        conversation += [
            {"type": "function_call", "call_id": call, "name": name, "arguments": arguments},
            {"type": "function_call_output", "call_id": call, "output": TOOL_RESULT}]
    else:
        conversation += [
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": call, "name": name, "input": json.loads(arguments)}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": TOOL_RESULT}]}]


def _request(scenario, conversation):
    api, reply = scenario.api, scenario.replies[0]
    if api == "embeddings":
        return {"model": reply.model, "input": conversation}
    request = {"model": reply.model, ("input" if api == "responses" else "messages"): conversation}
    if scenario.streams:
        request["stream"] = True
    if api == "chat" and scenario.how in ("stream", "stream-async"):
        request["stream_options"] = {"include_usage": True}
    if api == "messages":
        request["max_tokens"] = 8192
        if reply.reasoning:
            request["thinking"] = {"type": "enabled", "budget_tokens": 4096}
    if reply.tier:
        request["service_tier"] = reply.tier
    if any(reply.calls_tool for reply in scenario.replies):
        text = "Temperature of a city"
        request["tools"] = [{
            "chat": {"type": "function",
                     "function": {"name": "weather", "description": text, "parameters": PARAMETERS}},
            "responses": {"type": "function", "name": "weather", "description": text, "parameters": PARAMETERS,
                          "strict": False},
            "messages": {"name": "weather", "description": text, "input_schema": PARAMETERS}}[api]]
    return request
