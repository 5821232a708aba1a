"""Real instrumentation libraries, against a stand-in for the providers: what arrives costs what the provider bills."""
from decimal import Decimal

import pytest

from genai import programs
from genai.libraries import LIBRARIES
from genai.provider import Provider
from genai.scenarios import BY_NAME
from support.process import configuration
from support.wire import get

#: Attribute (`gen_ai.usage.…_tokens`) and the reply's count.
COUNTS = {"input": "input", "output": "output", "cache_read.input": "cache_read", "cache_write.input": "cache_write",
          "cache_write_1h.input": "cache_write_1h", "reasoning.output": "reasoning"}
PARTS = ("input", "output", "cache_read", "cache_write")


@pytest.fixture
def provider():
    with Provider() as made:
        yield made
        assert not made.faults


def faults_of_call(span, reply, source):
    """What is wrong with a span that counts."""
    for name, count in COUNTS.items():
        if span.tokens(name) != getattr(reply, count):
            yield f"{name}: {span.tokens(name)}, by hand {getattr(reply, count)}"
    found = span.attributes
    # A double's shortest text is the decimal it was written for.
    cost = Decimal(repr(found["gen_ai.usage.cost"]))
    if cost != reply.dollars:
        yield f"cost: {cost}, by hand {reply.dollars}"
    if found["gen_ai.cost.currency"] != "USD" or found["gen_ai.cost.source"] != source:
        yield f"currency or source: {found['gen_ai.cost.currency']}, {found['gen_ai.cost.source']}"
    if source == "collector" and sum(Decimal(repr(found.get(f"gen_ai.cost.{part}", 0.0))) for part in PARTS) != cost:
        yield "the parts do not add up to the cost"
    if found.get("gen_ai.provider.name") != reply.provider:
        yield f"provider: {found.get('gen_ai.provider.name')}"
    if reply.model not in (found.get("gen_ai.request.model"), found.get("gen_ai.response.model")) and \
            reply.answers_as not in (found.get("gen_ai.request.model"), found.get("gen_ai.response.model")):
        yield f"model: {found.get('gen_ai.request.model')}, {found.get('gen_ai.response.model')}"


def faults_of_trace(spans, scenario, library):
    """What is wrong with a trace; empty when it costs what it should."""
    counted = [span for span in spans if span.status == "priced"]
    replies = library.replies(scenario)
    if len(counted) != len(replies):
        yield f"{len(counted)} spans count: {[span.name for span in counted]}, not {len(replies)}"
        return
    for span, reply in zip(counted, replies):
        for fault in faults_of_call(span, reply, library.cost_source):
            yield f"{span.name}: {fault}"
    for span in spans:
        if span.status != "priced" and span.has_cost:
            yield f"{span.name}: {span.status}, and yet a cost"
    calls = [span for span in spans if span.status is not None]
    if not replies:
        # Counted once, and not free: said to be unknown. What failed says so.
        unknown = [span for span in calls if span.status in ("no_usage", "no_model")]
        if len(unknown) != 1 or any(span.status != "aggregate" for span in calls if span not in unknown):
            yield f"statuses {[(span.name, span.status) for span in calls]}"
        if scenario.replies[-1].status != 200 and not any(span.is_error for span in spans):
            yield "nothing failed"
    elif any(span.status not in ("priced", "aggregate", "no_usage") for span in calls):
        yield f"statuses {[(span.name, span.status) for span in calls]}"


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_traces_cost_what_the_provider_bills(launch, tmp_path, provider, library):
    path = tmp_path / "traces.json"
    martlet = launch(configuration({"file": {"path": str(path)}}, processors={"genai": {}}))
    programs.run(library.program or library.name, library.environment, provider.url, martlet.url, library.scenarios,
                 tmp_path, library.variables)
    scenarios = [BY_NAME[name] for name in library.scenarios]
    assert [reply for _, reply in provider.served] == [
        reply for scenario in scenarios for reply in scenario.replies]

    text = get(martlet.metrics_port, "/metrics").body.decode()
    assert martlet.stop() == 0
    traces = programs.traces(path)
    assert list(traces) == list(library.scenarios)
    faults = [f"{scenario.name}: {fault}" for scenario in scenarios
              for fault in faults_of_trace(traces[scenario.name], scenario, library)]
    assert not faults, "\n".join(faults)

    wanted = [reply for scenario in scenarios for reply in library.replies(scenario)]
    costs = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith("martlet_genai_cost_usd_total{")]
    assert sum(map(Decimal, costs)) == sum(reply.dollars for reply in wanted) > 0
    for kind, count in [("input", "input"), ("output", "output"), ("cache_read", "cache_read"),
                        ("cache_write", "cache_write"), ("reasoning", "reasoning")]:
        (total,) = [line.rsplit(" ", 1)[1] for line in text.splitlines()
                    if line.startswith("martlet_genai_tokens_total{") and f'type="{kind}"' in line]
        assert int(total) == sum(getattr(reply, count) for reply in wanted), kind


def test_by_hand_is_by_hand():
    """The figures in the table of scenarios are consistent, and no library's exception stands for what is right."""
    for scenario in BY_NAME.values():
        for reply in scenario.replies:
            assert reply.cache_read + reply.cache_write <= reply.input and reply.reasoning <= reply.output
            assert reply.cache_write_1h <= reply.cache_write
            assert (reply.dollars > 0) == (reply.status == 200)
    for library in LIBRARIES:
        assert set(library.says) <= set(library.scenarios), library.name
        for name, replies in library.says.items():
            assert replies != BY_NAME[name].replies, f"{library.name}, {name}"


PRICES = """
version: test
prices:
  - {provider: openai, model: gpt-4o-mini, per_1m: {input: 3, output: 4}}
  - {provider: openai, model: gpt-4o, per_1m: {input: 2, cache_read: 0.5, output: 6}}
"""


def test_costs_follow_the_users_prices(launch, tmp_path, provider):
    """Overrides before files before the built-in table; the provider answers with dated names of the models."""
    (tmp_path / "prices.yaml").write_text(PRICES)
    path = tmp_path / "traces.json"
    martlet = launch(configuration({"file": {"path": str(path)}}, processors={"genai": {"prices": {
        "files": [str(tmp_path / "prices.yaml")],
        "overrides": [{"provider": "openai", "model": "gpt-4o-mini", "per_1m": {"input": 1, "output": 2}},
                      {"provider": "anthropic", "model": "claude-haiku-4-5", "multiplier": 0.5}]}}}))
    programs.run("otel", "otel", provider.url, martlet.url, ["chat", "chat-cached", "messages", "embeddings"], tmp_path)
    assert martlet.stop() == 0
    wanted = {"chat": "0.00188",  # the override: 1200 × 1 + 340 × 2
              "chat-cached": "0.01344",  # the file: 1760 × 2 + 10240 × 0.5 + 800 × 6
              "messages": "0.002075",  # half of the built-in price: 0.00415 / 2
              "embeddings": "0.00016382"}  # the built-in table
    assert {name: [Decimal(repr(span.attributes["gen_ai.usage.cost"])) for span in spans if span.status == "priced"]
            for name, spans in programs.traces(path).items()} == {
        name: [Decimal(cost)] for name, cost in wanted.items()}
