#!/usr/bin/env python3
"""Writes the golden spans of this folder: NAME.jsonl has one OTLP JSON request of one span a line, NAME.rows what is
expected of each. The expectations are written by hand, from what each emitter is known to write; the tests compare.

A row is `none` for a span that is no AI span, else `key=value` words:
kind, provider, by (how the provider was found, unless an attribute says it), op, request, response, id, session, user,
tenant, feature, agent, workflow, tool, prompt, tier, in, out, read, w5m, w1h, reasoning, ain, aout (audio), iout
(image), cost, currency, finish, stream, ttft, topk, size, score, vector, eval, error, aggregate, usage (the rule),
marks, source, rule. What has no value is left out."""
import json
import pathlib

HERE = pathlib.Path(__file__).parent
START = 1_760_000_000_000_000_000
families = {}


def value(v):
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, list):
        return {"arrayValue": {"values": [value(x) for x in v]}}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": attributes(v)}}
    return {"stringValue": v}


def attributes(mapping):
    return [{"key": k, "value": value(v)} for k, v in mapping.items()]


def case(family, title, attrs, row, scope="app", version="", name="span", events=(), status=0):
    span = {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "1112131415161718", "name": name, "kind": 3,
            "startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 2_000_000_000),
            "attributes": attributes(attrs)}
    if events:
        span["events"] = [{"timeUnixNano": str(START + at), "name": event, "attributes": attributes(fields)}
                          for at, event, fields in events]
    if status:
        span["status"] = {"code": status}
    request = {"resourceSpans": [{"resource": {"attributes": attributes({"service.name": "shop"})}, "scopeSpans": [
        {"scope": {"name": scope, "version": version}, "spans": [span]}]}]}
    families.setdefault(family, []).append((title, json.dumps(request, separators=(",", ":")), row))


# ---- OpenTelemetry conventions, old and current -------------------------------------------------
OTEL = "source=otel rule=gen_ai.operation.name"
case("otel", "1.27, gen_ai.system", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.response.finish_reasons": ["stop"]},
    f"kind=model provider=openai op=chat request=gpt-4o response=gpt-4o-2024-08-06 id=chatcmpl-1 in=100 out=20 finish=stop {OTEL}")
case("otel", "before 1.27, prompt and completion tokens", {
    "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4", "gen_ai.usage.prompt_tokens": 7,
    "gen_ai.usage.completion_tokens": 3},
    "kind=model provider=openai op=chat request=gpt-4 in=7 out=3 source=otel rule=gen_ai.system")
case("otel", "current, everything", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.conversation.id": "conv-1", "user.id": "u1", "session.id": "browser-1",
    "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200,
    "gen_ai.usage.cache_read.input_tokens": 600, "gen_ai.usage.cache_write.input_tokens": 100,
    "gen_ai.usage.reasoning.output_tokens": 50, "gen_ai.request.stream": True,
    "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.response.finish_reasons": ["tool_use", "stop"]},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 session=conv-1 user=u1 in=1000 out=200 read=600 "
    f"w5m=100 reasoning=50 finish=tool_use,stop stream=true ttft=0.25 usage=assumedInclusive {OTEL}")
case("otel", "cache_creation of 1.40", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-opus-4-1",
    "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.cache_creation.input_tokens": 300},
    f"kind=model provider=anthropic op=chat request=claude-opus-4-1 in=900 out=10 w5m=300 usage=assumedInclusive {OTEL}")
case("otel", "old provider values", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "az.ai.openai", "gen_ai.request.model": "my-deployment"},
    f"kind=model provider=azure.ai.openai op=chat request=my-deployment {OTEL}")
case("otel", "old value of Gemini", {
    "gen_ai.operation.name": "generate_content", "gen_ai.system": "gemini", "gen_ai.request.model": "gemini-2.5-pro"},
    f"kind=model provider=gcp.gemini op=generate_content request=gemini-2.5-pro {OTEL}")
case("otel", "embeddings", {
    "gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "text-embedding-3-small", "gen_ai.usage.input_tokens": 12,
    "gen_ai.embeddings.dimension.count": 1536},
    f"kind=embeddings provider=openai op=embeddings request=text-embedding-3-small in=12 size=1536 {OTEL}")
case("otel", "agent", {
    "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "gen_ai.usage.input_tokens": 500},
    f"kind=agent op=invoke_agent agent=planner in=500 aggregate=operation {OTEL}")
case("otel", "workflow", {
    "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "nightly"},
    f"kind=workflow op=invoke_workflow workflow=nightly aggregate=operation {OTEL}")
case("otel", "tool", {
    "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.call.id": "call_1"},
    f"kind=tool op=execute_tool tool=search {OTEL}")
case("otel", "retrieval", {
    "gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "kb", "gen_ai.retrieval.top_k": 5},
    f"kind=retrieval op=retrieval topk=5 {OTEL}")
case("otel", "top_k means retrieval's k on retrieval spans", {
    "gen_ai.operation.name": "retrieval", "gen_ai.request.top_k": 8}, f"kind=retrieval op=retrieval topk=8 {OTEL}")
case("otel", "top_k means sampling on model calls", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "command-r", "gen_ai.request.top_k": 40.0},
    f"kind=model provider=cohere by=modelName op=chat request=command-r {OTEL}")
case("otel", "fetch_response costs nothing", {
    "gen_ai.operation.name": "fetch_response", "gen_ai.provider.name": "openai", "gen_ai.response.id": "resp_1",
    "gen_ai.usage.input_tokens": 10},
    f"kind=fetch provider=openai op=fetch_response id=resp_1 in=10 aggregate=fetch {OTEL}")
case("otel", "memory", {"gen_ai.operation.name": "upsert_memory"}, f"kind=memory op=upsert_memory {OTEL}")
case("otel", "operation in capitals", {"gen_ai.operation.name": "CHAT", "gen_ai.system": "OpenAI"},
     f"kind=model provider=openai op=chat {OTEL}")
case("otel", "operation of one's own with a model", {
    "gen_ai.operation.name": "summarise", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 5}, f"kind=model provider=openai request=gpt-4o-mini in=5 {OTEL}")
case("otel", "modalities", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-audio",
    "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 80, "gen_ai.usage.audio.input_tokens": 60,
    "gen_ai.usage.audio.output_tokens": 40, "gen_ai.usage.image.output_tokens": 8},
    f"kind=model provider=openai op=chat request=gpt-4o-audio in=100 out=80 ain=60 aout=40 iout=8 {OTEL}")
case("otel", "proposed cost", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.cost.amount": 0.0125, "gen_ai.usage.cost.currency": "EUR", "gen_ai.usage.cost": 0.5},
    f"kind=model provider=openai op=chat request=gpt-4o cost=0.0125 currency=EUR {OTEL}")
case("otel", "tiers: response before request, auto says nothing", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.openai.request.service_tier": "auto",
    "openai.response.service_tier": "flex"}, f"kind=model provider=openai op=chat tier=flex {OTEL}")
case("otel", "tier auto alone", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.openai.request.service_tier": "auto"},
    f"kind=model provider=openai op=chat {OTEL}")
