"""Prices by the command line and in a running process; spans that mean harm; what runs without a configuration."""
import json
import os
import subprocess
from decimal import Decimal

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support import wire
from support.ports import free_port
from support.process import Martlet, configuration
from support.waiting import wait_for
from test_files import lines

LITELLM = {
    "acme/gpt-q": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06,
                   "output_cost_per_token": 8e-06, "cache_read_input_token_cost": 5e-07},
    "free-q": {"litellm_provider": "openai", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0}}
GENAI_PRICES = [{"id": "openai", "name": "OpenAI", "models": [
    {"id": "acme/gpt-q", "match": {"equals": "acme/gpt-q"},
     "prices": {"input_mtok": 2, "output_mtok": 8, "cache_read_mtok": 0.5}}]}]


def martlet(binary, *arguments):
    return subprocess.run([str(binary), *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("data", [LITELLM, GENAI_PRICES], ids=["litellm", "genai-prices"])
def test_imported_prices_are_used(binary, tmp_path, data):
    source = tmp_path / "data.json"
    source.write_text(json.dumps(data))
    imported = martlet(binary, "prices", "import", source)
    assert imported.returncode == 0, imported.stderr
    prices = tmp_path / "prices.yaml"
    prices.write_text(imported.stdout)
    assert martlet(binary, "prices", "check", prices).returncode == 0
    cost = martlet(binary, "prices", "cost", "--provider", "openai", "--model", "acme/gpt-q", "--input", "1000",
                   "--output", "500", "--cache-read", "400", "--file", prices, "--json")
    assert cost.returncode == 0, cost.stderr
    # 600 × 2 + 400 × 0.5 + 500 × 8, a millionth each.
    found = json.loads(cost.stdout)
    assert found["cost"] == 0.0054 and found["currency"] == "USD" and found["status"] == "priced"
    assert found["parts"] and found["price"]


def test_data_that_is_no_price_data_is_refused(binary, tmp_path):
    source = tmp_path / "data.json"
    source.write_text("{\"half\": ")
    imported = martlet(binary, "prices", "import", source)
    assert imported.returncode != 0 and "cannot import" in imported.stderr and not imported.stdout


def test_prices_are_listed_shown_and_explained(binary):
    listed = martlet(binary, "prices", "list", "--provider", "anthropic")
    assert listed.returncode == 0 and "claude" in listed.stdout and "gpt-4o" not in listed.stdout
    shown = martlet(binary, "prices", "show", "gpt-4o-2024-08-06")
    assert shown.returncode == 0 and "gpt-4o" in shown.stdout
    cost = martlet(binary, "prices", "cost", "--provider", "openai", "--model", "gpt-4o", "--input", "1000",
                   "--output", "500")
    assert cost.returncode == 0 and "0.0075" in cost.stdout


def call(number, model="gpt-4o", **more):
    """A request with one span."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="chat",
        start_time_unix_nano=1_795_000_000_000_000_000, end_time_unix_nano=1_795_000_001_000_000_000)
    values = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
              "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 500, **more}
    for key, value in values.items():
        attribute = span.attributes.add(key=key)
        setattr(attribute.value, {str: "string_value", int: "int_value", float: "double_value"}[type(value)], value)
    return request


def attributes_of(path):
    """Of each span: its attributes."""
    return [{attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value") or "string_value")
             for attribute in span.attributes}
            for message in lines(path) for resource in message.resource_spans
            for scope in resource.scope_spans for span in scope.spans]


def test_changed_price_files_count_without_a_restart(launch, tmp_path):
    prices = tmp_path / "prices.yaml"

    def write(price):
        other = tmp_path / "next.yaml"
        other.write_text(
            f"version: v{price}\nprices:\n  - {{provider: openai, model: gpt-4o, per_1m: {{input: {price}, output: 0}}}}\n")
        os.replace(other, prices)

    write(1)
    path = tmp_path / "traces.json"
    process = launch(configuration({"file": {"path": str(path)}}, processors={
        "genai": {"prices": {"files": [str(prices)], "reload_interval": "50ms"}}}))
    assert process.post(call(1)).status == 200
    wait_for(lambda: attributes_of(path), "the first span")
    assert attributes_of(path)[0]["gen_ai.usage.cost"] == 0.001
    write(7)
    wait_for(lambda: "price files were read again" in process.log, "the new prices")
    assert process.post(call(2)).status == 200
    wait_for(lambda: len(attributes_of(path)) == 2, "the second span")
    assert attributes_of(path)[1]["gen_ai.usage.cost"] == 0.007
    assert attributes_of(path)[1]["gen_ai.cost.price_version"].endswith("v7")
    # Wrong files leave the prices as they were.
    prices.write_text("prices: [{provider: openai, model: gpt-4o, per_1m: {input: -1}}]\n")
    wait_for(lambda: "price files are wrong" in process.log, "the complaint")
    assert process.post(call(3)).status == 200
    assert process.stop() == 0
    assert attributes_of(path)[2]["gen_ai.usage.cost"] == 0.007


HOSTILE = {
    "absurd": {"gen_ai.usage.input_tokens": 1 << 62, "gen_ai.usage.output_tokens": 1 << 62},
    "negative": {"gen_ai.usage.input_tokens": -5, "gen_ai.usage.output_tokens": -1},
    "text": {"gen_ai.usage.input_tokens": "many", "gen_ai.usage.output_tokens": "1e999"},
    "fraction": {"gen_ai.usage.input_tokens": 1.5, "gen_ai.usage.output_tokens": float("nan")},
    "prompt": {"gen_ai.input.messages": "x" * (5 << 20)},
    "attributes": {f"llm.input_messages.{number}.message.content": "x" for number in range(10_000)},
    "half": {"gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"',
             "langfuse.observation.usage_details": '{"input": 12, "outp'},
    "depth": {"gen_ai.usage.raw": "[" * 200_000},
}


def test_hostile_spans_pass_on(launch, tmp_path):
    path = tmp_path / "traces.json"
    process = launch(configuration({"file": {"path": str(path)}}, processors={"genai": {}}))
    for number, more in enumerate(HOSTILE.values(), 1):
        assert process.post(call(number, **more), timeout=60).status == 200
    assert process.post(call(99)).status == 200
    assert process.stop(timeout=60) == 0
    spans = attributes_of(path)
    assert len(spans) == len(HOSTILE) + 1
    for (name, more), found in zip(HOSTILE.items(), spans):
        # What came is there still, and there is a word about the cost.
        assert len(found) >= 5 and found["gen_ai.request.model"] == "gpt-4o", name
        assert all(key in found for key in more), name
        assert found["gen_ai.cost.status"] in ("priced", "no_usage"), name
        if "gen_ai.usage.input_tokens" in more:
            assert found["gen_ai.cost.status"] == "no_usage" and "gen_ai.usage.cost" not in found, name
        else:
            assert found["gen_ai.usage.cost"] == 0.0075, name
    assert spans[-1]["gen_ai.usage.cost"] == 0.0075


def test_without_a_configuration_calls_have_a_cost(binary, tmp_path):
    """Only the ports are changed: those of the built-in configuration may be in use."""
    path, port, health = tmp_path / "traces.jsonl", free_port(), free_port()
    process = Martlet(binary, tmp_path, {"extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}}})
    sets = [f"receivers.otlp.protocols.http.endpoint=127.0.0.1:{port}",
            f"extensions.health_check.endpoint=127.0.0.1:{health}",
            f"service.telemetry.metrics.readers=[{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {free_port()}}}}}}}}}]"]
    with open(tmp_path / "stderr.log", "ab") as log:
        process.process = subprocess.Popen(
            [str(binary), "run", *(part for text in sets for part in ("--set", text))], cwd=tmp_path,
            env={**os.environ, "MARTLET_FILE": str(path)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=log)
    try:
        wait_for(lambda: process.is_ready_or_ended(), "ready", 30)
        assert process.is_alive(), process.log
        assert wire.post(port, call(1)).status == 200
        assert process.stop() == 0
    finally:
        process.close()
    (found,) = attributes_of(path)
    assert Decimal(repr(found["gen_ai.usage.cost"])) == Decimal("0.0075")
