"""The bodies and event streams that the providers answer with, for a `Reply`."""
import json

TEXT = "It is 21 degrees in Oslo."
WORDS = [word + " " for word in TEXT.split(" ")[:-1]] + [TEXT.split(" ")[-1]]
ARGUMENTS = json.dumps({"city": "Oslo"})
CREATED = 1_790_000_000


def event(data, name=None):
    return (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


# Chat completions

def chat_usage(reply):
    return {
        "prompt_tokens": reply.input, "completion_tokens": reply.output, "total_tokens": reply.input + reply.output,
        "prompt_tokens_details": {"cached_tokens": reply.cache_read, "cache_write_tokens": reply.cache_write,
                                  "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning, "audio_tokens": 0,
                                      "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}


def chat_head(reply, number, kind):
    return {"id": f"chatcmpl-{number}", "object": kind, "created": CREATED, "model": reply.answers_as or reply.model,
            "service_tier": reply.tier or "default", "system_fingerprint": "fp_0"}


def chat(reply, number):
    message = {"role": "assistant", "content": None if reply.calls_tool else TEXT, "refusal": None}
    if reply.calls_tool:
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function",
                                  "function": {"name": "weather", "arguments": ARGUMENTS}}]
    choice = {"index": 0, "message": message, "logprobs": None,
              "finish_reason": "tool_calls" if reply.calls_tool else "stop"}
    return {**chat_head(reply, number, "chat.completion"), "choices": [choice], "usage": chat_usage(reply)}


def chat_stream(reply, number, with_usage):
    head = chat_head(reply, number, "chat.completion.chunk")
    if with_usage:
        head["usage"] = None

    def chunk(delta, reason=None):
        return event({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})
    yield chunk({"role": "assistant", "content": None if reply.calls_tool else ""})
    if reply.calls_tool:
        yield chunk({"tool_calls": [{"index": 0, "id": f"call_{number}", "type": "function",
                                     "function": {"name": "weather", "arguments": ""}}]})
        for part in (ARGUMENTS[:7], ARGUMENTS[7:]):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
    else:
        for word in WORDS:
            yield chunk({"content": word})
    yield chunk({}, "tool_calls" if reply.calls_tool else "stop")
    if with_usage:
        yield event({**head, "choices": [], "usage": chat_usage(reply)})
    yield event("[DONE]")


# Responses

def response_usage(reply):
    return {"input_tokens": reply.input,
            "input_tokens_details": {"cached_tokens": reply.cache_read, "cache_write_tokens": reply.cache_write},
            "output_tokens": reply.output, "output_tokens_details": {"reasoning_tokens": reply.reasoning},
            "total_tokens": reply.input + reply.output}


def response_item(reply, number, status="completed"):
    if reply.calls_tool:
        return {"id": f"fc_{number}", "type": "function_call", "status": status, "call_id": f"call_{number}",
                "name": "weather", "arguments": ARGUMENTS if status == "completed" else ""}
    content = [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}]
    return {"id": f"msg_{number}", "type": "message", "status": status, "role": "assistant",
            "content": content if status == "completed" else []}