case("otel", "evaluation event", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai"},
     f"kind=model provider=openai op=chat eval=relevance:0.75:good {OTEL}",
     events=[(5, "gen_ai.evaluation.result", {"gen_ai.evaluation.name": "relevance",
              "gen_ai.evaluation.score.value": 0.75, "gen_ai.evaluation.score.label": "good"})])
case("otel", "usage only in the details event", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai"},
     f"kind=model provider=openai op=chat request=gpt-4o in=11 out=4 {OTEL}",
     events=[(5, "gen_ai.client.inference.operation.details", {"gen_ai.request.model": "gpt-4o",
              "gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 4})])
case("otel", "the span goes before its event", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 10},
    f"kind=model provider=openai op=chat in=10 {OTEL}",
    events=[(5, "gen_ai.client.inference.operation.details", {"gen_ai.usage.input_tokens": 99})])
case("otel", "finish reason from the choice event", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai"},
     f"kind=model provider=openai op=chat finish=length {OTEL}",
     events=[(5, "gen_ai.choice", {"index": 0, "finish_reason": "length"})])
case("otel", "finish reason from messages in JSON", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai",
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "a \"quote\" ]"}],
                                           "finish_reason": "stop"}])},
    f"kind=model provider=openai op=chat finish=stop {OTEL}")
case("otel", "finish reason from structured messages", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai",
    "gen_ai.output.messages": [{"role": "assistant", "finish_reason": "tool_call"}]},
    f"kind=model provider=openai op=chat finish=tool_call {OTEL}")
case("otel", "botocore converse is exclusive although arithmetic is silent", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "anthropic.claude-sonnet-4-5", "gen_ai.usage.input_tokens": 500,
    "gen_ai.usage.output_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 200},
    "kind=model provider=aws.bedrock op=chat request=anthropic.claude-sonnet-4-5 in=700 out=10 read=200 "
    "usage=configuredExclusive source=otel-contrib rule=gen_ai.operation.name",
    scope="opentelemetry.instrumentation.botocore.bedrock-runtime")
case("otel", "more cached than prompt tokens", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-haiku-4-5",
    "gen_ai.usage.input_tokens": 4, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 2000,
    "gen_ai.usage.cache_creation.input_tokens": 100},
    f"kind=model provider=anthropic op=chat request=claude-haiku-4-5 in=2104 out=10 read=2000 w5m=100 usage=cachedExceedsInput {OTEL}")
case("otel", "the total gives exclusive counts away", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-haiku-4-5",
    "gen_ai.usage.input_tokens": 400, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 200,
    "gen_ai.usage.total_tokens": 610},
    f"kind=model provider=anthropic op=chat request=claude-haiku-4-5 in=600 out=10 read=200 usage=totalAddsUp {OTEL}")
case("otel", "a total of input and output proves nothing", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-haiku-4-5",
    "gen_ai.usage.input_tokens": 400, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 200,
    "gen_ai.usage.total_tokens": 410},
    f"kind=model provider=anthropic op=chat request=claude-haiku-4-5 in=400 out=10 read=200 usage=assumedInclusive {OTEL}")
case("otel", "normalised before", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 700, "gen_ai.usage.cache_read.input_tokens": 200, "martlet.genai.usage": "inclusive"},
    "kind=model provider=aws.bedrock op=chat request=m in=700 read=200 usage=marked source=otel-contrib rule=gen_ai.operation.name",
    scope="opentelemetry.instrumentation.botocore.bedrock-runtime")
case("otel", "reasoning outside of output, by the total", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "x_ai", "gen_ai.request.model": "grok-4",
    "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.reasoning.output_tokens": 30,
    "gen_ai.usage.total_tokens": 180},
    f"kind=model provider=x_ai op=chat request=grok-4 in=100 out=80 reasoning=30 marks=reasoningAdded {OTEL}")
case("otel", "more reasoning than output", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "x_ai", "gen_ai.request.model": "grok-4",
    "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.reasoning_tokens": 30},
    f"kind=model provider=x_ai op=chat request=grok-4 in=100 out=35 reasoning=30 marks=reasoningAdded {OTEL}")

# ---- provider from elsewhere ---------------------------------------------------------------------
SDK = "source=anthropic-sdk rule=gen_ai.operation.name"
case("providers", "the Anthropic SDK's own span", {
    "gen_ai.provider.name": "anthropic", "gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-opus-5-5",
    "gen_ai.response.id": "msg_9", "gen_ai.response.model": "claude-opus-5-5",
    "gen_ai.usage.cache_write.input_tokens": 5000, "gen_ai.usage.cache_read.input_tokens": 30000,
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 3000,
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 2000, "anthropic.response.service_tier": "priority",
    "gen_ai.usage.output_tokens": 2000, "gen_ai.usage.reasoning.output_tokens": 500,
    "anthropic.message.stop_reason": "end_turn", "gen_ai.usage.input_tokens": 40000, "http.response.status_code": 200},
    "kind=model provider=anthropic op=chat request=claude-opus-5-5 response=claude-opus-5-5 id=msg_9 tier=priority "
    f"in=40000 out=2000 read=30000 w5m=3000 w1h=2000 reasoning=500 usage=assumedInclusive {SDK}",
    scope="com.anthropic.sdk.python", version="2.11.0", name="anthropic.messages.create")
case("providers", "the Anthropic SDK's own span, timed out", {
    "gen_ai.provider.name": "anthropic", "gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-haiku-4-5",
    "error.type": "client_timeout_error"},
    f"kind=model provider=anthropic op=chat request=claude-haiku-4-5 error=timeout {SDK}",
    scope="com.anthropic.sdk.python", status=2, name="anthropic.messages.create")
case("providers", "the Anthropic SDK counts tokens, which is free", {
    "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-haiku-4-5",
    "anthropic.message.count_tokens.input_tokens": 2100},
    "kind=other provider=anthropic op=count_tokens request=claude-haiku-4-5 source=anthropic-sdk rule=gen_ai.provider.name",
    scope="com.anthropic.sdk.python", name="anthropic.messages.count_tokens")
case("providers", "by server address", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "some-model", "server.address": "api.groq.com"},
    f"kind=model provider=groq by=serverAddress op=chat request=some-model {OTEL}")
case("providers", "by server address with a region", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "gemini-2.5-pro",
    "server.address": "europe-west4-aiplatform.googleapis.com"},
    f"kind=model provider=gcp.vertex_ai by=serverAddress op=chat request=gemini-2.5-pro {OTEL}")
case("providers", "by a URL", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "x", "gen_ai.endpoint": "https://Res.openai.azure.com:443/openai/v1"},
    f"kind=model provider=azure.ai.openai by=serverAddress op=chat request=x {OTEL}")
case("providers", "by the model's name", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5", "server.address": "gateway.internal"},
    f"kind=model provider=anthropic by=modelName op=chat request=claude-sonnet-4-5 {OTEL}")
case("providers", "by the model's path", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "groq/llama-3.3-70b"},
    f"kind=model provider=groq by=modelPrefix op=chat request=groq/llama-3.3-70b {OTEL}")
case("providers", "by a Bedrock id with a region", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"},
    f"kind=model provider=aws.bedrock by=modelName op=chat request=us.anthropic.claude-sonnet-4-5-20250929-v1:0 {OTEL}")
