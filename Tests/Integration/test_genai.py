"""The genai processor: what the SDK sends arrives with the cost that the price table gives by hand."""
import json
import subprocess
from decimal import Decimal

import pytest

from support.process import configuration
from support.wire import get
from test_files import lines
from test_sdk import Recording
from test_span_metrics import metrics

# Built-in prices in dollars per million tokens: input, cached input, output.
PRICES = {"gpt-4o": ("2.5", "1.25", "10"), "gpt-4o-mini": ("0.15", "0.075", "0.6")}
CALLS = [("gpt-4o", 1000, 200, 500), ("gpt-4o", 17, 0, 3), ("gpt-4o-mini", 123_457, 1024, 999)]


def parts(model, prompt, cached, completion):
    each, each_cached, each_output = (Decimal(price) / 1_000_000 for price in PRICES[model])
    return (prompt - cached) * each, cached * each_cached, completion * each_output


def send(url):
    recording = Recording(url)
    tracer = recording.provider.get_tracer("test.genai")
    for model, prompt, cached, completion in CALLS:
        usage = {"gen_ai.usage.input_tokens": prompt, "gen_ai.usage.output_tokens": completion}
        if cached:
            usage["gen_ai.usage.cache_read.input_tokens"] = cached
        with tracer.start_as_current_span(f"chat {model}", attributes={
                "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": model, **usage}):
            pass
    with tracer.start_as_current_span("chat unknown", attributes={
            "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "no-such-model-x",
            "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3}):
        pass
    with tracer.start_as_current_span("GET /", attributes={"http.request.method": "GET"}):
        pass
    recording.finish()


def value_of(value):
    return getattr(value, value.WhichOneof("value"))


def test_costs_are_those_of_the_price_table(launch, tmp_path):
    path = tmp_path / "traces.json"
    martlet = launch(configuration({"file": {"path": str(path)}}, processors={"genai": {}}))
    send(martlet.url)
    counted = sum(sum(parts(*call)) for call in CALLS)
    assert martlet.metric("martlet_genai_calls_total", processor="genai") == len(CALLS) + 1
    for kind, wanted in [("input", sum(call[1] for call in CALLS) + 7), ("output", sum(call[3] for call in CALLS) + 3),
                         ("cache_read", sum(call[2] for call in CALLS))]:
        assert martlet.metric("martlet_genai_tokens_total", processor="genai", type=kind) == wanted
    texts = [line.rsplit(" ", 1)[1] for line in get(martlet.metrics_port, "/metrics").body.decode().splitlines()
             if line.startswith("martlet_genai_cost_usd_total{")]
    assert len(texts) == len(PRICES) and sum(map(Decimal, texts)) == counted
    assert martlet.metric("martlet_genai_unpriced_tokens_total", processor="genai", provider="openai",
                          model="no-such-model-x") == 10
    assert martlet.stop() == 0

    spans = [span for message in lines(path) for resource in message.resource_spans
             for scope in resource.scope_spans for span in scope.spans]
    assert len(spans) == len(CALLS) + 2
    for span in spans:
        assert len({attribute.key for attribute in span.attributes}) == len(span.attributes)
    attributes = [{attribute.key: value_of(attribute.value) for attribute in span.attributes} for span in spans]
    for call, found in zip(CALLS, attributes):
        prompt, cached, completion = parts(*call)
        assert found["gen_ai.provider.name"] == "openai"
        assert found["gen_ai.usage.cost"] == float(prompt + cached + completion)
        assert found["gen_ai.cost.input"] == float(prompt) and found["gen_ai.cost.output"] == float(completion)
        assert found.get("gen_ai.cost.cache_read") == (float(cached) if cached else None)
        assert found["gen_ai.cost.currency"] == "USD" and found["gen_ai.cost.source"] == "collector"
        assert found["gen_ai.cost.status"] == "priced" and found["gen_ai.cost.price_version"]
    unknown, plain = attributes[len(CALLS):]
    assert unknown["gen_ai.cost.status"] == "no_price"
    assert not [key for key in unknown if "cost" in key and key != "gen_ai.cost.status"]
    assert plain == {"http.request.method": "GET"}


@pytest.mark.parametrize("key", ["sources", "overwrite", "custom_mappings"])
def test_keys_of_another_processor_are_refused(launch, key):
    martlet = launch(configuration({"nop": None}, processors={"genai": {key: None}}), ready=False)
    martlet.launch()
    assert martlet.wait() != 0
    assert "is not supported" in martlet.log


def test_metrics_of_calls_equal_the_spans(launch, tmp_path):
    """What the connector behind the processor says is the sum of what was sent, re-sent requests left out."""
    path = tmp_path / "metrics.json"
    martlet = launch(configuration(
        {"file": {"path": str(path)}}, processors={"genai": {}},
        connectors={"genai_metrics": {"dimensions": [{"name": "user"}], "metrics_flush_interval": "1h"}}, pipelines={
            "traces": {"receivers": ["otlp"], "processors": ["genai"], "exporters": ["genai_metrics"]},
            "metrics": {"receivers": ["genai_metrics"], "exporters": ["file"]}}))
    send(martlet.url)
    assert martlet.stop() == 0
    points = metrics(path)
    assert sum(point.as_int for *_, point in points["martlet.genai.calls"]) == len(CALLS) + 1
    costs = sum(Decimal(repr(point.as_double)) for *_, point in points["martlet.genai.cost"])
    assert abs(costs - sum(sum(parts(*call)) for call in CALLS)) < Decimal("1e-12")
    tokens = {kind: sum(point.sum for _, _, attributes, point in points["gen_ai.client.token.usage"]
                        if attributes["gen_ai.token.type"] == kind) for kind in ("input", "output")}
    assert tokens == {"input": sum(call[1] for call in CALLS) + 7, "output": sum(call[3] for call in CALLS) + 3}
    assert sum(point.as_int for *_, point in points["martlet.genai.cache_read.tokens"]) == sum(c[2] for c in CALLS)


SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt-4o",
    "startTimeUnixNano": "1795262400000000000", "endTimeUnixNano": "1795262401000000000", "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.system", "value": {"stringValue": "openai"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
        {"key": "gen_ai.input.messages", "value": {"stringValue": "do not print me"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "500"}}]}


def explain(binary, tmp_path, content, *options):
    path = tmp_path / "span.json"
    path.write_text(content)
    return subprocess.run([binary, "genai", "explain", *options, path], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("content", [
    SPAN, [SPAN], {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}], ids=["span", "list", "request"])
def test_explain_says_what_was_recognised_and_the_price(binary, tmp_path, content):
    done = explain(binary, tmp_path, json.dumps(content), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["span_id"] == SPAN["spanId"] and found["kind"] == "model" and found["provider"] == "openai"
    assert found["recognised_by"] == "gen_ai.operation.name" and found["provider_from"] == "attribute"
    assert found["tokens"] == {"input": 1000, "output": 500} and found["cost"]["cost"] == 0.0075
    assert found["cost"]["price"]["model"] == "gpt-4o" and found["cost"]["reasons"]
    text = explain(binary, tmp_path, json.dumps(content))
    assert "cost 0.0075 USD" in text.stdout and "a row for exactly this model" in text.stdout
    assert "do not print me" not in done.stdout + text.stdout


def test_explain_says_which_of_two_spans_counts(binary, tmp_path):
    inner = {**SPAN, "spanId": "eee19b7ec3c1b175", "parentSpanId": SPAN["spanId"]}
    done = explain(binary, tmp_path, json.dumps([SPAN, inner]), "--json")
    outer, counted = [json.loads(line) for line in done.stdout.splitlines()]
    assert outer["counted"] == "false" and "spans below it" in outer["notes"][0]
    assert "counted" not in counted


@pytest.mark.parametrize("content", ["", "{", "[]", "nonsense", '{"spanId": 1}'])
def test_explain_refuses_what_is_no_span(binary, tmp_path, content):
    done = explain(binary, tmp_path, content)
    assert done.returncode == 1 and done.stderr and not done.stdout