def response(reply, number, status="completed"):
    done = status == "completed"
    return {
        "id": f"resp_{number}", "object": "response", "created_at": CREATED, "status": status, "error": None,
        "incomplete_details": None, "instructions": None, "max_output_tokens": None,
        "model": reply.answers_as or reply.model, "output": [response_item(reply, number)] if done else [],
        "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
        "service_tier": reply.tier or "default", "store": False, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": response_usage(reply) if done else None, "user": None, "metadata": {}}


def response_stream(reply, number):
    sequence = iter(range(1000))

    def made(kind, **fields):
        return event({"type": kind, "sequence_number": next(sequence), **fields}, kind)
    yield made("response.created", response=response(reply, number, "in_progress"))
    yield made("response.in_progress", response=response(reply, number, "in_progress"))
    yield made("response.output_item.added", output_index=0, item=response_item(reply, number, "in_progress"))
    item = response_item(reply, number)
    place = {"item_id": item["id"], "output_index": 0}
    if reply.calls_tool:
        yield made("response.function_call_arguments.delta", **place, delta=ARGUMENTS)
        yield made("response.function_call_arguments.done", **place, arguments=ARGUMENTS, name="weather")
    else:
        place["content_index"] = 0
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield made("response.content_part.added", **place, part=empty)
        for word in WORDS:
            yield made("response.output_text.delta", **place, delta=word, logprobs=[])
        yield made("response.output_text.done", **place, text=TEXT, logprobs=[])
        yield made("response.content_part.done", **place, part=item["content"][0])
    yield made("response.output_item.done", output_index=0, item=item)
    yield made("response.completed", response=response(reply, number))


# Embeddings

def embedding(reply, number):
    return {"object": "list", "model": reply.answers_as or reply.model,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}],
            "usage": {"prompt_tokens": reply.input, "total_tokens": reply.input}}


# Messages

def message_usage(reply, output):
    five_minutes = reply.cache_write - reply.cache_write_1h
    usage = {"input_tokens": reply.input - reply.cache_read - reply.cache_write,
             "cache_creation_input_tokens": reply.cache_write, "cache_read_input_tokens": reply.cache_read,
             "cache_creation": {"ephemeral_5m_input_tokens": five_minutes,
                                "ephemeral_1h_input_tokens": reply.cache_write_1h},
             "output_tokens": output, "service_tier": "standard"}
    if reply.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": reply.reasoning}
    return usage


def message_content(reply, number):
    content = [{"type": "text", "text": TEXT, "citations": None}]
    if reply.calls_tool:
        content = [{"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": json.loads(ARGUMENTS)}]
    if reply.reasoning:
        content.insert(0, {"type": "thinking", "thinking": "Oslo is in Norway.", "signature": "c2lnbmF0dXJl"})
    return content


def message(reply, number, *, is_complete=True):
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": reply.answers_as or reply.model,
            "content": message_content(reply, number) if is_complete else [],
            "stop_reason": ("tool_use" if reply.calls_tool else "end_turn") if is_complete else None,
            "stop_sequence": None, "usage": message_usage(reply, reply.output if is_complete else 1)}


def message_stream(reply, number):
    def made(kind, **fields):
        return event({"type": kind, **fields}, kind)
    yield made("message_start", message=message(reply, number, is_complete=False))
    for index, block in enumerate(message_content(reply, number)):
        if block["type"] == "text":
            start, deltas = {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in WORDS]
        elif block["type"] == "thinking":
            start = {**block, "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"]},
                      {"type": "signature_delta", "signature": block["signature"]}]
        else:
            start = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in (ARGUMENTS[:7], ARGUMENTS[7:])]
        yield made("content_block_start", index=index, content_block=start)
        if index == 0:
            yield made("ping")
        for delta in deltas:
            yield made("content_block_delta", index=index, delta=delta)
        yield made("content_block_stop", index=index)
    # The cumulative counts; how the writes divide is in the first event only.
    usage = {key: value for key, value in message_usage(reply, reply.output).items()
             if key not in ("cache_creation", "service_tier")}
    reason = "tool_use" if reply.calls_tool else "end_turn"
    yield made("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)
    yield made("message_stop")


# Errors

OPENAI_ERRORS = {400: ("invalid_request_error", None), 401: ("invalid_request_error", "invalid_api_key"),
                 429: ("requests", "rate_limit_exceeded"), 500: ("server_error", None)}
ANTHROPIC_ERRORS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error",
                    500: "api_error"}


def error(api, status, text="refused by the stand-in"):
    if api == "messages":
        return {"type": "error", "error": {"type": ANTHROPIC_ERRORS[status], "message": text},
                "request_id": "req_refused"}
    kind, code = OPENAI_ERRORS[status]
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}