case("providers", "a framework is no provider", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "langchain", "gen_ai.request.model": "gpt-4o"},
    f"kind=model provider=openai by=modelName op=chat request=gpt-4o {OTEL}")
case("providers", "a framework first, then the API's name", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "strands-agents", "llm.provider": "aws"},
    f"kind=model provider=aws.bedrock op=chat {OTEL}")
case("providers", "unknown providers pass as they are", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "HouseLM", "gen_ai.request.model": "h1"},
    f"kind=model provider=HouseLM op=chat request=h1 {OTEL}")

# ---- OpenLLMetry -----------------------------------------------------------------------------------
TRACE = "source=openllmetry"
case("openllmetry", "current OpenAI", {
    "llm.request.type": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.total_tokens": 25,
    "gen_ai.usage.reasoning_tokens": 2, "llm.is_streaming": True,
    "traceloop.association.properties.user_id": "u9", "traceloop.association.properties.session_id": "s9",
    "traceloop.association.properties.tenant_id": "acme", "traceloop.workflow.name": "joke"},
    "kind=model provider=openai op=chat request=gpt-4o session=s9 user=u9 tenant=acme workflow=joke in=20 out=5 "
    f"reasoning=2 stream=true {TRACE} rule=llm.request.type", scope="opentelemetry.instrumentation.openai.v1", version="0.62.0")
case("openllmetry", "old names, capital vendor", {
    "llm.request.type": "completion", "gen_ai.system": "OpenAI", "gen_ai.request.model": "davinci-002",
    "gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.completion_tokens": 5, "llm.usage.total_tokens": 25,
    "gen_ai.completion.0.finish_reason": "stop", "gen_ai.completion.0.content": "x", "gen_ai.prompt.0.content": "y"},
    f"kind=model provider=openai op=text_completion request=davinci-002 in=20 out=5 finish=stop {TRACE} rule=llm.request.type",
    scope="opentelemetry.instrumentation.openai.v1")
case("openllmetry", "oldest names", {
    "llm.request.type": "chat", "llm.request.model": "gpt-3.5-turbo", "llm.response.model": "gpt-3.5-turbo-0125",
    "llm.usage.prompt_tokens": 9, "llm.usage.completion_tokens": 1, "llm.user": "u2"},
    f"kind=model provider=openai by=modelName op=chat request=gpt-3.5-turbo response=gpt-3.5-turbo-0125 user=u2 in=9 out=1 {TRACE} rule=llm.request.type",
    scope="opentelemetry.instrumentation.openai.v1")
case("openllmetry", "Anthropic is inclusive", {
    "llm.request.type": "chat", "gen_ai.system": "Anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.cache_read_input_tokens": 400, "gen_ai.usage.cache_creation_input_tokens": 100},
    f"kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=900 out=50 read=400 w5m=100 usage=assumedInclusive {TRACE} rule=llm.request.type",
    scope="opentelemetry.instrumentation.anthropic")
case("openllmetry", "Bedrock is exclusive", {
    "llm.request.type": "chat", "gen_ai.system": "AWS", "gen_ai.request.model": "anthropic.claude-v3",
    "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.cache_read_input_tokens": 400},
    f"kind=model provider=aws.bedrock op=chat request=anthropic.claude-v3 in=1300 out=50 read=400 usage=configuredExclusive {TRACE} rule=llm.request.type",
    scope="opentelemetry.instrumentation.bedrock")
case("openllmetry", "workflow", {"traceloop.span.kind": "workflow", "traceloop.entity.name": "joke", "traceloop.workflow.name": "joke"},
     f"kind=workflow op=invoke_workflow workflow=joke aggregate=operation {TRACE} rule=traceloop.span.kind", scope="traceloop.tracer")
case("openllmetry", "task", {"traceloop.span.kind": "task", "traceloop.entity.name": "step", "traceloop.entity.input": "{\"a\":"},
     f"kind=workflow op=invoke_workflow aggregate=operation {TRACE} rule=traceloop.span.kind", scope="traceloop.tracer")
case("openllmetry", "tool", {"traceloop.span.kind": "tool", "traceloop.entity.name": "weather"},
     f"kind=tool op=execute_tool tool=weather {TRACE} rule=traceloop.span.kind", scope="traceloop.tracer")
case("openllmetry", "agent", {"traceloop.span.kind": "agent", "traceloop.entity.name": "boss"},
     f"kind=agent op=invoke_agent agent=boss aggregate=operation {TRACE} rule=traceloop.span.kind", scope="@traceloop/node-server-sdk")
case("openllmetry", "first chunk event", {"llm.request.type": "chat", "gen_ai.system": "Groq", "gen_ai.request.model": "llama"},
     f"kind=model provider=groq op=chat request=llama ttft=0.5 {TRACE} rule=llm.request.type",
     scope="opentelemetry.instrumentation.groq",
     events=[(500_000_000, "llm.content.completion.chunk", {}), (600_000_000, "llm.content.completion.chunk", {})])
case("openllmetry", "Chroma query", {
    "db.system": "chroma", "db.operation": "query", "db.chroma.query.n_results": 4},
    "kind=retrieval op=retrieval topk=4 vector=chroma source=openllmetry rule=db.system",
    scope="opentelemetry.instrumentation.chromadb")
case("openllmetry", "Pinecone with scores", {"db.system": "pinecone", "pinecone.query.top_k": 3},
     "kind=retrieval op=retrieval topk=3 score=0.9 vector=pinecone source=openllmetry rule=db.system",
     scope="opentelemetry.instrumentation.pinecone",
     events=[(1, "db.query.result", {"db.query.result.score": 0.4}), (2, "db.query.result", {"db.query.result.score": 0.9}),
             (3, "db.query.result", {"db.query.result.score": 0.1})])
case("openllmetry", "vector events alone are evidence", {"db.system": "qdrant"},
     "kind=retrieval op=retrieval vector=qdrant source=openllmetry rule=db.system",
     scope="opentelemetry.instrumentation.qdrant", events=[(1, "db.search.embeddings", {})])
case("openllmetry", "MCP tool call", {"mcp.method.name": "tools/call", "gen_ai.tool.name": "fs.read", "mcp.request.id": "3"},
     "kind=tool op=execute_tool tool=fs.read source=openllmetry rule=mcp.method.name", scope="opentelemetry.instrumentation.mcp")

# ---- OpenInference -----------------------------------------------------------------------------------
OI = "source=openinference rule=openinference.span.kind"
case("openinference", "LLM", {
    "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.system": "openai", "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 50, "llm.token_count.completion": 9, "llm.token_count.total": 59,
    "llm.token_count.prompt_details.cache_read": 32, "llm.token_count.completion_details.reasoning": 4,
    "llm.finish_reason": "stop", "user.id": "u", "session.id": "s",
    "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "hi"},
    f"kind=model provider=openai op=chat request=gpt-4o session=s user=u in=50 out=9 read=32 reasoning=4 finish=stop usage=assumedInclusive {OI}",
    scope="openinference.instrumentation.openai")
case("openinference", "Anthropic, inclusive", {
    "openinference.span.kind": "LLM", "llm.system": "anthropic", "llm.request.model_name": "claude-opus-4-1",
    "llm.response.model_name": "claude-opus-4-1-20250805", "llm.token_count.prompt": 5000,
    "llm.token_count.completion": 100, "llm.token_count.prompt_details.cache_read": 4000,
    "llm.token_count.prompt_details.cache_write": 500},
    f"kind=model provider=anthropic op=chat request=claude-opus-4-1 response=claude-opus-4-1-20250805 in=5000 out=100 read=4000 w5m=500 usage=assumedInclusive {OI}",
    scope="openinference.instrumentation.anthropic")
case("openinference", "audio and cost", {
    "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "gpt-4o-audio-preview",
    "llm.token_count.prompt": 50, "llm.token_count.completion": 9, "llm.token_count.prompt_details.audio": 20,
    "llm.token_count.completion_details.audio": 5, "llm.cost.total": 0.002},
    f"kind=model provider=openai op=chat request=gpt-4o-audio-preview in=50 out=9 ain=20 aout=5 cost=0.002 {OI}")
MESSAGE = json.dumps({
    "id": "msg_01", "content": [{"id": "not this one", "text": "{\"service_tier\": \"batch\"}", "type": "text"}],
    "model": "claude-opus-5-5", "type": "message", "usage": {
        "cache_creation": {"ephemeral_1h_input_tokens": 2000, "ephemeral_5m_input_tokens": 3000},
        "cache_creation_input_tokens": 5000, "cache_read_input_tokens": 30000, "input_tokens": 5000,
        "output_tokens": 2000, "service_tier": "standard"}})
case("openinference", "Anthropic, id and one-hour cache only in the answer", {
    "openinference.span.kind": "LLM", "llm.system": "anthropic", "llm.provider": "anthropic",
    "llm.request.model_name": "claude-opus-5-5", "llm.response.model_name": "claude-opus-5-5",
    "llm.token_count.prompt": 40000, "llm.token_count.completion": 2000, "llm.token_count.total": 42000,
    "llm.token_count.prompt_details.cache_read": 30000, "llm.token_count.prompt_details.cache_write": 5000,
    "output.mime_type": "application/json", "output.value": MESSAGE},
    "kind=model provider=anthropic op=chat request=claude-opus-5-5 response=claude-opus-5-5 id=msg_01 tier=standard "
    f"in=40000 out=2000 read=30000 w5m=3000 w1h=2000 usage=assumedInclusive {OI}",
    scope="openinference.instrumentation.anthropic", version="3.1.0", name="messages.create")
case("openinference", "OpenAI, id and tier only in the answer", {
    "openinference.span.kind": "LLM", "llm.system": "openai", "llm.model_name": "gpt-5-mini-2025-08-07",
    "llm.invocation_parameters": "{\"model\": \"gpt-5-mini\", \"service_tier\": \"flex\"}",
    "llm.token_count.prompt": 100000, "llm.token_count.completion": 5000, "output.mime_type": "application/json",
    "output.value": "{\"id\":\"chatcmpl-3\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi.\"}}],"
    "\"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":100000}}"},
    "kind=model provider=openai op=chat request=gpt-5-mini-2025-08-07 id=chatcmpl-3 tier=flex in=100000 out=5000 " + OI,
    scope="openinference.instrumentation.openai", version="0.1.66", name="ChatCompletion")
case("openinference", "a failed call, model only in the parameters", {
    "openinference.span.kind": "LLM", "llm.system": "openai", "llm.invocation_parameters": "{\"model\": \"gpt-4o-mini\"}"},
    f"kind=model provider=openai op=chat request=gpt-4o-mini error=other {OI}", status=2)
case("openinference", "a failed embedding, model only in the parameters", {
    "openinference.span.kind": "EMBEDDING", "llm.system": "openai",
    "embedding.invocation_parameters": "{\"model\": \"text-embedding-3-small\", \"encoding_format\": \"base64\"}"},
    f"kind=embeddings provider=openai op=embeddings request=text-embedding-3-small error=other {OI}", status=2)
case("openinference", "an answer in plain words", {
    "openinference.span.kind": "LLM", "llm.system": "openai", "llm.model_name": "gpt-4o",
    "output.value": "It is {warm} in 'Oslo"}, f"kind=model provider=openai op=chat request=gpt-4o {OI}")
case("openinference", "a chain's answer has no response id", {
    "openinference.span.kind": "CHAIN", "output.value": "{\"id\": \"7\", \"service_tier\": \"flex\"}"},
    f"kind=workflow op=invoke_workflow aggregate=operation {OI}")
case("openinference", "LangChain, id in the provider's answer", {
    "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "gpt-4o-mini-2024-07-18",
    "llm.token_count.prompt": 1200, "llm.token_count.completion": 340,
    "output.value": json.dumps({
        "generations": [[{"text": "Hi", "message": {"id": ["langchain", "schema"], "kwargs": {
            "response_metadata": {"id": "chatcmpl-1", "service_tier": "default"}, "id": "lc_run--01a1"}}}]],
        "llm_output": {"id": "chatcmpl-1", "service_tier": "default"}, "run": None, "type": "LLMResult"})},
    "kind=model provider=openai op=chat request=gpt-4o-mini-2024-07-18 id=chatcmpl-1 tier=default in=1200 out=340 " + OI,
    scope="openinference.instrumentation.langchain", version="0.1.80", name="ChatOpenAI")
case("openinference", "LangChain, id and one-hour cache in the message", {
    "openinference.span.kind": "LLM", "llm.provider": "anthropic", "llm.model_name": "claude-opus-5-5",
    "llm.token_count.prompt": 40000, "llm.token_count.completion": 2000,
    "llm.token_count.prompt_details.cache_read": 30000, "llm.token_count.prompt_details.cache_write": 5000,
    "output.value": json.dumps({
        "generations": [[{"text": "Hi", "message": {"kwargs": {
            "response_metadata": {"id": "msg_4"}, "usage_metadata": {"input_token_details": {
                "cache_read": 30000, "cache_creation": 0, "ephemeral_1h_input_tokens": 2000}}}}}]],
        "llm_output": None})},
    "kind=model provider=anthropic op=chat request=claude-opus-5-5 id=msg_4 in=40000 out=2000 read=30000 w5m=3000 "
    f"w1h=2000 usage=assumedInclusive {OI}", scope="openinference.instrumentation.langchain", version="0.1.80")
case("openinference", "embedding", {
    "openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-large",
    "embedding.embeddings.0.embedding.text": "x"},
    f"kind=embeddings provider=openai by=modelName op=embeddings request=text-embedding-3-large {OI}")
case("openinference", "reranker", {
    "openinference.span.kind": "RERANKER", "reranker.model_name": "rerank-v3.5", "reranker.top_k": 3},
    f"kind=rerank provider=cohere by=modelName op=rerank request=rerank-v3.5 topk=3 {OI}")
case("openinference", "retriever with scores", {
    "openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.score": 0.2,
    "retrieval.documents.1.document.score": 0.7, "retrieval.documents.10.document.score": 0.3},
    f"kind=retrieval op=retrieval score=0.7 {OI}")
case("openinference", "chain", {"openinference.span.kind": "CHAIN", "input.value": "{}"},
     f"kind=workflow op=invoke_workflow aggregate=operation {OI}")
case("openinference", "agent", {"openinference.span.kind": "AGENT", "agent.name": "a1"},
     f"kind=agent op=invoke_agent agent=a1 aggregate=operation {OI}")
case("openinference", "tool", {"openinference.span.kind": "TOOL", "tool.name": "t1"},
     f"kind=tool op=execute_tool tool=t1 {OI}")
case("openinference", "guardrail", {"openinference.span.kind": "GUARDRAIL"}, f"kind=guardrail op=guardrail {OI}")
case("openinference", "evaluator", {
    "openinference.span.kind": "EVALUATOR", "evaluations.0.evaluation.name": "toxicity",
    "evaluations.0.evaluation.score": 0.5, "evaluations.1.evaluation.name": "other"},
    f"kind=evaluation op=evaluation eval=toxicity:0.5: {OI}")
case("openinference", "without a kind", {"llm.model_name": "gpt-4o", "llm.token_count.prompt": 5},
     "kind=model provider=openai by=modelName op=chat request=gpt-4o in=5 source=openinference rule=llm.model_name")
case("openinference", "Dify: strings and a plugin path", {
    "openinference.span.kind": "LLM", "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "langgenius/openai/openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": "31", "gen_ai.usage.output_tokens": "7", "gen_ai.usage.total_tokens": "38"},
    f"kind=model provider=openai op=chat request=gpt-4o in=31 out=7 source=dify rule=openinference.span.kind", scope="dify")

# ---- OpenLIT ---------------------------------------------------------------------------------------
LIT = "source=openlit rule=gen_ai.operation.name"
case("openlit", "cost of its own", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cost": 0.000075,
    "gen_ai.application_name": "checkout", "gen_ai.request.is_stream": False, "gen_ai.server.time_to_first_token": 0.3},
    f"kind=model provider=openai op=chat request=gpt-4o feature=checkout in=10 out=5 cost=7.5e-05 stream=false ttft=0.3 {LIT}",
    scope="openlit.instrumentation.openai")
case("openlit", "a cost of 0 is unknown", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "my-model",
    "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cost": 0.0},
    f"kind=model provider=openai op=chat request=my-model in=10 out=5 marks=zeroCostIgnored {LIT}",
    scope="openlit.instrumentation.openai")
case("openlit", "a cost of 0 without tokens is 0", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 0, "gen_ai.usage.cost": 0},
    f"kind=model provider=openai op=chat in=0 cost=0.0 {LIT}", scope="openlit.instrumentation.openai")
case("openlit", "Anthropic is exclusive", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 200,
    "gen_ai.usage.cache_creation.input_tokens": 50},
    f"kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=550 out=5 read=200 w5m=50 usage=configuredExclusive {LIT}",
    scope="openlit.instrumentation.anthropic")
case("openlit", "details", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 300,
    "gen_ai.usage.output_tokens": 50, "gen_ai.usage.prompt_tokens_details.cached_tokens": 128,
    "gen_ai.usage.completion_tokens_details.reasoning_tokens": 12,
    "gen_ai.usage.completion_tokens_details.audio_tokens": 0},
    f"kind=model provider=openai op=chat in=300 out=50 read=128 reasoning=12 aout=0 usage=assumedInclusive {LIT}",
    scope="openlit.instrumentation.openai")
case("openlit", "vector database", {
    "db.system.name": "chromadb", "db.operation.name": "query", "db.n_results": 5, "gen_ai.operation.name": "vectordb"},
    f"kind=retrieval op=retrieval topk=5 vector=chroma {LIT}", scope="openlit.instrumentation.chroma")
case("openlit", "MCP", {"mcp.method": "resources/read"},
     "kind=mcp source=openlit rule=mcp.method", scope="openlit.instrumentation.mcp")
case("openlit", "MCP tool call by operation", {"gen_ai.operation.name": "mcp_tool_call", "mcp.method": "tools/call", "mcp.tool.name": "grep"},
     f"kind=tool op=execute_tool tool=grep {LIT}", scope="openlit.instrumentation.mcp")

# ---- Vercel AI SDK -----------------------------------------------------------------------------------
case("vercel", "SDK 5 wrapper", {
    "ai.operationId": "ai.generateText", "operation.name": "ai.generateText myFunction", "ai.model.id": "gpt-4o",
    "ai.model.provider": "openai.chat", "ai.usage.inputTokens": 10, "ai.usage.outputTokens": 5,
    "ai.telemetry.functionId": "myFunction"},
    "kind=workflow provider=openai op=invoke_workflow request=gpt-4o workflow=myFunction in=10 out=5 aggregate=operation "
    "source=vercel rule=ai.operationId", scope="ai")
case("vercel", "SDK 5 call", {
    "ai.operationId": "ai.streamText.doStream", "ai.model.id": "gpt-4o", "ai.model.provider": "openai.responses",
    "gen_ai.system": "openai.responses", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-11-20",
    "gen_ai.response.id": "resp_7", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5,
    "ai.usage.cachedInputTokens": 4, "ai.usage.reasoningTokens": 1, "ai.response.msToFirstChunk": 250.0,
    "ai.response.finishReason": "stop", "ai.telemetry.metadata.userId": "u", "ai.telemetry.metadata.sessionId": "s"},
    "kind=model provider=openai op=chat request=gpt-4o response=gpt-4o-2024-11-20 id=resp_7 session=s user=u in=10 out=5 read=4 "
    "reasoning=1 finish=stop ttft=0.25 usage=assumedInclusive source=vercel rule=ai.operationId", scope="ai")
case("vercel", "SDK 5, Anthropic: exclusive, cache in metadata", {
    "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "claude-sonnet-4-5",
    "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 900, "ai.usage.outputTokens": 5,
    "ai.response.providerMetadata": json.dumps({"anthropic": {"usage": {"input_tokens": 900,
        "cache_creation_input_tokens": 300, "cache_read_input_tokens": 200,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}}}})},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=1400 out=5 read=200 w5m=100 w1h=200 "
    "usage=configuredExclusive source=vercel rule=ai.operationId", scope="ai")
case("vercel", "SDK 6, Anthropic: inclusive", {
    "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "claude-sonnet-4-5",
    "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 900, "ai.usage.outputTokens": 5,
    "ai.usage.inputTokenDetails.noCacheTokens": 700, "ai.usage.inputTokenDetails.cacheReadTokens": 200,
    "ai.usage.outputTokenDetails.textTokens": 5},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=900 out=5 read=200 usage=assumedInclusive "
    "source=vercel6 rule=ai.operationId", scope="ai")
case("vercel", "SDK 3 names", {
    "operation.name": "ai.generateText.doGenerate f", "ai.model.id": "gpt-4", "ai.model.provider": "openai.chat",
    "ai.usage.promptTokens": 8, "ai.usage.completionTokens": 2},
    "kind=model provider=openai op=chat request=gpt-4 in=8 out=2 source=vercel rule=operation.name", scope="ai")
case("vercel", "embedding call", {
    "ai.operationId": "ai.embed.doEmbed", "ai.model.id": "text-embedding-3-small", "ai.model.provider": "openai.embedding",
    "ai.usage.tokens": 6},
    "kind=embeddings provider=openai op=embeddings request=text-embedding-3-small in=6 source=vercel rule=ai.operationId", scope="ai")
case("vercel", "embedding wrapper", {"ai.operationId": "ai.embed", "ai.usage.tokens": 6},
     "kind=workflow op=invoke_workflow in=6 aggregate=operation source=vercel rule=ai.operationId", scope="ai")
case("vercel", "tool", {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather", "ai.toolCall.id": "c1"},
     "kind=tool op=execute_tool tool=weather source=vercel rule=ai.operationId", scope="ai")
case("vercel", "Google by its long name", {
    "ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "google.generative-ai", "ai.model.id": "gemini-2.5-flash"},
    "kind=model provider=gcp.gemini op=chat request=gemini-2.5-flash source=vercel rule=ai.operationId", scope="ai")
case("vercel", "SDK 7 step repeats its children", {
    "gen_ai.operation.name": "agent_step", "gen_ai.provider.name": "anthropic", "gen_ai.usage.input_tokens": 50,
    "gen_ai.usage.output_tokens": 5},
    "kind=agent provider=anthropic op=agent_step in=50 out=5 aggregate=operation source=vercel7 rule=gen_ai.operation.name", scope="gen_ai")
case("vercel", "SDK 7 call is inclusive", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 50,
    "gen_ai.client.operation.time_to_first_chunk": 0.5},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=500 out=5 read=50 ttft=0.5 usage=assumedInclusive "
    "source=vercel7 rule=gen_ai.operation.name", scope="@ai-sdk/otel")
case("vercel", "first chunk event", {"ai.operationId": "ai.streamText.doStream"},
     "kind=model op=chat ttft=1.5 source=vercel rule=ai.operationId", scope="ai",
     events=[(1_500_000_000, "ai.stream.firstChunk", {})])
case("vercel", "operation.name of another kind of span", {"operation.name": "checkout", "ai.prompt": "x"}, "none")

# ---- Pydantic AI, Logfire ------------------------------------------------------------------------------
case("pydantic", "model request", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 40, "gen_ai.usage.details.cache_read_tokens": 500,
    "gen_ai.usage.details.cache_write_tokens": 100, "gen_ai.usage.details.reasoning_tokens": 10,
    "gen_ai.usage.details.input_audio_tokens": 0, "operation.cost": 0.0031},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=900 out=40 read=500 w5m=100 reasoning=10 ain=0 "
    "cost=0.0031 usage=assumedInclusive source=pydantic-ai rule=gen_ai.operation.name", scope="pydantic-ai")
case("pydantic", "Anthropic, one-hour cache in the details", {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-opus-5-5",
    "gen_ai.response.model": "claude-opus-5-5", "gen_ai.response.id": "msg_20", "gen_ai.usage.input_tokens": 40000,
    "gen_ai.usage.output_tokens": 2000, "gen_ai.usage.cache_creation.input_tokens": 5000,
    "gen_ai.usage.cache_read.input_tokens": 30000, "gen_ai.usage.details.ephemeral_1h_input_tokens": 2000,
    "gen_ai.usage.details.cache_write_tokens": 5000},
    "kind=model provider=anthropic op=chat request=claude-opus-5-5 response=claude-opus-5-5 id=msg_20 in=40000 "
    "out=2000 read=30000 w5m=3000 w1h=2000 usage=assumedInclusive source=pydantic-ai rule=gen_ai.operation.name",
    scope="pydantic-ai")
case("pydantic", "agent run with aggregated names", {
    "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support", "agent_name": "old",
    "gen_ai.aggregated_usage.input_tokens": 900, "gen_ai.aggregated_usage.output_tokens": 40},
    "kind=agent op=invoke_agent agent=support aggregate=operation source=pydantic-ai rule=gen_ai.operation.name", scope="pydantic-ai")
case("pydantic", "older agent run without an operation", {
    "gen_ai.usage.input_tokens": 900, "agent_name": "support", "model_name": "gpt-4o"},
    "kind=agent op=invoke_agent agent=support in=900 aggregate=operation source=pydantic-ai rule=gen_ai.usage.*",
    scope="pydantic-ai", name="agent run")
case("pydantic", "totals under aggregated names, operation unknown", {
    "gen_ai.system": "openai", "gen_ai.aggregated_usage.input_tokens": 12},
    "kind=agent provider=openai op=invoke_agent aggregate=operation source=pydantic-ai rule=gen_ai.system")
case("pydantic", "a model's span with aggregated names only", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.aggregated_usage.input_tokens": 12},
    "kind=model provider=openai op=chat aggregate=aggregatedNames source=pydantic-ai rule=gen_ai.operation.name")
case("pydantic", "Logfire, raw usage in JSON", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.raw": json.dumps({"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 16}})},
    "kind=model provider=openai op=chat request=gpt-4o in=100 out=30 read=64 reasoning=16 usage=assumedInclusive "
    "source=logfire rule=gen_ai.operation.name", scope="logfire.openai")
case("pydantic", "Logfire, one-hour cache only in the raw usage", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_creation.input_tokens": 300,
    "gen_ai.usage.raw": {"input_tokens": 700, "cache_creation": {"ephemeral_1h_input_tokens": 250}}},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=1000 out=30 w5m=50 w1h=250 usage=assumedInclusive "
    "source=logfire rule=gen_ai.operation.name", scope="logfire.anthropic")

# ---- LangSmith, Langfuse, MLflow ---------------------------------------------------------------------
case("platforms", "LangSmith, details as Python text", {
    "langsmith.span.kind": "llm", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 40, "gen_ai.usage.total_tokens": 940,
    "gen_ai.usage.input_token_details": "{'cache_read': 400, 'cache_creation': 100, 'ephemeral_1h_input_tokens': 60, 'audio': None}",
    "gen_ai.usage.output_token_details": "{'reasoning': 7}", "langsmith.trace.session_id": "project-1"},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 session=project-1 in=900 out=40 read=400 w5m=40 w1h=60 "
    "reasoning=7 usage=assumedInclusive source=langsmith rule=gen_ai.system", scope="langsmith")
case("platforms", "LangSmith chain", {"langsmith.span.kind": "chain", "langsmith.metadata.feature": "faq"},
     "kind=workflow op=invoke_workflow feature=faq aggregate=operation source=langsmith rule=langsmith.span.kind")
case("platforms", "LangSmith, usage metadata", {
    "langsmith.span.kind": "llm", "langsmith.usage_metadata": json.dumps({"input_tokens": 12, "output_tokens": 3,
        "total_tokens": 15, "input_token_details": {"cache_read": 2}})},
    "kind=model op=chat in=12 out=3 read=2 usage=assumedInclusive source=langsmith rule=langsmith.span.kind")
case("platforms", "Langfuse generation", {
    "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o",
    "langfuse.observation.usage_details": json.dumps({"input": 30, "output": 9, "total": 39, "input_cached_tokens": 10}),
    "langfuse.observation.cost_details": json.dumps({"input": 0.1, "total": 0.25}),
    "langfuse.observation.completion_start_time": "\"2025-10-09T08:53:20.750Z\"",
    "langfuse.user.id": "u", "langfuse.session.id": "s", "langfuse.trace.name": "answer",
    "langfuse.observation.prompt.name": "p1"},
    "kind=model provider=openai by=modelName op=chat request=gpt-4o session=s user=u feature=answer prompt=p1 in=30 out=9 read=10 cost=0.25 "
    "ttft=0.75 usage=assumedInclusive source=langfuse rule=langfuse.observation.type", scope="langfuse-sdk")
case("platforms", "Langfuse, encoded twice", {
    "langfuse.observation.type": "generation", "langfuse.observation.usage_details": json.dumps(json.dumps({"input": 30, "output": 9})),
    "langfuse.observation.completion_start_time": json.dumps(json.dumps("2025-10-09T08:53:21+00:00"))},
    "kind=model op=chat in=30 out=9 ttft=1.0 source=langfuse rule=langfuse.observation.type")
case("platforms", "Langfuse span", {"langfuse.observation.type": "span"},
     "kind=other source=langfuse rule=langfuse.observation.type")
case("platforms", "MLflow", {
    "mlflow.spanType": "\"CHAT_MODEL\"", "mlflow.llm.model": "\"gpt-4o\"", "mlflow.llm.provider": "\"openai\"",
    "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
        "cache_read_input_tokens": 40, "cache_creation_input_tokens": 30, "cache_creation_input_tokens_above_1hr": 10}),
    "mlflow.llm.cost": json.dumps({"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}), "mlflow.trace.user": "\"u7\""},
    "kind=model provider=openai op=chat request=gpt-4o user=u7 in=100 out=20 read=40 w5m=20 w1h=10 cost=0.3 "
    "usage=assumedInclusive source=mlflow rule=mlflow.spanType", scope="mlflow")
case("platforms", "MLflow retriever", {"mlflow.spanType": "\"RETRIEVER\""},
     "kind=retrieval op=retrieval source=mlflow rule=mlflow.spanType")
case("platforms", "Laminar", {"lmnr.span.type": "LLM", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 3},
     "kind=model provider=openai by=modelName op=chat request=gpt-4o in=3 source=laminar rule=gen_ai.request.model", scope="lmnr.sdk")

# ---- frameworks ------------------------------------------------------------------------------------------
case("frameworks", "ADK, usage in the response", {
    "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-pro", "gcp.vertex.agent.session_id": "s3",
    "gcp.vertex.agent.llm_response": json.dumps({"content": {"parts": [{"text": "x}{"}]}, "usage_metadata": {
        "prompt_token_count": 100, "candidates_token_count": 20, "thoughts_token_count": 30, "cached_content_token_count": 60,
        "tool_use_prompt_token_count": 5, "total_token_count": 155}})},
    "kind=model provider=gcp.gemini by=modelName op=chat request=gemini-2.5-pro session=s3 in=105 out=50 read=60 reasoning=30 "
    "usage=assumedInclusive marks=reasoningAdded,extraAdded source=adk rule=gen_ai.system", scope="gcp.vertex.agent", name="call_llm")
case("frameworks", "ADK, content capture off", {
    "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-pro", "gcp.vertex.agent.llm_response": "{}"},
    "kind=model provider=gcp.gemini by=modelName op=chat request=gemini-2.5-pro source=adk rule=gen_ai.system",
    scope="gcp.vertex.agent", name="call_llm")
case("frameworks", "ADK, newer", {
    "gen_ai.operation.name": "generate_content", "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-pro",
    "gen_ai.usage.input_tokens": 105, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.reasoning.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 60, "gen_ai.conversation.id": "s3"},
    "kind=model provider=gcp.gemini by=modelName op=generate_content request=gemini-2.5-pro session=s3 in=105 out=50 read=60 reasoning=30 "
    "usage=assumedInclusive source=adk rule=gen_ai.operation.name", scope="gcp.vertex.agent")
case("frameworks", "ADK invocation, by name", {}, "kind=workflow op=invoke_workflow aggregate=operation source=adk",
     scope="gcp.vertex.agent", name="invocation")
case("frameworks", "the same name elsewhere", {}, "none", name="invocation")
case("frameworks", "Strands, both generations of names", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "strands-agents", "gen_ai.request.model": "us.anthropic.claude-sonnet-4",
    "gen_ai.usage.prompt_tokens": 900, "gen_ai.usage.input_tokens": 900, "gen_ai.usage.completion_tokens": 30,
    "gen_ai.usage.output_tokens": 30, "gen_ai.usage.total_tokens": 930, "gen_ai.usage.cache_read_input_tokens": 300,
    "gen_ai.usage.cache_write_input_tokens": 100, "gen_ai.server.time_to_first_token": 350},
    "kind=model provider=aws.bedrock by=modelName op=chat request=us.anthropic.claude-sonnet-4 in=900 out=30 read=300 w5m=100 "
    "ttft=0.35 usage=assumedInclusive source=strands rule=gen_ai.operation.name", scope="strands.telemetry.tracer")
case("frameworks", "Strands cycle, by name", {"gen_ai.system": "strands-agents", "gen_ai.usage.input_tokens": 9},
     "kind=workflow op=invoke_workflow in=9 aggregate=operation source=strands rule=gen_ai.system",
     scope="strands.telemetry.tracer", name="execute_event_loop_cycle")
case("frameworks", "Azure AI agents", {
    "gen_ai.operation.name": "invoke_agent", "gen_ai.system": "az.ai.agents", "gen_ai.thread.id": "thread_1",
    "gen_ai.agent.id": "asst_1", "gen_ai.usage.input_tokens": 10},
    "kind=agent provider=azure.ai.inference op=invoke_agent session=thread_1 in=10 aggregate=operation source=azure-ai "
    "rule=gen_ai.operation.name", scope="azure.ai.agents")
case("frameworks", "Semantic Kernel", {
    "gen_ai.operation.name": "text_completions", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-3.5-turbo-instruct",
    "gen_ai.response.finish_reason": "stop"},
    "kind=model provider=openai op=text_completion request=gpt-3.5-turbo-instruct finish=stop source=semantic-kernel "
    "rule=gen_ai.operation.name", scope="semantic_kernel.utils")
case("frameworks", "Haystack, usage inside the output", {
    "haystack.component.name": "llm", "haystack.component.type": "OpenAIChatGenerator",
    "haystack.component.output": json.dumps({"replies": [{"text": "it's", "meta": {"model": "gpt-4o",
        "usage": {"prompt_tokens": 21, "completion_tokens": 6}}}]})},
    "kind=model op=chat in=21 out=6 source=haystack rule=haystack.*", scope="haystack", name="haystack.component.run")
case("frameworks", "Haystack pipeline", {"haystack.pipeline.input_data": "{}"},
     "kind=workflow op=invoke_workflow aggregate=operation source=haystack rule=haystack.*", scope="haystack", name="haystack.pipeline.run")
case("frameworks", "Spring AI: strings, exclusive Anthropic", {
    "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": "300", "gen_ai.usage.output_tokens": "20", "gen_ai.usage.total_tokens": "320",
    "gen_ai.usage.cache_read.input_tokens": "100", "gen_ai.response.finish_reasons": "[\"end_turn\"]"},
    "kind=model provider=anthropic op=chat request=claude-sonnet-4-5 in=400 out=20 read=100 finish=end_turn "
    "usage=configuredExclusive source=spring-ai rule=gen_ai.operation.name", scope="org.springframework.ai")
case("frameworks", "Spring AI chat client wraps the model", {
    "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai", "spring.ai.kind": "chat_client",
    "spring.ai.chat.client.conversation.id": "c7"},
    "kind=workflow op=invoke_workflow session=c7 aggregate=operation source=spring-ai rule=gen_ai.operation.name")
case("frameworks", "LiteLLM, costs and keys", {
    "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "llm.is_streaming": "False",
    "gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.completion_tokens": 4, "gen_ai.cost.total_cost": 0.004,
    "metadata.user_api_key_team_id": "team-1", "metadata.user_api_key_end_user_id": "e1"},
    "kind=model provider=openai op=chat request=gpt-4o user=e1 tenant=team-1 in=10 out=4 cost=0.004 stream=false source=litellm "
    "rule=gen_ai.system", scope="litellm", name="litellm_request")
case("frameworks", "LiteLLM raw request is a copy", {"llm.openai.model": "gpt-4o"},
     "kind=model op=chat aggregate=wrapper source=litellm", scope="litellm", name="raw_gen_ai_request")
case("frameworks", "LiteLLM, newer", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "anthropic/claude-sonnet-4-5", "litellm.cost.total": 0.5,
    "litellm.team.id": "t", "litellm.end_user.id": "e", "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 5},
    "kind=model provider=anthropic by=modelPrefix op=chat request=anthropic/claude-sonnet-4-5 user=e tenant=t in=10 read=5 cost=0.5 "
    "usage=assumedInclusive source=litellm rule=gen_ai.operation.name")
case("frameworks", "Genkit, usage in the output", {
    "genkit:metadata:subtype": "model", "genkit:name": "googleai/gemini-2.5-flash",
    "genkit:output": json.dumps({"message": {"content": [{"text": "x"}]}, "usage": {"inputTokens": 8, "outputTokens": 3}})},
    "kind=model provider=gcp.gemini by=modelPrefix op=chat request=googleai/gemini-2.5-flash in=8 out=3 source=genkit "
    "rule=genkit:metadata:subtype", scope="genkit-tracer")
case("frameworks", "Claude Code", {"gen_ai.request.model": "claude-opus-4-1"},
     "kind=model provider=anthropic by=modelName op=chat request=claude-opus-4-1 source=claude-code rule=gen_ai.request.model",
     scope="com.anthropic.claude_code.tracing", name="claude_code.llm_request")
case("frameworks", "LiveKit", {"lk.response.text": "hello", "lk.agent_name": "voice"},
     "kind=agent op=invoke_agent agent=voice aggregate=operation source=livekit rule=lk.response.text", scope="livekit-agents")
case("frameworks", "CrewAI's own telemetry is no AI span", {"crew_id": "1", "task_id": "2", "crewai_version": "1.0"}, "none",
     scope="crewai.telemetry", name="Crew Created")
case("frameworks", "MCP list", {"mcp.method.name": "tools/list", "mcp.session.id": "1"}, "kind=mcp source=mcp rule=mcp.method.name")

# ---- traps -----------------------------------------------------------------------------------------------
case("traps", "HTTP span", {"http.request.method": "GET", "url.full": "https://x/y", "http.response.status_code": 200,
     "server.address": "api.openai.com", "user.id": "u", "session.id": "s"}, "none")
case("traps", "conversation id alone is no AI span", {"gen_ai.conversation.id": "c", "http.route": "/chat"}, "none")
case("traps", "bare model is no AI span", {"model": "T-800", "usage.prompt_tokens": 4}, "none")
case("traps", "a database that can do vectors is no vector span", {"db.system": "redis", "db.statement": "GET x"}, "none")
case("traps", "another database", {"db.system.name": "postgresql", "db.vector.query.top_k": 3}, "none")
case("traps", "nothing at all", {}, "none")
case("traps", "integral doubles", {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 12.0, "gen_ai.usage.output_tokens": "7.0"},
     f"kind=model op=chat in=12 out=7 {OTEL}")
case("traps", "no counts: fraction, sign, bool, words", {
    "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1.5, "gen_ai.usage.output_tokens": -3,
    "gen_ai.usage.cache_read.input_tokens": True, "gen_ai.usage.reasoning.output_tokens": "many"},
    f"kind=model op=chat marks=invalidCount {OTEL}")
case("traps", "no count falls through to the next name", {
    "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "n/a", "gen_ai.usage.prompt_tokens": 5},
    f"kind=model op=chat in=5 marks=invalidCount {OTEL}")
case("traps", "absurd count", {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1 << 62},
     f"kind=model op=chat marks=invalidCount {OTEL}")
case("traps", "half a JSON document", {
    "gen_ai.operation.name": "chat", "gen_ai.usage.raw": "{\"prompt_tokens\": 10, \"completion_tokens\": 5, \"prompt_tokens_details\": {\"cached_tok"},
    f"kind=model op=chat in=10 out=5 marks=unreadableText {OTEL}")
case("traps", "a number that the end cuts is not read", {"gen_ai.operation.name": "chat", "gen_ai.usage.raw": "{\"prompt_tokens\": 10"},
     f"kind=model op=chat marks=unreadableText {OTEL}")
case("traps", "empty texts say nothing", {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "", "llm.model_name": "m", "gen_ai.conversation.id": "",
    "session.id": "s"}, f"kind=model op=chat request=m session=s {OTEL}")
case("traps", "finish reason as text", {"gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": "MAX_TOKENS"},
     f"kind=model op=chat finish=MAX_TOKENS {OTEL}")
case("traps", "finish reasons as JSON text", {"gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": "[\"stop\", \"length\"]"},
     f"kind=model op=chat finish=stop,length {OTEL}")
case("traps", "rate limit", {"gen_ai.operation.name": "chat", "error.type": "openai.RateLimitError"},
     f"kind=model op=chat error=rate-limit {OTEL}", status=2)
case("traps", "status code as error type", {"gen_ai.operation.name": "chat", "error.type": "503"},
     f"kind=model op=chat error=server {OTEL}", status=2)
case("traps", "HTTP status", {"gen_ai.operation.name": "chat", "http.response.status_code": 401},
     f"kind=model op=chat error=authentication {OTEL}", status=2)
case("traps", "error without a word", {"gen_ai.operation.name": "chat"}, f"kind=model op=chat error=other {OTEL}", status=2)
case("traps", "MCP tool error", {"mcp.method.name": "tools/call", "error.type": "tool_error"},
     "kind=tool op=execute_tool error=tool source=mcp rule=mcp.method.name", status=2)

if __name__ == "__main__":
    for family, cases in families.items():
        (HERE / f"{family}.jsonl").write_text("".join(text + "\n" for _, text, _ in cases))
        (HERE / f"{family}.rows").write_text("".join(f"{title} | {row}\n" for title, _, row in cases))
    print(sum(len(cases) for cases in families.values()), "cases")
